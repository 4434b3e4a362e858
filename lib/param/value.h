/* Values of parameters: from expanded text to numbers, truth values and lists.
 *
 * Each function takes text without surrounding whitespace, and words what is
 * wrong with it for the administrator. Any process may call these; none waits. */
#ifndef PARAM_VALUE_H
#define PARAM_VALUE_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"

/* A list: the text it was written as, and its items. */
struct param_list {
    struct span text; /* terminated */
    struct span *at;  /* the items, each terminated */
    size_t n;         /* how many */
};

/* yes or no, in either case. result: false: why says so */
bool value_bool(struct span text, bool *value, struct buf *why);

/* A decimal number with an optional sign, min..max. */
bool value_int(struct span text, int64_t min, int64_t max, int64_t *value, struct buf *why);

/* The letters that end a time: s m h d w. result: seconds in one, or 0 for another letter */
int64_t value_time_unit(char letter);

/* A time: a number, followed by one of the letters or by nothing, which means unit.
 * min, max: in seconds */
bool value_time(struct span text, char unit, int64_t min, int64_t max, int64_t *value, struct buf *why);

/* Cuts the next item off *text: items are separated by whitespace and commas; a
 * group in braces, wherever it begins in an item, keeps its separators.
 * result: 1 an item, 0 the end, -1 a closing brace is missing */
int value_next_item(struct span *text, struct span *item);

/* A list of such items, copied into a. */
bool value_list(struct arena *a, struct span text, struct param_list *list, struct buf *why);

/* The same, where every item is a table: "type:name", the type a word. */
bool value_tables(struct arena *a, struct span text, struct param_list *list, struct buf *why);

/* The type and the name of a table; false where it has none. */
bool value_split_table(struct span item, struct span *type, struct span *name);

#endif
