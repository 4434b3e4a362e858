/* The intake log, as the process that writes it sees it: intake/<slot>/<number>.
 *
 * Each cleanup process has a slot with segments (segment.h) of its own. Records are
 * gathered in memory, written in one go, and one data sync makes all of them safe. A
 * segment that is full is closed; when the queue manager says that nothing in it is
 * needed any more, it is used anew. Segments of an earlier process of the slot count as
 * closed, and nothing is ever appended to them.
 *
 * An error of writing or syncing is final for the segment: nothing in it that was not
 * acknowledged counts, it is written no more, and the sync is not tried again (the kernel
 * forgets what it could not write).
 *
 * One process per slot calls these; most of them wait for the disk. */
#ifndef QUEUE_INTAKE_H
#define QUEUE_INTAKE_H

#include "lib/queue/segment.h"

struct intake;

/* Where a record is. */
struct intake_place {
    uint32_t slot, segment;
    uint64_t generation; /* of the segment */
    uint64_t offset;     /* octets into the segment */
    uint64_t length;     /* octets of the record */
};

struct intake_config {
    int directory;          /* intake/<slot>/, borrowed for the life of the intake */
    uint32_t slot;
    uint64_t segment_bytes; /* of segments that are made: SEGMENT_SIZE_MIN to SEGMENT_SIZE_MAX */
    unsigned spare_max;     /* unused segments that are kept; further ones are removed */
};

/* Opens the slot; removes temporary files that an earlier process left. waits
 * result: the intake, the caller's; NULL with why where the directory cannot be used */
struct intake *intake_open(const struct intake_config *config, struct buf *why);
/* What was appended and not committed is gone. Nulls *i. */
void intake_close(struct intake **i);

/* Whether a record of this envelope and text may go into the log; what may not is a file of its own. */
bool intake_takes(size_t envelope, uint64_t text);

/* Adds a record to the batch. Waits only where the next segment has to be opened.
 * place: set to where it will be
 * result: STORE_OK: safe after the next commit; STORE_FULL, STORE_FAILED (why): not in the batch */
enum store_result intake_append(struct intake *i, const struct queue_id *id, struct span envelope, struct span text,
                                struct intake_place *place, struct buf *why);

/* Writes and syncs the batch. Nothing to do is good. waits
 * result: STORE_OK: every record since the last commit is on stable storage
 *         STORE_FULL, STORE_FAILED (why): none of them counts; after STORE_FAILED, alarm */
enum store_result intake_commit(struct intake *i, struct buf *why);
/* Records appended since the last commit. */
size_t intake_pending(const struct intake *i);

/* The segment that is being written. result: false where there is none at the moment */
bool intake_current(const struct intake *i, uint32_t *segment, uint64_t *generation);

/* Whether there is a current segment and, where that is more than half full, a free one to follow it. */
bool intake_is_prepared(const struct intake *i);
/* Opens or makes what is missing of that, while there is time. waits
 * result: STORE_OK, STORE_FULL, STORE_FAILED (why) */
enum store_result intake_prepare(struct intake *i, struct buf *why);

/* Nothing in a closed segment is needed any more: its records are made unreadable for ever, synced. waits
 * result: STORE_OK: they are gone (also where they were before); STORE_EXISTS: it is being written, has
 *         another generation or is unknown: nothing was done; STORE_FAILED (why) */
enum store_result intake_recycle(struct intake *i, uint32_t segment, uint64_t generation, struct buf *why);

/* Reads a record of this slot back, to make a file of it.
 * text, s: made in a; result: false with why */
bool intake_fetch(struct intake *i, struct arena *a, const struct intake_place *place, struct stored *s,
                  struct span *text, struct buf *why);

/* Files in the slot's directory that are no good segments: left alone; for the log. NULL: none */
const char *intake_damage(const struct intake *i);

#endif
