#include "cli/sendmail/sendmail.h"

#include <errno.h>
#include <unistd.h>

/* Reads more. result: false: nothing came: the end or an error */
static bool fill(struct input *l)
{
    if (l->at_end)
        return false;
    buf_consume(&l->held, l->given);
    l->given = 0;
    char *room = buf_reserve(&l->held, PIECE_MAX);
    ssize_t n;
    do
        n = read(l->fd, room, PIECE_MAX);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        l->error = errno;
    l->at_end = n <= 0;
    if (n > 0)
        buf_grown(&l->held, (size_t)n);
    return n > 0;
}

static bool ends_in_cr(struct span s)
{
    return s.n > 0 && s.p[s.n - 1] == '\r';
}

bool input_next(struct input *l, struct span *piece, enum ending *ending)
{
    for (;;) {
        struct span left = span_skip(buf_span(&l->held), l->given);
        size_t lf = span_find(left, '\n');
        if (lf < left.n) {
            *piece = span_slice(left, 0, lf);
            *ending = ends_in_cr(*piece) ? ENDING_CRLF : ENDING_LF;
            piece->n -= *ending == ENDING_CRLF;
            l->given += lf + 1;
            return true;
        }
        if (left.n >= PIECE_MAX) {
            *piece = left;
            *ending = ENDING_CUT;
            piece->n -= ends_in_cr(left); /* it may be part of the line's end */
            l->given += piece->n;
            return true;
        }
        if (!fill(l)) {
            left = span_skip(buf_span(&l->held), l->given); /* it may have moved */
            *piece = left;
            *ending = ENDING_EOF;
            l->given += left.n;
            return left.n > 0 && l->error == 0;
        }
    }
}

void input_fini(struct input *l)
{
    buf_fini(&l->held);
}

static bool is_mbox_line(struct span piece)
{
    return span_starts(piece, SPAN("From ")) || span_starts(piece, SPAN(">From "));
}

enum text_result text_read(struct input *l, const struct text_rules *rules, struct drop_writer *to)
{
    struct span piece;
    enum ending ending;
    bool whole = true;    /* the piece begins a line */
    bool begun = false;   /* a line has been written */
    bool skipping = false;
    bool fix = rules->endings == ENDINGS_ALWAYS;
    while (input_next(l, &piece, &ending)) {
        if (!begun && whole && rules->endings == ENDINGS_STRICT)
            fix = ending == ENDING_CRLF;
        bool bare_end = ending != ENDING_CUT && (fix || ending != ENDING_CRLF);
        if (whole && bare_end && !rules->ignore_dots && span_eq(piece, SPAN(".")))
            break;
        if (whole)
            skipping = !begun && is_mbox_line(piece);
        whole = ending != ENDING_CUT;
        if (skipping)
            continue;
        begun = true;
        drop_write(to, piece);
        if (whole)
            drop_write(to, bare_end ? SPAN("\n") : SPAN("\r\n"));
        if (rules->size_limit && to->text > rules->size_limit)
            return TEXT_TOO_BIG;
    }
    return l->error ? TEXT_ERROR : TEXT_OK;
}
