/* A growable byte buffer.
 *
 * Always terminated by a NUL behind its last byte, so buf_text() is a C string
 * as long as no NUL was put in; len is the truth. The owner declares it
 * (BUF_INIT) and ends it with buf_fini(). A buffer with a max refuses to grow
 * past it and stays "full": like a stream, it is written without checking and
 * checked once at the end.
 *
 * Any process may call these; none waits. Memory that the system refuses ends
 * the process (a bug of budgeting). */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "lib/base/span.h"

#include <stdarg.h>

struct buf {
    char *data;  /* owned; NULL while nothing was put */
    size_t len;  /* bytes put, without the terminator */
    size_t cap;  /* bytes allocated */
    size_t max;  /* most bytes it may hold; 0 means BUF_MAX_DEFAULT */
    bool full;   /* something did not fit: what was put is not all of it */
};

#define BUF_MAX_DEFAULT ((size_t)16 * 1024 * 1024)
#define BUF_INIT ((struct buf){0})
#define BUF_LIMITED(most) ((struct buf){.max = (most)})

/* Frees the memory; the buffer is empty, keeps its max, and may be used again. */
void buf_fini(struct buf *b);
/* Empties it and keeps the memory. */
void buf_clear(struct buf *b);

/* Each appends; where it would pass max, nothing of that call is appended and full is set. */
void buf_put(struct buf *b, struct span s);
void buf_putc(struct buf *b, char c);
void buf_puts(struct buf *b, const char *text);
void buf_put_u64(struct buf *b, uint64_t value);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

/* Room for n more bytes behind len, to be filled by the caller, who then adds
 * to len by buf_grown().
 * result: where to write, or NULL where n would pass max (full is set) */
char *buf_reserve(struct buf *b, size_t n);
void buf_grown(struct buf *b, size_t n);

/* Drops the first n bytes. */
void buf_consume(struct buf *b, size_t n);
/* Cuts to n bytes; n must not be over len. */
void buf_truncate(struct buf *b, size_t n);

static inline struct span buf_span(const struct buf *b)
{
    return (struct span){b->data, b->len};
}
/* Borrowed until the next put; never NULL. */
static inline const char *buf_text(const struct buf *b)
{
    return b->data ? b->data : "";
}

#endif
