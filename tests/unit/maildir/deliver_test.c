#include "lib/maildir/deliver.h"
#include "tests/unit/maildir/box.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* --- the system calls that count, counted, failed or used as the moment of a crash --- */

static struct {
    char trace[4096]; /* a letter a call: f fsync of a file, d of a directory, l link, w write, s start of writing */
    size_t traced;
    int countdown;    /* the call at which it happens; 0: never */
    int error;        /* what it fails with; 0: the process ends */
    const char *only; /* letters of the calls that count */
} hook = {.only = "fdlws"};

static bool strikes(char letter)
{
    if (hook.traced + 1 < sizeof hook.trace)
        hook.trace[hook.traced++] = letter;
    if (!strchr(hook.only, letter) || hook.countdown == 0 || --hook.countdown > 0)
        return false;
    if (hook.error == 0)
        _exit(42);
    errno = hook.error;
    return true;
}

static bool is_directory(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

int fsync(int fd)
{
    return strikes(is_directory(fd) ? 'd' : 'f') ? -1 : (int)syscall(SYS_fsync, fd);
}

int linkat(int from, const char *old, int to, const char *new, int flags)
{
    return strikes('l') ? -1 : (int)syscall(SYS_linkat, from, old, to, new, flags);
}

ssize_t write(int fd, const void *p, size_t n)
{
    return strikes('w') ? -1 : syscall(SYS_write, fd, p, n);
}

int sync_file_range(int fd, __off64_t offset, __off64_t n, unsigned flags)
{
    return strikes('s') ? -1 : (int)syscall(SYS_sync_file_range, fd, offset, n, flags);
}

/* --- helpers --- */

static struct maildir_label label_of(const char *recipient)
{
    return (struct maildir_label){
        .seconds = 1719, .queue_id = SPAN("4WQ"), .recipient = span_text(recipient), .host = SPAN("mail")};
}

static struct maildir_delivery *put(struct maildir_batch *b, const char *recipient, const char *text, bool again)
{
    struct maildir_label label = label_of(recipient);
    struct maildir_delivery *d = maildir_deliver_begin(b, &label, again);
    maildir_deliver_write(d, span_text(text));
    maildir_deliver_end(d);
    return d;
}

/* Delivers one message alone. */
static enum maildir_result deliver(struct box *box, const char *text, bool again, bool *was_there)
{
    const char *why;
    struct maildir_batch *b = maildir_batch_new(&box->m);
    struct maildir_delivery *d = put(b, "1", text, again);
    maildir_batch_commit(b);
    enum maildir_result result = maildir_delivery_result(d, &why);
    if (was_there)
        *was_there = maildir_delivery_was_there(d);
    maildir_batch_free(&b);
    return result;
}

static size_t in_box(const struct box *b)
{
    return box_count(b, MAILDIR_NEW, NULL) + box_count(b, MAILDIR_CUR, NULL);
}

/* --- tests --- */

Test(maildir_deliver, writes_lf_lines_and_a_name_with_both_sizes)
{
    static const struct {
        const char *says, *text, *stored, *name;
    } rows[] = {
        {"LF lines", "a\nb\n", "a\nb\n", "1719.4WQ.1.mail,S=4,W=6"},
        {"CRLF lines", "a\r\nb\r\n", "a\nb\n", "1719.4WQ.1.mail,S=4,W=6"},
        {"no end of the last line", "a\nb", "a\nb\n", "1719.4WQ.1.mail,S=4,W=6"},
        {"a bare CR", "a\rb\n", "a\rb\n", "1719.4WQ.1.mail,S=4,W=5"},
        {"a bare CR at the end", "a\r", "a\r\n", "1719.4WQ.1.mail,S=3,W=3"},
        {"two CRs", "a\r\r\n", "a\r\n", "1719.4WQ.1.mail,S=3,W=3"},
        {"nothing", "", "", "1719.4WQ.1.mail,S=0,W=0"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct box b = box_new();
        char name[256] = "";
        struct maildir_list list;

        cr_expect_eq(deliver(&b, rows[i].text, false, NULL), MAILDIR_OK);

        cr_expect_eq(box_count(&b, MAILDIR_NEW, name), 1, "%s", rows[i].says);
        cr_expect_str_eq(name, rows[i].name, "%s: %s", rows[i].says, name);
        box_expect_text(&b, MAILDIR_NEW, name, rows[i].stored);
        uint64_t size, virtual_size;
        int fd = openat(b.m.parts[MAILDIR_NEW], name, O_RDONLY);
        maildir_measure(fd, &size, &virtual_size);
        close(fd);
        box_list(&b, &list);
        cr_expect_eq(list.at[0].size, size, "%s", rows[i].says);
        cr_expect_eq(list.at[0].virtual_size, virtual_size, "%s", rows[i].says);
        maildir_list_fini(&list);
        box_end(&b);
    }
}

Test(maildir_deliver, makes_the_same_of_any_pieces)
{
    static const char text[] = "a\r\nb\r\r\nc\rd\n\r\n";
    for (size_t step = 1; step < sizeof text; step++) {
        struct box b = box_new();
        struct maildir_batch *batch = maildir_batch_new(&b.m);
        struct maildir_label label = label_of("1");
        char name[256] = "";
        struct maildir_delivery *d = maildir_deliver_begin(batch, &label, false);

        for (size_t at = 0; at < sizeof text - 1; at += step)
            maildir_deliver_write(d, span_slice(SPAN(text), at, at + step));
        maildir_deliver_end(d);
        maildir_batch_commit(batch);
        maildir_batch_free(&batch);

        box_count(&b, MAILDIR_NEW, name);
        box_expect_text(&b, MAILDIR_NEW, name, "a\nb\r\nc\rd\n\n");
        box_end(&b);
    }
}

Test(maildir_deliver, copies_from_a_file)
{
    struct box b = box_new();
    struct maildir_batch *batch = maildir_batch_new(&b.m);
    struct maildir_label label = label_of("1");
    const char *why;
    enum { OCTETS = 300 * 1000 };
    int fd = memfd_create("text", 0);
    char *text = malloc(OCTETS);
    memset(text, 'x', OCTETS);
    for (int i = 99; i < OCTETS; i += 100)
        text[i] = '\n';
    cr_assert_eq(write(fd, text, OCTETS), OCTETS);
    struct maildir_delivery *d = maildir_deliver_begin(batch, &label, false);
    struct maildir_delivery *cut = maildir_deliver_begin(batch, &(struct maildir_label){.seconds = 9}, false);

    cr_expect(maildir_deliver_copy(d, fd, 100, OCTETS - 100));
    cr_expect_not(maildir_deliver_copy(cut, fd, 100, OCTETS));
    maildir_deliver_end(d);
    maildir_deliver_end(cut);
    maildir_batch_commit(batch);

    cr_expect_eq(maildir_delivery_result(d, &why), MAILDIR_OK, "%s", why);
    cr_expect_str_eq(maildir_delivery_name(d), "1719.4WQ.1.mail,S=299900,W=302899");
    cr_expect_eq(maildir_delivery_result(cut, &why), MAILDIR_FAILED, "a file that is shorter than was said");
    cr_expect_eq(in_box(&b), 1);
    maildir_batch_free(&batch);
    free(text);
    close(fd);
    box_end(&b);
}

Test(maildir_deliver, starts_all_writes_syncs_links_and_syncs_the_directory_once)
{
    struct box b = box_new();
    struct maildir_batch *batch = maildir_batch_new(&b.m);
    const char *why;
    hook.traced = 0;

    struct maildir_delivery *all[3] = {put(batch, "1", "a\n", false), put(batch, "2", "b\n", false), put(batch, "3", "c\n", false)};
    maildir_batch_commit(batch);
    hook.trace[hook.traced] = '\0';

    cr_expect_str_eq(hook.trace, "wswswsfffllld");
    for (int i = 0; i < 3; i++)
        cr_expect_eq(maildir_delivery_result(all[i], &why), MAILDIR_OK, "%s", why);
    cr_expect_eq(in_box(&b), 3);
    maildir_batch_free(&batch);
    box_end(&b);
}

Test(maildir_deliver, takes_a_full_batch)
{
    struct box b = box_new();
    struct maildir_batch *batch = maildir_batch_new(&b.m);
    for (int i = 0; i < MAILDIR_BATCH_MAX; i++) {
        char recipient[20];
        snprintf(recipient, sizeof recipient, "%d", i);
        put(batch, recipient, "x\n", false);
    }

    maildir_batch_commit(batch);

    cr_expect_eq(in_box(&b), MAILDIR_BATCH_MAX);
    maildir_batch_free(&batch);
    box_end(&b);
}

Test(maildir_deliver, aborts_beyond_a_full_batch, .signal = SIGABRT)
{
    struct box b = box_new();
    struct maildir_batch *batch = maildir_batch_new(&b.m);
    for (int i = 0; i <= MAILDIR_BATCH_MAX; i++) {
        if (i == MAILDIR_BATCH_MAX)
            box_end(&b);
        put(batch, "1", "x\n", false);
    }
}

Test(maildir_deliver, does_nothing_where_the_message_is_there_already)
{
    static const char *const places[] = {"new", "cur", "cur with flags"};
    for (size_t i = 0; i < 3; i++) {
        struct box b = box_new();
        bool was_there = false;
        char name[256];
        deliver(&b, "hello\n", false, NULL);
        box_count(&b, MAILDIR_NEW, name);
        if (i > 0)
            renameat(b.m.parts[MAILDIR_NEW], name, b.m.parts[MAILDIR_CUR], i == 1 ? name : "1719.4WQ.1.mail,S=6,W=7:2,FS");

        cr_expect_eq(deliver(&b, "hello\n", true, &was_there), MAILDIR_OK);

        cr_expect(was_there, "%s", places[i]);
        cr_expect_eq(in_box(&b), 1, "%s", places[i]);
        cr_expect_eq(box_count(&b, MAILDIR_TMP, NULL), 0);
        box_end(&b);
    }
}

Test(maildir_deliver, finds_the_same_name_in_new_without_being_told_to_search)
{
    struct box b = box_new();
    bool was_there = false;
    deliver(&b, "hello\n", false, NULL);

    cr_expect_eq(deliver(&b, "hello\n", false, &was_there), MAILDIR_OK);

    cr_expect(was_there);
    cr_expect_eq(in_box(&b), 1);
    box_end(&b);
}

Test(maildir_deliver, takes_another_name_where_other_content_stands_under_the_label)
{
    struct box b = box_new();
    bool was_there = true;
    box_put(&b, MAILDIR_NEW, "1719.4WQ.1.mail,S=6,W=7", "torn!\n");

    cr_expect_eq(deliver(&b, "hello\n", true, &was_there), MAILDIR_OK);
    cr_expect_not(was_there);
    cr_expect_eq(in_box(&b), 2);
    cr_expect_eq(deliver(&b, "hello\n", true, &was_there), MAILDIR_OK);
    cr_expect(was_there);
    cr_expect_eq(in_box(&b), 2);

    box_end(&b);
}

Test(maildir_deliver, works_without_files_that_have_no_name)
{
    struct box b = box_new();
    b.m.no_tmpfile = true;

    cr_expect_eq(deliver(&b, "hello\n", false, NULL), MAILDIR_OK);

    cr_expect_eq(in_box(&b), 1);
    cr_expect_eq(box_count(&b, MAILDIR_TMP, NULL), 0);
    box_end(&b);
}

Test(maildir_deliver, copies_the_text_where_a_file_without_name_cannot_be_linked)
{
    struct box b = box_new();
    char name[256];
    struct maildir_batch *batch = maildir_batch_new(&b.m);
    const char *why;
    struct maildir_delivery *d = put(batch, "1", "hello\n", false);
    hook.only = "l";
    hook.countdown = 1; /* by /proc */
    hook.error = ENOENT;

    maildir_batch_commit(batch);

    cr_expect_eq(maildir_delivery_result(d, &why), MAILDIR_OK, "%s", why);
    cr_expect_eq(box_count(&b, MAILDIR_NEW, name), 1);
    box_expect_text(&b, MAILDIR_NEW, name, "hello\n");
    cr_expect_eq(box_count(&b, MAILDIR_TMP, NULL), 0);
    maildir_batch_free(&batch);
    box_end(&b);
}

Test(maildir_deliver, leaves_nothing_of_a_batch_that_is_not_committed)
{
    for (int named = 0; named < 2; named++) {
        struct box b = box_new();
        b.m.no_tmpfile = named;
        struct maildir_batch *batch = maildir_batch_new(&b.m);
        put(batch, "1", "hello\n", false);

        maildir_batch_free(&batch);

        cr_expect_eq(in_box(&b), 0);
        cr_expect_eq(box_count(&b, MAILDIR_TMP, NULL), 0);
        box_end(&b);
    }
}

Test(maildir_deliver, fails_where_a_call_fails_and_says_which)
{
    static const struct {
        const char *says, *only;
        int error;
        enum maildir_result want;
        const char *word;
        size_t left; /* messages that stand there afterwards */
    } rows[] = {
        {"a full disk", "w", ENOSPC, MAILDIR_FULL, "write", 0},
        {"the quota", "w", EDQUOT, MAILDIR_QUOTA, "write", 0},
        {"an I/O error at the sync", "f", EIO, MAILDIR_FAILED, "sync", 0},
        {"no space at the sync", "f", ENOSPC, MAILDIR_FULL, "sync", 0},
        {"no space for the name", "l", ENOSPC, MAILDIR_FULL, "link", 0},
        {"a directory that cannot be synced", "d", EINVAL, MAILDIR_FAILED, "sync new", 1},
        {"an I/O error of the directory", "d", EIO, MAILDIR_FAILED, "sync new", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct box b = box_new();
        struct maildir_batch *batch = maildir_batch_new(&b.m);
        const char *why = "";
        hook.only = rows[i].only;
        hook.countdown = 1;
        hook.error = rows[i].error;

        struct maildir_delivery *d = put(batch, "1", "hello\n", false);
        maildir_batch_commit(batch);

        cr_expect_eq(maildir_delivery_result(d, &why), rows[i].want, "%s: %s", rows[i].says, why);
        cr_expect_not_null(strstr(why, rows[i].word), "%s: %s", rows[i].says, why);
        cr_expect_eq(in_box(&b), rows[i].left, "%s", rows[i].says);
        maildir_batch_free(&batch);
        hook.countdown = 0;
        cr_expect_eq(deliver(&b, "hello\n", true, NULL), MAILDIR_OK, "%s", rows[i].says);
        cr_expect_eq(in_box(&b), 1, "%s", rows[i].says);
        box_end(&b);
    }
}

Test(maildir_deliver, fails_one_of_a_batch_and_not_the_others)
{
    struct box b = box_new();
    struct maildir_batch *batch = maildir_batch_new(&b.m);
    const char *why;
    struct maildir_delivery *all[3] = {put(batch, "1", "a\n", false), put(batch, "2", "b\n", false), put(batch, "3", "c\n", false)};
    hook.only = "f";
    hook.countdown = 2;
    hook.error = EIO;

    maildir_batch_commit(batch);

    cr_expect_eq(maildir_delivery_result(all[0], &why), MAILDIR_OK);
    cr_expect_eq(maildir_delivery_result(all[1], &why), MAILDIR_FAILED);
    cr_expect_eq(maildir_delivery_result(all[2], &why), MAILDIR_OK);
    cr_expect_eq(in_box(&b), 2);
    maildir_batch_free(&batch);
    box_end(&b);
}

/* The process ends at each of its calls in turn; what comes after delivers again. */
Test(maildir_deliver, delivers_once_whenever_the_process_was_killed, .timeout = 60)
{
    for (int named = 0; named < 2; named++)
        for (int at = 1;; at++) {
            struct box b = box_new();
            b.m.no_tmpfile = named;
            int status = 0;
            pid_t child = fork();
            if (child == 0) {
                hook.countdown = at;
                hook.error = 0;
                struct maildir_batch *batch = maildir_batch_new(&b.m);
                put(batch, "1", "hello\n", false);
                put(batch, "2", "you\n", false);
                maildir_batch_commit(batch);
                _exit(0);
            }
            waitpid(child, &status, 0);

            struct maildir_batch *batch = maildir_batch_new(&b.m);
            put(batch, "1", "hello\n", true);
            put(batch, "2", "you\n", true);
            maildir_batch_commit(batch);
            maildir_batch_free(&batch);

            cr_expect_eq(in_box(&b), 2, "killed at call %d", at);
            box_end(&b);
            if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
                break;
        }
}

Test(maildir_deliver, puts_delivery_headers_on_top)
{
    struct buf out = BUF_INIT;

    maildir_put_delivery_headers(&out, SPAN(""), SPAN("Info@a.test"), SPAN("bob@a.test"));
    maildir_put_delivery_headers(&out, SPAN("x y@b.test"), SPAN(""), SPAN("b\nob@a.test"));

    cr_expect_str_eq(buf_text(&out), "Return-Path: <>\nX-Original-To: Info@a.test\nDelivered-To: bob@a.test\n"
                                     "Return-Path: <\"x y\"@b.test>\nDelivered-To: \"b?ob\"@a.test\n");
    buf_fini(&out);
}
