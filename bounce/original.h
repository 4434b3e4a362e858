/* The message that a notification is about: its text by descriptor or in memory. */
#ifndef BOUNCE_ORIGINAL_H
#define BOUNCE_ORIGINAL_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"

enum { ORIGINAL_HEAD_MAX = 256 * 1024 }; /* octets in which the headers are looked for */

struct original {
    struct span text;      /* the whole text, where it is in memory; else p is NULL */
    int fd;                /* the file that holds it, or -1; borrowed */
    uint64_t offset, size; /* octets */
    struct span headers;   /* the header section without the empty line; ends in LF unless empty */
};

/* Reads the headers.
 * text:   borrowed, where fd is -1
 * a:      holds what was read from fd
 * result: false where the file cannot be read or is too short. waits for the disk */
bool original_open(struct original *o, struct arena *a, struct span text, int fd, uint64_t offset, uint64_t size);

/* Calls fn for all of the text, in pieces. result: false where it cannot be read, or fn said false */
bool original_each(const struct original *o, bool (*fn)(struct span piece, void *context), void *context);

/* Whether a byte over 127 is in it, or it cannot be read. */
bool original_is_eight_bit(const struct original *o);

/* Appends the value of the first header of that name, unfolded; nothing where there is none. */
void original_put_header(const struct original *o, struct buf *out, struct span name);

#endif
