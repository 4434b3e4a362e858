#include "cli/postmap/owner.h"
#include "cli/postmap/postmap.h"
#include "cli/postmap/store.h"
#include "lib/table/table.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64], path[128], target[160];

static void start(void)
{
    cr_redirect_stderr();
    cr_redirect_stdout();
    snprintf(dir, sizeof dir, P_tmpdir "/postmap-test.XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/t", dir);
    snprintf(target, sizeof target, "%s.cdb", path);
}

static void stop(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    cr_expect_eq(system(command), 0);
}

TestSuite(postmap, .init = start, .fini = stop);

static void put_source(const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void put_input(const char *text)
{
    char name[160];
    snprintf(name, sizeof name, "%s/input", dir);
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    lseek(fd, 0, SEEK_SET);
    dup2(fd, STDIN_FILENO);
    close(fd);
}

static bool gather(struct span key, struct span value, void *context)
{
    buf_printf(context, "%.*s=%.*s;", SPAN_ARG(key), SPAN_ARG(value));
    return true;
}

/* Asserts what is in the table. */
static void expect_entries(const char *want)
{
    struct buf got = BUF_INIT, why = BUF_INIT, spec = BUF_INIT;
    struct tables *ts = tables_new(&table_files_by_path, NULL);
    buf_printf(&spec, "cdb:%s", path);
    struct table *t = table_open(ts, buf_span(&spec), 0);
    cr_expect(table_walk(t, gather, &got, &why), "%s", buf_text(&why));
    cr_expect_str_eq(buf_text(&got), want);
    table_close(&t);
    tables_free(&ts);
    buf_fini(&got);
    buf_fini(&why);
    buf_fini(&spec);
}

Test(postmap, builds_a_folded_table_with_the_mode_of_the_source)
{
    struct job j = {.form = TEXT_MAP};
    struct stat st;
    put_source("A One\nb two\n");

    cr_expect_eq(job_build(&j, "hash", path), EXIT_SUCCESS);
    expect_entries("a=One;b=two;");
    cr_assert_eq(stat(target, &st), 0);
    cr_expect_eq(st.st_mode & 0777, 0640u);
    j.flags = OPT_OWN_MODE | OPT_NO_FOLD;
    cr_expect_eq(job_build(&j, "hash", path), EXIT_SUCCESS);
    expect_entries("A=One;b=two;");
    cr_assert_eq(stat(target, &st), 0);
    cr_expect_eq(st.st_mode & 0777, 0644u);
}

Test(postmap, treats_duplicates_as_told)
{
    static const struct {
        unsigned flags;
        const char *want;
    } rows[] = {{0, "a=1;b=3;"}, {OPT_NO_WARN, "a=1;b=3;"}, {OPT_REPLACE, "a=2;b=3;"}};
    put_source("a 1\nA 2\nb 3\n");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct job j = {.form = TEXT_MAP, .flags = rows[i].flags};
        cr_expect_eq(job_build(&j, "cdb", path), EXIT_SUCCESS);
        expect_entries(rows[i].want);
    }
    fflush(stderr);
    char want[256];
    snprintf(want, sizeof want, "%s: warning: %s, line 2: duplicate entry: \"a\"\n", program_invocation_short_name, path);
    cr_assert_stderr_eq_str(want); /* once: the others are silent */
}

Test(postmap, adds_and_removes_by_a_new_file)
{
    struct job j = {.form = TEXT_MAP};
    put_source("a 1\nb 2\nc 3\n");
    cr_assert_eq(job_build(&j, "cdb", path), EXIT_SUCCESS);

    put_input("d 4\na 9\n");
    cr_expect_eq(job_increment(&j, "cdb", path), EXIT_SUCCESS);
    expect_entries("a=1;b=2;c=3;d=4;");
    j.remove = "B";
    cr_expect_eq(job_remove(&j, "cdb", path), EXIT_SUCCESS);
    expect_entries("a=1;c=3;d=4;");
    cr_expect_eq(job_remove(&j, "cdb", path), EXIT_FAILURE);
    put_input("c\nnone\nd\n");
    j.remove = "-";
    cr_expect_eq(job_remove(&j, "cdb", path), EXIT_SUCCESS);
    expect_entries("a=1;");
}

Test(postmap, leaves_the_old_table_and_no_litter_where_it_fails)
{
    struct job j = {.form = TEXT_MAP};
    put_source("a 1\n");
    cr_assert_eq(job_build(&j, "cdb", path), EXIT_SUCCESS);

    unlink(path);
    cr_expect_eq(job_build(&j, "cdb", path), EXIT_FAILURE);
    expect_entries("a=1;");
    unlink(target);
    mkdir(target, 0755);
    put_source("a 1\n");
    cr_expect_eq(job_build(&j, "cdb", path), EXIT_FAILURE);
    size_t count = 0;
    DIR *d = opendir(dir);
    while (readdir(d))
        count++;
    closedir(d);
    cr_expect_eq(count, (size_t)4, "., .., t and t.cdb");
}

Test(postmap, answers_a_query_by_its_exit_status_and_output)
{
    struct job j = {.form = TEXT_MAP, .query = "A"};
    struct buf named = BUF_INIT;
    char *args[] = {"inline:{ {x=y} }", NULL};
    put_source("a 1\n");
    cr_assert_eq(job_build(&j, "cdb", path), EXIT_SUCCESS);
    buf_printf(&named, "cdb:%s", path);
    args[1] = named.data;

    cr_expect_eq(job_query(&j, "cdb", args, 2), EXIT_SUCCESS);
    j.query = "none";
    cr_expect_eq(job_query(&j, "cdb", args, 2), EXIT_FAILURE);
    j.query = "";
    cr_expect_eq(job_query(&j, "cdb", args, 2), EXIT_FAILURE);
    fflush(stdout);
    cr_assert_stdout_eq_str("1\n");
    buf_fini(&named);
}

Test(postmap, asks_headers_and_body_lines_of_a_message)
{
    struct job j = {.form = TEXT_MAP, .query = "-", .flags = OPT_HEADER | OPT_BODY};
    struct buf named = BUF_INIT;
    char *args[1];
    put_source("/x/ found\n");
    put_input("Subject: a\n x\nFrom: b\n\nbody x\nlast\n");
    buf_printf(&named, "pcre:%s", path);
    args[0] = named.data;

    cr_expect_eq(job_query(&j, "cdb", args, 1), EXIT_SUCCESS);
    fflush(stdout);
    cr_assert_stdout_eq_str("Subject: a\n x\tfound\nbody x\tfound\n");
    buf_fini(&named);
}

Test(postmap, stores_the_content_of_files)
{
    struct job j = {.form = TEXT_MAP, .flags = OPT_FILES};
    char source[256];
    put_input("content");
    snprintf(source, sizeof source, "a %s/input, %s/input\nb %s/none\n", dir, dir, dir);
    put_source(source);

    cr_expect_eq(job_build(&j, "cdb", path), EXIT_SUCCESS);
    expect_entries("a=Y29udGVudApjb250ZW50;");
}

Test(postmap, makes_entries_with_a_terminator_that_are_found_alike)
{
    struct job j = {.form = TEXT_MAP, .flags = OPT_NUL};
    struct buf named = BUF_INIT;
    put_source("a 1\n");
    cr_expect_eq(job_build(&j, "cdb", path), EXIT_SUCCESS);
    put_input("b 2\n");
    cr_expect_eq(job_increment(&j, "cdb", path), EXIT_SUCCESS);
    buf_printf(&named, "cdb:%s", path);
    char *args[] = {named.data};

    j.query = "b";
    cr_expect_eq(job_query(&j, "cdb", args, 1), EXIT_SUCCESS);
    cr_expect_eq(job_list(&j, "cdb", path), EXIT_SUCCESS);
    fflush(stdout);
    cr_assert_stdout_eq_str("2\na\t1\nb\t2\n");
    buf_fini(&named);
}

Test(owner, of_the_directory_comes_before_that_of_the_source)
{
    static const struct {
        const char *says;
        uid_t directory, source;
        bool keeps_root, good;
        uid_t want;
    } rows[] = {
        {"all root's", 0, 0, false, true, 0},
        {"another's source", 0, 7, false, true, 7},
        {"another's source, kept root", 0, 7, true, true, 0},
        {"another's directory", 8, 0, false, true, 8},
        {"another's directory and source", 8, 7, false, true, 8},
        {"another's directory, kept root", 8, 0, true, false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf why = BUF_INIT;
        uid_t uid = 99;
        bool good = owner_choose(rows[i].directory, rows[i].source, rows[i].keeps_root, &uid, &why);
        cr_expect_eq(good, rows[i].good, "%s", rows[i].says);
        cr_expect_eq(why.len == 0, rows[i].good, "%s", rows[i].says);
        if (good)
            cr_expect_eq(uid, rows[i].want, "%s", rows[i].says);
        buf_fini(&why);
    }
}

Test(postmap, as_root_builds_as_the_owner_of_the_directory)
{
    struct job j = {.form = TEXT_MAP};
    struct stat st;
    if (geteuid() != 0)
        cr_skip_test("needs root");
    put_source("a 1\n");
    cr_assert_eq(chmod(path, 0644), 0);
    cr_assert_eq(chown(dir, 65534, 65534), 0);

    cr_expect_eq(job_build(&j, "cdb", path), EXIT_SUCCESS);
    cr_assert_eq(stat(target, &st), 0);
    cr_expect_eq(st.st_uid, 65534u);
    j.flags = OPT_AS_ROOT;
    cr_expect_eq(job_build(&j, "cdb", path), EXIT_FAILURE);
}
