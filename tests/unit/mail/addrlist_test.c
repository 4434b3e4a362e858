#include "lib/base/clock.h"
#include "lib/mail/addrlist.h"

#include <criterion/criterion.h>

static struct buf out = BUF_INIT;

/* All items as one line: "[address]", "<address>" for one in brackets, "!raw!" for a bad one; "..." where
 * cut. */
static const char *describe(struct span text, size_t token_limit)
{
    struct arena a = ARENA_INIT;
    struct addrlist_scan list;
    struct addrlist_item item;
    buf_clear(&out);
    addrlist_init(&list, text, token_limit);
    while (addrlist_next(&list, &a, &item)) {
        const char *brackets = item.bad ? "!!" : item.bracketed ? "<>" : "[]";
        buf_putc(&out, brackets[0]);
        buf_put(&out, item.bad ? item.raw : item.address);
        buf_putc(&out, brackets[1]);
    }
    buf_puts(&out, list.cut ? "..." : "");
    cr_assert(list.cut || !addrlist_next(&list, &a, &item));
    arena_fini(&a);
    return buf_text(&out);
}

Test(addrlist, finds_the_addresses_of_a_header)
{
    static const struct {
        const char *says, *in, *want;
    } rows[] = {
        {"nothing", "", ""},
        {"blanks", " \r\n ", ""},
        {"one", "user@example.com", "[user@example.com]"},
        {"two", "a@b, c@d", "[a@b][c@d]"},
        {"empty elements", ",,a@b, ,c@d,", "[a@b][c@d]"},
        {"a name", "User Name <a@b>", "<a@b>"},
        {"a quoted name with comma", "\"Name, U.\" <a@b>, c", "<a@b>[c]"},
        {"a name with a dot", "John Q. Public <a@b>", "<a@b>"},
        {"an encoded name", "=?utf-8?q?x=2C?= <a@b>", "<a@b>"},
        {"a comment as name", "a@b (User (the) Name)", "[a@b]"},
        {"comments everywhere", "(x) a (y) @ (z) b (w), (v)", "[a@b]"},
        {"a comment that holds an address", "plain (comment <a@b>), c", "[plain][c]"},
        {"folds", "a@b,\r\n\tc@d\r\n , e", "[a@b][c@d][e]"},
        {"a group", "friends: a@b, c <d@e>; f@g", "[a@b]<d@e>[f@g]"},
        {"an empty group", "undisclosed-recipients:;", ""},
        {"two groups", "x: a;, y: b;", "[a][b]"},
        {"a route", "<@x,@y:a@b>", "<a@b>"},
        {"null", "<>", "<>"},
        {"null with a name", "MAILER-DAEMON <>", "<>"},
        {"only blanks between", "foo bar", "[foo][bar]"},
        {"only blanks between, with domains", "a@b c@d\te", "[a@b][c@d][e]"},
        {"brackets in a row", "a b <c@d> <e@f>", "<c@d><e@f>"},
        {"semicolon as comma", "a@b; c@d", "[a@b][c@d]"},
        {"a quoted local part", "\"a b\"@c, <\"d,e\"@f>", "[a b@c]<d,e@f>"},
        {"a literal", "x@[1.2.3.4]", "[x@[1.2.3.4]]"},
        {"no domain", "a, b", "[a][b]"},
        {"blanks around operators", "a . b @ c . d", "[a.b@c.d]"},
        {"other alphabets", "j\xc3\xb6rg@x.org", "[j\xc3\xb6rg@x.org]"},
        {"an unclosed bracket", "<a@b", "<a@b>"},
        {"an unclosed quote", "\"a <b@c>", "!\"a <b@c>!"},
        {"an unclosed comment", "a@b (c", "[a@b]"},
        {"a stray bracket", "a@b>", "!a@b>!"},
        {"a quoted at sign and no domain", "\"a@b\"", "!\"a@b\"!"},
        {"a control byte", "a\x01@b, c", "!a\x01@b![c]"},
        {"a list in brackets", "<a@b, c@d>, e", "!a@b, c@d![e]"},
        {"a literal as local part", "[x]@y", "![x]@y!"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *got = describe(span_text(rows[i].in), 0);
        cr_expect_str_eq(got, rows[i].want, "%s: %s", rows[i].says, got);
    }
}

Test(addrlist, stops_at_the_token_limit)
{
    cr_expect_str_eq(describe(SPAN("a@b, c@d"), 7), "[a@b][c@d]");
    cr_expect_str_eq(describe(SPAN("a@b, c@d"), 6), "[a@b]...");
    cr_expect_str_eq(describe(SPAN("a@b, c@d"), 4), "[a@b]...");
    cr_expect_str_eq(describe(SPAN("a@b, c@d"), 3), "...");

    struct buf many = BUF_INIT;
    for (int i = 0; i < ADDRLIST_TOKEN_LIMIT / 2; i++)
        buf_puts(&many, "a,");
    size_t all = strlen(describe(buf_span(&many), 0));
    cr_expect_eq(all, (size_t)ADDRLIST_TOKEN_LIMIT / 2 * 3);
    buf_puts(&many, "b");
    cr_expect_eq(strlen(describe(buf_span(&many), 0)), all + 3);
    buf_fini(&many);
}

static int map_some(struct span address, struct buf *replacement, void *context)
{
    unsigned *calls = context;
    ++*calls;
    if (span_eq(address, SPAN("stop")))
        return -1;
    if (!span_eq(address, SPAN("user@dom.org")))
        return 0;
    buf_puts(replacement, "new user@dom.org");
    return 1;
}

Test(addrlist_rewrite, changes_addresses_and_nothing_else)
{
    static const struct {
        const char *in, *want;
    } rows[] = {
        {"user@dom.org", "\"new user\"@dom.org"},
        {"User Name <user@dom.org>", "User Name <\"new user\"@dom.org>"},
        {" \"Q, x\"  <user@dom.org>,\r\n\tplain (c <user@dom.org>),x",
         " \"Q, x\"  <\"new user\"@dom.org>,\r\n\tplain (c <user@dom.org>),x"},
        {"g: user@dom.org, b;, c (z)", "g: \"new user\"@dom.org, b;, c (z)"},
        {"a b <user@dom.org> <user@dom.org> z", "a b <\"new user\"@dom.org> <\"new user\"@dom.org> z"},
        {"user@dom.org other", "\"new user\"@dom.org other"},
        {"<@r:user@dom.org>", "<\"new user\"@dom.org>"},
        {"user (x) @ dom.org (y)", "\"new user\"@dom.org (y)"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unsigned calls = 0;
        buf_clear(&out);
        cr_expect_gt(addrlist_rewrite(&out, span_text(rows[i].in), 0, map_some, &calls), 0, "%s", rows[i].in);
        cr_expect_str_eq(buf_text(&out), rows[i].want, "%s", buf_text(&out));
    }
}

Test(addrlist_rewrite, leaves_a_value_alone_where_nothing_changes_or_the_function_gives_up)
{
    unsigned calls = 0;
    buf_clear(&out);

    cr_expect_eq(addrlist_rewrite(&out, SPAN("a, b <c>, \"x@y\", <>"), 0, map_some, &calls), 0);
    cr_expect_eq(calls, 2u, "bad and null addresses are not asked for");
    cr_expect_eq(addrlist_rewrite(&out, SPAN("user@dom.org, stop, c"), 0, map_some, &calls), -1);
    cr_expect_eq(calls, 4u);
    cr_expect_eq(out.len, (size_t)0);
}

/* Milliseconds for n bytes of a pattern that makes bad parsers quadratic. */
static int64_t parse_time(const char *pattern, size_t n)
{
    struct buf text = (struct buf){.max = n + 100};
    while (text.len < n)
        buf_puts(&text, pattern);
    struct arena a = ARENA_INIT;
    struct addrlist_scan list;
    struct addrlist_item item;
    mono_ms start = clock_mono();
    addrlist_init(&list, buf_span(&text), SIZE_MAX);
    while (addrlist_next(&list, &a, &item))
        continue;
    arena_fini(&a);
    buf_fini(&text);
    return clock_mono() - start;
}

Test(addrlist, takes_linear_time, .timeout = 120)
{
    static const char *const patterns[] = {
        "a@b, ", "a ", "(", "<", "\"", "[", "a:", "<a> ", "@a,", "<@a:", "((x)) ", ".", ";"};
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        int64_t small = parse_time(patterns[i], (size_t)1 << 17),
                large = parse_time(patterns[i], (size_t)1 << 21);
        cr_expect_lt(large, (small + 20) * 16 * 4, "%s: %ld ms for 128 KiB, %ld ms for 2 MiB", patterns[i],
                     (long)small, (long)large);
    }
}
