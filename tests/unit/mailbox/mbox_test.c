#include "mailbox/mbox.h"
#include "mailbox/mbox_journal.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* --- the system calls that count, failed or used as the moment of a crash --- */

static struct {
    int countdown; /* the call at which it happens; 0: never */
    int error;     /* what it fails with; 0: the process ends */
    size_t cut;    /* octets that a failing or last write still writes */
    unsigned calls;
} hook;

static bool strikes(void)
{
    hook.calls++;
    if (hook.countdown == 0 || --hook.countdown > 0)
        return false;
    errno = hook.error;
    return true;
}

static int struck(void)
{
    if (hook.error == 0)
        _exit(42);
    return -1;
}

int fsync(int fd)
{
    return strikes() ? struck() : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return strikes() ? struck() : (int)syscall(SYS_fdatasync, fd);
}

ssize_t write(int fd, const void *p, size_t n)
{
    if (!strikes())
        return syscall(SYS_write, fd, p, n);
    if (hook.cut)
        (void)!syscall(SYS_write, fd, p, hook.cut < n ? hook.cut : n);
    errno = hook.error;
    return struck();
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    return strikes() ? struck() : syscall(SYS_pwrite64, fd, p, n, at);
}

int ftruncate(int fd, off_t size)
{
    return strikes() ? struck() : (int)syscall(SYS_ftruncate, fd, size);
}

/* --- helpers --- */

struct scene {
    char path[64];
    int base;
    struct mbox_settings settings;
    struct mbox_message m;
    const char *dsn;
    struct buf why;
};

static struct scene scene_new(void)
{
    struct scene s = {.path = "build/mbox-test-XXXXXX",
                      .settings = {.locks = MBOX_LOCK_FCNTL | MBOX_LOCK_DOTLOCK, .stale_s = 500, .strict_owner = true},
                      .m = {.queue_id = SPAN("4d2Vbc0Jz0z0001"),
                            .number = 1,
                            .arrival_us = INT64_C(1762165230) * 1000000,
                            .sender = SPAN("me@here.example"),
                            .top = SPAN("Return-Path: <me@here.example>\nDelivered-To: you@here.example\n"),
                            .text = SPAN("Subject: x\n\nFrom here\nFr\nfine\n"),
                            .fd = -1}};
    setenv("TZ", "UTC", 1);
    cr_assert(mkdtemp(s.path) != NULL);
    s.base = open(s.path, O_RDONLY | O_DIRECTORY);
    return s;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st, (void)type, (void)walk;
    return remove(path);
}

static void scene_end(struct scene *s)
{
    buf_fini(&s->why);
    close(s->base);
    nftw(s->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static enum mbox_result append(struct scene *s)
{
    buf_clear(&s->why);
    return mbox_append(s->base, SPAN("box"), &s->settings, &s->m, &s->dsn, &s->why);
}

static void put_file(const struct scene *s, const char *name, const char *text)
{
    int fd = openat(s->base, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(syscall(SYS_write, fd, text, strlen(text)), (long)strlen(text));
    close(fd);
}

static const char *file_text(const struct scene *s, const char *name)
{
    static char text[16384];
    int fd = openat(s->base, name, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n < 0 ? "(none)" : text;
}

static bool exists(const struct scene *s, const char *name)
{
    return faccessat(s->base, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

#define ONE                                                                                                  \
    "From me@here.example  Mon Nov  3 10:20:30 2025\n"                                                      \
    "Return-Path: <me@here.example>\nDelivered-To: you@here.example\n"                                     \
    "Subject: x\n\n>From here\nFr\nfine\n\n"

/* --- form --- */

Test(mbox, makes_the_file_and_appends_in_the_common_form)
{
    struct scene s = scene_new();

    enum mbox_result result = append(&s);

    struct stat st;
    cr_expect_eq(result, MBOX_OK, "%s", buf_text(&s.why));
    cr_expect_str_eq(file_text(&s, "box"), ONE);
    cr_assert_eq(fstatat(s.base, "box", &st, 0), 0);
    cr_expect_eq(st.st_mode & 07777, 0600);
    cr_expect_not(exists(&s, "box.lock"), "the lock stays");
    scene_end(&s);
}

static bool collect(struct span piece, void *context)
{
    buf_put(context, piece);
    return true;
}

Test(mbox, quotes_from_lines_wherever_a_piece_is_cut)
{
    struct scene s = scene_new();
    char name[128];
    snprintf(name, sizeof name, "%s/text", s.path);
    struct buf big = BUF_INIT, want = BUF_INIT, got = BUF_INIT, first = BUF_INIT;
    for (int i = 0; i < 2000; i++) {
        buf_puts(&big, "From x\nFrom\n From \nFFrom \n\nlast From \n");
        buf_puts(&want, ">From x\nFrom\n From \nFFrom \n\nlast From \n");
    }
    put_file(&s, "text", buf_text(&big));
    mbox_text_put_first_line(&first, &s.m);
    s.m.top = SPAN_NONE;
    s.m.fd = openat(s.base, "text", O_RDONLY);
    s.m.size = big.len;

    cr_assert(mbox_text_each(&s.m, collect, &got));

    buf_putc(&want, '\n');
    cr_expect(span_eq(span_skip(buf_span(&got), first.len), buf_span(&want)));
    close(s.m.fd);
    buf_fini(&big);
    buf_fini(&want);
    buf_fini(&got);
    buf_fini(&first);
    scene_end(&s);
}

Test(mbox, ends_every_message_with_an_empty_line)
{
    static const struct {
        const char *says, *text, *want;
    } rows[] = {
        {"an ended last line", "a\n", "a\n\n"},
        {"a last line without end", "a", "a\n\n"},
        {"a last line that is half a From", "a\nFro", "a\nFro\n\n"},
        {"a lone From line", "From ", ">From \n\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct scene s = scene_new();
        struct buf got = BUF_INIT, first = BUF_INIT;
        s.m.top = SPAN_NONE;
        s.m.text = span_text(rows[i].text);
        s.m.sender = SPAN_NONE;

        mbox_text_each(&s.m, collect, &got);

        mbox_text_put_first_line(&first, &s.m);
        cr_expect(span_starts(buf_span(&first), SPAN("From MAILER-DAEMON  ")), "%s", buf_text(&first));
        cr_expect_str_eq(buf_text(&got) + first.len, rows[i].want, "%s", rows[i].says);
        buf_fini(&got);
        buf_fini(&first);
        scene_end(&s);
    }
}

Test(mbox, lets_no_sender_break_the_first_line)
{
    struct scene s = scene_new();
    struct buf first = BUF_INIT;
    s.m.sender = SPAN("a b\nFrom c\x7f@x");

    mbox_text_put_first_line(&first, &s.m);

    cr_expect_str_eq(buf_text(&first), "From \"a?b?From?c?\"@x  Mon Nov  3 10:20:30 2025\n");
    buf_fini(&first);
    scene_end(&s);
}

Test(mbox, ends_a_last_line_that_another_program_left_open)
{
    struct scene s = scene_new();
    put_file(&s, "box", "From x  date\n\nopen");

    cr_expect_eq(append(&s), MBOX_OK);

    cr_expect_str_eq(file_text(&s, "box"), "From x  date\n\nopen\n" ONE);
    scene_end(&s);
}

/* --- once --- */

Test(mbox, knows_a_delivery_that_was_done)
{
    struct scene s = scene_new();
    cr_assert_eq(append(&s), MBOX_OK);

    enum mbox_result again = append(&s);
    s.m.number = 2;
    enum mbox_result other = append(&s);

    cr_expect_eq(again, MBOX_WAS_THERE);
    cr_expect_eq(other, MBOX_OK);
    cr_expect_str_eq(file_text(&s, "box"), ONE ONE);
    scene_end(&s);
}

Test(mbox, knows_it_when_the_user_has_rewritten_the_file_since)
{
    struct scene s = scene_new();
    put_file(&s, "box", "From x  date\n\nold\n\n");
    cr_assert_eq(append(&s), MBOX_OK);
    put_file(&s, "box", "");

    cr_expect_eq(append(&s), MBOX_WAS_THERE);

    cr_expect_str_eq(file_text(&s, "box"), "");
    scene_end(&s);
}

Test(mbox, forgets_only_after_many_others)
{
    struct scene s = scene_new();
    for (unsigned i = 1; i <= MBOX_JOURNAL_SLOTS; i++) {
        s.m.number = i;
        cr_assert_eq(append(&s), MBOX_OK);
    }
    s.m.number = 1;

    cr_expect_eq(append(&s), MBOX_WAS_THERE);
    s.m.number = MBOX_JOURNAL_SLOTS + 1;
    append(&s);
    s.m.number = 1;
    cr_expect_eq(append(&s), MBOX_OK, "the oldest of %d + 1", MBOX_JOURNAL_SLOTS);
    scene_end(&s);
}

/* A crash at each call that writes or syncs, and then the same delivery again, or another one first. */
static void crash_at_each_call(bool other_first, size_t part)
{
    for (int at = 1;; at++) {
        struct scene s = scene_new();
        put_file(&s, "box", "From x  date\n\nold\n\n");
        s.settings.locks = MBOX_LOCK_FCNTL; /* a dot lock of the dead one is waited for */
        pid_t pid = fork();
        if (pid == 0) {
            hook.countdown = at;
            hook.cut = part;
            append(&s);
            _exit(0);
        }
        int status;
        waitpid(pid, &status, 0);
        if (other_first) {
            s.m.queue_id = SPAN("4d2Vbc0Jz0zOTHER");
            cr_expect_eq(append(&s), MBOX_OK);
            s.m.queue_id = SPAN("4d2Vbc0Jz0z0001");
        }

        enum mbox_result result = append(&s);

        cr_expect(result == MBOX_OK || result == MBOX_WAS_THERE);
        cr_expect_str_eq(file_text(&s, "box"),
                         other_first ? "From x  date\n\nold\n\n" ONE ONE : "From x  date\n\nold\n\n" ONE,
                         "crash at call %d", at);
        scene_end(&s);
        if (WEXITSTATUS(status) == 0) {
            cr_expect_gt(at, 4, "the calls were counted");
            break;
        }
    }
}

Test(mbox, has_one_copy_after_a_crash_at_any_call)
{
    crash_at_each_call(false, 0);
}

Test(mbox, has_one_copy_after_a_crash_within_the_write)
{
    crash_at_each_call(false, 20);
    crash_at_each_call(false, 130);
}

Test(mbox, cuts_off_what_another_delivery_left_half_done)
{
    crash_at_each_call(true, 130);
}

Test(mbox, leaves_the_file_as_it_was_after_any_error)
{
    static const struct {
        int error;
        const char *dsn;
    } rows[] = {{ENOSPC, "4.3.1"}, {EDQUOT, "4.2.2"}, {EIO, "4.2.0"}, {EFBIG, "5.2.2"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int at = 1;; at++) {
            struct scene s = scene_new();
            put_file(&s, "box", "From x  date\n\nold\n\n");
            s.settings.locks = MBOX_LOCK_FCNTL;
            memset(&hook, 0, sizeof hook);
            hook.countdown = at;
            hook.error = rows[i].error;
            hook.cut = 50;

            enum mbox_result result = append(&s);

            bool over = hook.countdown > 0;
            hook.countdown = 0;
            if (result == MBOX_FAILED) {
                cr_expect_str_eq(file_text(&s, "box"), "From x  date\n\nold\n\n", "call %d", at);
                cr_expect_str_eq(s.dsn, rows[i].dsn);
            }
            cr_expect(result == MBOX_OK || result == MBOX_FAILED);
            cr_expect(append(&s) == (result == MBOX_OK ? MBOX_WAS_THERE : MBOX_OK), "call %d", at);
            cr_expect_str_eq(file_text(&s, "box"), "From x  date\n\nold\n\n" ONE, "call %d", at);
            scene_end(&s);
            if (over)
                break;
        }
    }
}

Test(mbox, cuts_nothing_that_another_program_wrote_at_that_place)
{
    struct scene s = scene_new();
    put_file(&s, "box", "From x  date\n\nold\n\n");
    pid_t pid = fork();
    if (pid == 0) {
        s.settings.locks = 0;
        hook.countdown = 5; /* behind the journal, before the mailbox */
        hook.error = 0;
        append(&s);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    put_file(&s, "box", "From x  date\n\nold\n\nFrom y  date\n\nnew\n\n");
    s.m.number = 2;

    cr_expect_eq(append(&s), MBOX_OK);

    cr_expect_str_eq(file_text(&s, "box"), "From x  date\n\nold\n\nFrom y  date\n\nnew\n\n" ONE);
    scene_end(&s);
}

Test(mbox, takes_a_damaged_journal_as_none)
{
    struct scene s = scene_new();
    append(&s);
    struct buf journal = BUF_INIT;
    buf_puts(&journal, file_text(&s, ".box.merpati"));

    for (size_t i = 0; i < journal.len; i += 7) {
        char kept = journal.data[i];
        journal.data[i] ^= 1;
        put_file(&s, ".box.merpati", buf_text(&journal));
        put_file(&s, "box", "");
        enum mbox_result result = append(&s);
        cr_expect(result == MBOX_OK || (kept == ' ' && result == MBOX_WAS_THERE), "octet %zu: %d", i, result);
        journal.data[i] = kept;
    }
    buf_fini(&journal);
    scene_end(&s);
}

Test(mbox, delivers_without_a_journal_where_none_can_be)
{
    struct scene s = scene_new();
    cr_assert_eq(symlinkat("/etc/passwd", s.base, ".box.merpati"), 0);

    cr_expect_eq(append(&s), MBOX_OK);

    cr_expect(strstr(buf_text(&s.why), "no journal"), "%s", buf_text(&s.why));
    cr_expect_str_eq(file_text(&s, "box"), ONE);
    scene_end(&s);
}

/* --- limits and locks --- */

Test(mbox, holds_the_size_limit_to_the_octet)
{
    for (uint64_t less = 0; less <= 1; less++) {
        struct scene s = scene_new();
        put_file(&s, "box", "From x  date\n\nold\n\n");
        s.settings.size_limit = strlen("From x  date\n\nold\n\n") + strlen(ONE) - less;

        enum mbox_result result = append(&s);

        cr_expect_eq(result, less ? MBOX_FAILED : MBOX_OK);
        if (less)
            cr_expect_str_eq(s.dsn, "5.2.2");
        cr_expect_str_eq(file_text(&s, "box"), less ? "From x  date\n\nold\n\n" : "From x  date\n\nold\n\n" ONE);
        scene_end(&s);
    }
}

Test(mbox, waits_for_those_who_hold_a_lock)
{
    struct scene s = scene_new();
    put_file(&s, "box", "");
    int fd = openat(s.base, "box", O_RDWR);
    struct flock whole = {.l_type = F_WRLCK};

    put_file(&s, "box.lock", "1\n");
    cr_expect_eq(append(&s), MBOX_BUSY, "a dot lock");
    cr_expect(exists(&s, "box.lock"), "the lock of another stays");
    unlinkat(s.base, "box.lock", 0);
    cr_assert_eq(fcntl(fd, F_OFD_SETLK, &whole), 0);
    cr_expect_eq(append(&s), MBOX_BUSY, "an fcntl lock");
    cr_expect_not(exists(&s, "box.lock"), "our lock is gone");
    whole.l_type = F_UNLCK;
    fcntl(fd, F_OFD_SETLK, &whole);
    flock(fd, LOCK_EX);
    cr_expect_eq(append(&s), MBOX_OK, "flock is not asked for");
    s.settings.locks = MBOX_LOCK_FLOCK;
    s.m.number = 2;
    cr_expect_eq(append(&s), MBOX_BUSY, "a flock lock");
    close(fd);
    cr_expect_eq(append(&s), MBOX_OK);
    scene_end(&s);
}

Test(mbox, removes_a_stale_dot_lock)
{
    struct scene s = scene_new();
    struct timespec old[2] = {{.tv_sec = time(NULL) - 499}, {.tv_sec = time(NULL) - 499}};
    put_file(&s, "box.lock", "1\n");

    utimensat(s.base, "box.lock", old, 0);
    cr_expect_eq(append(&s), MBOX_BUSY, "young enough");
    old[1].tv_sec -= 10;
    utimensat(s.base, "box.lock", old, 0);
    cr_expect_eq(append(&s), MBOX_OK);

    cr_expect_not(exists(&s, "box.lock"));
    scene_end(&s);
}

Test(mbox, needs_a_dot_lock_unless_it_may_lack_one)
{
    struct scene s = scene_new();
    put_file(&s, "box", "");
    if (geteuid() == 0)
        cr_skip_test("root makes files everywhere");
    fchmod(s.base, 0500);

    cr_expect_eq(append(&s), MBOX_FAILED);
    cr_expect_str_eq(s.dsn, "4.2.0");
    s.settings.may_lack_dotlock = true;
    cr_expect_eq(append(&s), MBOX_OK);

    fchmod(s.base, 0700);
    scene_end(&s);
}

/* --- attacks --- */

Test(mbox, follows_no_link_and_opens_no_other_file)
{
    static const struct {
        const char *says, *path;
        enum mbox_result result;
        const char *dsn;
    } rows[] = {
        {"a link to a file", "link", MBOX_FAILED, "4.2.0"},
        {"a dangling link", "dangling", MBOX_FAILED, "4.2.0"},
        {"a link to a directory in the path", "dirlink/box", MBOX_FAILED, "4.2.0"},
        {"a file with two names", "two", MBOX_FAILED, "5.2.0"},
        {"a fifo", "fifo", MBOX_FAILED, "5.2.0"},
        {"a directory", "dir", MBOX_FAILED, "4.2.0"},
        {"a path upwards", "../box", MBOX_FAILED, "4.2.0"},
        {"a path upwards inside", "dir/../../box", MBOX_FAILED, "4.2.0"},
        {"the directory itself", "dir/..", MBOX_FAILED, "5.3.5"},
        {"nothing", "", MBOX_FAILED, "5.3.5"},
        {"a directory's name", "dir/", MBOX_FAILED, "5.3.5"},
        {"a directory that is not there", "none/box", MBOX_FAILED, "4.2.0"},
        {"a file in a directory", "dir/box", MBOX_OK, "2.0.0"},
        {"slashes before it", "//dir//box2", MBOX_OK, "2.0.0"},
    };
    struct scene s = scene_new();
    put_file(&s, "victim", "kept");
    put_file(&s, "one", "kept");
    cr_assert_eq(mkdirat(s.base, "dir", 0700), 0);
    cr_assert_eq(symlinkat("victim", s.base, "link"), 0);
    cr_assert_eq(symlinkat("made", s.base, "dangling"), 0);
    cr_assert_eq(symlinkat("dir", s.base, "dirlink"), 0);
    cr_assert_eq(linkat(s.base, "one", s.base, "two", 0), 0);
    cr_assert_eq(mkfifoat(s.base, "fifo", 0600), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        buf_clear(&s.why);
        enum mbox_result result =
            mbox_append(s.base, span_text(rows[i].path), &s.settings, &s.m, &s.dsn, &s.why);

        cr_expect_eq(result, rows[i].result, "%s: %d %s", rows[i].says, result, buf_text(&s.why));
        cr_expect_str_eq(s.dsn, rows[i].dsn, "%s: %s %s", rows[i].says, s.dsn, buf_text(&s.why));
    }
    cr_expect_str_eq(file_text(&s, "victim"), "kept");
    cr_expect_str_eq(file_text(&s, "one"), "kept");
    cr_expect_not(exists(&s, "made"));
    scene_end(&s);
}

Test(mbox, follows_a_link_to_a_directory_where_the_path_is_the_users_own)
{
    struct scene s = scene_new();
    s.settings.follow = true;
    cr_assert_eq(mkdirat(s.base, "dir", 0700), 0);
    cr_assert_eq(symlinkat("dir", s.base, "dirlink"), 0);

    cr_expect_eq(mbox_append(s.base, SPAN("dirlink/box"), &s.settings, &s.m, &s.dsn, &s.why), MBOX_OK);

    cr_expect_str_eq(file_text(&s, "dir/box"), ONE);
    scene_end(&s);
}

Test(mbox, refuses_a_mailbox_of_another_owner)
{
    struct scene s = scene_new();
    if (geteuid() != 0)
        cr_skip_test("only root can give files away");
    put_file(&s, "box", "");
    cr_assert_eq(fchownat(s.base, "box", 12345, 12345, 0), 0);

    cr_expect_eq(append(&s), MBOX_FAILED);
    cr_expect_str_eq(s.dsn, "4.2.0");
    s.settings.strict_owner = false;
    cr_expect_eq(append(&s), MBOX_OK);
    scene_end(&s);
}
