/* The entries of an indexed table while it is made: in order, each key once. */
#ifndef POSTMAP_STORE_H
#define POSTMAP_STORE_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/map.h"

struct store_entry;

struct store {
    struct arena arena; /* keys, values and entries */
    struct map by_key;
    struct store_entry *first, **last;
};

void store_init(struct store *s);
void store_fini(struct store *s);

/* Adds a copy. result: false where the key is there; its value is replaced if asked to */
bool store_put(struct store *s, struct span key, struct span value, bool replaces);
/* result: false where there is no such key */
bool store_remove(struct store *s, struct span key);

/* Writes all as a cdb file to an empty file open for reading and writing, and syncs it.
 * has_nul: with a NUL behind each key and value
 * result:  false with why */
bool store_write(const struct store *s, bool has_nul, int fd, struct buf *why);

#endif
