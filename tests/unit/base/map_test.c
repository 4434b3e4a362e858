#include "lib/base/map.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { MANY = 5000 };

Test(map, keeps_what_was_set_through_growth_and_removal)
{
    static char names[MANY][16];
    static int values[MANY];
    struct map m = {0};

    for (int i = 0; i < MANY; i++) {
        int n = snprintf(names[i], sizeof names[i], "k%d", i);
        cr_assert_null(map_set(&m, span_of(names[i], (size_t)n), &values[i]));
    }
    for (int i = 0; i < MANY; i += 2)
        cr_assert_eq(map_remove(&m, span_text(names[i])), &values[i]);

    cr_expect_eq(m.count, (size_t)MANY / 2);
    for (int i = 0; i < MANY; i++)
        cr_expect_eq(map_get(&m, span_text(names[i])), i % 2 ? (void *)&values[i] : NULL, "key %d", i);
    map_fini(&m);
}

Test(map, replaces_and_tells_the_old_value)
{
    int a, b;
    struct map m = {0};

    cr_expect_null(map_set(&m, SPAN("x"), &a));
    cr_expect_eq(map_set(&m, SPAN("x"), &b), &a);
    cr_expect_eq(map_get(&m, SPAN("x")), &b);
    cr_expect_eq(m.count, (size_t)1);
    map_fini(&m);
}

Test(map, takes_an_empty_key_and_keys_with_nul)
{
    int a, b;
    struct map m = {0};

    map_set(&m, SPAN_NONE, &a);
    map_set(&m, SPAN("\0"), &b);

    cr_expect_eq(map_get(&m, SPAN("")), &a);
    cr_expect_eq(map_get(&m, SPAN("\0")), &b);
    cr_expect_null(map_get(&m, SPAN("\0\0")));
    map_fini(&m);
}

Test(map, walk_meets_every_entry_once)
{
    int a = 0, b = 0;
    struct map m = {0};
    map_set(&m, SPAN("a"), &a);
    map_set(&m, SPAN("b"), &b);

    size_t at = 0;
    for (int *value; (value = map_next(&m, &at));)
        ++*value;

    cr_expect_eq(a, 1);
    cr_expect_eq(b, 1);
    map_fini(&m);
}
