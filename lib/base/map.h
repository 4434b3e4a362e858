/* A hash map from byte strings to pointers, keyed by SipHash with a random key
 * per process, so that nobody outside can make names collide.
 *
 * The map borrows the key bytes (normally a member of the value, which lives as
 * long as the entry) and the values. Any process may call these; none waits. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "lib/base/span.h"

struct map_slot {
    struct span key; /* borrowed; key.p NULL: free slot */
    uint64_t hash;
    void *value;     /* borrowed, never NULL */
};

struct map {
    struct map_slot *slots; /* owned */
    size_t count;           /* entries */
    size_t cap;             /* slots, a power of two or 0 */
};

/* Frees the slots; keys and values are the caller's. */
void map_fini(struct map *m);
/* result: the value, or NULL */
void *map_get(const struct map *m, struct span key);
/* Adds or replaces. result: the value that stood there, or NULL */
void *map_set(struct map *m, struct span key, void *value);
/* result: the value that was removed, or NULL */
void *map_remove(struct map *m, struct span key);
/* Walks all entries in no order; at starts at 0. The map must not change meanwhile.
 * result: the next value, or NULL at the end */
void *map_next(const struct map *m, size_t *at);

/* SipHash-1-3 under the process's key. */
uint64_t map_hash(struct span key);

#endif
