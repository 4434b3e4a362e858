#include "lib/param/value.h"

#include <criterion/criterion.h>

Test(value, truth_is_yes_or_no)
{
    static const struct {
        const char *in;
        bool good, want;
    } rows[] = {{"yes", true, true},          {"No", true, false}, {"YES", true, true},
                {"true", false, false},       {"1", false, false}, {"", false, false},
                {"yes # or no", false, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf why = BUF_INIT;
        bool value;
        cr_expect_eq(value_bool(span_text(rows[i].in), &value, &why), rows[i].good, "%s", rows[i].in);
        cr_expect_eq(value, rows[i].want, "%s", rows[i].in);
        buf_fini(&why);
    }
}

Test(value, a_comment_behind_a_value_is_pointed_out)
{
    struct buf why = BUF_INIT;
    bool value;

    value_bool(SPAN("yes # or no"), &value, &why);

    cr_expect_str_eq(buf_text(&why),
                     "\"yes # or no\" is neither yes nor no (a comment stands on a line of its own)");
    buf_fini(&why);
}

Test(value, numbers_hold_to_their_range)
{
    static const struct {
        const char *in;
        int64_t min, max;
        bool good;
        int64_t want;
    } rows[] = {
        {"0", 0, 9, true, 0},
        {"9", 0, 9, true, 9},
        {"10", 0, 9, false, 0},
        {"-1", 0, 9, false, 0},
        {"-5", -5, 5, true, -5},
        {"+5", -5, 5, true, 5},
        {"-6", -5, 5, false, 0},
        {"5x", 0, 9, false, 0},
        {"0x10", 0, 99, false, 0},
        {"", 0, 9, false, 0},
        {"-", -9, 9, false, 0},
        {"--1", -9, 9, false, 0},
        {"9223372036854775807", 0, INT64_MAX, true, INT64_MAX},
        {"9223372036854775808", 0, INT64_MAX, false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf why = BUF_INIT;
        int64_t value = 0;
        bool good = value_int(span_text(rows[i].in), rows[i].min, rows[i].max, &value, &why);
        cr_expect_eq(good, rows[i].good, "%s: %s", rows[i].in, buf_text(&why));
        if (rows[i].good)
            cr_expect_eq(value, rows[i].want, "%s", rows[i].in);
        buf_fini(&why);
    }
}

Test(value, times_have_units)
{
    static const struct {
        const char *in;
        char unit;
        bool good;
        int64_t want;
    } rows[] = {
        {"5", 's', true, 5},
        {"5", 'd', true, 432000},
        {"5s", 'd', true, 5},
        {"2m", 's', true, 120},
        {"1h", 's', true, 3600},
        {"1d", 's', true, 86400},
        {"1w", 's', true, 604800},
        {"3H", 's', true, 10800},
        {"0", 'h', true, 0},
        {"5y", 's', false, 0},
        {"s", 's', false, 0},
        {"", 's', false, 0},
        {"1.5h", 's', false, 0},
        {"-1s", 's', false, 0},
        {"604800s", 's', true, 604800},
        {"604801s", 's', false, 0},
        {"15250284452472w", 's', false, 0},
        {"99999999999999999999w", 's', false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf why = BUF_INIT;
        int64_t value = 0;
        bool good = value_time(span_text(rows[i].in), rows[i].unit, 0, 604800, &value, &why);
        cr_expect_eq(good, rows[i].good, "%s: %s", rows[i].in, buf_text(&why));
        if (rows[i].good)
            cr_expect_eq(value, rows[i].want, "%s", rows[i].in);
        else
            cr_expect_gt(why.len, (size_t)0, "%s", rows[i].in);
        buf_fini(&why);
    }
}

Test(value, lists_split_outside_braces)
{
    static const struct {
        const char *in;
        size_t n;
        const char *first, *last;
    } rows[] = {
        {"", 0, "", ""},
        {" , ,", 0, "", ""},
        {"a", 1, "a", "a"},
        {"a, b\n\tc,,d ", 4, "a", "d"},
        {"{ a, b } c", 2, "{ a, b }", "c"},
        {"x inline:{ a=b, {c = d e} }", 2, "x", "inline:{ a=b, {c = d e} }"},
        {"a} b", 2, "a}", "b"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena a = ARENA_INIT;
        struct buf why = BUF_INIT;
        struct param_list list;
        cr_assert(value_list(&a, span_text(rows[i].in), &list, &why), "%s", rows[i].in);
        cr_assert_eq(list.n, rows[i].n, "%s", rows[i].in);
        if (list.n) {
            cr_expect_str_eq(list.at[0].p, rows[i].first, "%s", rows[i].in);
            cr_expect_str_eq(list.at[list.n - 1].p, rows[i].last, "%s", rows[i].in);
        }
        arena_fini(&a);
        buf_fini(&why);
    }
}

Test(value, tables_are_type_and_name)
{
    static const struct {
        const char *in;
        bool good;
    } rows[] = {
        {"", true},
        {"hash:/etc/aliases", true},
        {"proxy:unix:passwd.byname hash:/etc/aliases, inline:{ a=b }", true},
        {"/etc/aliases", false},
        {"hash:", false},
        {":x", false},
        {"ha/sh:x", false},
        {"inline:{ a=b", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena a = ARENA_INIT;
        struct buf why = BUF_INIT;
        struct param_list list;
        cr_expect_eq(value_tables(&a, span_text(rows[i].in), &list, &why), rows[i].good, "%s: %s", rows[i].in,
                     buf_text(&why));
        arena_fini(&a);
        buf_fini(&why);
    }
}

Test(value, a_table_without_type_is_told_how_to_be_written)
{
    struct arena a = ARENA_INIT;
    struct buf why = BUF_INIT;
    struct param_list list;

    value_tables(&a, SPAN("/etc/aliases"), &list, &why);

    cr_expect_str_eq(buf_text(&why), "\"/etc/aliases\" is no table: write it as \"type:name\", for example "
                                     "\"cdb:/etc/aliases\"");
    arena_fini(&a);
    buf_fini(&why);
}
