#include "tests/unit/table/files.h"

static const char *const pairs[] = {"postmaster", "root", "ann@example.com", "ann", "empty", "", "n\x01", "v", NULL};

Test(cdb, finds_what_was_put_in_under_every_name_of_the_type)
{
    static const char *const types[] = {"cdb:", "hash:", "btree:", "dbm:", "sdbm:", "lmdb:"};
    struct tables *ts = start();
    put_cdb("t.cdb", pairs);

    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct table *t = table_open(ts, span_text(in_dir(types[i], "t")), TABLE_FOLD);
        EXPECT_FIND(t, "postmaster", "root");
        EXPECT_FIND(t, "Ann@Example.COM", "ann");
        EXPECT_FIND(t, "empty", "");
        EXPECT_FIND(t, "none", NULL);
        EXPECT_FIND(t, "", NULL);
        table_close(&t);
    }
    stop(ts);
}

Test(cdb, finds_entries_made_with_a_terminator)
{
    struct tables *ts = start();
    struct cdb_make make;
    int fd = open(in_dir("", "t.cdb"), O_RDWR | O_CREAT, 0644);
    cdb_make_start(&make, fd);
    cdb_make_add(&make, "key", 4, "value", 6);
    cdb_make_finish(&make);
    close(fd);
    struct table *t = table_open(ts, span_text(in_dir("cdb:", "t")), 0);

    EXPECT_FIND(t, "key", "value");
    table_close(&t);
    stop(ts);
}

static bool gather(struct span key, struct span value, void *context)
{
    buf_printf(context, "%.*s=%.*s;", SPAN_ARG(key), SPAN_ARG(value));
    return key.p[0] != 'e';
}

Test(cdb, is_walked_in_order_until_told_to_stop)
{
    struct tables *ts = start();
    struct buf all = BUF_INIT, why = BUF_INIT;
    put_cdb("t.cdb", pairs);
    struct table *t = table_open(ts, span_text(in_dir("cdb:", "t")), 0);

    cr_expect(table_walk(t, gather, &all, &why));
    cr_expect_str_eq(buf_text(&all), "postmaster=root;ann@example.com=ann;empty=;");
    table_close(&t);
    buf_fini(&all);
    buf_fini(&why);
    stop(ts);
}

Test(cdb, names_the_command_where_only_source_or_berkeley_db_is_there)
{
    struct tables *ts = start();
    put_text("aliases", "a: b\n");
    put_text("access.db", "x");
    struct table *a = table_open(ts, span_text(in_dir("hash:", "aliases")), 0);
    struct table *b = table_open(ts, span_text(in_dir("hash:", "access")), 0);
    struct buf want = BUF_INIT;

    buf_printf(&want, "open database %s/aliases.cdb: No such file or directory; "
               "make it from its source by: postalias hash:%s/aliases", dir, dir);
    cr_expect_str_eq(table_error(a), buf_text(&want));
    cr_expect_not_null(strstr(table_error(b), "access.db is a Berkeley DB file, which is not read; "
                                              "make it from its source by: postmap hash:"));
    table_close(&a);
    table_close(&b);
    buf_fini(&want);
    stop(ts);
}

Test(cdb, warns_where_the_source_is_newer)
{
    struct tables *ts = start();
    put_cdb("t.cdb", pairs);
    put_text("t", "a b\n");
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1000}};
    cr_assert_eq(utimensat(AT_FDCWD, in_dir("", "t.cdb"), times, 0), 0);
    struct table *t = table_open(ts, span_text(in_dir("cdb:", "t")), 0);

    cr_expect_not_null(strstr(buf_text(&warned), "t.cdb is older than source file"));
    EXPECT_FIND(t, "postmaster", "root");
    table_close(&t);
    stop(ts);
}

/* The file of pairs in memory. */
static size_t read_cdb(unsigned char *bytes, size_t most)
{
    put_cdb("t.cdb", pairs);
    int fd = open(in_dir("", "t.cdb"), O_RDONLY);
    ssize_t n = read(fd, bytes, most);
    close(fd);
    cr_assert_gt(n, 2048);
    return (size_t)n;
}

static bool go_on(struct span key, struct span value, void *context)
{
    size_t *bytes = context;
    for (size_t i = 0; i < key.n; i++)
        *bytes += (unsigned char)key.p[i];
    for (size_t i = 0; i < value.n; i++)
        *bytes += (unsigned char)value.p[i];
    return true;
}

/* Whatever the file holds: no crash, and an answer. */
static void try_all(struct tables *ts, const char *spec)
{
    struct buf value = BUF_INIT, why = BUF_INIT;
    size_t bytes = 0;
    struct table *t = table_open(ts, span_text(spec), 0);
    for (size_t i = 0; pairs[i]; i += 2)
        table_find(t, span_text(pairs[i]), &value, &why);
    table_walk(t, go_on, &bytes, &why);
    table_close(&t);
    buf_fini(&value);
    buf_fini(&why);
}

Test(cdb, survives_any_damaged_byte, .timeout = 120)
{
    static const unsigned char flips[] = {0x01, 0x80, 0xff};
    static unsigned char bytes[8192];
    struct tables *ts = start();
    size_t n = read_cdb(bytes, sizeof bytes);

    for (size_t i = 0; i < n; i++) {
        for (size_t f = 0; f < sizeof flips; f++) {
            bytes[i] ^= flips[f];
            put_bytes("d.cdb", bytes, n);
            bytes[i] ^= flips[f];
            try_all(ts, in_dir("cdb:", "d"));
        }
    }
    stop(ts);
}

Test(cdb, survives_any_truncation_and_refuses_one_that_cuts_a_hash_table)
{
    static unsigned char bytes[8192];
    struct tables *ts = start();
    size_t n = read_cdb(bytes, sizeof bytes);

    for (size_t cut = 0; cut < n; cut++) {
        put_bytes("d.cdb", bytes, cut);
        try_all(ts, in_dir("cdb:", "d"));
    }
    struct table *t = table_open(ts, span_text(in_dir("cdb:", "d")), 0);
    EXPECT_FIND(t, "postmaster", "!damaged: a hash table lies outside the file");
    table_close(&t);
    stop(ts);
}

Test(cdb, refuses_an_empty_or_tiny_file_and_a_directory)
{
    struct tables *ts = start();
    put_text("e.cdb", "");
    put_text("s.cdb", "short");
    mkdir(in_dir("", "d.cdb"), 0755);
    struct table *e = table_open(ts, span_text(in_dir("cdb:", "e")), 0);
    struct table *s = table_open(ts, span_text(in_dir("cdb:", "s")), 0);
    struct table *d = table_open(ts, span_text(in_dir("cdb:", "d")), 0);

    EXPECT_FIND(e, "a", "!empty");
    EXPECT_FIND(s, "a", "!damaged");
    EXPECT_FIND(d, "a", "!not a regular file");
    table_close(&e);
    table_close(&s);
    table_close(&d);
    stop(ts);
}

Test(cdb, keeps_the_old_file_where_the_new_one_is_damaged)
{
    struct tables *ts = start();
    static const char *const newer[] = {"postmaster", "ann", NULL};
    put_cdb("t.cdb", pairs);
    struct table *t = table_open(ts, span_text(in_dir("cdb:", "t")), 0);

    put_text("t.cdb", "garbage");
    cr_expect_eq(tables_refresh(ts), 0u);
    EXPECT_FIND(t, "postmaster", "root");
    cr_expect_not_null(strstr(buf_text(&warned), "the old content stays in use"));
    put_cdb("t.cdb", newer);
    cr_expect_eq(tables_refresh(ts), 1u);
    EXPECT_FIND(t, "postmaster", "ann");
    table_close(&t);
    stop(ts);
}

Test(cdb, answers_with_an_error_where_the_mapped_file_was_cut)
{
    struct tables *ts = start();
    put_cdb("t.cdb", pairs);
    struct table *t = table_open(ts, span_text(in_dir("cdb:", "t")), 0);

    cr_assert_eq(truncate(in_dir("", "t.cdb"), 0), 0);
    EXPECT_FIND(t, "postmaster", "!damaged or was changed in place");
    table_close(&t);
    stop(ts);
}
