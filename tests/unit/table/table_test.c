#include "tests/unit/table/files.h"

Test(table, finds_in_types_written_in_the_spec)
{
    static const struct {
        const char *says, *spec, *key, *want;
    } rows[] = {
        {"static has one value", "static:OK", "any", "OK"},
        {"static takes text in braces", "static:{ 450 try, later }", "any", "450 try, later"},
        {"inline finds a braced pair", "inline:{ {a = b c}, d=e }", "a", "b c"},
        {"inline finds a plain pair", "inline:{ {a = b c}, d=e }", "d", "e"},
        {"inline folds", "inline:{ User@Example.com=e }", "uSER@example.COM", "e"},
        {"inline knows no other key", "inline:{ d=e }", "x", NULL},
        {"inline needs a value", "inline:{ d= }", "d", "!empty value"},
        {"inline needs braces", "inline:d=e", "d", "!bad syntax"},
        {"inline needs an entry", "inline:{ }", "d", "!no entry"},
        {"inline takes a key once", "inline:{ d=e, D=f }", "d", "!stands twice"},
        {"inline with an open brace", "inline:{ {d=e }", "d", "!unbalanced"},
        {"fail fails", "fail:it", "d", "!always fails"},
        {"randmap of one", "randmap:{ {a b} }", "d", "a b"},
        {"randmap of none", "randmap:{ }", "d", "!bad syntax"},
        {"union joins", "unionmap:{ inline:{ a=1 }, static:2, inline:{a=3} }", "a", "1,2,3"},
        {"union leaves out", "unionmap:{ inline:{ a=1 }, inline:{ b=3 } }", "b", "3"},
        {"union finds nothing", "unionmap:{ inline:{ a=1 }, inline:{ b=3 } }", "c", NULL},
        {"union with a failing member", "unionmap:{ static:1, fail:x }", "b", "!always fails"},
        {"pipe goes through", "pipemap:{ inline:{ a=b }, inline:{ b=c } }", "a", "c"},
        {"pipe ends early", "pipemap:{ inline:{ a=b }, inline:{ x=c } }", "a", NULL},
        {"pipe with a failing member", "pipemap:{ inline:{ a=b }, fail:x }", "a", "!always fails"},
        {"union of none", "unionmap:{}", "a", "!bad syntax"},
        {"rules in the spec", "pcre:{ {/^a(b)/ x$1}, {if /q/}, {/./ y}, {endif} }", "abc", "xb"},
        {"rules in the spec, the if", "regexp:{ {/^a(b)/ x$1}, {if /q/}, {/./ y}, {endif} }", "zq", "y"},
        {"networks in the spec", "cidr:{{10.0.0.0/8 yes there}}", "10.1.1.1", "yes there"},
        {"a rule outside braces", "cidr:{ 10.0.0.0/8 }", "10.1.1.1", "!no '{' at start of text in \"10.0.0.0/8\""},
        {"a brace that is open", "cidr:{ {10.0.0.0/8 x }", "10.1.1.1", "!missing '}'"},
        {"no type", "/etc/aliases", "a", "!expecting \"type:name\" form"},
        {"no name", "static:", "a", "!no name behind the type"},
        {"unknown type", "frob:x", "a", "!unsupported dictionary type"},
        {"proxy without a hook", "proxy:unix:passwd.byname", "a", "!no proxymap service"},
        {"a type that waits without a hook", "mysql:/etc/x.cf", "a", "!no proxymap service"},
        {"proxy of nothing", "proxy:x", "a", "!proxy:type:name"},
    };
    struct tables *ts = start();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct table *t = table_open(ts, span_text(rows[i].spec), TABLE_FOLD);
        EXPECT_FIND(t, rows[i].key, rows[i].want);
        table_close(&t);
    }
    stop(ts);
}

Test(table, nests_to_its_depth_and_no_deeper)
{
    struct tables *ts = start();
    struct buf spec = BUF_INIT, deeper = BUF_INIT;
    buf_puts(&spec, "static:x");
    for (int i = 0; i < TABLE_DEPTH; i++) {
        buf_clear(&deeper);
        buf_printf(&deeper, "unionmap:{%s}", buf_text(&spec));
        buf_clear(&spec);
        buf_put(&spec, buf_span(&deeper));
    }
    struct table *t = table_open(ts, buf_span(&spec), 0);
    buf_clear(&deeper);
    buf_printf(&deeper, "unionmap:{%s}", buf_text(&spec));
    struct table *over = table_open(ts, buf_span(&deeper), 0);

    EXPECT_FIND(t, "k", "x");
    EXPECT_FIND(over, "k", "!nested too deeply");
    table_close(&t);
    table_close(&over);
    buf_fini(&spec);
    buf_fini(&deeper);
    stop(ts);
}

static enum table_result ask(struct span spec, struct span key, unsigned flags, struct buf *value, struct buf *why,
                             void *context)
{
    (void)flags;
    (void)why;
    (void)context;
    buf_put(value, spec);
    buf_putc(value, '/');
    buf_put(value, key);
    return TABLE_FOUND;
}

Test(table, asks_the_hook_for_types_that_wait)
{
    static const struct table_hooks hooks = {.proxy = ask};
    struct tables *ts = tables_new(&table_files_by_path, &hooks);
    struct table *t = table_open(ts, SPAN("proxy:unix:passwd.byname"), TABLE_FOLD);
    struct table *u = table_open(ts, SPAN("unix:group.byname"), 0);

    EXPECT_FIND(t, "Ann", "unix:passwd.byname/ann");
    EXPECT_FIND(u, "Ann", "unix:group.byname/Ann");
    table_close(&t);
    table_close(&u);
    tables_free(&ts);
}

Test(table, texthash_reads_what_postmap_reads_and_warns)
{
    struct tables *ts = start();
    put_text("t", "# c\nA one\n\n  # inside\n   two\nb\tx \r\na again\nnovalue\n\"q k\" v\n\"open v\n");
    struct table *t = table_open(ts, span_text(in_dir("texthash:", "t")), TABLE_FOLD);

    EXPECT_FIND(t, "a", "one   two");
    EXPECT_FIND(t, "B", "x");
    EXPECT_FIND(t, "\"q k\"", "v");
    EXPECT_FIND(t, "novalue", NULL);
    EXPECT_FIND(t, "", NULL);
    cr_expect_not_null(strstr(buf_text(&warned), "/t, line 7: duplicate entry: \"a\"\n"), "%s", buf_text(&warned));
    cr_expect_not_null(strstr(buf_text(&warned), "line 8: expected format: key whitespace value -- ignoring this line\n"));
    cr_expect_not_null(strstr(buf_text(&warned), "line 10: unbalanced '\"' in '\"open v' -- ignoring this line\n"));
    table_close(&t);
    stop(ts);
}

Test(table, keeps_case_without_fold)
{
    struct tables *ts = start();
    put_text("t", "A one\n");
    struct table *t = table_open(ts, span_text(in_dir("texthash:", "t")), 0);

    EXPECT_FIND(t, "A", "one");
    EXPECT_FIND(t, "a", NULL);
    table_close(&t);
    stop(ts);
}

Test(table, holds_keys_and_values_to_their_limits)
{
    struct tables *ts = start();
    struct buf text = BUF_INIT, key = BUF_INIT, value = BUF_INIT, why = BUF_INIT;
    for (int i = 0; i < TABLE_KEY_BYTES; i++)
        buf_putc(&key, 'k');
    buf_printf(&text, "%s v\n%sx v\nlong ", buf_text(&key), buf_text(&key));
    for (int i = 0; i < TABLE_VALUE_BYTES; i++)
        buf_putc(&text, 'v');
    buf_puts(&text, "\nover ");
    for (int i = 0; i < TABLE_VALUE_BYTES + 1; i++)
        buf_putc(&text, 'v');
    buf_putc(&text, '\n');
    put_bytes("t", text.data, text.len);
    struct table *t = table_open(ts, span_text(in_dir("texthash:", "t")), TABLE_FOLD);
    struct table *twice = table_open(ts, span_text(in_dir("unionmap:{static:x, texthash:", "t}")), TABLE_FOLD);

    EXPECT_FIND(t, buf_text(&key), "v");
    buf_putc(&key, 'x');
    EXPECT_FIND(t, buf_text(&key), NULL);
    cr_expect_eq(table_find(t, SPAN("long"), &value, &why), TABLE_FOUND);
    cr_expect_eq(value.len, (size_t)TABLE_VALUE_BYTES);
    EXPECT_FIND(t, "over", NULL);
    EXPECT_FIND(twice, "long", "!too long");
    cr_expect_not_null(strstr(buf_text(&warned), "line 2: the key is too long"));
    cr_expect_not_null(strstr(buf_text(&warned), "line 4: the value is too long"));
    table_close(&t);
    table_close(&twice);
    buf_fini(&text);
    buf_fini(&key);
    buf_fini(&value);
    buf_fini(&why);
    stop(ts);
}

Test(table, refuses_a_text_file_over_its_limit)
{
    struct tables *ts = start();
    put_text("t", "a b\n");
    cr_assert_eq(truncate(in_dir("", "t"), TABLE_TEXT_BYTES + 1), 0);
    struct table *t = table_open(ts, span_text(in_dir("texthash:", "t")), 0);

    EXPECT_FIND(t, "a", "!larger than 67108864 bytes");
    table_close(&t);
    stop(ts);
}

Test(table, is_shared_between_those_who_open_it_alike)
{
    struct tables *ts = start();
    struct table *a = table_open(ts, SPAN("static:x"), 0), *b = table_open(ts, SPAN("static:x"), 0);
    struct table *c = table_open(ts, SPAN("static:x"), TABLE_FOLD);

    cr_expect_eq(a, b);
    cr_expect_neq(a, c);
    table_close(&a);
    EXPECT_FIND(b, "k", "x");
    table_close(&b);
    table_close(&c);
    stop(ts);
}

Test(table, recovers_when_the_missing_file_comes)
{
    struct tables *ts = start();
    struct table *t = table_open(ts, span_text(in_dir("texthash:", "t")), 0);

    cr_expect_not_null(strstr(table_error(t), "No such file"));
    EXPECT_FIND(t, "a", "!No such file or directory");
    cr_expect_not(table_changed(t));
    put_text("t", "a b\n");
    cr_expect(table_changed(t));
    cr_expect_eq(tables_refresh(ts), 1u);
    cr_expect_null(table_error(t));
    EXPECT_FIND(t, "a", "b");
    table_close(&t);
    stop(ts);
}

Test(table, takes_a_changed_file_and_keeps_the_old_one_where_the_new_is_bad)
{
    struct tables *ts = start();
    put_text("t", "a b\n");
    struct table *t = table_open(ts, span_text(in_dir("texthash:", "t")), 0);
    struct table *joined = table_open(ts, span_text(in_dir("unionmap:{texthash:", "t}")), 0);

    cr_expect_not(table_changed(t));
    put_text("t", "a changed\n");
    cr_expect(table_changed(t));
    cr_expect(table_changed(joined));
    cr_expect_eq(tables_refresh(ts), 2u);
    EXPECT_FIND(t, "a", "changed");
    EXPECT_FIND(joined, "a", "changed");

    put_text("t", "a worse\nfaulty\n");
    cr_expect_eq(tables_refresh(ts), 0u);
    cr_expect_eq(tables_refresh(ts), 0u);
    EXPECT_FIND(t, "a", "changed");
    cr_expect_not_null(strstr(buf_text(&warned), "more faulty lines than the one in use; the old content stays in use"));
    table_close(&joined);
    table_close(&t);
    stop(ts);
}

Test(table, takes_a_descriptor_for_a_path)
{
    struct tables *ts = start();
    put_text("t", "a b\n");
    struct table *t = table_open(ts, span_text(in_dir("texthash:", "t")), 0);
    put_text("u", "a new\n");
    int fd = open(in_dir("", "u"), O_RDONLY);
    lseek(fd, 3, SEEK_SET);

    cr_expect_eq(tables_replace_fd(ts, in_dir("", "t"), fd), 1u);
    EXPECT_FIND(t, "a", "new");
    cr_expect_eq(fcntl(fd, F_GETFD), -1);
    cr_expect_eq(tables_replace_fd(ts, in_dir("", "t"), open(dir, O_RDONLY | O_DIRECTORY)), 0u);
    EXPECT_FIND(t, "a", "new");
    table_close(&t);
    stop(ts);
}

static void note_path(const char *path, void *context)
{
    buf_printf(context, "%s;", path);
}

Test(table, tells_the_files_a_spec_reads)
{
    struct buf paths = BUF_INIT;

    table_each_path(SPAN("unionmap:{hash:/a, pipemap:{ texthash:/b, static:x }, proxy:hash:/c, cidr:{{1.2.3.4 x}}}"), note_path, &paths);
    table_each_path(SPAN("unionmap:{lmdb:/d, cdb:/e"), note_path, &paths);

    cr_expect_str_eq(buf_text(&paths), "/a.cdb;/b;");
    buf_fini(&paths);
}

Test(table, reads_a_list_file_and_gives_a_version)
{
    struct tables *ts = start();
    uint64_t version, later;
    put_text("t", "a b\n");
    struct table *t = table_open(ts, span_text(in_dir("file:", "t")), 0);

    cr_expect(span_eq(table_file_text(t, &version), SPAN("a b\n")));
    put_text("t", "");
    tables_refresh(ts);
    cr_expect_eq(table_file_text(t, &later).n, (size_t)0);
    cr_expect_neq(later, version);
    table_close(&t);
    stop(ts);
}
