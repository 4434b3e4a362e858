/* How a segment of the journal looks on disk; for journal.c and journal_read.c only.
 *
 * Two copies of the segment header, then records, then zeros. Numbers have the
 * machine's byte order: a queue is not carried to a machine of another kind. */
#ifndef QUEUE_JOURNAL_FORMAT_H
#define QUEUE_JOURNAL_FORMAT_H

#include "lib/base/span.h"

/* The number of the segment and the place are part of every checksum: a record is good only where it was put.
 */
struct segment_head {
    char magic[8];
    uint64_t number;       /* as in the file's name */
    uint64_t previous;     /* the segment before it; 0: none */
    uint64_t previous_end; /* octets of that one that count */
    uint64_t base;         /* segments below it were not needed when this one was begun */
    int64_t begun_us;      /* wall clock */
    uint64_t spare;
    uint64_t sum; /* of the fields before */
};

struct record_head {
    uint32_t sum;       /* of the rest of the head and the body */
    uint32_t length;    /* octets of the body; the next record begins at the next multiple of RECORD_ALIGN */
    uint32_t batch;     /* counts the syncs of this segment, from 1 */
    uint32_t flags;     /* RECORD_* */
    int64_t written_us; /* wall clock */
    uint32_t id_sum;    /* of the queue ID alone, which is the body's first field */
    uint32_t spare;
};

enum {
    SEGMENT_HEADS = 2, /* copies of the head */
    SEGMENT_BEGIN = 2 * sizeof(struct segment_head),
    RECORD_ALIGN = 8,
    RECORD_FIRST = 1,       /* the first of its batch */
    JOURNAL_FILE_NAME = 24, /* room for a segment's file name */
};
#define SEGMENT_MAGIC "MPJRNL01"

/* Octets that a record takes with this body. */
static inline size_t record_size(size_t body)
{
    return (sizeof(struct record_head) + body + RECORD_ALIGN - 1) & ~(size_t)(RECORD_ALIGN - 1);
}

/* result: the checksum that stands in the head of a segment */
uint64_t journal_head_sum(const struct segment_head *head);
/* head: as it will stand, with anything in sum; at: its place in segment number */
uint32_t journal_record_sum(const struct record_head *head, struct span body, uint64_t number, uint64_t at);
uint32_t journal_id_sum(struct span id);
/* Writes the file name of a segment. */
void journal_file_name(char name[JOURNAL_FILE_NAME], uint64_t number);

#endif
