#include "lib/base/heap.h"

#include <criterion/criterion.h>

enum { MANY = 1000 };

Test(heap, gives_the_least_key_first_after_moves_and_removals)
{
    static struct heap_node nodes[MANY];
    struct heap h = {0};
    for (int i = 0; i < MANY; i++)
        heap_set(&h, &nodes[i], (i * 7919) % MANY);
    for (int i = 0; i < MANY; i += 3)
        heap_remove(&h, &nodes[i]);
    for (int i = 1; i < MANY; i += 3)
        heap_set(&h, &nodes[i], -i);

    int64_t last = INT64_MIN;
    size_t met = 0;
    for (struct heap_node *top; (top = heap_top(&h)); met++) {
        cr_assert_geq(top->key, last);
        last = top->key;
        heap_remove(&h, top);
    }

    cr_expect_eq(met, (size_t)(MANY - (MANY + 2) / 3));
    heap_fini(&h);
}

Test(heap, removal_of_a_node_in_no_heap_does_nothing)
{
    struct heap_node node = {0};
    struct heap h = {0};

    heap_remove(&h, &node);

    cr_expect_null(heap_top(&h));
}
