#include "lib/base/heap.h"
#include "lib/base/check.h"

#include <stdlib.h>

void heap_fini(struct heap *h)
{
    free(h->nodes);
    *h = (struct heap){0};
}

static void heap_place(struct heap *h, size_t place, struct heap_node *node)
{
    h->nodes[place] = node;
    node->place = place;
}

static void heap_sift(struct heap *h, struct heap_node *node)
{
    size_t place = node->place;
    for (; place > 1 && h->nodes[place / 2]->key > node->key; place /= 2)
        heap_place(h, place, h->nodes[place / 2]);
    for (;;) {
        size_t child = place * 2;
        if (child < h->count && h->nodes[child + 1]->key < h->nodes[child]->key)
            child++;
        if (child > h->count || h->nodes[child]->key >= node->key)
            break;
        heap_place(h, place, h->nodes[child]);
        place = child;
    }
    heap_place(h, place, node);
}

void heap_set(struct heap *h, struct heap_node *node, int64_t key)
{
    node->key = key;
    if (node->place == 0) {
        if (h->count + 1 >= h->cap) {
            size_t cap = h->cap ? h->cap * 2 : 16;
            struct heap_node **nodes = realloc(h->nodes, cap * sizeof(struct heap_node *));
            CHECK(nodes != NULL);
            h->nodes = nodes;
            h->cap = cap;
        }
        heap_place(h, ++h->count, node);
    }
    heap_sift(h, node);
}

void heap_remove(struct heap *h, struct heap_node *node)
{
    size_t place = node->place;
    if (place == 0)
        return;
    node->place = 0;
    struct heap_node *last = h->nodes[h->count--];
    if (last == node)
        return;
    heap_place(h, place, last);
    heap_sift(h, last);
}
