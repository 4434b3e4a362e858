#include "lib/table/table.h"
#include "lib/base/check.h"
#include "lib/base/list.h"
#include "lib/table/table_type.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { TABLES_MAGIC = 0x7ab1e5e7, TABLE_MAGIC = 0x7ab1e001 };

struct tables {
    unsigned magic;
    struct table_files files; /* context borrowed */
    struct table_hooks hooks; /* context borrowed */
    struct list open;         /* of struct table */
    uint64_t version;         /* the last one given to loaded data */
};

/* What tells one state of a file from another. */
struct file_mark {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec mtime;
};

struct table {
    unsigned magic;
    struct list node;
    struct tables *owner;
    unsigned users;                /* table_open() less table_close() */
    unsigned flags, depth;
    const struct table_type *type; /* NULL where the spec cannot be used */
    char *spec;                    /* owned, "type:name" */
    char *type_name;               /* owned, as written */
    struct span name;              /* in spec */
    char *path;                    /* owned; NULL where it reads no file */
    void *data;                    /* the type's; NULL while it does not work */
    struct buf error;              /* why data is NULL */
    struct file_mark mark;         /* of the file that was last tried */
    unsigned skipped;              /* faulty lines in data */
    uint64_t version;              /* of data */
};

/* --- the names of types ------------------------------------------------------------ */

static const struct {
    const char *name;
    const struct table_type *type;
} type_names[] = {
    {"cdb", &table_type_cdb},         {"hash", &table_type_cdb},        {"btree", &table_type_cdb},
    {"dbm", &table_type_cdb},         {"sdbm", &table_type_cdb},        {"lmdb", &table_type_cdb},
    {"texthash", &table_type_texthash}, {"static", &table_type_static}, {"inline", &table_type_inline},
    {"randmap", &table_type_randmap}, {"fail", &table_type_fail},       {"unionmap", &table_type_union},
    {"pipemap", &table_type_pipe},    {"proxy", &table_type_proxy},     {"unix", &table_type_proxy},
    {"mysql", &table_type_proxy},     {"pgsql", &table_type_proxy},     {"sqlite", &table_type_proxy},
    {"ldap", &table_type_proxy},      {"socketmap", &table_type_proxy}, {"tcp", &table_type_proxy},
    {"memcache", &table_type_proxy},  {"nis", &table_type_proxy},       {"pcre", &table_type_pcre},
    {"regexp", &table_type_regexp},   {"cidr", &table_type_cidr},       {"file", &table_type_file}, /* ours: last */
};
enum { TYPE_NAMES = sizeof type_names / sizeof *type_names };

static const struct table_type *type_by_name(struct span name)
{
    for (size_t i = 0; i < TYPE_NAMES; i++) {
        if (span_eq(name, span_text(type_names[i].name)))
            return type_names[i].type;
    }
    return NULL;
}

const char *table_type_at(size_t i, bool *is_indexed)
{
    if (i >= TYPE_NAMES - 1)
        return NULL;
    *is_indexed = type_names[i].type == &table_type_cdb;
    return type_names[i].name;
}

/* result: NULL, or why the spec names no table */
static const char *spec_parse(struct span spec, struct span *type_name, struct span *name,
                              const struct table_type **type)
{
    size_t colon = span_find(spec, ':');
    *type = NULL;
    *type_name = span_slice(spec, 0, colon);
    *name = span_skip(spec, colon + 1);
    if (spec.n > TABLE_SPEC_BYTES)
        return "too long a name of a table:";
    if (span_find(spec, '\0') < spec.n)
        return "a NUL in the name of a table:";
    if (colon == 0 || colon == spec.n)
        return "expecting \"type:name\" form instead of";
    *type = type_by_name(*type_name);
    if (!*type)
        return "unsupported dictionary type in";
    if (name->n == 0) {
        *type = NULL;
        return "no name behind the type in";
    }
    return NULL;
}

static bool reads_file(const struct table_type *type, struct span name)
{
    return type->suffix && !(type->may_be_inline && name.p[0] == '{');
}

static char *text_dup(struct span s, const char *suffix)
{
    struct buf b = BUF_INIT;
    buf_put(&b, s);
    buf_puts(&b, suffix);
    char *text = strdup(buf_text(&b));
    CHECK(text != NULL);
    buf_fini(&b);
    return text;
}

/* --- the tables of a process ------------------------------------------------------- */

struct tables *tables_new(const struct table_files *files, const struct table_hooks *hooks)
{
    struct tables *ts = calloc(1, sizeof *ts);
    CHECK(ts != NULL && files->open != NULL);
    ts->magic = TABLES_MAGIC;
    ts->files = *files;
    if (hooks)
        ts->hooks = *hooks;
    list_init(&ts->open);
    return ts;
}

void tables_free(struct tables **ts)
{
    if (!*ts)
        return;
    CHECK_MAGIC(*ts, TABLES_MAGIC);
    CHECK(list_empty(&(*ts)->open));
    free(*ts);
    *ts = NULL;
}

static void tables_warn(struct tables *ts, const char *text)
{
    if (ts->hooks.warn)
        ts->hooks.warn(text, ts->hooks.context);
}

__attribute__((format(printf, 4, 0))) static void warn_at(const struct table_source *src, const char *kind,
                                                           unsigned line, const char *format, va_list args)
{
    struct buf text = BUF_INIT;
    buf_printf(&text, "%s%s", kind ? kind : "", kind ? " map " : "");
    buf_put(&text, src->path ? span_text(src->path) : span_slice(src->name, 0, 200));
    buf_printf(&text, ", line %u: ", line);
    buf_vprintf(&text, format, args);
    tables_warn(src->tables, buf_text(&text));
    buf_fini(&text);
}

void table_warn_line(const struct table_source *src, unsigned line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    warn_at(src, NULL, line, format, args);
    va_end(args);
}

void table_warn_rule(const struct table_source *src, unsigned line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    warn_at(src, src->type, line, format, args);
    va_end(args);
}

enum table_result tables_ask_proxy(struct tables *ts, struct span spec, struct span key, unsigned flags,
                                   struct buf *value, struct buf *why)
{
    if (ts->hooks.proxy)
        return ts->hooks.proxy(spec, key, flags, value, why, ts->hooks.context);
    buf_puts(why, "this process has no proxymap service to ask");
    return TABLE_TEMP;
}

/* --- loading ----------------------------------------------------------------------- */

static struct file_mark mark_of(const struct stat *st)
{
    return (struct file_mark){st->st_dev, st->st_ino, st->st_size, st->st_mtim};
}

static bool marks_differ(const struct file_mark *a, const struct file_mark *b)
{
    return a->dev != b->dev || a->ino != b->ino || a->size != b->size || a->mtime.tv_sec != b->mtime.tv_sec ||
           a->mtime.tv_nsec != b->mtime.tv_nsec;
}

/* Makes data from the file (fd, taken over; -1 for none) and puts it in place of the old. */
static bool table_load(struct table *t, int fd, struct buf *why)
{
    struct stat st = {0};
    if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
        buf_printf(why, "%s: not a regular file", t->path);
        close(fd);
        return false;
    }
    t->mark = mark_of(&st);
    struct table_source src = {.type = t->type_name, .name = t->name, .path = t->path, .fd = fd,
                               .flags = t->flags, .tables = t->owner, .depth = t->depth};
    void *data = t->type->load(&src, why);
    if (!data)
        return false;
    if (t->data && src.skipped > t->skipped) {
        buf_printf(why, "%s: the new file has more faulty lines than the one in use", t->path);
        t->type->unload(data);
        return false;
    }
    if (t->data)
        t->type->unload(t->data);
    t->data = data;
    t->skipped = src.skipped;
    t->version = ++t->owner->version;
    buf_clear(&t->error);
    return true;
}

static bool file_is_there(struct tables *ts, const char *path, struct stat *st)
{
    return ts->files.stat && ts->files.stat(path, st, ts->files.context) == 0;
}

/* "NAME.cdb is not there" with the command line that makes it. */
static void explain_missing(struct table *t, struct buf *why)
{
    struct stat st;
    char *source = text_dup(t->name, ""), *old = text_dup(t->name, ".db");
    const char *slash = strrchr(source, '/');
    const char *tool = strstr(slash ? slash : source, "aliases") ? "postalias" : "postmap";
    if (file_is_there(t->owner, old, &st))
        buf_printf(why, "; %s is a Berkeley DB file, which is not read", old);
    buf_printf(why, "; make it from its source by: %s %s", tool, t->spec);
    free(source);
    free(old);
}

static void warn_stale(struct table *t)
{
    struct stat st;
    char *source = text_dup(t->name, "");
    if (t->type->suffix[0] && file_is_there(t->owner, source, &st) && st.st_mtim.tv_sec > t->mark.mtime.tv_sec) {
        struct buf text = BUF_INIT;
        buf_printf(&text, "database %s is older than source file %s", t->path, source);
        tables_warn(t->owner, buf_text(&text));
        buf_fini(&text);
    }
    free(source);
}

static bool table_load_path(struct table *t, struct buf *why)
{
    int fd = -1;
    if (t->path) {
        fd = t->owner->files.open(t->path, t->owner->files.context);
        if (fd < 0) {
            int err = errno;
            struct stat st;
            if (file_is_there(t->owner, t->path, &st))
                t->mark = mark_of(&st);
            buf_printf(why, "open database %s: %s", t->path, strerror(err));
            if (t->type->suffix[0] && err == ENOENT)
                explain_missing(t, why);
            return false;
        }
    }
    if (!table_load(t, fd, why))
        return false;
    if (t->path)
        warn_stale(t);
    return true;
}

bool table_read_file(struct table_source *src, size_t max, struct buf *text, struct buf *why)
{
    enum { PIECE = 64 * 1024 };
    ssize_t n = -1;
    *text = BUF_LIMITED(max + PIECE);
    while (text->len <= max) {
        char *to = buf_reserve(text, PIECE - 1);
        if (!to)
            break;
        do
            n = pread(src->fd, to, PIECE - 1, (off_t)text->len);
        while (n < 0 && errno == EINTR);
        if (n <= 0)
            break;
        buf_grown(text, (size_t)n);
    }
    if (n < 0)
        buf_printf(why, "read %s: %s", src->path, strerror(errno));
    else if (text->len > max)
        buf_printf(why, "%s: larger than %zu bytes", src->path, max);
    bool good = n == 0 && text->len <= max;
    close(src->fd);
    src->fd = -1;
    if (!good)
        buf_fini(text);
    return good;
}

/* --- opening and closing ----------------------------------------------------------- */

static struct table *find_open(struct tables *ts, struct span spec, unsigned flags, unsigned depth)
{
    LIST_EACH(node, after, &ts->open) {
        struct table *t = LIST_ENTRY(node, struct table, node);
        if (t->flags == flags && t->depth == depth && span_eq(span_text(t->spec), spec))
            return t;
    }
    return NULL;
}

static struct table *open_at_depth(struct tables *ts, struct span spec, unsigned flags, unsigned depth)
{
    struct table *t = find_open(ts, spec, flags, depth);
    if (t) {
        t->users++;
        return t;
    }
    t = calloc(1, sizeof *t);
    CHECK(t != NULL);
    *t = (struct table){.magic = TABLE_MAGIC, .owner = ts, .users = 1, .flags = flags, .depth = depth};
    struct span type_name, name;
    const char *fault = spec_parse(spec, &type_name, &name, &t->type);
    if (!fault && depth > TABLE_DEPTH)
        fault = "unionmap and pipemap are nested too deeply:";
    t->spec = text_dup(span_slice(spec, 0, TABLE_SPEC_BYTES), "");
    t->type_name = text_dup(type_name, "");
    t->name = span_skip(span_text(t->spec), strlen(t->type_name) + 1);
    list_push(&ts->open, &t->node);
    if (fault) {
        buf_printf(&t->error, "%s \"%.200s\"", fault, t->spec);
        return t;
    }
    if (reads_file(t->type, t->name))
        t->path = text_dup(t->name, t->type->suffix);
    struct buf why = BUF_INIT;
    if (!table_load_path(t, &why))
        buf_put(&t->error, buf_span(&why));
    buf_fini(&why);
    return t;
}

struct table *table_open(struct tables *ts, struct span spec, unsigned flags)
{
    CHECK_MAGIC(ts, TABLES_MAGIC);
    return open_at_depth(ts, spec, flags, 0);
}

struct table *table_open_member(const struct table_source *src, struct span spec)
{
    return open_at_depth(src->tables, spec, src->flags, src->depth + 1);
}

void table_close(struct table **t)
{
    struct table *gone = *t;
    *t = NULL;
    if (!gone)
        return;
    CHECK_MAGIC(gone, TABLE_MAGIC);
    if (--gone->users)
        return;
    list_remove(&gone->node);
    if (gone->data)
        gone->type->unload(gone->data);
    buf_fini(&gone->error);
    free(gone->spec);
    free(gone->type_name);
    free(gone->path);
    gone->magic = 0;
    free(gone);
}

static const struct table_members *members_of(const struct table *t)
{
    static const struct table_members none = {0};
    return t->data && t->type->is_composite ? t->data : &none;
}

const char *table_error(const struct table *t)
{
    CHECK_MAGIC(t, TABLE_MAGIC);
    if (!t->data)
        return buf_text(&t->error);
    const struct table_members *members = members_of(t);
    for (size_t i = 0; i < members->count; i++) {
        const char *error = table_error(members->tables[i]);
        if (error)
            return error;
    }
    return NULL;
}

const char *table_spec(const struct table *t)
{
    return t->spec;
}

bool table_is_fixed(const struct table *t)
{
    const struct table_members *members = members_of(t);
    bool is_fixed = !t->type || t->type->is_fixed;
    for (size_t i = 0; i < members->count; i++)
        is_fixed = is_fixed && table_is_fixed(members->tables[i]);
    return is_fixed;
}

/* --- looking up -------------------------------------------------------------------- */

static bool has_upper(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] >= 'A' && s.p[i] <= 'Z')
            return true;
    }
    return false;
}

/* Names the table in front of what went wrong. */
static enum table_result temporary(const struct table *t, const char *what, struct buf *value, struct buf *why)
{
    buf_clear(value);
    buf_printf(why, "%.200s: %s", t->spec, what);
    return TABLE_TEMP;
}

static enum table_result ask_type(struct table *t, struct span key, struct buf *value, struct buf *why)
{
    struct buf text = BUF_INIT;
    size_t own_max = value->max;
    if (own_max == 0 || own_max > TABLE_VALUE_BYTES)
        value->max = TABLE_VALUE_BYTES;
    enum table_result result = t->type->find ? t->type->find(t->data, key, value, &text) : TABLE_NOT_FOUND;
    value->max = own_max;
    if (result == TABLE_TEMP)
        temporary(t, buf_text(&text), value, why);
    else if (result == TABLE_FOUND && value->full)
        result = temporary(t, "the value is too long", value, why);
    else if (result == TABLE_NOT_FOUND)
        buf_clear(value);
    buf_fini(&text);
    return result;
}

enum table_result table_find(struct table *t, struct span key, struct buf *value, struct buf *why)
{
    CHECK_MAGIC(t, TABLE_MAGIC);
    buf_clear(value);
    buf_clear(why);
    if (!t->data)
        return temporary(t, buf_text(&t->error), value, why);
    if (key.n > t->type->key_bytes)
        return t->type->long_key_is_temp ? temporary(t, "the key is too long", value, why) : TABLE_NOT_FOUND;
    if (!(t->flags & TABLE_FOLD) || !t->type->is_fixed || !has_upper(key))
        return ask_type(t, key, value, why);

    struct buf folded = BUF_INIT;
    for (size_t i = 0; i < key.n; i++)
        buf_putc(&folded, (char)byte_lower(span_at(key, i)));
    enum table_result result = ask_type(t, buf_span(&folded), value, why);
    buf_fini(&folded);
    return result;
}

bool table_walk(struct table *t, bool (*fn)(struct span, struct span, void *), void *context, struct buf *why)
{
    CHECK_MAGIC(t, TABLE_MAGIC);
    buf_clear(why);
    if (!t->data) {
        temporary(t, buf_text(&t->error), &(struct buf){0}, why);
        return false;
    }
    if (!t->type->walk) {
        buf_printf(why, "table %s: sequence operation is not supported", t->spec);
        return false;
    }
    return t->type->walk(t->data, fn, context, why);
}

/* --- files that change ------------------------------------------------------------- */

void table_each_path(struct span spec, void (*fn)(const char *path, void *context), void *context)
{
    const struct table_type *type;
    struct span type_name, name, rest, part;
    if (spec_parse(spec, &type_name, &name, &type))
        return;
    if (reads_file(type, name)) {
        char *path = text_dup(name, type->suffix);
        fn(path, context);
        free(path);
    }
    if (type->is_composite && table_unbrace(name, &rest)) {
        while (table_next_part(&rest, &part) > 0)
            table_each_path(part, fn, context);
    }
}

/* Loads t anew; where the new file is bad the old content stays. */
static bool table_reload(struct table *t, int fd, bool has_fd)
{
    struct buf why = BUF_INIT, text = BUF_INIT;
    bool good = has_fd ? table_load(t, fd, &why) : table_load_path(t, &why);
    if (!good) {
        buf_printf(&text, "table %.200s: %s", t->spec, buf_text(&why));
        if (t->data) {
            buf_puts(&text, "; the old content stays in use");
        } else {
            buf_clear(&t->error);
            buf_put(&t->error, buf_span(&why));
        }
        tables_warn(t->owner, buf_text(&text));
    }
    buf_fini(&why);
    buf_fini(&text);
    return good;
}

unsigned tables_replace_fd(struct tables *ts, const char *path, int fd)
{
    CHECK_MAGIC(ts, TABLES_MAGIC);
    unsigned loaded = 0;
    LIST_EACH(node, after, &ts->open) {
        struct table *t = LIST_ENTRY(node, struct table, node);
        if (!t->path || strcmp(t->path, path) != 0)
            continue;
        int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (own >= 0 && table_reload(t, own, true))
            loaded++;
    }
    close(fd);
    return loaded;
}

/* Whether the file of t itself is not the one that was read. */
static bool own_file_changed(const struct table *t)
{
    struct stat st;
    if (!t->path || !file_is_there(t->owner, t->path, &st))
        return false;
    struct file_mark now = mark_of(&st);
    return marks_differ(&t->mark, &now);
}

bool table_changed(const struct table *t)
{
    CHECK_MAGIC(t, TABLE_MAGIC);
    const struct table_members *members = members_of(t);
    bool changed = own_file_changed(t);
    for (size_t i = 0; i < members->count; i++)
        changed = changed || table_changed(members->tables[i]);
    return changed;
}

unsigned tables_refresh(struct tables *ts)
{
    CHECK_MAGIC(ts, TABLES_MAGIC);
    unsigned loaded = 0;
    LIST_EACH(node, after, &ts->open) {
        struct table *t = LIST_ENTRY(node, struct table, node);
        if (own_file_changed(t) && table_reload(t, -1, false))
            loaded++;
    }
    return loaded;
}

/* table_file.c keeps a struct buf as its data. */
struct span table_file_text(const struct table *t, uint64_t *version)
{
    CHECK_MAGIC(t, TABLE_MAGIC);
    CHECK(t->type == &table_type_file || !t->type);
    *version = t->version;
    return t->data ? buf_span(t->data) : SPAN_NONE;
}
