#include "connector/paths.h"

static struct span absolute(struct arena *a, const struct paths *p, struct span path)
{
    if (path.n && path.p[0] == '/')
        return path;
    return span_text(arena_printf(a, "%.*s/%.*s", SPAN_ARG(p->queue_directory), SPAN_ARG(path)));
}

/* The next path behind a "unix:" in a value. result: false: there is none */
static bool next_named(struct span *value, struct span *path)
{
    const struct span mark = SPAN("unix:");
    for (; value->n >= mark.n; *value = span_skip(*value, 1)) {
        if (!span_starts(*value, mark))
            continue;
        size_t end = mark.n;
        while (end < value->n && !byte_is_space(span_at(*value, end)) && value->p[end] != ',' && value->p[end] != '}')
            end++;
        *path = span_slice(*value, mark.n, end);
        *value = span_skip(*value, end);
        if (path->n)
            return true;
    }
    return false;
}

void paths_collect(struct arena *a, const struct settings *settings, struct paths *p)
{
    size_t cap = 0;
    for (size_t i = 0; i < settings->count; i++) {
        struct span value = settings->all[i]->value, path;
        while (next_named(&value, &path)) {
            if (p->n == cap) {
                struct span *more = arena_calloc(a, cap ? cap * 2 : 8, sizeof *more);
                for (size_t k = 0; k < p->n; k++)
                    more[k] = p->named[k];
                p->named = more;
                cap = cap ? cap * 2 : 8;
            }
            p->named[p->n++] = absolute(a, p, path);
        }
    }
}

/* No way out of a directory, no second meaning. */
static bool is_plain(struct span path)
{
    struct span part;
    if (path.n == 0 || path.n > PATHS_MAX || memchr(path.p, 0, path.n))
        return false;
    while (span_next_token(&path, SPAN("/"), &part))
        if (span_eq(part, SPAN("..")))
            return false;
    return true;
}

static bool is_below(struct span path, struct span directory)
{
    while (directory.n > 1 && directory.p[directory.n - 1] == '/')
        directory.n--;
    return directory.n > 1 && path.n > directory.n + 1 && span_starts(path, directory) && path.p[directory.n] == '/';
}

struct span paths_allow(struct arena *a, const struct paths *p, struct span path)
{
    if (!is_plain(path))
        return SPAN_NONE;
    path = absolute(a, p, path);
    if (path.n > PATHS_MAX)
        return SPAN_NONE;
    for (size_t i = 0; i < p->directories->n; i++)
        if (is_below(path, p->directories->at[i]))
            return path;
    for (size_t i = 0; i < p->n; i++)
        if (span_eq(path, p->named[i]))
            return path;
    return SPAN_NONE;
}
