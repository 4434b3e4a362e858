#include "tests/unit/pickup/fake.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

static char place[] = "/tmp/pickup-scan-XXXXXX";
static struct pickup pickup;
static struct msg_drop_recipient one = {.address = SPAN_INIT("you@example.test")};

static void setup(void)
{
    fake_setup();
    cr_assert(mkdtemp(place));
    pickup = (struct pickup){.config = fake.config, .services = fake.services};
    pickup.maildrop = open(place, O_RDONLY | O_DIRECTORY);
}

static void teardown(void)
{
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", place);
    cr_expect_eq(system(command), 0);
    map_fini(&pickup.told);
    arena_fini(&pickup.told_arena);
    fake_teardown();
}

TestSuite(scan, .init = setup, .fini = teardown);

static void put(const char *name, size_t text)
{
    struct msg_drop m = {.sender = SPAN("me@example.test"), .recipients = {&one, 1}, .flags = DROP_SENDER};
    int fd = openat(pickup.maildrop, name, O_RDWR | O_CREAT | O_EXCL, 0640);
    cr_assert(fd >= 0);
    fake_drop(fd, &m, text);
    close(fd);
}

static bool is_there(const char *name)
{
    return faccessat(pickup.maildrop, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void scan(void)
{
    scan_begin(&pickup);
    while (scan_take_next(&pickup))
        ;
    cr_expect_null(pickup.walk);
}

Test(scan, takes_and_removes_every_file)
{
    put("a", 10);
    put("b", 100000);
    put("c", 10);

    scan();

    cr_expect_eq(fake.submits, 3u);
    cr_expect_not(is_there("a") || is_there("b") || is_there("c"));
}

Test(scan, leaves_what_is_not_ours_and_takes_the_rest)
{
    put("good", 10);
    put("target", 10);
    cr_assert_eq(linkat(pickup.maildrop, "target", pickup.maildrop, "twin", 0), 0);
    cr_assert_eq(symlinkat("good", pickup.maildrop, "link"), 0);
    cr_assert_eq(mkfifoat(pickup.maildrop, "fifo", 0666), 0);
    close(openat(pickup.maildrop, "empty", O_WRONLY | O_CREAT, 0640));

    scan();
    scan();

    cr_expect_eq(fake.submits, 1u);
    cr_expect(is_there("target") && is_there("twin") && is_there("link") && is_there("fifo") && is_there("empty"));
    cr_expect_not(is_there("good"));
    cr_expect_eq(pickup.told.count, 5u, "each is told once");
}

Test(scan, takes_a_file_that_was_unfinished_when_it_is_finished)
{
    struct msg_drop m = {.sender = SPAN("me@example.test"), .recipients = {&one, 1}, .flags = DROP_SENDER};
    struct drop_writer w;
    int fd = openat(pickup.maildrop, "a", O_RDWR | O_CREAT | O_EXCL, 0640);
    cr_assert(drop_write_begin(&w, fd, &m));
    drop_write(&w, SPAN("text\n"));

    scan();
    cr_expect_eq(fake.submits, 0u);
    cr_expect(is_there("a"));
    cr_assert_eq(drop_write_end(&w), 0);
    close(fd);
    scan();

    cr_expect_eq(fake.submits, 1u);
    cr_expect_not(is_there("a"));
}

Test(scan, keeps_what_cleanup_does_not_take_now_under_the_same_id)
{
    char first[QUEUE_ID_MAX + 1];
    put("a", 10);
    fake.class = 4;
    scan();
    cr_expect(is_there("a"));
    memcpy(first, fake.last_id, sizeof first);

    fake.class = 0;
    scan();

    cr_expect_not(is_there("a"));
    cr_expect_str_eq(fake.last_id, first);
}

Test(scan, goes_on_behind_one_that_cannot_go_now)
{
    put("a", 10);
    put("b", 10);
    fake.class = 4;

    scan();

    cr_expect_eq(fake.submits, 2u);
    cr_expect(is_there("a") && is_there("b"));
}

Test(scan, ends_where_no_service_answers)
{
    put("a", 10);
    put("b", 10);
    fake.lost = 100;

    scan();

    cr_expect_eq(fake.submits, 3u, "three tries for the first");
    cr_expect(is_there("a") && is_there("b"));
}

Test(scan, removes_what_was_refused_when_its_sender_has_been_told)
{
    put("a", 10);
    fake.class = 5;
    fake.notify_fails = true;
    scan();
    cr_expect(is_there("a"));

    fake.notify_fails = false;
    scan();

    cr_expect_eq(fake.notices, 2u);
    cr_expect_not(is_there("a"));
}

static void rename_it(void)
{
    cr_assert_eq(renameat(pickup.maildrop, "a", pickup.maildrop, "hidden"), 0);
    put("a", 20);
    fake.meanwhile = NULL;
}

Test(scan, does_not_remove_what_came_in_place_of_the_file_that_it_took)
{
    put("a", 10);
    fake.meanwhile = rename_it;
    scan_begin(&pickup);
    cr_expect(scan_take_next(&pickup));

    cr_expect(is_there("a"), "this one was not submitted");
    cr_expect(is_there("hidden"));
    closedir(pickup.walk);
}

static void remove_it(void)
{
    cr_assert_eq(unlinkat(pickup.maildrop, "a", 0), 0);
}

Test(scan, is_content_where_the_file_goes_meanwhile)
{
    put("a", 10);
    fake.meanwhile = remove_it;

    scan();

    cr_expect_eq(fake.submits, 1u);
    cr_expect_eq(pickup.told.count, 0u);
}


Test(scan, does_not_submit_twice_what_it_could_not_remove)
{
    put("a", 10);
    fake.meanwhile = rename_it; /* "a" is another file now, the one that was taken is "hidden" */
    scan();
    unsigned before = fake.submits;
    cr_assert_eq(unlinkat(pickup.maildrop, "a", 0) == 0 || errno == ENOENT, 1);
    cr_assert_eq(renameat(pickup.maildrop, "hidden", pickup.maildrop, "a") == 0 || errno == ENOENT, 1);

    scan();

    cr_expect_eq(fake.submits, before, "under its old name it is known");
    cr_expect_not(is_there("a"), "and removed now");
}
