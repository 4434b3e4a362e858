/* postqueue: lists the queue and has it delivered now; by name also mailq. */
#ifndef POSTQUEUE_POSTQUEUE_H
#define POSTQUEUE_POSTQUEUE_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/wire/tool.msg.h"

#include <stdio.h>

/* How a list is written. Filled by print_begin(). */
struct printer {
    FILE *to;
    bool json;
    bool long_ids; /* enable_long_queue_ids: columns wide enough for ours */
    uint64_t messages, octets;
    struct buf reason;  /* of the recipient before, in this message */
    bool any_recipient; /* of this message was written */
    bool open;          /* a message is not ended */
};

void print_begin(struct printer *p, FILE *to, bool json, bool long_ids);
/* A message, or more recipients of the one before. */
void print_message(struct printer *p, const struct msg_tool_message *m);
/* The closing line. */
void print_end(struct printer *p);

/* Lists the queue from the disk, without the server. The working directory is the queue directory.
 * result: false with why */
bool direct_list(struct printer *p, struct buf *why);

#endif
