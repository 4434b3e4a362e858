#include "pop3box/text.h"

struct pop3_text pop3_text_whole(void)
{
    return (struct pop3_text){.whole = true, .last = '\n'};
}

struct pop3_text pop3_text_top(uint64_t lines)
{
    return (struct pop3_text){.lines_left = lines, .last = '\n'};
}

/* A line has ended: for TOP the header's last one is empty, and then lines are counted. */
static void count_line(struct pop3_text *t, bool is_empty)
{
    if (t->whole)
        return;
    if (t->in_body)
        t->lines_left--;
    else if (is_empty)
        t->in_body = true;
    t->done = t->in_body && t->lines_left == 0;
}

size_t pop3_text_put(struct pop3_text *t, struct span piece, char *out)
{
    const char *p = piece.p, *end = piece.p + piece.n;
    char *to = out;
    while (p < end && !t->done) {
        if (t->line == 0 && *p == '.')
            *to++ = '.';
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((lf ? lf : end) - p);
        if (n) {
            memcpy(to, p, n);
            to += n;
            t->last = p[n - 1];
            t->line += n;
        }
        if (!lf)
            break;
        bool has_cr = t->last == '\r';
        if (!has_cr)
            *to++ = '\r';
        *to++ = '\n';
        count_line(t, t->line == (has_cr ? 1 : 0));
        t->last = '\n';
        t->line = 0;
        p = lf + 1;
    }
    return (size_t)(to - out);
}

size_t pop3_text_end(const struct pop3_text *t, char *out)
{
    struct span end = t->line ? SPAN("\r\n.\r\n") : SPAN(".\r\n");
    memcpy(out, end.p, end.n);
    return end.n;
}
