#include "lib/param/lines.h"

/* Cuts one physical line off l, without its LF or CRLF. result: false at the end */
static bool lines_physical(struct lines *l, struct span *line)
{
    if (l->rest.n == 0)
        return false;
    size_t end = span_find(l->rest, '\n');
    *line = span_slice(l->rest, 0, end);
    l->rest = span_skip(l->rest, end + 1);
    l->line++;
    if (line->n && line->p[line->n - 1] == '\r')
        line->n--;
    return true;
}

static bool line_is_comment(struct span line)
{
    struct span visible = span_trim(line);
    return visible.n == 0 || visible.p[0] == '#';
}

bool lines_next(struct lines *l, struct buf *text, unsigned *first)
{
    struct span line;
    buf_clear(text);
    do {
        if (!lines_physical(l, &line))
            return false;
    } while (line_is_comment(line));
    *first = l->line;
    for (;;) {
        while (line.n && byte_is_space(span_at(line, line.n - 1)))
            line.n--;
        buf_put(text, line);
        /* Looks ahead: only a line that belongs to this one is consumed. */
        struct lines ahead = *l;
        do {
            if (!lines_physical(&ahead, &line))
                return true;
        } while (line_is_comment(line));
        if (!byte_is_space(span_at(line, 0)))
            return true;
        *l = ahead;
        buf_putc(text, ' ');
        line = span_trim(line);
    }
}
