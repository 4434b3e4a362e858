#include "master/lock.h"

#include "lib/base/clock.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[] = "/tmp/lock.XXXXXX";

static void enter(void)
{
    cr_assert(mkdtemp(directory) != NULL && chdir(directory) == 0 && mkdir("pid", 0755) == 0);
}

static void leave(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    cr_assert_eq(system(command), 0);
}

TestSuite(lock, .init = enter, .fini = leave);

Test(lock, gives_numbers_that_count_up_from_one)
{
    struct queue_lock l = QUEUE_LOCK_INIT;
    struct buf why = BUF_INIT;

    for (uint64_t want = 1; want <= LOCK_BLOCK + 2; want++)
        cr_assert_eq(lock_next_number(&l, &why), want);
}

Test(lock, gives_no_number_twice_when_the_server_is_killed_and_starts_again)
{
    struct buf why = BUF_INIT;
    uint64_t last = 0;

    for (int start = 0; start < 4; start++) {
        struct queue_lock l = QUEUE_LOCK_INIT; /* as after a kill: nothing but the file is left */
        for (int i = 0; i < (start == 1 ? LOCK_BLOCK : 3); i++) {
            uint64_t number = lock_next_number(&l, &why);
            cr_assert_gt(number, last);
            last = number;
        }
    }
}

Test(lock, gives_no_number_where_the_file_is_rubbish)
{
    static const char *const contents[] = {"", "x\n", "-1\n", "0\n", "12 13\n", "99999999999999999999999\n"};

    for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
        struct queue_lock l = QUEUE_LOCK_INIT;
        struct buf why = BUF_INIT;
        FILE *f = fopen("pid/incarnation", "w");
        cr_assert(f && fputs(contents[i], f) >= 0 && fclose(f) == 0);

        cr_expect_eq(lock_next_number(&l, &why), 0, "\"%s\"", contents[i]);
        cr_expect(why.len > 0);
        buf_fini(&why);
    }
}

Test(lock, is_held_once)
{
    struct queue_lock first = QUEUE_LOCK_INIT, second = QUEUE_LOCK_INIT;
    struct buf why = BUF_INIT;
    char want[64];

    cr_assert(lock_take(&first, &why), "%s", buf_text(&why));
    cr_expect_not(lock_take(&second, &why));

    snprintf(want, sizeof want, "the server is running already: pid %ld", (long)getpid());
    cr_expect_str_eq(buf_text(&why), want);
    cr_expect_eq(lock_holder(), getpid());
    lock_end(&second);
    lock_end(&first);
    cr_expect_eq(lock_holder(), 0);
    buf_fini(&why);
}

Test(lock, of_the_queue_is_held_by_those_who_inherit_it)
{
    struct queue_lock l = QUEUE_LOCK_INIT, next = QUEUE_LOCK_INIT;
    struct buf why = BUF_INIT;
    int gate[2];
    cr_assert(pipe(gate) == 0 && lock_take(&l, &why));
    pid_t owner = fork();
    if (owner == 0) { /* has the descriptor, as cleanup and qmgr have */
        char c;
        close(gate[1]);
        close(l.server);
        (void)!read(gate[0], &c, 1);
        poll(NULL, 0, 300);
        _exit(0);
    }
    close(gate[0]);
    close(l.server);
    close(l.queue); /* master was killed */
    close(gate[1]); /* and its child notices, and takes a moment to end */

    mono_ms begun = clock_mono();
    bool taken = lock_take(&next, &why);

    cr_expect(taken, "%s", buf_text(&why));
    cr_expect_geq(clock_mono() - begun, 250, "not before the old owner had ended");
    cr_expect_eq(waitpid(owner, NULL, 0), owner);
    lock_end(&next);
    buf_fini(&why);
}
