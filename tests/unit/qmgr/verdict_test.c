#include "qmgr/verdict.h"

#include <criterion/criterion.h>

Test(verdict, writes_delays_as_postfix_does)
{
    static const struct {
        int64_t us;
        unsigned most;
        const char *want;
    } rows[] = {
        {0, 2, "0"},
        {-5, 2, "0"},
        {1000, 2, "0"},
        {4999, 2, "0"},
        {5000, 2, "0.01"},
        {12345, 2, "0.01"},
        {50000, 2, "0.05"},
        {100000, 2, "0.1"},
        {123456, 2, "0.12"},
        {999999, 2, "1"},
        {1000000, 2, "1"},
        {1234567, 2, "1.2"},
        {9960000, 2, "10"},
        {12345678, 2, "12"},
        {123456789, 2, "123"},
        {1234, 6, "0.0012"},
        {12, 6, "0.000012"},
        {1234567, 0, "1"},
        {86400000000, 2, "86400"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out = BUF_INIT;
        verdict_put_delay(&out, rows[i].us, rows[i].most);
        cr_expect_str_eq(buf_text(&out), rows[i].want, "%lld: %s", (long long)rows[i].us, buf_text(&out));
        buf_fini(&out);
    }
}

Test(text, keeps_one_of_each_string_as_long_as_it_is_used)
{
    struct texts t = {0};

    struct text *a = text_take(&t, SPAN("example.org")), *b = text_take(&t, SPAN("example.org"));
    struct text *c = text_take(&t, SPAN("example.net")), *none = text_take(&t, SPAN_NONE);
    cr_expect_eq(a, b);
    cr_expect_neq(a, c);
    cr_expect_eq(none->n, 0u);
    cr_expect_eq(t.map.count, 3u);
    text_drop(&t, &a);
    cr_expect(span_eq(text_span(b), SPAN("example.org")));
    text_drop(&t, &b);
    text_drop(&t, &c);
    text_drop(&t, &none);
    text_drop(&t, &none);

    cr_expect_eq(t.map.count, 0u);
    texts_fini(&t);
}
