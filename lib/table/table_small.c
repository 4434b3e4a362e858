/* Tables without content to search: static, randmap, fail and proxy. */
#include "lib/base/arena.h"
#include "lib/base/check.h"
#include "lib/param/value.h"
#include "lib/table/table_type.h"

#include <stdlib.h>
#include <sys/random.h>

bool table_unbrace(struct span s, struct span *body)
{
    s = span_trim(s);
    if (s.n < 2 || s.p[0] != '{' || s.p[s.n - 1] != '}')
        return false;
    *body = span_trim(span_slice(s, 1, s.n - 1));
    return true;
}

int table_next_part(struct span *rest, struct span *part)
{
    int more = value_next_item(rest, part);
    if (more > 0 && part->p[0] == '{')
        table_unbrace(*part, part);
    return more;
}

/* --- values in a list: static has one, randmap several ------------------------------ */

struct values {
    struct arena arena;
    struct span *all; /* in the arena */
    size_t count;
};

static void values_unload(void *data)
{
    struct values *v = data;
    arena_fini(&v->arena);
    free(v);
}

static struct values *values_new(size_t count)
{
    struct values *v = calloc(1, sizeof *v);
    CHECK(v != NULL);
    v->all = arena_calloc(&v->arena, count, sizeof *v->all);
    return v;
}

static void *static_load(struct table_source *src, struct buf *why)
{
    struct span value = src->name;
    if (value.p[0] == '{' && !table_unbrace(value, &value)) {
        buf_puts(why, "bad syntax; need \"static:{ value }\"");
        return NULL;
    }
    struct values *v = values_new(1);
    v->all[v->count++] = arena_dup(&v->arena, value);
    return v;
}

static enum table_result static_find(const void *data, struct span key, struct buf *value, struct buf *why)
{
    (void)key;
    (void)why;
    const struct values *v = data;
    uint64_t dice = 0;
    if (v->count > 1 && getrandom(&dice, sizeof dice, GRND_NONBLOCK) < 0)
        dice = (uint64_t)rand(); /* before the kernel has entropy any choice is as good */
    buf_put(value, v->all[dice % v->count]);
    return TABLE_FOUND;
}

static void *randmap_load(struct table_source *src, struct buf *why)
{
    struct span body, rest, part;
    size_t count = 0;
    int more = -1;
    if (table_unbrace(src->name, &body)) {
        for (rest = body; (more = table_next_part(&rest, &part)) > 0;)
            count++;
    }
    if (more < 0 || count == 0) {
        buf_puts(why, "bad syntax; need \"randmap:{ value, ... }\"");
        return NULL;
    }
    struct values *v = values_new(count);
    for (rest = body; table_next_part(&rest, &part) > 0;)
        v->all[v->count++] = arena_dup(&v->arena, part);
    return v;
}

const struct table_type table_type_static = {
    .name = "static",
    .is_fixed = true,
    .key_bytes = TABLE_TEXT_KEY_BYTES,
    .load = static_load,
    .unload = values_unload,
    .find = static_find,
};

const struct table_type table_type_randmap = {
    .name = "randmap",
    .is_fixed = true,
    .key_bytes = TABLE_TEXT_KEY_BYTES,
    .load = randmap_load,
    .unload = values_unload,
    .find = static_find,
};

/* --- fail and proxy keep what they were opened with --------------------------------- */

struct remote {
    struct tables *tables;
    unsigned flags;
    struct buf spec; /* "type:name" without "proxy:" */
};

static void remote_unload(void *data)
{
    struct remote *r = data;
    buf_fini(&r->spec);
    free(r);
}

static void *remote_load(struct table_source *src, struct buf *why)
{
    bool is_proxy = strcmp(src->type, "proxy") == 0;
    if (is_proxy && span_find(src->name, ':') == src->name.n) {
        buf_puts(why, "bad syntax; need \"proxy:type:name\"");
        return NULL;
    }
    struct remote *r = calloc(1, sizeof *r);
    CHECK(r != NULL);
    r->tables = src->tables;
    r->flags = src->flags;
    if (!is_proxy)
        buf_printf(&r->spec, "%s:", src->type);
    buf_put(&r->spec, src->name);
    return r;
}

static enum table_result remote_find(const void *data, struct span key, struct buf *value, struct buf *why)
{
    const struct remote *r = data;
    return tables_ask_proxy(r->tables, buf_span(&r->spec), key, r->flags, value, why);
}

static enum table_result fail_find(const void *data, struct span key, struct buf *value, struct buf *why)
{
    (void)data;
    (void)key;
    (void)value;
    buf_puts(why, "this table always fails");
    return TABLE_TEMP;
}

const struct table_type table_type_fail = {
    .name = "fail",
    .is_fixed = true,
    .key_bytes = TABLE_TEXT_KEY_BYTES,
    .load = remote_load,
    .unload = remote_unload,
    .find = fail_find,
};

const struct table_type table_type_proxy = {
    .name = "proxy",
    .is_fixed = true,
    .key_bytes = TABLE_KEY_BYTES,
    .load = remote_load,
    .unload = remote_unload,
    .find = remote_find,
};
