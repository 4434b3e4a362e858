/* Where messages lie: what cleanup tells of them, what the store holds at the start, and how
 * they leave it.
 *
 * A segment of the log can be used anew when nothing in it is needed any more. Until its old
 * records can never be read again, the journal goes on saying that they are finished: that is
 * what tombs are for. A record that is not where the message lies (it was spilled, or arrived
 * twice) leaves a trace in its segment, as the records of finished messages do. */
#ifndef QMGR_STORE_H
#define QMGR_STORE_H

#include "qmgr/inner.h"

enum {
    SPILL_AFTER_S = 10, /* unfinished for that long: a file is made of it */
    SPILL_AGAIN_S = 30, /* where that could not be done */
    FRESH_MANY = 5000,  /* untried messages from which on intake is held back */
    FRESH_SPAN = 20000, /* as many more: with the longest delay */
    PRESSURE_MAX_MS = 1000,
    FILES_PER_SLICE = 100, /* queue files read between two looks at the channels */
};

/* A cleanup process. */
struct cleaner {
    struct channel *channel;
    uint64_t incarnation;
    bool introduced, spills;
    uint32_t slot, segment; /* as in intake */
    uint64_t generation;
    uint64_t delay_ms; /* that it was told */
};

/* One use of a segment of the log. */
struct segment_key {
    uint64_t generation;
    uint32_t slot, number; /* 1 + its number */
};
struct segment {
    struct segment_key key;
    uint32_t live;      /* messages that lie in it */
    bool asked;         /* its cleanup process was asked to recycle it */
    struct list traces; /* struct trace: records of messages that are over or lie elsewhere */
};

/* A stored form that is no longer needed, but can still be read. */
struct trace {
    struct list node;
    struct queue_id id;
};

/* A message that is over, while a stored form of it can still be read. */
struct tomb {
    struct standing standing;
    struct queue_id id;
    struct place place; /* where it lay in the log; zeros: it did not */
    uint32_t traces;    /* of it */
};

void store_open(struct qmgr *q);
void store_close(struct qmgr *q);
/* Reads the log: all that is there at the start; then begins to read the files. */
bool store_scan(struct qmgr *q, struct buf *why);

/* A message's last entry is durable: its stored form goes, and the message. */
void store_remove_message(struct qmgr *q, struct message *m);
/* Its stored form is damaged: it is set aside, or held where that is not possible; never given up silently.
 */
void store_message_damaged(struct qmgr *q, struct message *m, const char *why);
/* It has had its first attempt. */
void store_message_tried(struct qmgr *q, struct message *m);
/* Once a second: spills, pressure, removals to be synced. */
void store_second(struct qmgr *q);
/* Whether a message of this ID is, or was lately, in the store. */
bool store_knows(const struct qmgr *q, const struct queue_id *id);
/* Whether all files have been read. */
bool store_is_read(const struct qmgr *q);

#endif
