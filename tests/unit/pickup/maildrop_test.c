#include "pickup/maildrop.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static char place[] = "/tmp/maildrop-test-XXXXXX";
static int directory, outside;

static void setup(void)
{
    cr_assert(mkdtemp(place));
    outside = open(place, O_RDONLY | O_DIRECTORY);
    cr_assert_eq(mkdirat(outside, "maildrop", 0700), 0);
    directory = openat(outside, "maildrop", O_RDONLY | O_DIRECTORY);
    cr_assert_eq(fchmod(directory, 03733), 0);
}

static void teardown(void)
{
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", place);
    cr_expect_eq(system(command), 0);
}

TestSuite(maildrop, .init = setup, .fini = teardown);

static void put(int where, const char *name, const char *text)
{
    int fd = openat(where, name, O_WRONLY | O_CREAT | O_EXCL, 0640);
    cr_assert(fd >= 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static enum maildrop_result take(const char *name, struct drop_file *f, const char **says)
{
    static struct buf why;
    buf_clear(&why);
    enum maildrop_result result = maildrop_take(directory, name, f, &why);
    *says = buf_text(&why);
    return result;
}

/* What take() must say of a name that is not ours. */
static void expect_foreign(const char *name, const char *says)
{
    struct drop_file f;
    const char *why;
    cr_expect_eq(take(name, &f, &why), MAILDROP_FOREIGN, "%s", name);
    cr_expect_str_eq(why, says);
    cr_expect_eq(f.fd, -1);
}

Test(maildrop, takes_a_plain_file_in_its_owners_name)
{
    struct drop_file f;
    const char *why;
    put(directory, "a", "hello");

    cr_assert_eq(take("a", &f, &why), MAILDROP_TAKEN, "%s", why);

    cr_expect_eq(f.uid, getuid());
    cr_expect_eq(f.size, 5u);
    maildrop_close(&f);
}

Test(maildrop, knows_who_owns_a_file_that_root_finds)
{
    struct drop_file f;
    const char *why;
    put(directory, "a", "hello");
    if (fchownat(directory, "a", 12345, (gid_t)-1, 0) != 0)
        cr_skip_test("only root can give files away");

    cr_assert_eq(take("a", &f, &why), MAILDROP_TAKEN, "%s", why);

    cr_expect_eq(f.uid, 12345u);
    maildrop_close(&f);
}

Test(maildrop, gives_a_file_the_same_id_every_time_and_no_other_file_the_same)
{
    struct drop_file first, again, other;
    const char *why;
    put(directory, "a", "hello");
    put(directory, "b", "hello");

    cr_assert_eq(take("a", &first, &why), MAILDROP_TAKEN);
    cr_assert_eq(fchmodat(directory, "a", 0600, 0), 0);
    cr_assert_eq(utimensat(directory, "a", (const struct timespec[]){{1, 0}, {1, 0}}, 0), 0);
    cr_assert_eq(take("a", &again, &why), MAILDROP_TAKEN);
    cr_assert_eq(take("b", &other, &why), MAILDROP_TAKEN);

    struct statx st;
    cr_assert_eq(statx(first.fd, "", AT_EMPTY_PATH, STATX_BTIME, &st), 0);
    if (st.stx_mask & STATX_BTIME)
        cr_expect_str_eq(first.id.text, again.id.text);
    cr_expect_str_neq(first.id.text, other.id.text);
    cr_expect_str_neq(first.id.text, first.notice.text);
    maildrop_close(&first);
    maildrop_close(&again);
    maildrop_close(&other);
}

Test(maildrop, follows_no_symbolic_link)
{
    put(outside, "secret", "hello");
    cr_assert_eq(symlinkat("../secret", directory, "a"), 0);

    expect_foreign("a", "it is a symbolic link");
}

Test(maildrop, takes_no_file_with_a_second_name)
{
    put(outside, "secret", "hello");
    cr_assert_eq(linkat(outside, "secret", directory, "a", 0), 0);

    expect_foreign("a", "it has another name too");
}

Test(maildrop, takes_no_file_that_was_made_elsewhere)
{
    struct stat st;
    put(outside, "secret", "hello");
    cr_assert_eq(linkat(outside, "secret", directory, "a", 0), 0);
    cr_assert_eq(unlinkat(outside, "secret", 0), 0);
    cr_assert_eq(fstat(directory, &st), 0);
    if (fchownat(directory, "a", (uid_t)-1, st.st_gid + 1, 0) != 0)
        cr_skip_test("only root can make files of another group");

    expect_foreign("a", "it was not made in this directory");
}

Test(maildrop, does_not_wait_for_a_fifo)
{
    cr_assert_eq(mkfifoat(directory, "a", 0666), 0);

    expect_foreign("a", "it is not a regular file");
}

Test(maildrop, takes_no_socket_and_no_directory)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/maildrop/a", place);
    cr_assert_eq(bind(s, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(mkdirat(directory, "b", 0700), 0);

    expect_foreign("a", "No such device or address");
    expect_foreign("b", "it is not a regular file");
    close(s);
}

Test(maildrop, says_that_a_name_is_gone)
{
    struct drop_file f;
    const char *why;

    cr_expect_eq(take("a", &f, &why), MAILDROP_GONE);
}

Test(maildrop, removes_what_it_took)
{
    struct drop_file f;
    struct buf why = BUF_INIT;
    put(directory, "a", "hello");
    cr_assert_eq(maildrop_take(directory, "a", &f, &why), MAILDROP_TAKEN);

    cr_expect(maildrop_remove(directory, "a", &f, &why));

    cr_expect_neq(faccessat(directory, "a", F_OK, 0), 0);
    maildrop_close(&f);
}

Test(maildrop, does_not_remove_a_file_that_came_under_the_same_name)
{
    struct drop_file f;
    struct buf why = BUF_INIT;
    put(directory, "a", "hello");
    put(directory, "b", "another");
    cr_assert_eq(maildrop_take(directory, "a", &f, &why), MAILDROP_TAKEN);
    cr_assert_eq(renameat(directory, "a", directory, "c"), 0);
    cr_assert_eq(renameat(directory, "b", directory, "a"), 0);

    cr_expect_not(maildrop_remove(directory, "a", &f, &why), "it still is there, as c");

    cr_expect_eq(faccessat(directory, "a", F_OK, 0), 0);
    cr_expect_eq(faccessat(directory, "c", F_OK, 0), 0);
    maildrop_close(&f);
    buf_fini(&why);
}

Test(maildrop, is_content_where_its_owner_removed_a_file_first)
{
    struct drop_file f;
    struct buf why = BUF_INIT;
    put(directory, "a", "hello");
    cr_assert_eq(maildrop_take(directory, "a", &f, &why), MAILDROP_TAKEN);
    cr_assert_eq(unlinkat(directory, "a", 0), 0);

    cr_expect(maildrop_remove(directory, "a", &f, &why));

    maildrop_close(&f);
    buf_fini(&why);
}

Test(maildrop, walks_over_all_but_hidden_names)
{
    put(directory, "a", "hello");
    put(directory, ".b", "hello");
    DIR *walk = maildrop_walk(directory);

    cr_expect_str_eq(maildrop_next(walk, time(NULL)), "a");
    cr_expect_null(maildrop_next(walk, time(NULL)));

    closedir(walk);
    cr_expect_eq(faccessat(directory, ".b", F_OK, 0), 0);
}

Test(maildrop, removes_hidden_files_beyond_their_age)
{
    put(directory, ".b", "hello");
    struct stat st;
    cr_assert_eq(fstatat(directory, ".b", &st, 0), 0);
    DIR *walk = maildrop_walk(directory);

    cr_expect_null(maildrop_next(walk, st.st_ctim.tv_sec + MAILDROP_UNFINISHED_S));
    cr_expect_eq(faccessat(directory, ".b", F_OK, 0), 0, "as old as the limit");
    rewinddir(walk);
    cr_expect_null(maildrop_next(walk, st.st_ctim.tv_sec + MAILDROP_UNFINISHED_S + 1));
    cr_expect_neq(faccessat(directory, ".b", F_OK, 0), 0, "older");

    closedir(walk);
}
