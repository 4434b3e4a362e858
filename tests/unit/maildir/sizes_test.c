#include "lib/maildir/sizes.h"
#include "tests/unit/maildir/box.h"

#include "lib/base/clock.h"

static char *cache_of(const struct box *b)
{
    static char text[4096];
    int fd = openat(b->m.root, "merpati-sizes", O_RDONLY);
    if (fd < 0)
        return NULL;
    ssize_t n = read(fd, text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    close(fd);
    return text;
}

Test(maildir_sizes, reads_no_message_whose_name_tells)
{
    struct box b = box_new();
    struct maildir_list list;
    box_put(&b, MAILDIR_NEW, "1.a.h,S=777,W=888", "not that long");
    box_list(&b, &list);

    struct maildir_sizes_work work = maildir_sizes_fill(&b.m, &list);

    cr_expect_eq(work.measured, 0);
    cr_expect_eq(work.known, 1);
    cr_expect_eq(list.at[0].size, 777);
    cr_expect_eq(list.at[0].virtual_size, 888);
    cr_expect_null(cache_of(&b));
    maildir_list_fini(&list);
    box_end(&b);
}

Test(maildir_sizes, measures_a_foreign_message_once_whatever_its_flags)
{
    struct box b = box_new();
    struct maildir_list list;
    box_put(&b, MAILDIR_NEW, "1.a.h", "a\nb\n");
    box_put(&b, MAILDIR_CUR, "2.b.h,S=4:2,S", "c\r\nd\n");
    box_list(&b, &list);

    struct maildir_sizes_work first = maildir_sizes_fill(&b.m, &list);
    maildir_list_fini(&list);
    cr_assert_eq(renameat(b.m.parts[MAILDIR_NEW], "1.a.h", b.m.parts[MAILDIR_CUR], "1.a.h:2,S"), 0);
    box_list(&b, &list);
    struct maildir_sizes_work second = maildir_sizes_fill(&b.m, &list);

    cr_expect_eq(first.measured, 2);
    cr_expect_eq(second.measured, 0);
    cr_expect_eq(second.known, 2);
    cr_expect_eq(list.at[0].size, 4);
    cr_expect_eq(list.at[0].virtual_size, 6);
    cr_expect_eq(list.at[1].size, 5);
    cr_expect_eq(list.at[1].virtual_size, 6);
    maildir_list_fini(&list);
    box_end(&b);
}

Test(maildir_sizes, forgets_the_entries_of_messages_that_are_gone)
{
    struct box b = box_new();
    struct maildir_list list;
    box_put(&b, MAILDIR_NEW, "1.a.h", "a\n");
    box_list(&b, &list);
    maildir_sizes_fill(&b.m, &list);
    maildir_list_fini(&list);
    unlinkat(b.m.parts[MAILDIR_NEW], "1.a.h", 0);
    box_put(&b, MAILDIR_NEW, "2.b.h", "bb\n");
    box_list(&b, &list);

    maildir_sizes_fill(&b.m, &list);

    cr_expect_null(strstr(cache_of(&b), "1.a.h"));
    cr_expect_not_null(strstr(cache_of(&b), "3 4 2.b.h\n"));
    maildir_list_fini(&list);
    box_end(&b);
}

Test(maildir_sizes, measures_anew_where_the_file_is_damaged)
{
    static const char *const damage[] = {"cut", "changed", "foreign", "link"};
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        struct box b = box_new();
        struct maildir_list list;
        box_put(&b, MAILDIR_NEW, "1.a.h", "a\n");
        box_list(&b, &list);
        maildir_sizes_fill(&b.m, &list);
        maildir_list_fini(&list);
        int fd = openat(b.m.root, "merpati-sizes", O_RDWR);
        if (i == 0)
            cr_assert_eq(ftruncate(fd, 30), 0);
        if (i == 1)
            cr_assert_eq(pwrite(fd, "9", 1, 16), 1);
        if (i == 2)
            cr_assert_eq(pwrite(fd, "X", 1, 0), 1);
        if (i == 3) {
            cr_assert_eq(renameat(b.m.root, "merpati-sizes", b.m.root, "other"), 0);
            cr_assert_eq(symlinkat("other", b.m.root, "merpati-sizes"), 0);
        }
        close(fd);
        box_list(&b, &list);

        struct maildir_sizes_work work = maildir_sizes_fill(&b.m, &list);

        cr_expect_eq(work.measured, 1, "%s", damage[i]);
        cr_expect_eq(list.at[0].virtual_size, 3, "%s", damage[i]);
        maildir_list_fini(&list);
        box_end(&b);
    }
}

Test(maildir_sizes, leaves_out_what_cannot_be_read)
{
    struct box b = box_new();
    struct maildir_list list;
    cr_assert_eq(symlinkat("/etc/passwd", b.m.parts[MAILDIR_CUR], "1.a.h"), 0);
    box_put(&b, MAILDIR_CUR, "2.b.h", "b\n");
    box_list(&b, &list);
    /* One that vanishes before it is measured. */
    unlinkat(b.m.parts[MAILDIR_CUR], "2.b.h", 0);

    struct maildir_sizes_work work = maildir_sizes_fill(&b.m, &list);

    cr_expect_eq(work.dropped, 1);
    cr_expect_eq(list.n, 0);
    maildir_list_fini(&list);
    box_end(&b);
}

Test(maildir_sizes, lists_100000_messages_in_a_moment_the_second_time, .timeout = 120)
{
    enum { MESSAGES = 100000 };
    struct box b = box_new();
    struct maildir_list list;
    for (int i = 0; i < MESSAGES; i++) {
        char name[64];
        snprintf(name, sizeof name, i % 2 ? "%d.x%d.h,S=2,W=3:2,S" : "%d.x%d.h:2,S", 1000000 + i / 3, i);
        close(openat(b.m.parts[MAILDIR_CUR], name, O_WRONLY | O_CREAT, 0600));
    }
    box_list(&b, &list);
    maildir_sizes_fill(&b.m, &list);
    maildir_list_fini(&list);
    mono_ms start = clock_mono();

    box_list(&b, &list);
    struct maildir_sizes_work work = maildir_sizes_fill(&b.m, &list);

    mono_ms took = clock_mono() - start;
    cr_expect_eq(list.n, MESSAGES);
    cr_expect_eq(work.measured, 0);
    cr_expect_lt(took, 3000, "%lld ms", (long long)took);
    maildir_list_fini(&list);
    box_end(&b);
}
