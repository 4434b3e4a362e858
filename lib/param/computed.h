/* Defaults that are computed from facts about the machine, and the raw value of any name.
 *
 * Inside lib/param only. */
#ifndef PARAM_COMPUTED_H
#define PARAM_COMPUTED_H

#include "lib/param/param.h"

/* Where values are looked up while one configuration is evaluated. */
struct param_scope {
    const struct settings *settings; /* borrowed */
    struct arena *arena;             /* computed values and expansions are made here; borrowed */
    unsigned depth;                  /* computed values being computed, one inside the other */
};

/* The raw value of a name: as set, else the default of its row, else that of a transport's parameter.
 * result: false: there is no such name */
bool param_raw(struct param_scope *scope, struct span name, struct span *value);
/* The raw default of a name, whatever is set for it. */
bool param_raw_default(struct param_scope *scope, struct span name, struct span *value);
/* The same of a row. */
struct span param_spec_default(struct param_scope *scope, const struct param_spec *spec);
/* text with all $names expanded, made in the scope's arena. */
bool param_expand(struct param_scope *scope, struct span text, struct span *value, struct buf *why);

#endif
