#include "lib/base/buf.h"
#include "lib/base/check.h"

#include <stdio.h>
#include <stdlib.h>

void buf_fini(struct buf *b)
{
    free(b->data);
    *b = (struct buf){.max = b->max};
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->full = false;
    if (b->data)
        b->data[0] = '\0';
}

static bool buf_fits(struct buf *b, size_t n)
{
    size_t max = b->max ? b->max : BUF_MAX_DEFAULT;
    if (n > max || b->len > max - n) {
        b->full = true;
        return false;
    }
    return true;
}

/* Makes room for n more bytes and the terminator; the caller knows that they fit. */
static void buf_grow(struct buf *b, size_t n)
{
    size_t need = b->len + n + 1;
    if (need <= b->cap)
        return;
    size_t cap = b->cap < 64 ? 64 : b->cap;
    while (cap < need)
        cap += cap / 2 + 32;
    char *data = realloc(b->data, cap);
    CHECK(data != NULL);
    if (b->cap == 0)
        data[0] = '\0';
    b->data = data;
    b->cap = cap;
}

char *buf_reserve(struct buf *b, size_t n)
{
    if (!buf_fits(b, n))
        return NULL;
    buf_grow(b, n);
    return b->data + b->len;
}

void buf_grown(struct buf *b, size_t n)
{
    CHECK(n < b->cap - b->len);
    b->len += n;
    b->data[b->len] = '\0';
}

void buf_put(struct buf *b, struct span s)
{
    char *to = s.n ? buf_reserve(b, s.n) : NULL;
    if (!to)
        return;
    memcpy(to, s.p, s.n);
    buf_grown(b, s.n);
}

void buf_putc(struct buf *b, char c)
{
    buf_put(b, span_of(&c, 1));
}

void buf_puts(struct buf *b, const char *text)
{
    buf_put(b, span_text(text));
}

void buf_put_u64(struct buf *b, uint64_t value)
{
    buf_printf(b, "%llu", (unsigned long long)value);
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buf_vprintf(b, format, args);
    va_end(args);
}

void buf_vprintf(struct buf *b, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, again);
    va_end(again);
    CHECK(n >= 0);
    char *to = buf_reserve(b, (size_t)n);
    if (!to)
        return;
    vsnprintf(to, (size_t)n + 1, format, args);
    buf_grown(b, (size_t)n);
}

void buf_consume(struct buf *b, size_t n)
{
    CHECK(n <= b->len);
    if (n == 0)
        return;
    memmove(b->data, b->data + n, b->len - n + 1);
    b->len -= n;
}

void buf_truncate(struct buf *b, size_t n)
{
    CHECK(n <= b->len);
    b->len = n;
    if (b->data)
        b->data[n] = '\0';
}
