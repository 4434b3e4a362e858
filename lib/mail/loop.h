/* Mail that comes back: Delivered-To headers say where a message has been.
 *
 * Any process may call these; loop_read_head() may wait for the disk. */
#ifndef MAIL_LOOP_H
#define MAIL_LOOP_H

#include "lib/base/arena.h"

enum { LOOP_HEAD_MAX = 64 * 1024 /* octets of a text by descriptor in which headers are looked for */ };

/* The beginning of a text: the text itself where fd is -1, else what the file has at offset, in a. */
struct span loop_read_head(struct arena *a, struct span text, int fd, uint64_t offset, uint64_t size);

/* Whether a Delivered-To header names the address (internal form), whatever its case. */
bool loop_is_there(struct span head, struct span address);

#endif
