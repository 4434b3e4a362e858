/* A list of tables from a parameter's value ("hash:/a, regexp:/b { ... }"): the
 * first that knows the key answers; a temporary error ends the search.
 *
 * Any process may call these; maps_find() may wait as table_find() may. */
#ifndef TABLE_MAPS_H
#define TABLE_MAPS_H

#include "lib/table/table.h"

struct maps;

enum maps_which {
    MAPS_ALL,
    MAPS_FIXED, /* only tables with fixed keys: for a search by parts of an address */
};

/* title: the parameter's name, for messages; value: its value, expanded. Both are copied.
 * result: never NULL; the caller closes it; an empty value makes a list that never finds */
struct maps *maps_open(struct tables *ts, struct span title, struct span value, unsigned flags);
/* NULL is harmless. Nulls *m. */
void maps_close(struct maps **m);

/* Whether it has no table. */
bool maps_is_empty(const struct maps *m);
/* What is wrong with the first table that does not work, or NULL. Borrowed until the next reload. */
const char *maps_error(const struct maps *m);

/* As table_find(). An empty key is never found; an empty value is a fault of the table
 * (TABLE_TEMP), as in Postfix. */
enum table_result maps_find(struct maps *m, struct span key, enum maps_which which, struct buf *value,
                            struct buf *why);

/* Calls fn for each file that the tables of a parameter's value read. */
void maps_each_path(struct span value, void (*fn)(const char *path, void *context), void *context);

#endif
