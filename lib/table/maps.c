#include "lib/table/maps.h"
#include "lib/base/arena.h"
#include "lib/base/check.h"
#include "lib/table/table_type.h"

#include <stdlib.h>

enum { MAPS_MAGIC = 0x6d617073 };

struct maps {
    unsigned magic;
    struct arena arena;
    struct span title;     /* in the arena */
    struct table **tables; /* in the arena; each owned */
    size_t count;
    const char *fault;     /* of the list itself, in the arena; or NULL */
};

static size_t count_parts(struct span value)
{
    struct span part;
    size_t count = 0;
    while (table_next_part(&value, &part) > 0)
        count++;
    return count;
}

struct maps *maps_open(struct tables *ts, struct span title, struct span value, unsigned flags)
{
    struct maps *m = calloc(1, sizeof *m);
    CHECK(m != NULL);
    m->magic = MAPS_MAGIC;
    m->title = arena_dup(&m->arena, title);
    m->tables = arena_calloc(&m->arena, count_parts(value), sizeof *m->tables);
    struct span part;
    int more;
    while ((more = table_next_part(&value, &part)) > 0)
        m->tables[m->count++] = table_open(ts, part, flags);
    if (more < 0)
        m->fault = arena_printf(&m->arena, "%.*s: unbalanced braces", SPAN_ARG(title));
    return m;
}

void maps_close(struct maps **m)
{
    struct maps *gone = *m;
    *m = NULL;
    if (!gone)
        return;
    CHECK_MAGIC(gone, MAPS_MAGIC);
    for (size_t i = 0; i < gone->count; i++)
        table_close(&gone->tables[i]);
    arena_fini(&gone->arena);
    free(gone);
}

bool maps_is_empty(const struct maps *m)
{
    return m->count == 0 && !m->fault;
}

const char *maps_error(const struct maps *m)
{
    const char *error = m->fault;
    for (size_t i = 0; i < m->count && !error; i++)
        error = table_error(m->tables[i]);
    return error;
}

static enum table_result empty_value(struct maps *m, struct span key, struct buf *why)
{
    buf_printf(why, "%.*s lookup of ", SPAN_ARG(m->title));
    buf_put(why, key);
    buf_printf(why, " returns an empty string result; %.*s should return NO RESULT in case of NOT FOUND",
               SPAN_ARG(m->title));
    return TABLE_TEMP;
}

enum table_result maps_find(struct maps *m, struct span key, enum maps_which which, struct buf *value,
                            struct buf *why)
{
    CHECK_MAGIC(m, MAPS_MAGIC);
    buf_clear(value);
    buf_clear(why);
    if (m->fault) {
        buf_puts(why, m->fault);
        return TABLE_TEMP;
    }
    enum table_result result = TABLE_NOT_FOUND;
    for (size_t i = 0; i < m->count && key.n && result == TABLE_NOT_FOUND; i++) {
        if (which == MAPS_ALL || table_is_fixed(m->tables[i]))
            result = table_find(m->tables[i], key, value, why);
    }
    if (result == TABLE_FOUND && value->len == 0)
        return empty_value(m, key, why);
    return result;
}

void maps_each_path(struct span value, void (*fn)(const char *path, void *context), void *context)
{
    struct span part;
    while (table_next_part(&value, &part) > 0)
        table_each_path(part, fn, context);
}
