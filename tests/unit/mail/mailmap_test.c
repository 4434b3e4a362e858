#include "lib/mail/mailmap.h"

#include <criterion/criterion.h>

static struct tables *tables;
static struct mailmap_config config;
static struct arena a = ARENA_INIT;
static struct buf why = BUF_INIT, out = BUF_INIT;
static const struct mailmap_limits usual = {.addresses = 1000, .depth = 1000, .bytes = 1000};

static enum table_result is_local(const void *context, struct span domain, struct buf *text)
{
    (void)context;
    if (span_eq(domain, SPAN("unsure.org")))
        buf_puts(text, "unsure");
    return span_eq(domain, SPAN("unsure.org"))           ? TABLE_TEMP
           : span_eq_nocase(domain, SPAN("example.com")) ? TABLE_FOUND
                                                         : TABLE_NOT_FOUND;
}

static void setup(void)
{
    static const struct table_hooks no_hooks;
    tables = tables_new(&table_files_by_path, &no_hooks);
    config = (struct mailmap_config){
        .recipient_delimiter = SPAN("+"),
        .rewrite = {.append_at_myorigin = true, .swap_bangpath = true, .myorigin = SPAN("example.com")},
        .is_local = is_local,
    };
}

static struct maps *opened[16];
static size_t opened_count;

/* Open until teardown. */
static struct maps *maps(const char *value)
{
    cr_assert_lt(opened_count, sizeof opened / sizeof *opened);
    return opened[opened_count++] = maps_open(tables, SPAN("test"), span_text(value), TABLE_FOLD);
}

static void teardown(void)
{
    while (opened_count > 0)
        maps_close(&opened[--opened_count]);
    tables_free(&tables);
    arena_fini(&a);
    buf_fini(&why);
    buf_fini(&out);
}

static const char *find(struct maps *m, unsigned keys, const char *address)
{
    struct buf value = BUF_INIT;
    struct span extension;
    enum table_result result = mailmap_find(&config, m, keys, span_text(address), &value, &extension, &why);
    buf_clear(&out);
    if (result == TABLE_TEMP)
        buf_puts(&out, "TEMP");
    else if (result == TABLE_NOT_FOUND)
        buf_puts(&out, "-");
    else
        buf_printf(&out, "%s|%.*s", buf_text(&value), SPAN_ARG(extension));
    buf_fini(&value);
    return buf_text(&out);
}

Test(mailmap_find, asks_from_the_whole_address_to_its_domain, .init = setup, .fini = teardown)
{
    struct maps *m =
        maps("inline:{ {u+e@a.org=1}, {u@a.org=2}, {@a.org=3}, {v@a.org=4}, {w+x=5}, {w=6}, {@example.com=7},"
             "{\"a b\"@a.org=8}, {c d@a.org=9} }");
    static const char *const rows[][2] = {
        {"u+e@a.org", "1|"},
        {"u+f@a.org", "2|+f"},
        {"u@a.org", "2|"},
        {"U@A.ORG", "2|"},
        {"v+e@a.org", "4|+e"},
        {"z+e@a.org", "3|"},
        {"z@a.org", "3|"},
        {"w+x@example.com", "5|"},
        {"w+y@example.com", "6|+y"},
        {"w@example.com", "6|"},
        {"z+e@example.com", "7|"},
        {"w@b.org", "-"},
        {"w", "6|"},
        {"w+y", "6|+y"},
        {"a b@a.org", "8|"},
        {"c d@a.org", "9|"},
        {"", "-"},
        {"z@unsure.org", "TEMP"},
        {"u@sub.a.org", "-"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_str_eq(find(m, MAILMAP_DEFAULT, rows[i][0]), rows[i][1], "%s: %s", rows[i][0],
                         buf_text(&out));
    cr_expect_str_eq(find(NULL, MAILMAP_DEFAULT, "u@a.org"), "-");
}

Test(mailmap_find, asks_for_domains_and_their_parents, .init = setup, .fini = teardown)
{
    struct maps *m =
        maps("inline:{ {u@a.b.org=1}, {a.b.org=2}, {.b.org=3}, {b.org=4}, {org=5}, {.net=6}, {u@=7} }");

    cr_expect_str_eq(find(m, MAILMAP_TRANSPORT, "u+e@a.b.org"), "1|+e");
    cr_expect_str_eq(find(m, MAILMAP_TRANSPORT, "z@a.b.org"), "2|");
    cr_expect_str_eq(find(m, MAILMAP_TRANSPORT, "z@x.y.b.org"), "3|");
    cr_expect_str_eq(find(m, MAILMAP_TRANSPORT, "z@c.org"), "-");
    cr_expect_str_eq(find(m, MAILMAP_TRANSPORT, "z@c.net"), "6|");
    cr_expect_str_eq(find(m, MAILMAP_DOMAIN | MAILMAP_PARENTS, "z@x.b.org"), "4|");
    cr_expect_str_eq(find(m, MAILMAP_DOMAIN | MAILMAP_PARENTS, "z@c.org"), "5|");
    cr_expect_str_eq(find(m, MAILMAP_ACCESS, "u@c.net"), "7|");
    cr_expect_str_eq(find(m, MAILMAP_ACCESS, "u+e@c.net"), "7|");
    cr_expect_str_eq(find(m, MAILMAP_ACCESS, "u@b.org"), "4|");
    cr_expect_str_eq(find(m, MAILMAP_ACCESS, "z@c.net"), "-");
}

Test(mailmap_find, asks_patterns_for_the_whole_address_only, .init = setup, .fini = teardown)
{
    cr_expect_str_eq(find(maps("static:x"), MAILMAP_NO_EXTENSION | MAILMAP_FULL, "u+e@a.org"), "x|");
    cr_expect_str_eq(find(maps("fail:x"), MAILMAP_DEFAULT, "u@a.org"), "TEMP");
    cr_expect_gt(why.len, (size_t)0);
}

/* The result as "addr addr", with "-" before it where nothing was found; or "TEMP". */
static const char *expand(struct maps *m, const struct mailmap_limits *limits, const char *address)
{
    struct mailmap_list list;
    enum table_result result = mailmap_expand(&config, m, SPAN("virtual_alias_maps"), limits,
                                              span_text(address), true, &a, &list, &why);
    buf_clear(&out);
    buf_puts(&out, result == TABLE_TEMP ? "TEMP" : result == TABLE_NOT_FOUND ? "-" : "");
    for (size_t i = 0; result != TABLE_TEMP && i < list.n; i++)
        buf_printf(&out, "%s%.*s", i ? " " : "", SPAN_ARG(list.at[i]));
    return buf_text(&out);
}

/* What Debian's cleanup 3.7 makes of them. */
Test(mailmap_expand, follows_tables_as_postfix_does, .init = setup, .fini = teardown)
{
    struct maps *m =
        maps("inline:{ {u@a.org=x@b.org}, {@c.org=y@b.org}, {@d.org=@e.org}, {w@f.org=@g.org}, {l=m},"
             "{self@a.org=Self@a.org other@a.org}, {nodom@a.org=plain},"
             "{q1@a.org=\"a b\"@b.org}, {pl+us@a.org=one@b.org}, {\"a b\"@a.org=quoted@b.org},"
             "{loop@a.org=loop2@a.org}, {loop2@a.org=loop@a.org}, {bad@a.org=,},"
             "{rt@a.org=<@x.org:user@c2.org>}, {up@a.org=UP}, {n@a.org=<>} }");
    static const char *const rows[][2] = {
        {"u@a.org", "x@b.org"},
        {"u+ext@a.org", "x+ext@b.org"},
        {"z+ext@c.org", "y@b.org"},
        {"z@c.org", "y@b.org"},
        {"z+ext@d.org", "z+ext@e.org"},
        {"w@f.org", "w@g.org"},
        {"w+ext@f.org", "w+ext@g.org"},
        {"l@example.com", "m@example.com"},
        {"l+e@example.com", "m+e@example.com"},
        {"l@other.org", "-l@other.org"},
        {"self@a.org", "Self@a.org other@a.org"},
        {"SELF@A.ORG", "Self@a.org other@a.org"},
        {"nodom+e@a.org", "plain+e@example.com"},
        {"q1@a.org", "a b@b.org"},
        {"pl+us@a.org", "one@b.org"},
        {"pl+x@a.org", "-pl+x@a.org"},
        {"a b@a.org", "quoted@b.org"},
        {"rt@a.org", "user@c2.org"},
        {"up@a.org", "UP@example.com"},
        {"loop@a.org", "TEMP"},
        {"bad@a.org", "TEMP"},
        {"n@a.org", "TEMP"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_str_eq(expand(m, &usual, rows[i][0]), rows[i][1], "%s: %s", rows[i][0], buf_text(&out));
}

Test(mailmap_expand, goes_through_several_levels, .init = setup, .fini = teardown)
{
    struct maps *m =
        maps("inline:{ {many@a.org=p@b.org q@b.org many2@a.org}, {many2@a.org=r+z@b.org u+k@a.org} }");

    cr_expect_str_eq(expand(m, &usual, "many@a.org"), "p@b.org q@b.org r+z@b.org u+k@a.org");
    cr_expect_str_eq(expand(m, &usual, "many+e@a.org"), "p+e@b.org q+e@b.org r+z+e@b.org u+k+e@a.org");
}

Test(mailmap_expand, keeps_its_limits, .init = setup, .fini = teardown)
{
    struct maps *m =
        maps("inline:{ {d0=d1}, {d1=d2}, {d2=d3}, {w=a,b,c}, {long=aaaaaaaaaaaaaaaaaaaa@b.org} }");
    struct mailmap_limits depth3 = usual, depth4 = usual, three = usual, two = usual, bytes26 = usual,
                          bytes25 = usual;
    depth3.depth = 3, depth4.depth = 4, three.addresses = 3, two.addresses = 2, bytes26.bytes = 26,
    bytes25.bytes = 25;

    cr_expect_str_eq(expand(m, &depth4, "d0@example.com"), "d3@example.com");
    cr_expect_str_eq(expand(m, &depth3, "d0@example.com"), "TEMP");
    cr_expect(strstr(buf_text(&why), "unreasonable virtual_alias_maps map nesting"));
    cr_expect_str_eq(expand(m, &three, "w@example.com"), "a@example.com b@example.com c@example.com");
    cr_expect_str_eq(expand(m, &two, "w@example.com"), "TEMP");
    cr_expect(strstr(buf_text(&why), "unreasonable virtual_alias_maps map expansion size"));
    cr_expect_str_eq(expand(m, &bytes26, "long@example.com"), "aaaaaaaaaaaaaaaaaaaa@b.org");
    cr_expect_str_eq(expand(m, &bytes25, "long@example.com"), "TEMP");
    cr_expect_str_eq(expand(maps("fail:x"), &usual, "w@example.com"), "TEMP");
}

static const char *canonical(struct maps *m, const char *address, bool propagate)
{
    struct span mapped;
    enum table_result result = mailmap_canonical(&config, m, SPAN("canonical_maps"), span_text(address),
                                                 propagate, &a, &mapped, &why);
    buf_clear(&out);
    buf_printf(&out, "%s%.*s",
               result == TABLE_TEMP        ? "TEMP"
               : result == TABLE_NOT_FOUND ? "-"
                                           : "",
               SPAN_ARG(result == TABLE_TEMP ? SPAN_NONE : mapped));
    return buf_text(&out);
}

Test(mailmap_canonical, maps_until_nothing_changes, .init = setup, .fini = teardown)
{
    struct maps *m =
        maps("inline:{ {can@a.org=can2@a.org}, {can2@a.org=can3@a.org}, {user@dom.org=\"new user\"@dom.org},"
             "{@cd.org=x@y.org}, {self@a.org=Self@a.org}, {loop@a.org=loop2@a.org}, {loop2@a.org=loop@a.org},"
             "{two@a.org=one@b.org two@b.org} }");

    cr_expect_str_eq(canonical(m, "can@a.org", true), "can3@a.org");
    cr_expect_str_eq(canonical(m, "can+e@a.org", true), "can3+e@a.org");
    cr_expect_str_eq(canonical(m, "can+e@a.org", false), "can3@a.org");
    cr_expect_str_eq(canonical(m, "user@dom.org", true), "new user@dom.org");
    cr_expect_str_eq(canonical(m, "u+e@cd.org", true), "x@y.org");
    cr_expect_str_eq(canonical(m, "self@a.org", true), "Self@a.org");
    cr_expect_str_eq(canonical(m, "two@a.org", true), "one@b.org");
    cr_expect_str_eq(canonical(m, "none@a.org", true), "-none@a.org");
    cr_expect_str_eq(canonical(m, "loop@a.org", true), "TEMP");
    cr_expect(strstr(buf_text(&why), "unreasonable canonical_maps map nesting for loop@a.org"));
    cr_expect_str_eq(canonical(maps("fail:x"), "u@a.org", true), "TEMP");
}

Test(mailmap_canonical, follows_ten_steps_less_one, .init = setup, .fini = teardown)
{
    struct buf table = BUF_INIT;
    buf_puts(&table, "inline:{");
    for (int i = 1; i <= MAILMAP_CANONICAL_DEPTH; i++)
        buf_printf(&table, " {c%d=c%d}", i - 1, i);
    buf_puts(&table, " }");

    cr_expect_str_eq(canonical(maps(buf_text(&table)), "c1@example.com", true), "c10@example.com");
    cr_expect_str_eq(canonical(maps(buf_text(&table)), "c0@example.com", true), "TEMP");
    buf_fini(&table);
}
