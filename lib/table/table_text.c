/* Tables whose entries are in memory: texthash and inline. */
#include "lib/base/arena.h"
#include "lib/base/check.h"
#include "lib/base/map.h"
#include "lib/table/table_type.h"
#include "lib/table/text_lines.h"

#include <stdlib.h>

struct entry {
    struct span key, value; /* in the arena */
    struct entry *next;     /* in file order */
};

struct entries {
    struct arena arena;
    struct map map; /* of struct entry */
    struct entry *first, **last;
};

static struct entries *entries_new(void)
{
    struct entries *all = calloc(1, sizeof *all);
    CHECK(all != NULL);
    all->last = &all->first;
    return all;
}

static void entries_unload(void *data)
{
    struct entries *all = data;
    map_fini(&all->map);
    arena_fini(&all->arena);
    free(all);
}

static struct span dup_key(struct arena *a, struct span key, unsigned flags)
{
    char *to = arena_alloc(a, key.n);
    for (size_t i = 0; i < key.n; i++)
        to[i] = flags & TABLE_FOLD ? (char)byte_lower(span_at(key, i)) : key.p[i];
    return span_of(to, key.n);
}

/* result: false where the key is there already; the first value stays */
static bool entries_add(struct entries *all, struct span key, struct span value, unsigned flags)
{
    struct entry *e = ARENA_NEW(&all->arena, struct entry);
    e->key = dup_key(&all->arena, key, flags);
    if (map_get(&all->map, e->key))
        return false;
    e->value = arena_dup(&all->arena, value);
    map_set(&all->map, e->key, e);
    *all->last = e;
    all->last = &e->next;
    return true;
}

static enum table_result entries_find(const void *data, struct span key, struct buf *value, struct buf *why)
{
    (void)why;
    const struct entries *all = data;
    const struct entry *e = map_get(&all->map, key);
    if (!e)
        return TABLE_NOT_FOUND;
    buf_put(value, e->value);
    return TABLE_FOUND;
}

static bool entries_walk(const void *data, bool (*fn)(struct span, struct span, void *), void *context,
                         struct buf *why)
{
    (void)why;
    const struct entries *all = data;
    for (const struct entry *e = all->first; e && fn(e->key, e->value, context); e = e->next)
        ;
    return true;
}

/* --- texthash ---------------------------------------------------------------------- */

static void add_line(struct table_source *src, struct entries *all, const struct text_entry *entry)
{
    if (entry->key.n > TABLE_KEY_BYTES || entry->value.n > TABLE_VALUE_BYTES) {
        table_warn_line(src, entry->line, "the %s is too long -- ignoring this line",
                        entry->key.n > TABLE_KEY_BYTES ? "key" : "value");
        src->skipped++;
        return;
    }
    if (entries_add(all, entry->key, entry->value, src->flags))
        return;
    struct buf shown = BUF_INIT;
    text_put_masked(&shown, entry->key);
    table_warn_line(src, entry->line, "duplicate entry: \"%s\"", buf_text(&shown));
    buf_fini(&shown);
}

static void *texthash_load(struct table_source *src, struct buf *why)
{
    struct buf text, name = BUF_INIT, fault = BUF_INIT;
    if (!table_read_file(src, TABLE_TEXT_BYTES, &text, why))
        return NULL;
    struct entries *all = entries_new();
    struct text_lines lines;
    struct text_entry entry;
    enum text_result result;
    text_lines_init(&lines, buf_span(&text));
    while ((result = text_next_entry(&lines, TEXT_MAP, false, &name, &entry, &fault)) != TEXT_END) {
        if (result == TEXT_ENTRY) {
            add_line(src, all, &entry);
        } else {
            bool is_whole = span_ends_nocase(buf_span(&fault), SPAN("this line"));
            table_warn_line(src, entry.line, "%s%s", buf_text(&fault), is_whole ? "" : " -- ignoring this line");
            src->skipped++;
        }
    }
    text_lines_fini(&lines);
    buf_fini(&fault);
    buf_fini(&name);
    buf_fini(&text);
    return all;
}

const struct table_type table_type_texthash = {
    .name = "texthash",
    .suffix = "",
    .is_fixed = true,
    .key_bytes = TABLE_KEY_BYTES,
    .load = texthash_load,
    .unload = entries_unload,
    .find = entries_find,
    .walk = entries_walk,
};

/* --- inline ------------------------------------------------------------------------ */

/* Splits "key = value". result: NULL, or what is wrong */
static const char *split_equals(struct span part, struct span *key, struct span *value)
{
    size_t equals = span_find(part, '=');
    *key = span_trim(span_slice(part, 0, equals));
    *value = span_trim(span_skip(part, equals + 1));
    if (equals == part.n)
        return "missing '=' after attribute name";
    if (key->n == 0)
        return "missing attribute name";
    if (value->n == 0)
        return "empty value";
    return key->n > TABLE_KEY_BYTES ? "the key is too long" : NULL;
}

static void *inline_load(struct table_source *src, struct buf *why)
{
    struct span rest, part, key, value;
    const char *fault = NULL;
    int more = 0;
    if (!table_unbrace(src->name, &rest)) {
        buf_puts(why, "bad syntax; need \"inline:{ {name = value}... }\"");
        return NULL;
    }
    struct entries *all = entries_new();
    while (!fault && (more = table_next_part(&rest, &part)) > 0) {
        fault = split_equals(part, &key, &value);
        if (!fault && !entries_add(all, key, value, src->flags))
            fault = "a name stands twice";
    }
    if (!fault && more == 0 && all->first)
        return all;
    buf_printf(why, "bad inline table: %s; need \"inline:{ {name = value}... }\"",
               fault ? fault : more < 0 ? "unbalanced braces" : "no entry");
    entries_unload(all);
    return NULL;
}

const struct table_type table_type_inline = {
    .name = "inline",
    .is_fixed = true,
    .key_bytes = TABLE_KEY_BYTES,
    .load = inline_load,
    .unload = entries_unload,
    .find = entries_find,
    .walk = entries_walk,
};
