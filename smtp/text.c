#include "smtp/text.h"

#include "lib/base/check.h"
#include "lib/io/wait.h"

#include <errno.h>
#include <unistd.h>

enum { TURN_CHUNKS = 8 /* chunks between two turns for others */ };

bool text_read(const struct text *t, uint64_t at, struct buf *room, struct span *chunk)
{
    uint64_t left = at < t->size ? t->size - at : 0;
    size_t n = left < TEXT_CHUNK ? (size_t)left : TEXT_CHUNK;
    *chunk = SPAN_NONE;
    if (n == 0)
        return true;
    if (at < t->head.n) {
        *chunk = span_slice(t->head, (size_t)at, (size_t)at + n);
        return true;
    }
    at = at - t->head.n + t->replaced;
    if (t->fd < 0) {
        *chunk = span_slice(t->inner, (size_t)at, (size_t)at + n);
        if (chunk->n == 0)
            errno = ENODATA;
        return chunk->n > 0;
    }
    buf_clear(room);
    char *to = buf_reserve(room, n);
    CHECK(to != NULL);
    ssize_t got;
    do
        got = pread(t->fd, to, n, (off_t)(t->offset + at));
    while (got < 0 && errno == EINTR);
    if (got == 0)
        errno = ENODATA;
    if (got <= 0)
        return false;
    *chunk = span_of(to, (size_t)got);
    return true;
}

static bool has_eight_bit(struct span s)
{
    unsigned char seen = 0;
    for (size_t i = 0; i < s.n; i++)
        seen |= span_at(s, i);
    return seen >= 0x80;
}

static uint64_t count_lines(struct span s)
{
    uint64_t n = 0;
    for (const char *p = s.p, *end = s.p + s.n; (p = memchr(p, '\n', (size_t)(end - p))); p++)
        n++;
    return n;
}

/* How many octets of a chunk belong to the header section, which goes on until an empty line.
 * at_start: the chunk begins a line; ended: set where the section ends in it */
static size_t header_part(struct span chunk, bool at_start, bool *ended)
{
    size_t at = 0;
    while (at < chunk.n) {
        size_t end = at + span_find(span_skip(chunk, at), '\n');
        if (at_start && end == at) {
            *ended = true;
            return at;
        }
        at_start = end < chunk.n;
        at = end + 1;
    }
    return chunk.n;
}

bool text_scan(const struct text *t, struct text_facts *facts)
{
    struct buf room = BUF_INIT;
    struct span chunk;
    uint64_t at = 0, lines = 0;
    bool in_header = true, at_start = true, good;
    *facts = (struct text_facts){0};
    for (unsigned n = 1; (good = text_read(t, at, &room, &chunk)) && chunk.n; n++) {
        bool eight_bit = has_eight_bit(chunk);
        facts->eight_bit |= eight_bit;
        if (in_header) {
            bool ended = false;
            size_t part = header_part(chunk, at_start, &ended);
            facts->eight_bit_header |= eight_bit && has_eight_bit(span_slice(chunk, 0, part));
            in_header = !ended;
        }
        lines += count_lines(chunk);
        at_start = chunk.p[chunk.n - 1] == '\n';
        at += chunk.n;
        if (n % TURN_CHUNKS == 0)
            wait_yield();
    }
    facts->wire_size = at + lines + (at_start ? 0 : 2);
    buf_fini(&room);
    return good;
}

/* A piece of one line, without its end. */
static void put_piece(struct wire_form *w, struct span piece, struct buf *out)
{
    const uint64_t limit = w->limit == 1 ? 2 : w->limit; /* the blank takes one */
    while (piece.n) {
        if (limit && w->column >= limit) {
            buf_puts(out, "\r\n ");
            w->column = 1;
            w->broken = true;
        }
        size_t n = limit && piece.n > limit - w->column ? (size_t)(limit - w->column) : piece.n;
        size_t cr = span_find(span_slice(piece, 0, n), '\r');
        if (cr < n) {
            buf_put(out, span_slice(piece, 0, cr));
            buf_putc(out, ' ');
            n = cr + 1;
        } else {
            buf_put(out, span_slice(piece, 0, n));
        }
        w->column += n;
        piece = span_skip(piece, n);
    }
}

void wire_form_put(struct wire_form *w, struct span octets, struct buf *out)
{
    while (octets.n) {
        size_t end = span_find(octets, '\n');
        if (!w->inside && w->dots && octets.p[0] == '.')
            buf_putc(out, '.');
        w->inside = true;
        put_piece(w, span_slice(octets, 0, end), out);
        if (end < octets.n) {
            buf_puts(out, "\r\n");
            w->inside = false;
            w->column = 0;
        }
        octets = span_skip(octets, end + 1);
    }
}

void wire_form_end(struct wire_form *w, struct buf *out)
{
    if (w->inside)
        buf_puts(out, "\r\n");
    w->inside = false;
    w->column = 0;
}
