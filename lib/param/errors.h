/* What is wrong with a configuration, collected so that one run names it all.
 *
 * Each message says where (file and line), what (the parameter or field) and
 * what to do about it. A warning lets the server start, an error does not. Any
 * process may call these; none waits. */
#ifndef PARAM_ERRORS_H
#define PARAM_ERRORS_H

#include "lib/base/arena.h"

enum param_severity {
    PARAM_WARNING,
    PARAM_ERROR,
};

struct param_error {
    enum param_severity severity;
    struct span
        text; /* one line without its end: "main.cf:12: smtpd_timeout: ..."; terminated, owned by the list */
};

enum { PARAM_ERRORS_MAX = 200 }; /* further ones are counted, not kept */

struct param_errors {
    struct arena arena;                       /* owns the texts */
    struct param_error *at[PARAM_ERRORS_MAX]; /* in the order they were found */
    size_t count;                             /* kept */
    size_t dropped;                           /* found beyond PARAM_ERRORS_MAX */
    size_t fatal;                             /* how many of all were PARAM_ERROR */
};

#define PARAM_ERRORS_INIT ((struct param_errors){0})

/* Frees the texts; the list is empty then. */
void param_errors_fini(struct param_errors *e);

/* A place in a file that the administrator wrote. */
struct param_place {
    struct span file; /* as it is named to the administrator; empty: no file */
    unsigned line;    /* from 1; 0: the file as a whole */
};

/* Adds one message, where it is not there yet; the place goes before it as "file:line: ".
 * e may be NULL: nothing is kept. */
void param_error_add(struct param_errors *e, enum param_severity severity, struct param_place place,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
