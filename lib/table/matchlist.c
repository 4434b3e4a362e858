#include "lib/table/matchlist.h"
#include "lib/base/arena.h"
#include "lib/base/check.h"
#include "lib/table/cidr.h"
#include "lib/table/table_type.h"
#include "lib/table/text_lines.h"

#include <stdlib.h>

enum { MATCHLIST_MAGIC = 0x6d6c7374 };

enum pattern_kind { PATTERN_TEXT, PATTERN_NETWORK, PATTERN_TABLE, PATTERN_FAULT };

struct pattern {
    enum pattern_kind kind;
    bool is_negated;
    struct span text;    /* PATTERN_TEXT, and the words of PATTERN_FAULT; in the arena */
    struct cidr network; /* PATTERN_NETWORK */
    struct table *table; /* PATTERN_TABLE; owned */
    struct pattern *next;
};

/* A file that was read into the patterns. */
struct list_file {
    struct table *table; /* owned, "file:/path" */
    uint64_t version;    /* of the text that was read */
    struct list_file *next;
};

/* What the value meant when it was last read. A match holds it while it waits for a
 * table, so that a change of a file meanwhile frees nothing that is in use. */
struct patterns {
    unsigned users;
    struct arena arena;
    struct pattern *first, **last;
    struct list_file *files;
};

struct matchlist {
    unsigned magic;
    struct tables *tables;
    struct arena arena;
    struct span title, value; /* in the arena */
    enum matchlist_kind kind;
    unsigned flags;
    struct patterns *now;
};

/* --- reading ------------------------------------------------------------------------ */

struct reading {
    struct matchlist *list;
    struct patterns *to;
    unsigned depth; /* of files in files */
    unsigned files; /* read so far */
};

static void add_value(struct reading *r, struct span value, bool is_negated);

static struct pattern *add_pattern(struct reading *r, enum pattern_kind kind, bool is_negated)
{
    struct pattern *p = ARENA_NEW(&r->to->arena, struct pattern);
    p->kind = kind;
    p->is_negated = is_negated;
    *r->to->last = p;
    r->to->last = &p->next;
    return p;
}

static void add_fault(struct reading *r, const char *what, struct span text)
{
    struct pattern *p = add_pattern(r, PATTERN_FAULT, false);
    struct buf words = BUF_INIT, shown = BUF_INIT;
    text_put_masked(&shown, span_slice(text, 0, 200));
    buf_printf(&words, "%.*s: %s%s%s%s", SPAN_ARG(r->list->title), what, text.n ? " \"" : "", buf_text(&shown),
               text.n ? "\"" : "");
    p->text = arena_dup(&r->to->arena, buf_span(&words));
    buf_fini(&shown);
    buf_fini(&words);
}

/* The patterns in a file: those of each line, where comments are left out. */
static void add_file(struct reading *r, struct span path, bool is_negated)
{
    struct buf spec = BUF_INIT;
    struct list_file *f = ARENA_NEW(&r->to->arena, struct list_file);
    buf_puts(&spec, "file:");
    buf_put(&spec, path);
    f->table = table_open(r->list->tables, buf_span(&spec), 0);
    buf_fini(&spec);
    f->next = r->to->files;
    r->to->files = f;
    struct span text = table_file_text(f->table, &f->version);
    if (!text.p) {
        add_fault(r, table_error(f->table), SPAN_NONE);
        return;
    }
    struct text_lines lines;
    struct text_line line;
    text_lines_init(&lines, text);
    r->depth++;
    while (text_lines_next(&lines, &line))
        add_value(r, line.text, is_negated);
    r->depth--;
    text_lines_fini(&lines);
}

static bool looks_like_table(struct span text)
{
    return text.p[0] != '[' && span_find(text, ':') < text.n;
}

static void add_table(struct reading *r, struct span spec, bool is_negated)
{
    struct buf why = BUF_INIT;
    struct cidr c;
    if (cidr_parse(spec, &c, &why))
        add_fault(r, "an IPv6 address is written in brackets, as [::1] or [2001:db8::]/32:", spec);
    else
        add_pattern(r, PATTERN_TABLE, is_negated)->table = table_open(r->list->tables, spec, TABLE_FOLD);
    buf_fini(&why);
}

static bool looks_like_network(struct span text)
{
    struct ip ip;
    return text.p[0] == '[' || span_find(text, '/') < text.n || ip_parse(text, &ip);
}

static void add_network(struct reading *r, struct span text, bool is_negated)
{
    struct buf why = BUF_INIT;
    struct cidr c;
    if (cidr_parse(text, &c, &why))
        add_pattern(r, PATTERN_NETWORK, is_negated)->network = c;
    else
        add_fault(r, buf_text(&why), SPAN_NONE);
    buf_fini(&why);
}

static void add_item(struct reading *r, struct span item, bool is_negated)
{
    while (item.n && item.p[0] == '!') {
        is_negated = !is_negated;
        item = span_skip(item, 1);
    }
    if (item.n == 0)
        add_fault(r, "a \"!\" without a pattern behind it", SPAN_NONE);
    else if (span_find(item, '\0') < item.n)
        add_fault(r, "a pattern holds a NUL", SPAN_NONE);
    else if (item.p[0] == '/' && r->depth >= MATCHLIST_DEPTH)
        add_fault(r, "files name files too deeply:", item);
    else if (item.p[0] == '/' && r->files++ >= MATCHLIST_FILES)
        add_fault(r, "the list names too many files:", item);
    else if (item.p[0] == '/')
        add_file(r, item, is_negated);
    else if (looks_like_table(item))
        add_table(r, item, is_negated);
    else if (r->list->kind == MATCHLIST_HOST && looks_like_network(item))
        add_network(r, item, is_negated);
    else
        add_pattern(r, PATTERN_TEXT, is_negated)->text = arena_dup(&r->to->arena, item);
}

static void add_value(struct reading *r, struct span value, bool is_negated)
{
    struct span item;
    int more;
    while ((more = table_next_part(&value, &item)) > 0) {
        if (item.n && item.p[0] == '#') {
            add_fault(r, "comment at end of line is not supported:", item);
            return;
        }
        add_item(r, item, is_negated);
    }
    if (more < 0)
        add_fault(r, "unbalanced braces", SPAN_NONE);
}

static struct patterns *read_patterns(struct matchlist *l)
{
    struct patterns *to = calloc(1, sizeof *to);
    CHECK(to != NULL);
    to->users = 1;
    to->last = &to->first;
    struct reading r = {.list = l, .to = to};
    add_value(&r, l->value, false);
    return to;
}

static void release(struct patterns *p)
{
    if (--p->users)
        return;
    for (struct pattern *at = p->first; at; at = at->next)
        table_close(&at->table);
    for (struct list_file *f = p->files; f; f = f->next)
        table_close(&f->table);
    arena_fini(&p->arena);
    free(p);
}

/* The patterns as they are now, read again where a file has changed. The caller releases them. */
static struct patterns *hold(struct matchlist *l)
{
    bool is_old = false;
    uint64_t version;
    for (struct list_file *f = l->now->files; f && !is_old; f = f->next) {
        table_file_text(f->table, &version);
        is_old = version != f->version;
    }
    if (is_old) {
        struct patterns *old = l->now;
        l->now = read_patterns(l);
        release(old);
    }
    l->now->users++;
    return l->now;
}

/* --- the list ----------------------------------------------------------------------- */

struct matchlist *matchlist_open(struct tables *ts, struct span title, struct span value, enum matchlist_kind kind,
                                 unsigned flags)
{
    struct matchlist *l = calloc(1, sizeof *l);
    CHECK(l != NULL);
    *l = (struct matchlist){.magic = MATCHLIST_MAGIC, .tables = ts, .kind = kind, .flags = flags};
    l->title = arena_dup(&l->arena, title);
    l->value = arena_dup(&l->arena, value);
    l->now = read_patterns(l);
    return l;
}

void matchlist_close(struct matchlist **l)
{
    struct matchlist *gone = *l;
    *l = NULL;
    if (!gone)
        return;
    CHECK_MAGIC(gone, MATCHLIST_MAGIC);
    CHECK(gone->now->users == 1);
    release(gone->now);
    arena_fini(&gone->arena);
    free(gone);
}

bool matchlist_is_empty(const struct matchlist *l)
{
    return l->now->first == NULL;
}

const char *matchlist_error(const struct matchlist *l)
{
    for (const struct pattern *p = l->now->first; p; p = p->next) {
        const char *error = p->kind == PATTERN_FAULT ? p->text.p : p->kind == PATTERN_TABLE ? table_error(p->table) : NULL;
        if (error)
            return error;
    }
    return NULL;
}

void matchlist_each_path(struct span value, void (*fn)(const char *path, void *context), void *context)
{
    struct span item;
    while (table_next_part(&value, &item) > 0) {
        while (item.n && item.p[0] == '!')
            item = span_skip(item, 1);
        if (item.n == 0 || item.p[0] == '#')
            continue;
        if (item.p[0] != '/') {
            table_each_path(item, fn, context);
            continue;
        }
        struct buf spec = BUF_INIT;
        buf_puts(&spec, "file:");
        buf_put(&spec, item);
        table_each_path(buf_span(&spec), fn, context);
        buf_fini(&spec);
    }
}

/* --- matching ----------------------------------------------------------------------- */

struct candidate {
    const struct matchlist *list;
    struct span name;    /* empty where there is none */
    struct span address; /* empty where there is none */
    struct ip ip;        /* of address; n is 0 where it is none */
};

static bool name_matches(const struct candidate *c, struct span text)
{
    if (c->name.n == 0)
        return false;
    if (span_eq_nocase(c->name, text))
        return true;
    if (c->list->kind == MATCHLIST_STRING || c->name.n <= text.n || !span_ends_nocase(c->name, text))
        return false;
    if (c->list->flags & MATCHLIST_PARENT)
        return c->name.p[c->name.n - text.n - 1] == '.';
    return text.p[0] == '.';
}

/* Looks the name up, and in a domain or host list each parent of it. */
static enum table_result name_in_table(const struct candidate *c, struct table *t, struct buf *value, struct buf *why)
{
    struct span key = c->name;
    enum table_result result = key.n ? table_find(t, key, value, why) : TABLE_NOT_FOUND;
    bool by_parents = c->list->kind != MATCHLIST_STRING && table_is_fixed(t);
    while (by_parents && result == TABLE_NOT_FOUND && key.n) {
        size_t dot = span_find(span_skip(key, 1), '.') + 1;
        if (dot >= key.n)
            break;
        key = span_skip(key, dot + (c->list->flags & MATCHLIST_PARENT ? 1 : 0));
        if (key.n)
            result = table_find(t, key, value, why);
    }
    return result;
}

static enum table_result in_table(const struct candidate *c, struct table *t, struct buf *why)
{
    struct buf value = BUF_INIT;
    enum table_result result = name_in_table(c, t, &value, why);
    if (result == TABLE_NOT_FOUND && c->address.n)
        result = table_find(t, c->address, &value, why);
    buf_fini(&value);
    return result;
}

static enum table_result one_pattern(const struct candidate *c, const struct pattern *p, struct buf *why)
{
    switch (p->kind) {
    case PATTERN_TEXT: return name_matches(c, p->text) ? TABLE_FOUND : TABLE_NOT_FOUND;
    case PATTERN_NETWORK: return cidr_has(&p->network, &c->ip) ? TABLE_FOUND : TABLE_NOT_FOUND;
    case PATTERN_TABLE: return in_table(c, p->table, why);
    case PATTERN_FAULT: break;
    }
    buf_put(why, p->text);
    return TABLE_TEMP;
}

static enum table_result match(struct matchlist *l, const struct candidate *c, struct buf *why)
{
    buf_clear(why);
    struct patterns *patterns = hold(l);
    enum table_result result = TABLE_NOT_FOUND;
    for (const struct pattern *p = patterns->first; p && result == TABLE_NOT_FOUND; p = p->next) {
        result = one_pattern(c, p, why);
        if (result == TABLE_FOUND && p->is_negated) {
            result = TABLE_NOT_FOUND;
            break;
        }
    }
    release(patterns);
    return result;
}

enum table_result matchlist_has(struct matchlist *l, struct span name, struct buf *why)
{
    CHECK_MAGIC(l, MATCHLIST_MAGIC);
    CHECK(l->kind != MATCHLIST_HOST);
    struct candidate c = {.list = l, .name = name};
    return match(l, &c, why);
}

enum table_result matchlist_has_host(struct matchlist *l, struct span name, struct span address, struct buf *why)
{
    CHECK_MAGIC(l, MATCHLIST_MAGIC);
    CHECK(l->kind == MATCHLIST_HOST);
    struct candidate c = {.list = l, .name = name, .address = address};
    struct buf unmapped = BUF_INIT;
    if (ip_parse(address, &c.ip)) {
        c.ip = ip_unmapped(c.ip);
        ip_put(&unmapped, &c.ip); /* one spelling for tables, too */
        c.address = buf_span(&unmapped);
    }
    enum table_result result = match(l, &c, why);
    buf_fini(&unmapped);
    return result;
}
