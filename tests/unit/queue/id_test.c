#include "lib/queue/id.h"
#include "lib/base/clock.h"

#include <criterion/criterion.h>
#include <regex.h>
#include <stdio.h>

Test(queue_id, has_ten_characters_of_time_and_a_number_behind_z)
{
    struct queue_id id = queue_id_make(INT64_C(1700000000123456), 51);

    cr_expect_str_eq(id.text, "4SVLCh0sf8z0010");
    cr_expect_eq(queue_id_time_us(&id), INT64_C(1700000000123456));
    cr_expect_eq(queue_id_number(&id), 51);
}

Test(queue_id, reads_back_what_it_writes)
{
    static const uint64_t numbers[] = {0, 1, 50, 51, 6765200, 6765201, 6765202, 1u << 31, UINT64_MAX};
    static const int64_t times[] = {INT64_C(380204032000000), INT64_C(1700000000000000), INT64_C(1700000000999999),
                                    INT64_C(19770609663999999)};

    for (size_t t = 0; t < sizeof times / sizeof *times; t++) {
        for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++) {
            struct queue_id id = queue_id_make(times[t], numbers[n]), read = {0};
            size_t length = strlen(id.text);

            cr_expect(length >= QUEUE_ID_MIN && length <= QUEUE_ID_MAX, "%s", id.text);
            cr_assert(queue_id_parse(queue_id_span(&id), &read), "%s", id.text);
            cr_expect_arr_eq(&id, &read, sizeof id);
            cr_expect_eq(queue_id_time_us(&read), times[t], "%s", id.text);
            cr_expect_eq(queue_id_number(&read), numbers[n], "%s", id.text);
        }
    }
}

Test(queue_id, moves_a_time_that_does_not_fit_to_the_nearest_that_does)
{
    struct queue_id early = queue_id_make(0, 1), late = queue_id_make(INT64_MAX, 1);

    cr_expect_eq(queue_id_time_us(&early), INT64_C(380204032000000));
    cr_expect_eq(queue_id_time_us(&late), INT64_C(19770609663999999));
}

Test(queue_id, drawn_ones_strictly_increase_also_when_the_clock_steps_back)
{
    struct queue_id_source source = {.incarnation = 7};
    struct queue_id last = queue_id_draw(&source);

    for (int i = 0; i < 100000; i++) {
        struct queue_id id = queue_id_draw(&source);
        cr_assert(queue_id_compare(&id, &last) > 0, "%s after %s", id.text, last.text);
        last = id;
    }
    source.last_us += INT64_C(3600) * 1000000; /* as if the clock had been an hour ahead until now */
    struct queue_id ahead = queue_id_draw(&source), next = queue_id_draw(&source);
    cr_expect(queue_id_compare(&next, &ahead) > 0);
    cr_expect_eq(queue_id_time_us(&next), queue_id_time_us(&ahead) + 1);
}

Test(queue_id, of_two_processes_at_the_same_moment_differ)
{
    struct queue_id a = queue_id_make(INT64_C(1700000000000000), 51 * 51), b = queue_id_make(INT64_C(1700000000000000), 51);

    cr_expect(queue_id_compare(&a, &b) > 0);
    cr_expect(queue_id_compare(&b, &a) < 0);
    cr_expect_eq(queue_id_compare(&a, &a), 0);
}

Test(queue_id, orders_a_longer_number_behind_a_shorter_one)
{
    struct queue_id a = queue_id_make(INT64_C(1700000000000000), 6765200), b = queue_id_make(INT64_C(1700000000000000), 6765201);

    cr_expect_eq(strlen(b.text), strlen(a.text) + 1);
    cr_expect(queue_id_compare(&a, &b) < 0);
}

Test(queue_id, refuses_what_is_not_one)
{
    static const struct {
        const char *says, *in;
    } rows[] = {
        {"nothing", ""},
        {"a short queue ID of Postfix", "3F2A1B4C5D"},
        {"a vowel", "4SVLCh0sAAz0010"},
        {"no z between", "4SVLCh0sfJ00010"},
        {"a z in the number", "4SVLCh0sfJz00z0"},
        {"a slash", "4SVLCh0sfJz00/0"},
        {"a second before 1982", "0Z8qhD0dZJz0010"},
        {"a million microseconds", "4SVLChzzzzz0010"},
        {"a number with a zero too many", "4SVLCh0sfJz00010"},
        {"a number with a digit too few", "4SVLCh0sfJz010"},
        {"a number over 64 bits", "4SVLCh0sfJzyyyyyyyyyyyy"},
        {"one character too many", "4SVLCh0sfJz0100000000000"},
        {"a line end", "4SVLCh0sfJz0010\n"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct queue_id id = {.text = "untouched"};
        cr_expect(!queue_id_parse(span_text(rows[i].in), &id), "%s", rows[i].says);
        cr_expect_str_eq(id.text, "untouched", "%s", rows[i].says);
    }
    struct queue_id id;
    cr_expect(!queue_id_parse(SPAN("4SVLCh0sfJz001\0"), &id), "a NUL");
}

Test(queue_id, matches_what_log_tools_look_for)
{
    static const char *const patterns[] = {
        "^[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10}z[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-y]+$", /* Postfix's own form */
        "^[0-9a-zA-Z]{15,}$",                                                              /* grok patterns */
        "^[0-9A-Za-z]{8,}$",
    };
    struct queue_id_source source = {.incarnation = 1};
    struct queue_id id = queue_id_draw(&source);

    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        regex_t re;
        cr_assert_eq(regcomp(&re, patterns[i], REG_EXTENDED | REG_NOSUB), 0);
        cr_expect_eq(regexec(&re, id.text, 0, NULL, 0), 0, "%s does not match %s", id.text, patterns[i]);
        regfree(&re);
    }
}
