/* Tables made of tables: unionmap and pipemap. */
#include "lib/base/check.h"
#include "lib/table/table_type.h"

#include <stdlib.h>

enum { MOST_MEMBERS = 100 };

static void members_unload(void *data)
{
    struct table_members *m = data;
    for (size_t i = 0; i < m->count; i++)
        table_close(&m->tables[i]);
    free(m->tables);
    free(m);
}

static void *members_load(struct table_source *src, struct buf *why)
{
    struct span rest, part;
    int more = -1;
    struct table_members *m = calloc(1, sizeof *m);
    CHECK(m != NULL);
    m->tables = calloc(MOST_MEMBERS, sizeof(struct table *));
    CHECK(m->tables != NULL);
    if (table_unbrace(src->name, &rest)) {
        while ((more = table_next_part(&rest, &part)) > 0 && m->count < MOST_MEMBERS)
            m->tables[m->count++] = table_open_member(src, part);
    }
    if (more == 0 && m->count)
        return m;
    buf_printf(why, "bad syntax; need \"%s:{ type:name, ... }\" with 1 to %d tables", src->type, MOST_MEMBERS);
    members_unload(m);
    return NULL;
}

static enum table_result union_find(const void *data, struct span key, struct buf *value, struct buf *why)
{
    const struct table_members *m = data;
    struct buf one = BUF_INIT;
    enum table_result result = TABLE_NOT_FOUND, found = TABLE_NOT_FOUND;
    for (size_t i = 0; i < m->count && result != TABLE_TEMP; i++) {
        result = table_find(m->tables[i], key, &one, why);
        if (result != TABLE_FOUND)
            continue;
        if (found == TABLE_FOUND)
            buf_putc(value, ',');
        buf_put(value, buf_span(&one));
        found = TABLE_FOUND;
    }
    buf_fini(&one);
    return result == TABLE_TEMP ? TABLE_TEMP : found;
}

static enum table_result pipe_find(const void *data, struct span key, struct buf *value, struct buf *why)
{
    const struct table_members *m = data;
    struct buf one = BUF_INIT;
    enum table_result result = TABLE_FOUND;
    buf_put(value, key);
    for (size_t i = 0; i < m->count && result == TABLE_FOUND; i++) {
        result = table_find(m->tables[i], buf_span(value), &one, why);
        buf_clear(value);
        buf_put(value, buf_span(&one));
    }
    buf_fini(&one);
    return result;
}

const struct table_type table_type_union = {
    .name = "unionmap",
    .is_fixed = true,
    .is_composite = true,
    .key_bytes = TABLE_TEXT_KEY_BYTES,
    .load = members_load,
    .unload = members_unload,
    .find = union_find,
};

const struct table_type table_type_pipe = {
    .name = "pipemap",
    .is_fixed = true,
    .is_composite = true,
    .key_bytes = TABLE_TEXT_KEY_BYTES,
    .load = members_load,
    .unload = members_unload,
    .find = pipe_find,
};
