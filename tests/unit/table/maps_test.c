#include "lib/table/maps.h"
#include "tests/unit/table/files.h"

static enum table_result find(struct maps *m, const char *key, enum maps_which which, const char **text)
{
    static struct buf value, why;
    enum table_result result = maps_find(m, span_text(key), which, &value, &why);
    *text = result == TABLE_TEMP ? buf_text(&why) : buf_text(&value);
    return result;
}

Test(maps, takes_the_first_that_knows_the_key)
{
    struct tables *ts = start();
    const char *text;
    struct maps *m = maps_open(ts, SPAN("virtual_alias_maps"), SPAN("inline:{ a=1 }, inline:{ a=2, b=3 }\n static:4"),
                               TABLE_FOLD);

    cr_expect_eq(find(m, "A", MAPS_ALL, &text), TABLE_FOUND);
    cr_expect_str_eq(text, "1");
    cr_expect_eq(find(m, "b", MAPS_ALL, &text), TABLE_FOUND);
    cr_expect_str_eq(text, "3");
    cr_expect_eq(find(m, "c", MAPS_ALL, &text), TABLE_FOUND);
    cr_expect_str_eq(text, "4");
    cr_expect_eq(find(m, "", MAPS_ALL, &text), TABLE_NOT_FOUND);
    cr_expect_null(maps_error(m));
    maps_close(&m);
    stop(ts);
}

Test(maps, ends_the_search_with_an_error)
{
    struct tables *ts = start();
    const char *text;
    struct maps *m = maps_open(ts, SPAN("x_maps"), SPAN("inline:{ a=1 } fail:x static:4"), TABLE_FOLD);

    cr_expect_eq(find(m, "a", MAPS_ALL, &text), TABLE_FOUND);
    cr_expect_eq(find(m, "c", MAPS_ALL, &text), TABLE_TEMP);
    cr_expect_str_eq(text, "fail:x: this table always fails");
    maps_close(&m);
    stop(ts);
}

Test(maps, takes_an_empty_value_for_a_fault)
{
    struct tables *ts = start();
    static const char *const pairs[] = {"k", "", NULL};
    const char *text;
    put_cdb("t.cdb", pairs);
    struct maps *m = maps_open(ts, SPAN("x_maps"), span_text(in_dir("cdb:", "t")), TABLE_FOLD);

    cr_expect_eq(find(m, "k", MAPS_ALL, &text), TABLE_TEMP);
    cr_expect_str_eq(text, "x_maps lookup of k returns an empty string result; "
                           "x_maps should return NO RESULT in case of NOT FOUND");
    maps_close(&m);
    stop(ts);
}

Test(maps, of_nothing_find_nothing_and_say_so)
{
    struct tables *ts = start();
    const char *text;
    struct maps *m = maps_open(ts, SPAN("x_maps"), SPAN(" , "), 0);

    cr_expect(maps_is_empty(m));
    cr_expect_eq(find(m, "c", MAPS_ALL, &text), TABLE_NOT_FOUND);
    maps_close(&m);
    stop(ts);
}

Test(maps, with_faults_tell_and_fail)
{
    struct tables *ts = start();
    const char *text;
    struct maps *m = maps_open(ts, SPAN("x_maps"), SPAN("static:1 inline:{ {"), 0);
    struct maps *n = maps_open(ts, SPAN("x_maps"), SPAN("frob:1"), 0);

    cr_expect_str_eq(maps_error(m), "x_maps: unbalanced braces");
    cr_expect_eq(find(m, "c", MAPS_ALL, &text), TABLE_TEMP);
    cr_expect_str_eq(maps_error(n), "unsupported dictionary type in \"frob:1\"");
    maps_close(&m);
    maps_close(&n);
    stop(ts);
}
