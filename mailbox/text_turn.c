#include "mailbox/text_turn.h"

static const struct span from = SPAN_INIT("From ");

static void put_eol(struct text_turn *t)
{
    buf_put(t->out, t->eol.n ? t->eol : SPAN("\n"));
    t->in_line = false;
}

/* What was held back is decided. */
static void release(struct text_turn *t)
{
    buf_put(t->out, span_slice(from, 0, t->matched));
    t->in_line |= t->matched > 0;
    t->matched = 0;
}

/* Takes octets at the start of a line. result: how many */
static size_t begin_line(struct text_turn *t, struct span s)
{
    size_t i = 0;
    if (t->matched == 0 && t->quote_dots && s.p[0] == '.')
        buf_putc(t->out, '.');
    while (t->quote_from && i < s.n && t->matched < from.n && s.p[i] == from.p[t->matched])
        i++, t->matched++;
    if (t->matched == from.n)
        buf_putc(t->out, '>');
    if (t->matched == from.n || i < s.n) {
        release(t);
        t->in_line = true;
    }
    return i;
}

void text_turn_put(struct text_turn *t, struct span s)
{
    while (s.n) {
        if (!t->in_line) {
            s = span_skip(s, begin_line(t, s));
            continue;
        }
        size_t n = span_find(s, '\n');
        buf_put(t->out, span_slice(s, 0, n));
        if (n < s.n)
            put_eol(t);
        s = span_skip(s, n + 1);
    }
}

void text_turn_end(struct text_turn *t)
{
    release(t);
    if (t->in_line)
        put_eol(t);
    if (t->blank_end)
        put_eol(t);
}
