/* postmap, postalias and newaliases: make, change and ask lookup tables.
 *
 * Options, output and exit status are those of Postfix; tables are made as cdb
 * whichever indexed type is named. A command-line tool: everything here may wait
 * for the disk and runs once. */
#ifndef POSTMAP_POSTMAP_H
#define POSTMAP_POSTMAP_H

#include "lib/base/buf.h"
#include "lib/table/text_lines.h"

enum {
    OPT_BODY = 1,        /* -b: ask for the lines of a message's body */
    OPT_HEADER = 2,      /* -h: ask for its headers */
    OPT_NO_FOLD = 4,     /* -f */
    OPT_FILES = 8,       /* -F: values name files, whose content is the value */
    OPT_INCREMENT = 16,  /* -i: add entries from standard input */
    OPT_NUL = 32,        /* -N: a NUL behind each key and value */
    OPT_AS_ROOT = 64,    /* -o: do not become the owner of the file */
    OPT_OWN_MODE = 128,  /* -p: do not take the mode of the source file */
    OPT_REPLACE = 256,   /* -r: a later entry replaces an earlier one */
    OPT_LIST = 512,      /* -s */
    OPT_NO_UTF8 = 1024,  /* -u */
    OPT_NO_WARN = 2048,  /* -w: say nothing about duplicates */
};

struct job {
    enum text_form form;    /* TEXT_ALIAS for postalias */
    unsigned flags;         /* OPT_* */
    const char *query;      /* -q: the key, "-" for standard input; NULL */
    const char *remove;     /* -d: the same */
    const char *config_dir; /* -c or MAIL_CONFIG; NULL: the default, which may be missing */
};

/* Writes "PROGRAM: fatal: TEXT" to standard error. result: EXIT_FAILURE */
int say_fatal(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Writes "PROGRAM: warning: TEXT". */
void say_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Makes PATH.cdb from PATH, as the owner of its directory or source where that is not
 * root (see owner.h). result: exit status */
int job_build(const struct job *j, const char *type, const char *path);
/* Adds what stands on standard input to PATH.cdb, or removes keys from it. */
int job_increment(const struct job *j, const char *type, const char *path);
int job_remove(const struct job *j, const char *type, const char *path);

/* Asks the tables named by args ("type:path" or "path") in turn. result: exit status:
 * EXIT_FAILURE where nothing was found. */
int job_query(const struct job *j, const char *default_type, char *const *args, size_t count);
/* Writes all entries of one table. */
int job_list(const struct job *j, const char *type, const char *path);

/* Splits "type:path"; without a type, the default. type: appended to */
const char *job_split(const char *arg, const char *default_type, struct buf *type);
/* Whether tables of this type are made by postmap; says so where not. */
bool job_can_make(const char *type);

#endif
