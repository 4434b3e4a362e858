/* A binary heap of timers: the earliest on top, any member removable in O(log n).
 *
 * The member is embedded in its object; the heap owns only the array of pointers. */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    int64_t key;  /* what orders: the least is on top */
    size_t place; /* 1-based place in the heap; 0 while in none */
};

struct heap {
    struct heap_node **nodes; /* owned array, nodes[0] unused; the nodes are borrowed */
    size_t count, cap;
};

/* Frees the array; the nodes are their owner's. */
void heap_fini(struct heap *h);
/* Puts node in, or moves it, with this key. */
void heap_set(struct heap *h, struct heap_node *node, int64_t key);
/* Takes node out; harmless while it is in no heap. */
void heap_remove(struct heap *h, struct heap_node *node);
/* result: the node with the least key, borrowed, or NULL */
static inline struct heap_node *heap_top(const struct heap *h)
{
    return h->count ? h->nodes[1] : NULL;
}

#endif
