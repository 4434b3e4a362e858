/* The state of a cleanup process. */
#ifndef CLEANUP_CLEANUP_H
#define CLEANUP_CLEANUP_H

#include "cleanup/head.h"
#include "cleanup/recipients.h"
#include "lib/proc/proc.h"
#include "lib/queue/intake.h"
#include "lib/queue/space.h"
#include "lib/queue/spool.h"
#include "lib/wire/queue.msg.h"

enum {
    CLEANUP_SEGMENT_BYTES = 16 << 20, /* docs/design/message-store.md */
    CLEANUP_SPARE_SEGMENTS = 4,
    CLEANUP_SPOOLS_MAX = 800,         /* texts on their way in files, by all callers */
    CLEANUP_FILES_MAX = 64,           /* files of their own in one commit */
    CLEANUP_DELAY_MAX_MS = 10000,     /* most that qmgr can have answers held back */
};

/* Parameters. */
struct cleanup_config {
    struct head_config head;
    struct recipients_config recipients;
    struct space_limits space;
    uint64_t message_limit; /* message_size_limit; 0: none */
    bool always_complete;   /* always_add_missing_headers */
    bool remote_rewrite;    /* remote_header_rewrite_domain is set */
};

/* A file for a text that a caller is sending. */
struct spool_handle {
    struct list node;
    struct channel *caller;
    uint64_t handle;
    int fd; /* owned */
};

struct cleanup {
    struct proc *proc;
    struct cleanup_config config;
    uint32_t slot;
    int queue;             /* directory, borrowed */
    struct intake *intake; /* owned */
    struct spool spool;

    struct list handles;   /* struct spool_handle */
    size_t handle_count;
    uint64_t last_handle;  /* incarnation, and 32 bits that count */

    struct list pending;   /* struct pending (commit.c): stored with the next commit */
    struct list spills;    /* struct spill (spill.c): messages that are to become files */
    unsigned files;        /* files of their own that wait for the commit */
    struct list answers;   /* struct pending: stored; their answers are held back */
    struct deferred commit;
    struct timer answer, prepare;
    uint64_t delay_ms;     /* asked by qmgr */
    unsigned in_hand;      /* requests whose handler has not returned */
    bool stopping;

    struct channel *qmgr;  /* owned; NULL: there is none at the moment */
    struct timer connect;
    uint32_t told_segment; /* which qmgr was last told is being written; 0: none */
    uint64_t told_generation;

    struct arena scratch;  /* of the request in hand */
};

/* config.c: fills c->config from the parameters and opens the tables. result: false after proc_trouble() */
bool cleanup_configure(struct cleanup *c);

/* submit.c: what callers ask */
extern const struct message_handler cleanup_requests[];
void cleanup_caller_left(struct proc *p, void *own, struct channel *caller);

/* commit.c: the way to stable storage, shared by all that came in one step of the loop.
 * Each takes the request's answer on itself. envelope: encoded. */
struct store_request {
    struct channel *caller;
    uint64_t answer_to; /* the frame's id */
    struct queue_id id;
    struct span envelope, text;
    struct spool_file *file; /* the text is in it already (heap; taken over); NULL: text goes to the log */
};
void commit_open(struct cleanup *c);
void commit_add(struct cleanup *c, const struct store_request *request);
void commit_refuse(struct cleanup *c, struct channel *caller, uint64_t answer_to, const struct queue_id *id,
                   unsigned class, const char *dsn, struct span text);
/* Words for a store error, logged where it is one of ours. */
void commit_refuse_store(struct cleanup *c, struct channel *caller, uint64_t answer_to, const struct queue_id *id,
                         enum store_result result, struct span why);
void commit_caller_left(struct cleanup *c, const struct channel *caller);
/* Ends the process once nothing is left to answer. */
void commit_stop(struct cleanup *c);

/* hints.c: the channel to qmgr */
void hints_open(struct cleanup *c);
/* Tells that a message is stored. place: in the log; NULL: a file of its own */
void hints_arrived(struct cleanup *c, const struct queue_id *id, struct span envelope, struct span text,
                   const struct intake_place *place);
/* What qmgr was not told because it does not read fast enough counts as pressure: ms to hold answers back. */
uint64_t hints_delay_ms(const struct cleanup *c);

/* spill.c: messages of the log that become files */
void spill_add(struct cleanup *c, const struct msg_spill *m);
/* Begins as many files as there is room for; adds them to files. result: how many */
size_t spill_begin(struct cleanup *c, struct spool_file **files, size_t room);
/* After their commit: tells qmgr. */
void spill_tell(struct cleanup *c);

#endif
