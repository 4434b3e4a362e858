/* What a table type is to table.c. Private to lib/table.
 *
 * A type turns its name or its file into data, answers keys from the data and
 * frees it. Data never changes once made: a reload makes another one. */
#ifndef TABLE_TABLE_TYPE_H
#define TABLE_TABLE_TYPE_H

#include "lib/table/table.h"

struct table_source {
    const char *type;      /* as written: "hash" for a cdb table */
    struct span name;      /* what stands behind "type:" */
    const char *path;      /* the file, or NULL */
    int fd;                /* the file open for reading, or -1; the loader takes it over */
    unsigned flags;        /* TABLE_* */
    struct tables *tables; /* where member tables are opened */
    unsigned depth;        /* nesting of this table, 0 at the top */
    unsigned skipped;      /* lines or rules that the loader left out as faulty */
};

struct table_type {
    const char *name;
    const char *suffix;    /* of the file name; NULL where the type reads no file */
    bool may_be_inline;    /* a name in braces is the content itself, no file */
    bool is_fixed;         /* keys are looked up as they are */
    bool is_composite;     /* data is a struct table_members */
    size_t key_bytes;      /* longest key that can be there */
    bool long_key_is_temp; /* a longer key is TABLE_TEMP instead of TABLE_NOT_FOUND */
    /* result: the data, or NULL with why; takes src->fd over in either case */
    void *(*load)(struct table_source *src, struct buf *why);
    void (*unload)(void *data);
    /* value is empty and limited; the key is folded already. NULL: the key is never found. */
    enum table_result (*find)(const void *data, struct span key, struct buf *value, struct buf *why);
    /* result: false with why where it stopped for damage. NULL: the type has no list of entries */
    bool (*walk)(const void *data, bool (*fn)(struct span, struct span, void *), void *context, struct buf *why);
};

/* The member tables of unionmap and pipemap; first in their data. */
struct table_members {
    struct table **tables; /* owned */
    size_t count;
};

extern const struct table_type table_type_cdb, table_type_texthash, table_type_static, table_type_inline,
    table_type_randmap, table_type_fail, table_type_union, table_type_pipe, table_type_proxy, table_type_file,
    table_type_pcre, table_type_regexp, table_type_cidr;

/* Says a warning "PATH, line N: TEXT" about the table's file; "TYPE map PATH, line N: TEXT" for rules. */
void table_warn_line(const struct table_source *src, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void table_warn_rule(const struct table_source *src, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* As table_open, one level deeper than src. */
struct table *table_open_member(const struct table_source *src, struct span spec);
/* Calls the process's proxy hook. */
enum table_result tables_ask_proxy(struct tables *ts, struct span spec, struct span key, unsigned flags,
                                   struct buf *value, struct buf *why);

/* Reads a whole file and closes it.
 * result: false with why ("PATH: over N bytes", "read PATH: ...") */
bool table_read_file(struct table_source *src, size_t max, struct buf *text, struct buf *why);

/* The next member of "{ a, {b c}, d }" bodies: parts are separated by commas and white
 * space, a part in braces is one (returned without them, trimmed).
 * result: 1 a part, 0 the end, -1 an unbalanced brace */
int table_next_part(struct span *rest, struct span *part);
/* The body of "{ ... }" without its braces and outer space; false where s is not of that form. */
bool table_unbrace(struct span s, struct span *body);

#endif
