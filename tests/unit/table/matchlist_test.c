#include "lib/table/matchlist.h"
#include "tests/unit/table/files.h"

static struct tables *ts;

/* '+' in, '-' not in, '!' a temporary error. */
static char ask(const char *value, enum matchlist_kind kind, unsigned flags, const char *name, const char *address)
{
    struct buf why = BUF_INIT;
    struct matchlist *l = matchlist_open(ts, SPAN("the_list"), span_text(value), kind, flags);
    enum table_result result = kind == MATCHLIST_HOST
                                   ? matchlist_has_host(l, span_text(name), span_text(address), &why)
                                   : matchlist_has(l, span_text(name), &why);
    matchlist_close(&l);
    buf_fini(&why);
    return "+-!"[result];
}

Test(matchlist, matches_domains_as_postfix_does)
{
    static const struct {
        const char *says, *value, *name;
        char plain, parent; /* without and with MATCHLIST_PARENT */
    } rows[] = {
        {"the same name", "example.com", "example.com", '+', '+'},
        {"in either case", "Example.COM", "eXample.com", '+', '+'},
        {"a name under it", "example.com", "a.example.com", '-', '+'},
        {"not a longer label", "example.com", "badexample.com", '-', '-'},
        {"dot rule for names under it", ".example.com", "a.b.example.com", '+', '-'},
        {"dot rule not for the name itself", ".example.com", "example.com", '-', '-'},
        {"second item", "a.example, b.example", "b.example", '+', '+'},
        {"negation first", "!b.example example", "b.example", '-', '-'},
        {"negation late", "b.example !b.example", "b.example", '+', '+'},
        {"two negations", "!!b.example", "b.example", '+', '+'},
        {"a table", "inline:{ b.example=x }", "B.example", '+', '+'},
        {"a table's dot rule", "inline:{ .example=x }", "a.b.example", '+', '-'},
        {"a table's parent", "inline:{ example=x }", "a.b.example", '-', '+'},
        {"a negated table", "!static:x a", "a", '-', '-'},
        {"a failing table", "fail:x a", "a", '!', '!'},
        {"what stands before a failing table", "a fail:x", "a", '+', '+'},
        {"an unknown type", "frob:x", "a", '!', '!'},
        {"a lone !", "!", "a", '!', '!'},
        {"a comment", "a #b", "c", '!', '!'},
        {"the empty name", "a .b inline:{ x=y }", "", '-', '-'},
        {"the empty list", "", "a", '-', '-'},
        {"an address is a name here", "[1.2.3.4]", "[1.2.3.4]", '+', '+'},
        {"a name that ends in a dot", "example", "a.", '-', '-'},
    };
    ts = start();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_expect_eq(ask(rows[i].value, MATCHLIST_DOMAIN, 0, rows[i].name, ""), rows[i].plain, "%s", rows[i].says);
        cr_expect_eq(ask(rows[i].value, MATCHLIST_DOMAIN, MATCHLIST_PARENT, rows[i].name, ""), rows[i].parent,
                     "%s, parent", rows[i].says);
    }
    stop(ts);
}

Test(matchlist, matches_strings_only_whole)
{
    ts = start();
    cr_expect_eq(ask("a.b .c", MATCHLIST_STRING, MATCHLIST_PARENT, "A.B", ""), '+');
    cr_expect_eq(ask("a.b .c", MATCHLIST_STRING, MATCHLIST_PARENT, "x.a.b", ""), '-');
    cr_expect_eq(ask("a.b .c", MATCHLIST_STRING, 0, "x.c", ""), '-');
    cr_expect_eq(ask("inline:{.c=x}", MATCHLIST_STRING, 0, "x.c", ""), '-');
    stop(ts);
}

Test(matchlist, matches_hosts_by_network_and_name)
{
    static const struct {
        const char *says, *value, *name, *address;
        char want;
    } rows[] = {
        {"an address", "127.0.0.1", "", "127.0.0.1", '+'},
        {"a network", "10.0.0.0/8 [::1]/128", "", "10.9.8.7", '+'},
        {"outside", "10.0.0.0/8 [::1]/128", "", "11.9.8.7", '-'},
        {"IPv6", "10.0.0.0/8 [::1]/128", "", "::1", '+'},
        {"IPv6 in another spelling", "[2001:db8:0::]/48", "", "2001:DB8:0:1::1", '+'},
        {"a mapped address", "10.0.0.0/8", "", "::ffff:10.1.1.1", '+'},
        {"a mapped address that is negated", "!10.1.1.1 0.0.0.0/0", "", "::ffff:10.1.1.1", '-'},
        {"a bracketed IPv4", "[10.1.1.1]", "", "10.1.1.1", '+'},
        {"a host name", "mail.example .inner.example", "mail.example", "1.1.1.1", '+'},
        {"a host under a name", "mail.example .inner.example", "a.inner.example", "1.1.1.1", '+'},
        {"negation of one in a network", "!10.0.0.1, 10.0.0.0/8", "", "10.0.0.1", '-'},
        {"a table by address", "inline:{ {10.0.0.1=x} }", "h.example", "10.0.0.1", '+'},
        {"a table by name", "inline:{ .example=x }", "h.example", "10.0.0.1", '+'},
        {"host bits", "10.0.0.1/8", "", "10.0.0.1", '!'},
        {"a bad mask", "10.0.0.0/33", "", "10.0.0.1", '!'},
        {"IPv6 without brackets", "::1", "", "::1", '!'},
        {"IPv6 network without brackets", "2001:db8::/32", "", "::1", '!'},
        {"a text that is no address", "10.0.0.0/8", "unknown", "unknown", '-'},
    };
    ts = start();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_eq(ask(rows[i].value, MATCHLIST_HOST, 0, rows[i].name, rows[i].address), rows[i].want, "%s",
                     rows[i].says);
    stop(ts);
}

Test(matchlist, words_its_faults_with_the_remedy)
{
    static const struct {
        const char *value, *want;
    } rows[] = {
        {"10.0.0.1/8", "mynetworks: non-null host address bits in \"10.0.0.1/8\", "
                       "perhaps you should use \"10.0.0.0/8\" instead"},
        {"10.0.0.0/33", "mynetworks: bad mask length in \"10.0.0.0/33\""},
        {"[::1", "mynetworks: bad address pattern: \"[::1\""},
        {"2001:db8::/32", "mynetworks: an IPv6 address is written in brackets, as [::1] or [2001:db8::]/32: "
                          "\"2001:db8::/32\""},
        {"/none", "mynetworks: open database /none: No such file or directory"},
        {"a # b", "mynetworks: comment at end of line is not supported: \"#\""},
        {"hash:/none", "open database /none.cdb: No such file or directory; make it from its source by: "
                       "postmap hash:/none"},
    };
    ts = start();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct matchlist *l = matchlist_open(ts, SPAN("mynetworks"), span_text(rows[i].value), MATCHLIST_HOST, 0);
        const char *error = matchlist_error(l);
        cr_expect_str_eq(error ? error : "none", rows[i].want);
        matchlist_close(&l);
    }
    stop(ts);
}

Test(matchlist, reads_a_file_and_its_changes)
{
    ts = start();
    struct buf why = BUF_INIT;
    put_text("t", "# networks\n10.0.0.0/8,\n  !192.168.0.1 192.168.0.0/16\nhost.example\n");
    struct matchlist *l = matchlist_open(ts, SPAN("mynetworks"), span_text(in_dir("1.1.1.1 ", "t")), MATCHLIST_HOST, 0);

    cr_expect_null(matchlist_error(l));
    cr_expect_eq(matchlist_has_host(l, SPAN(""), SPAN("10.1.1.1"), &why), TABLE_FOUND);
    cr_expect_eq(matchlist_has_host(l, SPAN(""), SPAN("192.168.0.1"), &why), TABLE_NOT_FOUND);
    cr_expect_eq(matchlist_has_host(l, SPAN(""), SPAN("192.168.0.2"), &why), TABLE_FOUND);
    cr_expect_eq(matchlist_has_host(l, SPAN("host.example"), SPAN("2.2.2.2"), &why), TABLE_FOUND);
    put_text("t", "11.0.0.0/8\n");
    cr_expect_eq(tables_refresh(ts), 1u);
    cr_expect_eq(matchlist_has_host(l, SPAN(""), SPAN("10.1.1.1"), &why), TABLE_NOT_FOUND);
    cr_expect_eq(matchlist_has_host(l, SPAN(""), SPAN("11.1.1.1"), &why), TABLE_FOUND);
    matchlist_close(&l);
    buf_fini(&why);
    stop(ts);
}

Test(matchlist, negates_all_in_a_file)
{
    ts = start();
    put_text("t", "10.0.0.1 !10.0.0.2\n");
    const char *value = in_dir("!", "t");
    struct buf all = BUF_INIT;
    buf_printf(&all, "%s 10.0.0.0/8", value);

    cr_expect_eq(ask(buf_text(&all), MATCHLIST_HOST, 0, "", "10.0.0.1"), '-');
    cr_expect_eq(ask(buf_text(&all), MATCHLIST_HOST, 0, "", "10.0.0.2"), '+');
    cr_expect_eq(ask(buf_text(&all), MATCHLIST_HOST, 0, "", "10.0.0.3"), '+');
    buf_fini(&all);
    stop(ts);
}

Test(matchlist, ends_a_file_that_names_itself)
{
    ts = start();
    put_text("t", "x");
    struct buf text = BUF_INIT;
    buf_printf(&text, "a\n%s\n", in_dir("", "t"));
    put_bytes("t", text.data, text.len);

    cr_expect_eq(ask(in_dir("", "t"), MATCHLIST_DOMAIN, 0, "a", ""), '+');
    cr_expect_eq(ask(in_dir("", "t"), MATCHLIST_DOMAIN, 0, "b", ""), '!');
    buf_fini(&text);
    stop(ts);
}

Test(matchlist, reads_files_to_its_limit_and_no_more)
{
    ts = start();
    struct buf value = BUF_INIT;
    put_text("t", "b\n");
    for (int i = 0; i < MATCHLIST_FILES; i++)
        buf_printf(&value, "%s ", in_dir("", "t"));
    buf_puts(&value, "last ");

    cr_expect_eq(ask(buf_text(&value), MATCHLIST_DOMAIN, 0, "last", ""), '+');
    cr_expect_eq(ask(buf_text(&value), MATCHLIST_DOMAIN, 0, "other", ""), '-');
    buf_puts(&value, in_dir("", "t"));
    cr_expect_eq(ask(buf_text(&value), MATCHLIST_DOMAIN, 0, "other", ""), '!');
    buf_fini(&value);
    stop(ts);
}

static struct matchlist *asked_twice;
static bool is_inner;

/* A table that waits; meanwhile the list's file changes and another session asks. */
static enum table_result slow(struct span spec, struct span key, unsigned flags, struct buf *value, struct buf *why,
                              void *context)
{
    (void)spec, (void)key, (void)flags, (void)value, (void)context;
    if (!is_inner) {
        is_inner = true;
        put_text("t", "proxy:x:y last.example\n# longer than before\n");
        tables_refresh(ts);
        matchlist_has(asked_twice, SPAN("other.example"), why);
        buf_clear(why);
    }
    return TABLE_NOT_FOUND;
}

Test(matchlist, may_be_read_anew_while_a_match_waits)
{
    static const struct table_hooks hooks = {.proxy = slow};
    struct buf why = BUF_INIT;
    tables_free(&(struct tables *){start()});
    ts = tables_new(&table_files_by_path, &hooks);
    put_text("t", "proxy:x:y first.example\n");
    asked_twice = matchlist_open(ts, SPAN("l"), span_text(in_dir("", "t")), MATCHLIST_DOMAIN, 0);

    cr_expect_eq(matchlist_has(asked_twice, SPAN("first.example"), &why), TABLE_FOUND);
    cr_expect_eq(matchlist_has(asked_twice, SPAN("first.example"), &why), TABLE_NOT_FOUND);
    cr_expect_eq(matchlist_has(asked_twice, SPAN("last.example"), &why), TABLE_FOUND);
    matchlist_close(&asked_twice);
    buf_fini(&why);
    stop(ts);
}

static void note_path(const char *path, void *context)
{
    buf_printf(context, "%s;", path);
}

Test(matchlist, tells_the_files_it_reads)
{
    struct buf paths = BUF_INIT;

    matchlist_each_path(SPAN("a, !/b/c [::1] hash:/d !cidr:/e unionmap:{hash:/f}"), note_path, &paths);

    cr_expect_str_eq(buf_text(&paths), "/b/c;/d.cdb;/e;/f.cdb;");
    buf_fini(&paths);
}
