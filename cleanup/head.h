/* The header section of a message: read once, made complete, written anew.
 *
 * What is removed (message_drop_headers), added (Message-ID, Date, From, To) and
 * counted (Received) follows Postfix's cleanup(8). Pure but for the function that
 * rewrites addresses, which may wait. */
#ifndef CLEANUP_HEAD_H
#define CLEANUP_HEAD_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/queue/id.h"

enum { HEAD_MAX = 4 << 20 }; /* octets of a header section */

/* Parameters; all borrowed. */
struct head_config {
    struct span myhostname;
    struct span undisclosed;  /* undisclosed_recipients_header; empty: none is added */
    struct span *dropped;     /* message_drop_headers */
    size_t dropped_count;
    size_t header_size_limit;
    size_t token_limit;       /* header_address_token_limit */
    uint64_t hopcount_limit;
    bool long_ids;            /* enable_long_queue_ids: no time before the queue ID in a Message-ID */
    bool obsolete_from;       /* header_from_format: address (name) */
};

/* Which addresses a header has. */
enum head_side { HEAD_SENDER, HEAD_RECIPIENT };

/* result: 1: replacement is filled; 0: the address stays; -1: give up (temporary) */
typedef int (*head_rewrite)(struct span address, enum head_side side, struct buf *replacement, void *context);

struct head_request {
    struct queue_id id;
    int64_t arrival_us;
    struct span sender;    /* of the envelope, internal form */
    struct span full_name; /* for a From: that is missing; may be empty */
    bool complete;         /* add what is missing */
    bool extract;          /* collect the recipients in it */
    head_rewrite rewrite;  /* NULL: addresses stay */
    void *context;
};

enum head_verdict {
    HEAD_OK,
    HEAD_HOPS, /* as many Received: as hopcount_limit, or more */
    HEAD_TEMP, /* the rewriting gave up */
};

struct head {
    enum head_verdict verdict;
    size_t body_at;        /* octets of the text that were the header section, its empty line included */
    struct span message_id; /* for the log, with its brackets; "<>" where there is none */
    struct span resent_message_id; /* empty: none */
    struct span *recipients; /* extracted; internal form */
    size_t recipient_count;
};

/* Writes the new header section, with the empty line, to out.
 * text: the message, or its beginning up to a line's end that surely holds the whole header section
 * a:    for what is collected */
struct head head_complete(const struct head_config *config, const struct head_request *request, struct span text,
                          struct arena *a, struct buf *out);

/* Where the body begins, without doing anything: text.n: the end of the header section is not in text. */
size_t head_find_body(struct span text, size_t header_size_limit);

#endif
