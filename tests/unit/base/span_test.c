#include "lib/base/arena.h"
#include "lib/base/buf.h"

#include <criterion/criterion.h>

Test(span, compares_and_searches_within_its_length)
{
    struct span s = SPAN("Hello\0World");

    cr_expect_eq(span_find(s, 'W'), (size_t)6);
    cr_expect_eq(span_find(s, 'x'), s.n);
    cr_expect_eq(span_rfind(s, 'o'), (size_t)7);
    cr_expect(span_eq_nocase(span_slice(s, 0, 5), SPAN("hELLO")));
    cr_expect(!span_eq(span_slice(s, 0, 5), SPAN("hello")));
    cr_expect(span_starts(s, SPAN("Hell")));
    cr_expect(span_ends_nocase(s, SPAN("WORLD")));
    cr_expect_eq(span_slice(s, 9, 99).n, (size_t)2);
    cr_expect_eq(span_slice(s, 99, 3).n, (size_t)0);
}

Test(span, numbers_stop_at_the_limit_and_at_anything_else)
{
    static const struct {
        const char *says, *in;
        uint64_t max;
        bool good;
        uint64_t want;
    } rows[] = {
        {"zero", "0", 9, true, 0},
        {"the limit", "255", 255, true, 255},
        {"one beyond", "256", 255, false, 0},
        {"a limit below ten", "5", 3, false, 0},
        {"the largest", "18446744073709551615", UINT64_MAX, true, UINT64_MAX},
        {"one beyond the largest", "18446744073709551616", UINT64_MAX, false, 0},
        {"nothing", "", 9, false, 0},
        {"a sign", "-1", 9, false, 0},
        {"a space", "1 ", 9, false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t value = 77;
        cr_expect_eq(span_to_u64(span_text(rows[i].in), rows[i].max, &value), rows[i].good, "%s", rows[i].says);
        cr_expect_eq(value, rows[i].good ? rows[i].want : 77, "%s", rows[i].says);
    }
}

Test(span, tokens_skip_empty_parts)
{
    struct span s = SPAN(" a,, b "), part;

    cr_assert(span_next_token(&s, SPAN(", "), &part));
    cr_expect(span_eq(part, SPAN("a")));
    cr_assert(span_next_token(&s, SPAN(", "), &part));
    cr_expect(span_eq(part, SPAN("b")));
    cr_expect(!span_next_token(&s, SPAN(", "), &part));
}

Test(buf, is_terminated_and_refuses_to_pass_its_max)
{
    struct buf b = BUF_LIMITED(8);

    buf_puts(&b, "1234567");
    buf_putc(&b, '8');
    cr_expect_str_eq(buf_text(&b), "12345678");
    cr_expect(!b.full);
    buf_putc(&b, '9');

    cr_expect(b.full);
    cr_expect_str_eq(buf_text(&b), "12345678");
    buf_clear(&b);
    cr_expect(!b.full);
    buf_printf(&b, "%d-%s", 42, "xy");
    buf_consume(&b, 3);
    cr_expect_str_eq(buf_text(&b), "xy");
    buf_fini(&b);
}

Test(arena, gives_zeroed_memory_that_survives_growth)
{
    struct arena a = ARENA_INIT;

    const char *first = arena_text(&a, SPAN("first"));
    char *large = arena_alloc(&a, 100000);
    const char *second = arena_printf(&a, "%s-%d", "second", 2);

    cr_expect_str_eq(first, "first");
    cr_expect_str_eq(second, "second-2");
    for (size_t i = 0; i < 100000; i++)
        cr_assert_eq(large[i], 0);
    arena_reset(&a);
    cr_expect_eq(a.used, (size_t)0);
    cr_expect_eq(*(char *)arena_alloc(&a, 64), 0);
    arena_fini(&a);
}
