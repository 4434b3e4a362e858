/* An arena: memory with one lifetime and one end.
 *
 * A call, a transaction or a session has one; everything made in it ends by one
 * arena_fini() or arena_reset(). Nobody frees a single object.
 *
 * Any process may call these; none waits. Memory that the system refuses ends
 * the process. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "lib/base/span.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* owned, newest first */
    size_t used;                /* bytes handed out since init or reset */
};

#define ARENA_INIT ((struct arena){0})

/* Frees everything. */
void arena_fini(struct arena *a);
/* Ends everything made in it; keeps at most one small chunk for the next use. */
void arena_reset(struct arena *a);

/* n bytes of zeros, aligned for any type; n 0 gives a valid pointer. Owned by a. */
void *arena_alloc(struct arena *a, size_t n);
/* count things of n bytes each; an overflow of the product is a bug. */
void *arena_calloc(struct arena *a, size_t count, size_t n);
/* A copy in a, with a terminator behind it. */
struct span arena_dup(struct arena *a, struct span s);
/* The same as text; the bytes of s hold no NUL (checked). */
const char *arena_text(struct arena *a, struct span s);
const char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define ARENA_NEW(a, type) ((type *)arena_alloc((a), sizeof(type)))

#endif
