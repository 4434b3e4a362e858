#include "auth/passwd.h"

#include <criterion/criterion.h>
#include <sys/mman.h>
#include <unistd.h>

static const struct passwd_entry *find(const struct passwd_file *f, const char *name)
{
    return passwd_file_find(f, span_text(name));
}

Test(passwd, reads_names_and_hashes_and_what_may_follow)
{
    struct passwd_file f = PASSWD_FILE_INIT;

    passwd_file_parse(&f, SPAN("# comment\n\nAlice:$6$x$y\nbob:{CRYPT}$y$1:1000:1001:Bob B:/home/bob:/bin/sh:x=y\r\ncarl:h::::/c"));

    cr_assert_not_null(find(&f, "alice"));
    cr_expect(span_eq(find(&f, "alice")->hash, SPAN("$6$x$y")));
    cr_expect_eq(find(&f, "alice")->uid, -1);
    cr_expect_eq(f.first, find(&f, "alice"));
    const struct passwd_entry *bob = find(&f, "bob");
    cr_assert_not_null(bob);
    cr_expect(span_eq(bob->hash, SPAN("{CRYPT}$y$1")));
    cr_expect_eq(bob->uid, 1000);
    cr_expect_eq(bob->gid, 1001);
    cr_expect(span_eq(bob->home, SPAN("/home/bob")));
    cr_assert_not_null(find(&f, "carl"));
    cr_expect(span_eq(find(&f, "carl")->home, SPAN("/c")));
    cr_expect_null(find(&f, "Alice"));
    cr_expect_eq(f.wrong, 0);
    passwd_file_fini(&f);
}

Test(passwd, leaves_wrong_lines_out_and_says_where_the_first_is)
{
    static const char *const rows[] = {"nocolon", ":hash", "u:h:x", "u:h:1:-2", "u:h:1:2:g:relative", "u:h\x01y",
                                       "u:h:4294967295:1"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct passwd_file f = PASSWD_FILE_INIT;
        struct buf text = BUF_INIT;
        buf_printf(&text, "good:h\n%s\nlast:h\n", rows[i]);

        passwd_file_parse(&f, buf_span(&text));

        cr_expect_eq(f.wrong, 1, "%s", rows[i]);
        cr_expect_eq(f.wrong_line, 2, "%s", rows[i]);
        cr_expect(find(&f, "good") && find(&f, "last") && !find(&f, "u"), "%s", rows[i]);
        passwd_file_fini(&f);
        buf_fini(&text);
    }
}

Test(passwd, takes_the_first_of_two_lines_for_a_name)
{
    struct passwd_file f = PASSWD_FILE_INIT;

    passwd_file_parse(&f, SPAN("a:1\nA:2\n"));

    cr_expect(span_eq(find(&f, "a")->hash, SPAN("1")));
    passwd_file_fini(&f);
}

Test(passwd, takes_lines_and_names_up_to_their_limits)
{
    for (size_t beyond = 0; beyond < 2; beyond++) {
        struct passwd_file f = PASSWD_FILE_INIT;
        struct buf text = BUF_INIT;
        buf_puts(&text, "l:");
        while (text.len < PASSWD_LINE_MAX + beyond)
            buf_putc(&text, 'h');
        buf_putc(&text, '\n');
        for (size_t i = 0; i < PASSWD_NAME_MAX + beyond; i++)
            buf_putc(&text, 'n');
        buf_puts(&text, ":h\n");

        passwd_file_parse(&f, buf_span(&text));

        cr_expect_eq(f.wrong, 2 * beyond);
        cr_expect_eq(f.by_name.count, 2 - 2 * beyond);
        passwd_file_fini(&f);
        buf_fini(&text);
    }
}

Test(passwd, reads_a_file_and_refuses_one_that_is_too_large)
{
    struct passwd_file f = PASSWD_FILE_INIT;
    struct buf why = BUF_INIT;
    int fd = memfd_create("passwd", 0);
    cr_assert_eq(write(fd, "a:1\n", 4), 4);

    cr_expect(passwd_file_read(&f, fd, &why));
    cr_expect_not_null(find(&f, "a"));
    passwd_file_fini(&f);
    cr_assert_eq(ftruncate(fd, PASSWD_FILE_MAX + 1), 0);
    cr_expect_not(passwd_file_read(&f, fd, &why));
    cr_expect_null(f.first);

    close(fd);
    buf_fini(&why);
}
