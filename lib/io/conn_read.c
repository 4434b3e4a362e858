#include "lib/io/conn_inner.h"
#include "lib/base/check.h"

#include <errno.h>
#include <stdlib.h>

void conn_release_in(struct conn *c)
{
    free(c->in);
    c->in = NULL;
    c->start = c->end = c->cap = c->searched = 0;
}

void conn_put_input(struct conn *c, struct span unread)
{
    CHECK_MAGIC(c, CONN_MAGIC);
    CHECK(c->in == NULL);
    if (unread.n == 0)
        return;
    c->cap = unread.n > CONN_IN_SMALL ? unread.n : CONN_IN_SMALL;
    c->in = malloc(c->cap);
    CHECK(c->in != NULL);
    memcpy(c->in, unread.p, unread.n);
    c->end = unread.n;
}

struct span conn_unread(const struct conn *c)
{
    return span_slice(span_of(c->in, c->end), c->start, c->end);
}

static void conn_consume(struct conn *c, size_t n)
{
    c->start += n;
    c->searched = c->searched > n ? c->searched - n : 0;
}

/* Room for at least an octet behind end. What stands in the buffer moves to its head where
 * less than a quarter is free. */
static void conn_make_room(struct conn *c)
{
    size_t held = c->end - c->start;
    if (held == 0 && c->was_full && c->cap < CONN_IN_LARGE)
        conn_release_in(c);
    if (held == 0)
        c->start = c->end = 0;
    if (c->cap - c->end < c->cap / 4 && c->start > 0) {
        memmove(c->in, c->in + c->start, held);
        c->start = 0;
        c->end = held;
    }
    if (c->end < c->cap)
        return;
    size_t cap = c->cap ? c->cap * 2 : c->was_full ? CONN_IN_LARGE : CONN_IN_SMALL;
    char *in = realloc(c->in, cap);
    CHECK(in != NULL);
    c->in = in;
    c->cap = cap;
}

/* Tries to read once.
 * want:   set to what must be waited for before anything can be read; 0: try again at once
 * result: CONN_OK (also where nothing was read), CONN_EOF, or what is sticky */
static enum conn_result conn_try_read(struct conn *c, unsigned *want)
{
    conn_make_room(c);
    struct transport_try how = {.fd = c->fd, .want = LOOP_READ};
    size_t room = c->cap - c->end;
    ssize_t n = c->ops->read(c->layer, &how, c->in + c->end, room);
    *want = 0;
    if (n > 0) {
        c->end += (size_t)n;
        c->bytes_in += (uint64_t)n;
        c->turn_bytes += (size_t)n;
        c->drained = how.drained;
        c->was_full = (size_t)n == room;
        return CONN_OK;
    }
    if (n == 0) {
        c->at_end = true;
        return CONN_EOF;
    }
    if (errno == EAGAIN)
        *want = how.want;
    else if (errno != EINTR)
        return conn_fail(c, errno);
    return CONN_OK;
}

/* Reads more, behind what is there. Input is tried for first, so that the replies to all
 * commands that have come go out together; what is queued is sent before the wait.
 * result: CONN_OK: at least an octet more; CONN_EOF: none will come; or what is sticky */
static enum conn_result conn_fill(struct conn *c)
{
    size_t had = c->end - c->start;
    unsigned want = LOOP_READ;
    for (;;) {
        if (c->state != CONN_OK)
            return c->state;
        if (c->at_end)
            return CONN_EOF;
        if (!c->drained) {
            enum conn_result tried = conn_try_read(c, &want);
            if (tried != CONN_OK)
                return tried;
            if (c->end - c->start > had)
                return conn_take_turn(c);
            if (want == 0)
                continue; /* interrupted */
        }
        if (c->start == c->end)
            conn_release_in(c);
        if (conn_flush(c) == CONN_OK)
            conn_wait(c, want);
        c->drained = false;
    }
}

/* Where the first LF is. result: its index in the unread input, or the length of that */
static size_t conn_find_lf(struct conn *c)
{
    struct span unread = conn_unread(c);
    const char *lf = NULL;
    if (unread.n > c->searched)
        lf = memchr(unread.p + c->searched, '\n', unread.n - c->searched);
    c->searched = lf ? (size_t)(lf - unread.p) : unread.n;
    return c->searched;
}

/* The line whose LF is at index lf, taken out of the input. */
static struct span conn_take_line(struct conn *c, size_t lf, enum line_ending *ending)
{
    struct span unread = conn_unread(c);
    bool crlf = lf > 0 && unread.p[lf - 1] == '\r';
    conn_consume(c, lf + 1);
    *ending = crlf ? LINE_CRLF : LINE_BARE_LF;
    return span_slice(unread, 0, crlf ? lf - 1 : lf);
}

enum conn_result conn_read_line(struct conn *c, size_t limit, struct span *line, enum line_ending *ending)
{
    CHECK_MAGIC(c, CONN_MAGIC);
    bool too_long = false;
    *line = SPAN_NONE;
    c->turn_lines++;
    if (conn_take_turn(c) != CONN_OK)
        return c->state;
    for (;;) {
        size_t lf = conn_find_lf(c);
        if (lf < c->end - c->start) {
            struct span whole = conn_take_line(c, lf, ending);
            if (too_long || whole.n > limit)
                return CONN_TOO_LONG;
            *line = whole;
            return CONN_OK;
        }
        if (c->end - c->start > limit + 1) { /* a CR may be the one too many */
            too_long = true;
            conn_consume(c, c->end - c->start);
        }
        enum conn_result filled = conn_fill(c);
        if (filled == CONN_EOF)
            conn_release_in(c);
        if (filled != CONN_OK)
            return filled;
    }
}

/* Up to limit octets of a line that goes on. Its last octet may be a CR: then it is known that no
 * LF follows, because a line of limit - 1 octets and its ending would have been found. */
static struct span conn_take_cut(struct conn *c, size_t limit, enum line_ending *ending)
{
    struct span cut = span_slice(conn_unread(c), 0, limit);
    conn_consume(c, cut.n);
    *ending = LINE_CUT;
    return cut;
}

/* Whether the unread input, in which no LF stands before index lf, begins with more than limit
 * octets that are no line ending. */
static bool conn_is_over(const struct conn *c, size_t lf, size_t limit)
{
    struct span unread = conn_unread(c);
    if (lf > limit + 1)
        return true;
    return lf == limit + 1 && unread.p[limit] != '\r';
}

enum conn_result conn_read_piece(struct conn *c, size_t limit, struct span *piece, enum line_ending *ending,
                                 bool *has_bare_cr)
{
    CHECK_MAGIC(c, CONN_MAGIC);
    CHECK(limit > 0);
    *piece = SPAN_NONE;
    *has_bare_cr = false;
    for (;;) {
        if (c->state != CONN_OK)
            return c->state;
        size_t lf = conn_find_lf(c);
        if (conn_is_over(c, lf, limit)) {
            *piece = conn_take_cut(c, limit, ending);
            break;
        }
        if (lf < c->end - c->start) {
            *piece = conn_take_line(c, lf, ending);
            break;
        }
        enum conn_result filled = conn_fill(c);
        if (filled == CONN_EOF && c->start < c->end) {
            *piece = conn_take_cut(c, limit, ending);
            break;
        }
        if (filled != CONN_OK)
            return filled;
    }
    *has_bare_cr = piece->n > 0 && memchr(piece->p, '\r', piece->n) != NULL;
    return CONN_OK;
}

enum conn_result conn_read_bytes(struct conn *c, size_t n, struct span *bytes)
{
    CHECK_MAGIC(c, CONN_MAGIC);
    *bytes = SPAN_NONE;
    if (c->state != CONN_OK || n == 0)
        return c->state;
    if (c->start == c->end) {
        enum conn_result filled = conn_fill(c);
        if (filled != CONN_OK)
            return filled;
    }
    *bytes = span_slice(conn_unread(c), 0, n);
    conn_consume(c, bytes->n);
    return CONN_OK;
}

bool conn_has_input(const struct conn *c)
{
    return c->start < c->end || (c->ops->pending && c->ops->pending(c->layer) > 0);
}

bool conn_poll_input(struct conn *c)
{
    CHECK_MAGIC(c, CONN_MAGIC);
    unsigned want = 0;
    while (!conn_has_input(c) && c->state == CONN_OK && !c->at_end && want == 0)
        (void)conn_try_read(c, &want);
    if (c->start == c->end)
        conn_release_in(c);
    return conn_has_input(c);
}

size_t conn_drop_input(struct conn *c)
{
    CHECK_MAGIC(c, CONN_MAGIC);
    size_t dropped = c->end - c->start;
    conn_release_in(c);
    return dropped;
}
