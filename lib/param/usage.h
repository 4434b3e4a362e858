/* Which names of a configuration are of use, for the warnings of postconf and the check.
 *
 * A name set in main.cf or by -o counts if it is a parameter, if it is one that a
 * delivery service defines (<service>_destination_recipient_limit), if it names a
 * restriction class, if a $name in a value that counts refers to it, or if it
 * configures a table of a database (ldap:prefix makes prefix_server_host count).
 * What is left is probably mistyped.
 *
 * Any process may call these; none waits. */
#ifndef PARAM_USAGE_H
#define PARAM_USAGE_H

#include "lib/param/mastercf.h"

enum param_class {
    PARAM_CLASS_NONE,    /* set, but of no use; or not known at all */
    PARAM_CLASS_BUILTIN, /* a row of conf/params */
    PARAM_CLASS_SERVICE, /* defined by a service of master.cf */
    PARAM_CLASS_USER,    /* defined in main.cf, and referred to */
};

/* A name that is no row of conf/params. */
struct param_use {
    struct span name;       /* terminated */
    enum param_class class; /* SERVICE or USER */
    struct span initial;    /* of a SERVICE name: its default; else empty */
};

struct param_usage {
    struct arena arena;   /* owns all below */
    struct map by_name;   /* name -> struct param_use; names that count only */
    struct map undefined; /* names warned of as undefined */
    struct param_use **all;
    size_t count, cap;
};

#define PARAM_USAGE_INIT ((struct param_usage){0})

/* Finds out what counts, and adds the warnings "file: undefined parameter: name" to errors.
 * s:      main.cf, overridden as on the command line
 * cf:     NULL where there is no master.cf
 * main_file, master_file: how the warnings name them */
void param_usage_init(struct param_usage *u, const struct settings *s, struct span main_file,
                      const struct mastercf *cf, struct span master_file, struct param_errors *errors);
void param_usage_fini(struct param_usage *u);

/* Add the warnings "file: unused parameter: name=value" of main.cf, and of the -o of all services. */
void param_usage_warn_main(const struct param_usage *u, const struct settings *s, struct span file,
                           struct param_errors *errors);
void param_usage_warn_services(const struct param_usage *u, const struct mastercf *cf, struct span file,
                               struct param_errors *errors);

/* result: the class of a name */
enum param_class param_usage_class(const struct param_usage *u, struct span name);
/* result: the use, or NULL for a row of conf/params and for what does not count */
const struct param_use *param_usage_find(const struct param_usage *u, struct span name);

/* Cuts the next $name out of *text: sets name, and goes behind its beginning, so that
 * names inside ${...?{...}} are found too. result: false: there is none left */
bool param_next_reference(struct span *text, struct span *name);

#endif
