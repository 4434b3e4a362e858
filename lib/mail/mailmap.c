#include "lib/mail/mailmap.h"
#include "lib/base/map.h"
#include "lib/mail/address.h"
#include "lib/mail/addrlist.h"

/* One search, so that its steps need few arguments. */
struct search {
    const struct mailmap_config *config;
    struct maps *maps;
    struct address_parts parts;
    struct buf key; /* owned: internal form of the key being made */
    struct buf *value, *why;
};

static bool has_extension(const struct search *s)
{
    return s->parts.delimiter != 0;
}

/* The user with its extension, as they stand next to each other in the address. */
static struct span full_user(const struct search *s)
{
    const struct address_parts *parts = &s->parts;
    return span_of(parts->user.p, parts->user.n + (has_extension(s) ? 1 + parts->extension.n : 0));
}

/* Asks for a key in external form, then in internal form where that differs. */
static enum table_result ask(struct search *s, struct span key, enum maps_which which)
{
    struct buf quoted = BUF_INIT;
    address_put_external(&quoted, key);
    enum table_result result = maps_find(s->maps, buf_span(&quoted), which, s->value, s->why);
    if (result == TABLE_NOT_FOUND && !span_eq(buf_span(&quoted), key))
        result = maps_find(s->maps, key, which, s->value, s->why);
    buf_fini(&quoted);
    return result;
}

/* user, then "@" and domain as far as asked for, of the tables with fixed keys */
static enum table_result ask_made(struct search *s, struct span user, bool at, struct span domain)
{
    buf_clear(&s->key);
    buf_put(&s->key, user);
    if (at)
        buf_putc(&s->key, '@');
    buf_put(&s->key, domain);
    return ask(s, buf_span(&s->key), MAPS_FIXED);
}

static enum table_result ask_no_extension(struct search *s, unsigned keys)
{
    if (!(keys & MAILMAP_NO_EXTENSION) || !has_extension(s))
        return TABLE_NOT_FOUND;
    return ask_made(s, s->parts.user, s->parts.has_domain, s->parts.domain);
}

/* stripped: set where the key that was found is the one without extension */
static enum table_result ask_local_part(struct search *s, unsigned keys, bool *stripped)
{
    const struct mailmap_config *config = s->config;
    if (!(keys & MAILMAP_LOCAL_PART) || s->parts.domain.n == 0 || !config->is_local)
        return TABLE_NOT_FOUND;
    enum table_result result = config->is_local(config->local_context, s->parts.domain, s->why);
    if (result != TABLE_FOUND)
        return result;
    result = ask_made(s, full_user(s), false, SPAN_NONE);
    if (result != TABLE_NOT_FOUND || !has_extension(s))
        return result;
    *stripped = true;
    return ask_made(s, s->parts.user, false, SPAN_NONE);
}

static enum table_result ask_at_domain(struct search *s, unsigned keys)
{
    if (!(keys & MAILMAP_AT_DOMAIN) || s->parts.domain.n == 0)
        return TABLE_NOT_FOUND;
    buf_clear(&s->key);
    buf_putc(&s->key, '@');
    buf_put(&s->key, s->parts.domain);
    return maps_find(s->maps, buf_span(&s->key), MAPS_FIXED, s->value, s->why);
}

static enum table_result ask_domains(struct search *s, unsigned keys)
{
    enum table_result result = TABLE_NOT_FOUND;
    struct span name = keys & MAILMAP_DOMAIN ? s->parts.domain : SPAN_NONE;
    while (name.n > 0 && result == TABLE_NOT_FOUND) {
        result = maps_find(s->maps, name, MAPS_FIXED, s->value, s->why);
        if (!(keys & (MAILMAP_DOT_PARENTS | MAILMAP_PARENTS)))
            break;
        size_t dot = 1 + span_find(span_skip(name, 1), '.');
        name = span_skip(name, keys & MAILMAP_PARENTS ? dot + 1 : dot);
    }
    return result;
}

static enum table_result ask_user_at(struct search *s, unsigned keys)
{
    if (!(keys & MAILMAP_USER_AT) || !s->parts.has_domain)
        return TABLE_NOT_FOUND;
    enum table_result result = ask_made(s, full_user(s), true, SPAN_NONE);
    if (result == TABLE_NOT_FOUND && has_extension(s))
        result = ask_made(s, s->parts.user, true, SPAN_NONE);
    return result;
}

/* stripped: set where what was found is found without the extension, and maps one user */
static enum table_result search_all(struct search *s, unsigned keys, struct span address, bool *stripped)
{
    enum table_result result = keys & MAILMAP_FULL ? ask(s, address, MAPS_ALL) : TABLE_NOT_FOUND;
    if (result != TABLE_NOT_FOUND)
        return result;
    result = ask_no_extension(s, keys);
    if (result != TABLE_NOT_FOUND) {
        *stripped = true;
        return result;
    }
    result = ask_local_part(s, keys, stripped);
    if (result != TABLE_NOT_FOUND)
        return result;
    *stripped = false;
    result = ask_at_domain(s, keys);
    if (result == TABLE_NOT_FOUND)
        result = ask_domains(s, keys);
    if (result == TABLE_NOT_FOUND)
        result = ask_user_at(s, keys);
    return result;
}

enum table_result mailmap_find(const struct mailmap_config *config, struct maps *maps, unsigned keys,
                               struct span address, struct buf *value, struct span *extension,
                               struct buf *why)
{
    struct search s = {.config = config, .maps = maps, .value = value, .why = why};
    bool stripped = false;
    buf_clear(value);
    buf_clear(why);
    s.parts = address_split_extension(address, config->recipient_delimiter, config->owner_request_special);
    enum table_result result = !maps || maps_is_empty(maps) || address.n == 0
                                   ? TABLE_NOT_FOUND
                                   : search_all(&s, keys, address, &stripped);
    if (extension)
        *extension = result == TABLE_FOUND && stripped
                         ? span_of(s.parts.extension.p - 1, s.parts.extension.n + 1)
                         : SPAN_NONE;
    buf_fini(&s.key);
    return result;
}

/* A list that grows in an arena. */
struct growing {
    struct arena *a;
    struct mailmap_list list;
    size_t room;
};

static void add(struct growing *g, struct span address)
{
    if (g->list.n == g->room) {
        g->room = g->room ? g->room * 2 : 4;
        struct span *bigger = arena_calloc(g->a, g->room, sizeof *bigger);
        if (g->list.n > 0)
            memcpy(bigger, g->list.at, g->list.n * sizeof *bigger);
        g->list.at = bigger;
    }
    g->list.at[g->list.n++] = address;
}

/* The standard form of one address of a result, with the extension. */
static struct span standard_form(const struct mailmap_config *config, struct span address,
                                 struct span extension, struct arena *a)
{
    struct buf standard = BUF_INIT, whole = BUF_INIT;
    rewrite_address(&config->rewrite, REWRITE_LOCAL, address, &standard);
    size_t at = span_rfind(buf_span(&standard), '@');
    buf_put(&whole, span_slice(buf_span(&standard), 0, at));
    buf_put(&whole, extension);
    buf_put(&whole, span_skip(buf_span(&standard), at));
    struct span copy = arena_dup(a, buf_span(&whole));
    buf_fini(&standard);
    buf_fini(&whole);
    return copy;
}

/* Reads a table's value. result: false: there is no address in it */
static bool read_value(const struct mailmap_config *config, struct span value, struct span address,
                       struct span extension, struct arena *a, struct mailmap_list *list)
{
    struct growing g = {.a = a};
    struct addrlist_scan scan;
    struct addrlist_item item;
    if (value.n > 1 && value.p[0] == '@' && span_find(span_skip(value, 1), ',') == value.n - 1) {
        struct buf moved = BUF_INIT; /* the same user elsewhere, extension and all */
        buf_put(&moved, span_slice(address, 0, span_rfind(address, '@')));
        buf_put(&moved, span_trim(value));
        add(&g, standard_form(config, buf_span(&moved), SPAN_NONE, a));
        buf_fini(&moved);
    } else {
        addrlist_init(&scan, value, 0);
        while (addrlist_next(&scan, a, &item))
            if (!item.bad && item.address.n > 0)
                add(&g, standard_form(config, item.address, extension, a));
    }
    *list = g.list;
    return g.list.n > 0;
}

enum table_result mailmap_map(const struct mailmap_config *config, struct maps *maps, struct span address,
                              bool propagate, struct arena *a, struct mailmap_list *list, struct buf *why)
{
    struct buf value = BUF_INIT;
    struct span extension;
    *list = (struct mailmap_list){0};
    enum table_result result = mailmap_find(config, maps, MAILMAP_DEFAULT, address, &value, &extension, why);
    if (result == TABLE_FOUND &&
        !read_value(config, buf_span(&value), address, propagate ? extension : SPAN_NONE, a, list)) {
        buf_printf(why, "lookup of %.*s returns non-address result \"%.*s\"", SPAN_ARG(address),
                   SPAN_ARG(span_slice(buf_span(&value), 0, 100)));
        result = TABLE_TEMP;
    }
    buf_fini(&value);
    return result;
}

enum table_result mailmap_canonical(const struct mailmap_config *config, struct maps *maps, struct span title,
                                    struct span address, bool propagate, struct arena *a, struct span *mapped,
                                    struct buf *why)
{
    *mapped = address;
    for (unsigned depth = 0; depth < MAILMAP_CANONICAL_DEPTH; depth++) {
        struct mailmap_list list;
        enum table_result found = mailmap_map(config, maps, *mapped, propagate, a, &list, why);
        if (found == TABLE_NOT_FOUND)
            return depth > 0 ? TABLE_FOUND : TABLE_NOT_FOUND;
        if (found == TABLE_TEMP)
            return TABLE_TEMP;
        bool same = span_eq_nocase(*mapped, list.at[0]);
        *mapped = list.at[0];
        if (same)
            return TABLE_FOUND;
    }
    buf_printf(why, "unreasonable %.*s map nesting for %.*s", SPAN_ARG(title), SPAN_ARG(address));
    return TABLE_TEMP;
}

/* A virtual alias expansion on its way. */
struct expansion {
    const struct mailmap_config *config;
    struct maps *maps;
    struct span title;
    const struct mailmap_limits *limits;
    struct growing done;
    struct map selves; /* addresses, in lower case, that have expanded into themselves: they stay */
    struct buf *why;
};

static enum table_result refuse(struct expansion *x, const char *what, struct span address)
{
    buf_clear(x->why);
    buf_printf(x->why, "unreasonable %.*s %s for %.*s", SPAN_ARG(x->title), what,
               SPAN_ARG(span_slice(address, 0, 300)));
    return TABLE_TEMP;
}

/* Puts what address maps to in place of the one at index: the first there, the others behind all. */
static enum table_result replace(struct expansion *x, size_t index, const struct mailmap_list *list)
{
    struct arena *a = x->done.a;
    struct span old = address_dup_lower(a, x->done.list.at[index]);
    for (size_t i = 0; i < list->n; i++) {
        if (list->at[i].n > x->limits->bytes)
            return refuse(x, "result", list->at[i]);
        if (i == 0)
            x->done.list.at[index] = list->at[i];
        else if (x->done.list.n < x->limits->addresses)
            add(&x->done, list->at[i]);
        else
            return refuse(x, "map expansion size", old);
        if (span_eq(old, address_dup_lower(a, list->at[i])))
            map_set(&x->selves, old, x);
    }
    return TABLE_FOUND;
}

/* Maps the address at index until nothing is found for it. */
static enum table_result expand_one(struct expansion *x, size_t index, bool propagate)
{
    struct arena *a = x->done.a;
    for (size_t depth = 0;; depth++) {
        struct span address = x->done.list.at[index];
        struct mailmap_list list;
        if (map_get(&x->selves, address_dup_lower(a, address)))
            return depth > 0 ? TABLE_FOUND : TABLE_NOT_FOUND;
        if (depth >= x->limits->depth)
            return refuse(x, "map nesting", address);
        enum table_result found = mailmap_map(x->config, x->maps, address, propagate, a, &list, x->why);
        if (found == TABLE_TEMP)
            return TABLE_TEMP;
        if (found == TABLE_NOT_FOUND)
            return depth > 0 ? TABLE_FOUND : TABLE_NOT_FOUND;
        if (replace(x, index, &list) == TABLE_TEMP)
            return TABLE_TEMP;
    }
}

enum table_result mailmap_expand(const struct mailmap_config *config, struct maps *maps, struct span title,
                                 const struct mailmap_limits *limits, struct span address, bool propagate,
                                 struct arena *a, struct mailmap_list *list, struct buf *why)
{
    struct expansion x = {.config = config, .maps = maps, .title = title, .limits = limits, .why = why};
    enum table_result result = TABLE_NOT_FOUND;
    x.done.a = a;
    add(&x.done, arena_dup(a, address));
    for (size_t i = 0; i < x.done.list.n && result != TABLE_TEMP; i++) {
        enum table_result found = expand_one(&x, i, propagate);
        if (found != TABLE_NOT_FOUND)
            result = found;
    }
    map_fini(&x.selves);
    *list = x.done.list;
    return result;
}
