#include "lib/maildir/maildir.h"
#include "tests/unit/maildir/box.h"

#include "lib/base/clock.h"

#include <errno.h>

Test(maildir, makes_what_is_missing_only_where_it_may)
{
    struct box b = box_new();
    struct maildir m;
    struct buf why = BUF_INIT;

    cr_expect_eq(maildir_open(&m, b.base, SPAN("a/b/c"), false, &why), MAILDIR_GONE);
    cr_expect_eq(maildir_open(&m, b.base, SPAN("a/b/c"), true, &why), MAILDIR_OK);
    maildir_close(&m);
    cr_expect_eq(maildir_open(&m, b.base, SPAN("a/b/c"), false, &why), MAILDIR_OK);

    maildir_close(&m);
    buf_fini(&why);
    box_end(&b);
}

Test(maildir, makes_an_absolute_path)
{
    struct box b = box_new();
    struct maildir m;
    struct buf why = BUF_INIT, path = BUF_INIT;
    char *here = getcwd(NULL, 0);
    buf_printf(&path, "%s/%s/x/y/", here, b.path);

    cr_expect_eq(maildir_open(&m, AT_FDCWD, buf_span(&path), false, &why), MAILDIR_GONE);
    cr_expect_eq(maildir_open(&m, AT_FDCWD, buf_span(&path), true, &why), MAILDIR_OK, "%s", buf_text(&why));

    maildir_close(&m);
    cr_expect_eq(faccessat(b.base, "x/y/new", F_OK, 0), 0);
    free(here);
    buf_fini(&path);
    buf_fini(&why);
    box_end(&b);
}

Test(maildir, follows_no_link_and_leaves_not_its_base)
{
    struct box b = box_new();
    struct maildir m;
    static const char *const paths[] = {"link", "link/Maildir", "../..", "Maildir/../../x", "self"};
    cr_assert_eq(symlinkat("..", b.base, "link"), 0);
    cr_assert_eq(symlinkat("Maildir", b.base, "self"), 0);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        for (int create = 0; create < 2; create++) {
            struct buf why = BUF_INIT;

            enum maildir_result result = maildir_open(&m, b.base, span_text(paths[i]), create, &why);

            cr_expect_eq(result, MAILDIR_DENIED, "%s: %d", paths[i], (int)result);
            cr_expect(why.len > 0);
            buf_fini(&why);
        }
    box_end(&b);
}

Test(maildir, follows_no_link_that_is_called_new)
{
    struct box b = box_new();
    struct maildir m;
    struct buf why = BUF_INIT;
    cr_assert_eq(unlinkat(b.m.root, "new", AT_REMOVEDIR), 0);
    cr_assert_eq(symlinkat("cur", b.m.root, "new"), 0);

    cr_expect_eq(maildir_open(&m, b.base, SPAN("Maildir"), true, &why), MAILDIR_DENIED);

    buf_fini(&why);
    box_end(&b);
}

Test(maildir, lists_by_time_then_name_from_both_directories)
{
    struct box b = box_new();
    struct maildir_list list;
    box_put(&b, MAILDIR_NEW, "30.b.h,S=3,W=4", "c\n\n");
    box_put(&b, MAILDIR_CUR, "4.z.h:2,S", "a\n");
    box_put(&b, MAILDIR_CUR, "30.a.h,S=2,W=3:2,", "b\n");
    box_put(&b, MAILDIR_TMP, "1.t.h", "no");
    box_put(&b, MAILDIR_CUR, ".hidden", "no");
    cr_assert_eq(mkdirat(b.m.parts[MAILDIR_CUR], "5.dir.h", 0700), 0);

    box_list(&b, &list);

    cr_assert_eq(list.n, 3);
    cr_expect_str_eq(list.at[0].name, "4.z.h:2,S");
    cr_expect_str_eq(list.at[1].name, "30.a.h,S=2,W=3:2,");
    cr_expect_str_eq(list.at[2].name, "30.b.h,S=3,W=4");
    cr_expect(list.at[2].is_new && list.at[2].has_sizes && !list.at[0].has_sizes);
    maildir_list_fini(&list);
    box_end(&b);
}

Test(maildir, finds_a_message_that_was_renamed_and_keeps_its_unique_id)
{
    struct box b = box_new();
    struct maildir_list list;
    struct buf before = BUF_INIT, after = BUF_INIT;
    int fd = -1;
    box_put(&b, MAILDIR_NEW, "1.a.h,S=2,W=3", "a\n");
    box_put(&b, MAILDIR_NEW, "2.b.h,S=2,W=3", "b\n");
    box_list(&b, &list);
    maildir_list_put_uidl(&list, 0, &before);
    cr_assert_eq(renameat(b.m.parts[MAILDIR_NEW], "1.a.h,S=2,W=3", b.m.parts[MAILDIR_CUR], "1.a.h,S=2,W=3:2,RS"), 0);

    cr_expect_eq(maildir_message_open(&b.m, &list, 0, &fd), MAILDIR_OK);
    maildir_list_put_uidl(&list, 0, &after);

    cr_expect(span_eq(buf_span(&before), buf_span(&after)));
    cr_expect_str_eq(buf_text(&before), "1.a.h");
    close(fd);
    cr_expect_eq(maildir_message_open(&b.m, &list, 1, &fd), MAILDIR_OK);
    close(fd);
    maildir_list_fini(&list);
    buf_fini(&before);
    buf_fini(&after);
    box_end(&b);
}

Test(maildir, knows_a_message_that_has_vanished)
{
    struct box b = box_new();
    struct maildir_list list;
    int fd = -1;
    box_put(&b, MAILDIR_NEW, "1.a.h", "a\n");
    box_list(&b, &list);
    unlinkat(b.m.parts[MAILDIR_NEW], "1.a.h", 0);

    cr_expect_eq(maildir_message_open(&b.m, &list, 0, &fd), MAILDIR_GONE);
    cr_expect(list.at[0].gone);
    cr_expect_eq(maildir_message_remove(&b.m, &list, 0), MAILDIR_OK);

    maildir_list_fini(&list);
    box_end(&b);
}

Test(maildir, gives_two_messages_of_one_unique_part_two_ids)
{
    struct box b = box_new();
    struct maildir_list list;
    struct buf ids[2] = {BUF_INIT, BUF_INIT};
    box_put(&b, MAILDIR_NEW, "1.a.h", "a\n");
    box_put(&b, MAILDIR_CUR, "1.a.h:2,S", "b\n");

    box_list(&b, &list);

    cr_assert_eq(list.n, 2);
    for (size_t i = 0; i < 2; i++)
        maildir_list_put_uidl(&list, i, &ids[i]);
    cr_expect_not(span_eq(buf_span(&ids[0]), buf_span(&ids[1])));
    buf_fini(&ids[0]);
    buf_fini(&ids[1]);
    maildir_list_fini(&list);
    box_end(&b);
}

Test(maildir, counts_a_file_with_two_names_once)
{
    struct box b = box_new();
    struct maildir_list list;
    box_put(&b, MAILDIR_NEW, "1.a.h", "a\n");
    cr_assert_eq(linkat(b.m.parts[MAILDIR_NEW], "1.a.h", b.m.parts[MAILDIR_CUR], "1.a.h:2,S", 0), 0);

    box_list(&b, &list);

    cr_expect_eq(list.n, 1);
    maildir_list_fini(&list);
    box_end(&b);
}

Test(maildir, removes_and_marks_seen)
{
    struct box b = box_new();
    struct maildir_list list;
    struct buf why = BUF_INIT;
    char name[256];
    box_put(&b, MAILDIR_NEW, "1.a.h", "a\n");
    box_put(&b, MAILDIR_NEW, "2.b.h", "b\n");
    box_list(&b, &list);

    cr_expect_eq(maildir_message_remove(&b.m, &list, 0), MAILDIR_OK);
    cr_expect_eq(maildir_message_mark_seen(&b.m, &list, 1), MAILDIR_OK);
    cr_expect_eq(maildir_sync(&b.m, &why), MAILDIR_OK);

    cr_expect_eq(box_count(&b, MAILDIR_NEW, NULL), 0);
    cr_expect_eq(box_count(&b, MAILDIR_CUR, name), 1);
    cr_expect_str_eq(name, "2.b.h:2,S");
    maildir_list_fini(&list);
    box_end(&b);
}

Test(maildir, lets_one_session_in_at_a_time)
{
    struct box b = box_new();
    struct maildir second;
    struct buf why = BUF_INIT;
    cr_assert_eq(maildir_open(&second, b.base, SPAN("Maildir"), false, &why), MAILDIR_OK);

    cr_expect_eq(maildir_lock(&b.m, &why), MAILDIR_OK);
    cr_expect_eq(maildir_lock(&second, &why), MAILDIR_BUSY);
    maildir_close(&b.m);
    cr_expect_eq(maildir_lock(&second, &why), MAILDIR_OK);

    maildir_close(&second);
    buf_fini(&why);
    box_end(&b);
}

Test(maildir, cleans_tmp_of_what_is_older_than_36_hours_only)
{
    struct box b = box_new();
    char name[256];
    struct timespec old[2] = {{.tv_sec = clock_wall() - MAILDIR_TMP_AGE - 100}, {.tv_sec = clock_wall() - MAILDIR_TMP_AGE - 100}};
    box_put(&b, MAILDIR_TMP, "young", "x");
    box_put(&b, MAILDIR_TMP, "old", "x");
    utimensat(b.m.parts[MAILDIR_TMP], "old", old, 0);

    maildir_clean(&b.m);

    /* Its inode was changed just now, so it stays: both times must be old. */
    cr_expect_eq(box_count(&b, MAILDIR_TMP, name), 2);
    box_end(&b);
}

Test(maildir, measures_what_pop3_sends)
{
    static const struct {
        const char *says, *text;
        uint64_t size, virtual_size;
    } rows[] = {
        {"empty", "", 0, 0},
        {"LF lines", "a\nb\n", 4, 6},
        {"CRLF lines", "a\r\nb\r\n", 6, 6},
        {"a line without end", "a\nb", 3, 6},
        {"an empty first line", "\n", 1, 2},
        {"a bare CR", "a\rb\n", 4, 5},
        {"a bare CR at the end", "a\r", 2, 4},
    };
    struct box b = box_new();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t size = 99, virtual_size = 99;
        box_put(&b, MAILDIR_CUR, "m", rows[i].text);
        int fd = openat(b.m.parts[MAILDIR_CUR], "m", O_RDONLY);

        cr_expect(maildir_measure(fd, &size, &virtual_size));

        cr_expect_eq(size, rows[i].size, "%s", rows[i].says);
        cr_expect_eq(virtual_size, rows[i].virtual_size, "%s: %llu", rows[i].says, (unsigned long long)virtual_size);
        close(fd);
    }
    box_end(&b);
}

Test(maildir, says_what_errors_mean_for_a_delivery)
{
    static const struct {
        int error;
        const char *dsn;
    } rows[] = {{0, "2.0.0"}, {EDQUOT, "4.2.2"}, {EFBIG, "4.2.2"}, {ENOSPC, "4.3.1"}, {EACCES, "4.3.0"}, {EIO, "4.3.0"}, {EINVAL, "4.3.0"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_str_eq(maildir_dsn(maildir_result_of(rows[i].error)), rows[i].dsn, "row %zu", i);
}
