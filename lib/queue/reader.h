/* The intake log, as the queue manager sees it: all slots, to read.
 *
 * At start it scans every segment; later it reads single records whose place it knows.
 * The writers go on meanwhile. Called by those who may wait for the disk. */
#ifndef QUEUE_READER_H
#define QUEUE_READER_H

#include "lib/queue/intake.h"

/* What a scan finds; context is the caller's. All that is passed is valid during the call only. */
struct intake_visitor {
    /* A message in the log. s->envelope has no routing. */
    void (*message)(const struct intake_place *at, const struct stored *s, struct span text, void *context);
    /* A segment, after its messages: how many there were. One without a message is never recycled: its
     * writer knows that it is free. */
    void (*segment)(uint32_t slot, uint32_t number, uint64_t generation, uint64_t messages, void *context);
    /* Something that is not as it must be, in words, for the log and an alarm; it is left as it is. */
    void (*damage)(uint32_t slot, const char *what, void *context);
};

/* Scans all slots, or one.
 * directory: intake/, borrowed
 * result: false with why where the directory cannot be read; a slot that was never used has nothing in it */
bool intake_scan(int directory, const struct intake_visitor *v, void *context, struct buf *why);
bool intake_scan_slot(int directory, uint32_t slot, const struct intake_visitor *v, void *context, struct buf *why);

/* Reads single records; keeps some segments open. */
struct intake_reader;
struct intake_reader *intake_reader_new(int directory);
void intake_reader_free(struct intake_reader **r);
/* text, s: made in a
 * result: false with why: damaged, or not there any more */
bool intake_reader_get(struct intake_reader *r, struct arena *a, const struct intake_place *at, struct stored *s,
                       struct span *text, struct buf *why);
/* Closes a segment that is recycled: it may be removed. */
void intake_reader_forget(struct intake_reader *r, uint32_t slot, uint32_t segment);

#endif
