/* Lookup tables: one interface over all types.
 *
 * A table is named "type:name" and answers a key with a value, with "no such key"
 * or with a temporary error and its text. A process keeps its tables in one struct
 * tables: the same table opened twice is one, and a new file for a path reaches
 * every table that reads it.
 *
 *   cdb (hash, btree, dbm, sdbm, lmdb mean cdb too)   NAME.cdb, made by postmap or postalias
 *   texthash                 the source text itself, read whole
 *   pcre, regexp, cidr       rules in a file, tried in order (rules.h, table_regex.c, cidr.h), or
 *                            in the spec itself: cidr:{ {rule}, {rule} ... }
 *   static:value, static:{ value }                    every key has this value
 *   inline:{ {key = value}, key=value, ... }
 *   randmap:{value, ...}     one of the values by chance
 *   fail:text                a temporary error for every key
 *   unionmap:{type:name, ...}  the values of all that know the key, joined by commas
 *   pipemap:{type:name, ...}   the value of one is the key for the next
 *   proxy:type:name          asked through the process's hook; so are the types that wait for
 *                            something (unix, mysql, pgsql, sqlite, ldap, socketmap, tcp,
 *                            memcache, nis), written with proxy: or without
 *
 * No path is opened here: the process gives struct table_files. A table always
 * opens; one that cannot work answers TABLE_TEMP, says why in table_error() and
 * recovers when a good file comes.
 *
 * Any process may call these. Only table_find() on a table with a proxy: in it may
 * wait; it is written so that tables may be reloaded meanwhile. */
#ifndef TABLE_TABLE_H
#define TABLE_TABLE_H

#include "lib/base/buf.h"
#include "lib/base/span.h"

#include <sys/stat.h>

enum table_result {
    TABLE_FOUND,
    TABLE_NOT_FOUND,
    TABLE_TEMP, /* could not be answered now; there is a text */
};

enum {
    TABLE_FOLD = 1,          /* ASCII letters of keys count alike in either case (types with fixed keys) */
    TABLE_NO_SUBSTITUTE = 2, /* pcre, regexp: a rule with $number is refused (alias and command tables) */
};

enum {
    TABLE_KEY_BYTES = 4096,             /* longest key of a table with fixed keys; a longer one is not found */
    TABLE_TEXT_KEY_BYTES = 1024 * 1024, /* longest key for pcre and regexp; a longer one is TABLE_TEMP */
    TABLE_VALUE_BYTES = 1024 * 1024,    /* longest value; a longer one is TABLE_TEMP */
    TABLE_SPEC_BYTES = 64 * 1024,       /* longest "type:name" */
    TABLE_DEPTH = 8,                    /* deepest nesting of unionmap and pipemap */
    TABLE_TEXT_BYTES = 64 * 1024 * 1024, /* largest texthash file */
    TABLE_RULE_BYTES = 16 * 1024 * 1024, /* largest pcre, regexp, cidr or list file */
};

struct table_files {
    /* Opens a path read-only. result: a descriptor that the caller owns, or -1 with errno */
    int (*open)(const char *path, void *context);
    /* As stat(2), to notice changes and to word messages; NULL in a process that sees no paths. */
    int (*stat)(const char *path, struct stat *st, void *context);
    void *context;
};

struct table_hooks {
    /* Asks another process for a key. Replaces value (empty when called); adds to why for
     * TABLE_TEMP. May wait. NULL: proxy: tables answer TABLE_TEMP. */
    enum table_result (*proxy)(struct span spec, struct span key, unsigned flags, struct buf *value,
                               struct buf *why, void *context);
    /* A line for the log: a rule that is skipped, a new file that is not used. NULL: dropped. */
    void (*warn)(const char *text, void *context);
    void *context;
};

/* A real opener and stat(2), for programs that are not sandboxed. */
extern const struct table_files table_files_by_path;

struct tables;
struct table;

/* The tables of a process; what files and hooks point to is borrowed until tables_free(). */
struct tables *tables_new(const struct table_files *files, const struct table_hooks *hooks);
/* All tables must be closed by now. Nulls *ts. */
void tables_free(struct tables **ts);

/* Opens "type:name" (flags: TABLE_*), or shares the one that is open with the same flags.
 * result: never NULL; the caller closes it. See table_error(). */
struct table *table_open(struct tables *ts, struct span spec, unsigned flags);
/* NULL is harmless. Nulls *t. */
void table_close(struct table **t);

/* What is wrong with it (file, remedy), or NULL while it works. Borrowed until the next reload. */
const char *table_error(const struct table *t);
/* "type:name" as opened; borrowed. */
const char *table_spec(const struct table *t);
/* Whether keys are looked up as they are; false for pcre, regexp and cidr (and unions with
 * one of them), for which a search by parts of an address makes no sense. */
bool table_is_fixed(const struct table *t);

/* Looks a key up.
 * value: replaced where the result is TABLE_FOUND, else empty; owned by the caller
 * why:   cleared; the text of TABLE_TEMP, which names the table
 * waits: only for proxy: tables, as long as the hook does */
enum table_result table_find(struct table *t, struct span key, struct buf *value, struct buf *why);

/* Calls fn for every entry in file order, until fn returns false.
 * result: false where the type has no list of entries or the table does not work (why says) */
bool table_walk(struct table *t, bool (*fn)(struct span key, struct span value, void *context), void *context,
                struct buf *why);

/* The name of a table type by number from 0, NULL behind the last.
 * is_indexed: set to whether postmap makes such tables */
const char *table_type_at(size_t i, bool *is_indexed);

/* --- files that change ------------------------------------------------------------- */

/* Calls fn for each file that a spec reads (NAME.cdb for cdb). A spec that cannot be parsed has none. */
void table_each_path(struct span spec, void (*fn)(const char *path, void *context), void *context);

/* A new descriptor for a path, owned by the callee from now on. Every table that reads
 * the path is loaded anew; where the new file is bad the old content stays, and warn tells.
 * result: how many tables use the new file */
unsigned tables_replace_fd(struct tables *ts, const char *path, int fd);
/* Where files->stat is there: whether the file of t (or of one it is made of) is not the one that was read. */
bool table_changed(const struct table *t);
/* Opens and loads anew all tables that have changed, as tables_replace_fd does.
 * result: how many were loaded */
unsigned tables_refresh(struct tables *ts);

/* The text in a file that a parameter names ("/file/name" in a match list), as the
 * pseudo-table "file:/file/name": never found, but read, shared and reloaded as the others.
 * version: set to a number that differs after each reload
 * result:  the whole file, borrowed until the next reload; NULL pointer where table_error() is set */
struct span table_file_text(const struct table *t, uint64_t *version);

#endif
