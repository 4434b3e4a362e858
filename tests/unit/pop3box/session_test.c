#include "lib/maildir/deliver.h"
#include "pop3box/session.h"
#include "tests/unit/maildir/box.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* What these calls are to fail with. */
static int unlink_error, fsync_error;

int unlinkat(int at, const char *name, int flags)
{
    errno = unlink_error;
    return unlink_error ? -1 : (int)syscall(SYS_unlinkat, at, name, flags);
}

int fsync(int fd)
{
    errno = fsync_error;
    return fsync_error ? -1 : (int)syscall(SYS_fsync, fd);
}

/* What the client says, whole and ahead, is in the socket before the session runs; what it heard is
 * read afterwards. */
struct talk {
    struct box box;
    struct pop3box_config config;
    struct buf heard;
};

static struct talk talk_new(void)
{
    struct talk t = {.box = box_new()};
    t.config = (struct pop3box_config){.timeout = 10, .line_limit = 255, .error_limit = 20, .user = SPAN("alice"), .client = SPAN("192.0.2.1")};
    t.heard = BUF_INIT;
    signal(SIGPIPE, SIG_IGN);
    return t;
}

static void talk_end(struct talk *t)
{
    buf_fini(&t->heard);
    box_end(&t->box);
}

static void hear(struct talk *t, int fd)
{
    char piece[4096];
    ssize_t n;
    buf_clear(&t->heard);
    while ((n = read(fd, piece, sizeof piece)) > 0)
        buf_put(&t->heard, span_of(piece, (size_t)n));
}

/* One session on the Maildir as it stands. keep_open: the client does not close its side. */
static const char *say(struct talk *t, const char *script, bool keep_open)
{
    int fds[2], most = 1 << 22;
    struct maildir m;
    struct buf why = BUF_INIT;
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &most, sizeof most);
    cr_assert_eq(maildir_open(&m, t->box.base, SPAN("Maildir"), true, &why), MAILDIR_OK, "%s", buf_text(&why));
    cr_assert_eq(write(fds[1], script, strlen(script)), (ssize_t)strlen(script));
    if (!keep_open)
        shutdown(fds[1], SHUT_WR);
    pop3box_session_run(&t->config, &m, conn_new(fds[0]));
    maildir_close(&m);
    hear(t, fds[1]);
    close(fds[1]);
    buf_fini(&why);
    return buf_text(&t->heard);
}

static void two_messages(struct talk *t)
{
    box_put(&t->box, MAILDIR_NEW, "1.a.h,S=16,W=20", "Subject: a\n\n.x\n\n");
    box_put(&t->box, MAILDIR_CUR, "2.b.h:2,S", "Subject: b\n\none\ntwo\nthree\n");
}

#define GREETING "+OK Logged in, 2 messages (51 octets)\r\n"

Test(pop3box, answers_all_commands_of_the_transaction_state)
{
    static const struct {
        const char *says, *said, *heard;
    } rows[] = {
        {"STAT", "STAT\r\n", "+OK 2 51\r\n"},
        {"in any case", "sTaT\r\n", "+OK 2 51\r\n"},
        {"LIST", "LIST\r\n", "+OK 2 messages\r\n1 20\r\n2 31\r\n.\r\n"},
        {"LIST of one", "LIST 2\r\n", "+OK 2 31\r\n"},
        {"UIDL", "UIDL\r\n", "+OK 2 messages\r\n1 1.a.h\r\n2 2.b.h\r\n.\r\n"},
        {"UIDL of one", "UIDL 1\r\n", "+OK 1 1.a.h\r\n"},
        {"RETR", "RETR 1\r\n", "+OK 20 octets\r\nSubject: a\r\n\r\n..x\r\n\r\n.\r\n"},
        {"TOP", "TOP 2 1\r\n", "+OK Top of the message follows\r\nSubject: b\r\n\r\none\r\n.\r\n"},
        {"TOP of no line", "TOP 2 0\r\n", "+OK Top of the message follows\r\nSubject: b\r\n\r\n.\r\n"},
        {"NOOP", "NOOP\r\n", "+OK Done\r\n"},
        {"DELE", "DELE 1\r\nSTAT\r\nLIST\r\n", "+OK Marked to be deleted\r\n+OK 1 31\r\n+OK 1 messages\r\n2 31\r\n.\r\n"},
        {"RSET", "DELE 1\r\nRSET\r\nSTAT\r\n", "+OK Marked to be deleted\r\n+OK 2 messages (51 octets)\r\n+OK 2 51\r\n"},
        {"a line with LF alone", "NOOP\n", "+OK Done\r\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct talk t = talk_new();
        struct buf want = BUF_INIT;
        two_messages(&t);
        buf_printf(&want, GREETING "%s", rows[i].heard);

        say(&t, rows[i].said, false);

        cr_expect_str_eq(buf_text(&t.heard), buf_text(&want), "%s: %s", rows[i].says, buf_text(&t.heard));
        buf_fini(&want);
        talk_end(&t);
    }
}

Test(pop3box, refuses_what_is_wrong)
{
    static const char *const rows[] = {
        "LIST 0", "LIST 3", "LIST -1", "LIST x", "LIST 1 2", "LIST 99999999999999999999", "RETR", "RETR 3", "RETR x",
        "RETR 1 2", "TOP", "TOP 1", "TOP 1 x", "TOP 1 -1", "TOP 3 1", "TOP 1 1 1", "DELE", "DELE 0", "DELE 3",
        "UIDL 3", "UIDL 0", "NOOP 1", "STAT 1", "RSET 1", "QUIT now", "USER x", "PASS x", "AUTH PLAIN", "UTF8", "APOP a b",
        "", " STAT", "STAT\t", "ST\001T", "RETR\t1", "XYZZY",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct talk t = talk_new();
        struct buf script = BUF_INIT;
        two_messages(&t);
        buf_printf(&script, "%s\r\n", rows[i]);

        const char *heard = say(&t, buf_text(&script), false);

        cr_expect(strncmp(heard + strlen(GREETING), "-ERR ", 5) == 0, "%s: %s", rows[i], heard);
        buf_fini(&script);
        talk_end(&t);
    }
}

Test(pop3box, refuses_messages_that_are_marked)
{
    struct talk t = talk_new();
    two_messages(&t);

    const char *heard = say(&t, "DELE 1\r\nDELE 1\r\nRETR 1\r\nTOP 1 1\r\nLIST 1\r\nUIDL 1\r\n", false);

    const char *marked = strstr(heard, "+OK Marked to be deleted\r\n");
    cr_assert_not_null(marked);
    for (marked += strlen("+OK Marked to be deleted\r\n"); *marked; marked = strstr(marked, "\r\n") + 2)
        cr_expect(strncmp(marked, "-ERR That message is marked", 27) == 0, "%s", marked);
    talk_end(&t);
}

Test(pop3box, deletes_at_quit_and_at_nothing_else)
{
    static const struct {
        const char *says, *said;
        bool keep_open;
        size_t left;
    } rows[] = {
        {"QUIT", "DELE 1\r\nDELE 2\r\nQUIT\r\n", false, 0},
        {"one of two", "DELE 2\r\nQUIT\r\n", false, 1},
        {"after RSET", "DELE 1\r\nRSET\r\nDELE 2\r\nQUIT\r\n", false, 1},
        {"the connection closes", "DELE 1\r\nDELE 2\r\n", false, 2},
        {"QUIT without line end", "DELE 1\r\nQUIT", false, 2},
        {"silence", "DELE 1\r\n", true, 2},
        {"too many errors", "DELE 1\r\nX\r\nX\r\nX\r\nQUIT\r\n", false, 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct talk t = talk_new();
        t.config.timeout = 1;
        t.config.error_limit = 3;
        two_messages(&t);

        say(&t, rows[i].said, rows[i].keep_open);

        cr_expect_eq(box_count(&t.box, MAILDIR_NEW, NULL) + box_count(&t.box, MAILDIR_CUR, NULL), rows[i].left, "%s: %s",
                     rows[i].says, buf_text(&t.heard));
        talk_end(&t);
    }
}

Test(pop3box, says_that_the_session_timed_out)
{
    struct talk t = talk_new();
    t.config.timeout = 1;

    const char *heard = say(&t, "", true);

    cr_expect_not_null(strstr(heard, "-ERR [SYS/TEMP] Idle"), "%s", heard);
    talk_end(&t);
}

Test(pop3box, deletes_what_was_renamed_and_bears_what_has_vanished)
{
    struct talk t = talk_new();
    int fds[2];
    struct maildir m;
    struct buf why = BUF_INIT;
    two_messages(&t);
    box_put(&t.box, MAILDIR_NEW, "3.c.h", "c\n");
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    maildir_open(&m, t.box.base, SPAN("Maildir"), false, &why);
    pid_t child = fork();
    if (child == 0) {
        close(fds[1]);
        pop3box_session_run(&t.config, &m, conn_new(fds[0]));
        _exit(0);
    }
    close(fds[0]);
    char line[200];
    fcntl(fds[1], F_SETFL, 0);
    cr_assert_gt(read(fds[1], line, sizeof line), 0);

    renameat(t.box.m.parts[MAILDIR_NEW], "1.a.h,S=16,W=20", t.box.m.parts[MAILDIR_CUR], "1.a.h,S=16,W=20:2,F");
    unlinkat(t.box.m.parts[MAILDIR_CUR], "2.b.h:2,S", 0);
    box_put(&t.box, MAILDIR_NEW, "4.d.h", "arrived meanwhile\n");
    static const char script[] = "RETR 2\r\nSTAT\r\nRETR 1\r\nDELE 1\r\nDELE 2\r\nDELE 3\r\nQUIT\r\n";
    cr_assert_eq(write(fds[1], script, sizeof script - 1), (ssize_t)sizeof script - 1);
    hear(&t, fds[1]);

    waitpid(child, NULL, 0);
    cr_expect_str_eq(buf_text(&t.heard), "-ERR That message was removed by another program\r\n+OK 3 54\r\n"
                                         "+OK 20 octets\r\nSubject: a\r\n\r\n..x\r\n\r\n.\r\n"
                                         "+OK Marked to be deleted\r\n+OK Marked to be deleted\r\n"
                                         "+OK Marked to be deleted\r\n+OK Bye\r\n");
    char name[256];
    cr_expect_eq(box_count(&t.box, MAILDIR_NEW, name), 1);
    cr_expect_str_eq(name, "4.d.h");
    cr_expect_eq(box_count(&t.box, MAILDIR_CUR, NULL), 0);
    maildir_close(&m);
    close(fds[1]);
    buf_fini(&why);
    talk_end(&t);
}

Test(pop3box, flags_what_was_retrieved_as_seen_at_quit)
{
    struct talk t = talk_new();
    char name[256];
    box_put(&t.box, MAILDIR_NEW, "1.a.h,S=2,W=3", "a\n");
    box_put(&t.box, MAILDIR_NEW, "2.b.h,S=2,W=3", "b\n");

    say(&t, "RETR 1\r\nTOP 2 1\r\n", false);
    cr_expect_eq(box_count(&t.box, MAILDIR_NEW, NULL), 2);
    say(&t, "RETR 1\r\nTOP 2 1\r\nQUIT\r\n", false);

    cr_expect_eq(box_count(&t.box, MAILDIR_NEW, NULL), 1);
    cr_expect_eq(box_count(&t.box, MAILDIR_CUR, name), 1);
    cr_expect_str_eq(name, "1.a.h,S=2,W=3:2,S");
    talk_end(&t);
}

Test(pop3box, keeps_a_second_session_out)
{
    struct talk t = talk_new();
    struct buf why = BUF_INIT;
    cr_assert_eq(maildir_lock(&t.box.m, &why), MAILDIR_OK);

    const char *heard = say(&t, "STAT\r\n", false);

    cr_expect(strncmp(heard, "-ERR [IN-USE] ", 14) == 0, "%s", heard);
    cr_expect_null(strstr(heard, "+OK"));
    buf_fini(&why);
    talk_end(&t);
}

Test(pop3box, takes_a_line_of_the_limit_and_refuses_a_longer_one)
{
    struct talk t = talk_new();
    char line[300];
    memset(line, ' ', sizeof line);
    memcpy(line, "NOOP", 4);

    memcpy(line + 255, "\r\n", 3);
    cr_expect_not_null(strstr(say(&t, line, false), "+OK Done"));
    memcpy(line + 255, " \r\nNOOP\r\n", 10);
    const char *heard = say(&t, line, false);

    cr_expect_not_null(strstr(heard, "-ERR The line is too long\r\n+OK Done\r\n"), "%s", heard);
    talk_end(&t);
}

Test(pop3box, ends_at_the_last_error_and_not_before)
{
    struct talk t = talk_new();
    t.config.error_limit = 3;

    cr_expect_not_null(strstr(say(&t, "X\r\nX\r\nNOOP\r\n", false), "+OK Done"));
    const char *heard = say(&t, "X\r\nX\r\nX\r\nNOOP\r\n", false);

    cr_expect_not_null(strstr(heard, "-ERR Too many errors"));
    cr_expect_null(strstr(heard, "+OK Done"));
    talk_end(&t);
}

Test(pop3box, sends_exactly_the_octets_that_it_lists)
{
    struct talk t = talk_new();
    struct maildir_batch *b = maildir_batch_new(&t.box.m);
    struct maildir_delivery *d = maildir_deliver_begin(b, &(struct maildir_label){.seconds = 1, .queue_id = SPAN("q")}, false);
    for (int i = 0; i < 20000; i++)
        maildir_deliver_write(d, SPAN("a line that begins with no dot\n"));
    maildir_deliver_end(d);
    maildir_batch_commit(b);
    maildir_batch_free(&b);

    const char *heard = say(&t, "RETR 1\r\n", false);

    const char *start = strstr(heard, "+OK 640000 octets\r\n");
    cr_assert_not_null(start);
    cr_expect_eq(t.heard.len - (size_t)(start - heard) - strlen("+OK 640000 octets\r\n") - strlen(".\r\n"), 640000);
    talk_end(&t);
}

Test(pop3box, uses_input_that_was_read_ahead)
{
    struct talk t = talk_new();
    int fds[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    struct conn *conn = conn_new(fds[0]);
    conn_put_input(conn, SPAN("NOOP\r\nQU"));
    cr_assert_eq(write(fds[1], "IT\r\n", 4), 4);

    pop3box_session_run(&t.config, &t.box.m, conn);

    hear(&t, fds[1]);
    cr_expect_str_eq(buf_text(&t.heard), "+OK Logged in, 0 messages (0 octets)\r\n+OK Done\r\n+OK Bye\r\n");
    close(fds[1]);
    talk_end(&t);
}

Test(pop3box, says_no_where_a_deletion_cannot_be_done)
{
    struct talk t = talk_new();
    two_messages(&t);
    unlink_error = EACCES;

    const char *heard = say(&t, "DELE 1\r\nDELE 2\r\nQUIT\r\n", false);

    unlink_error = 0;
    cr_expect_not_null(strstr(heard, "-ERR [SYS/TEMP] Some messages"), "%s", heard);
    talk_end(&t);
}

Test(pop3box, says_no_where_a_deletion_may_not_last)
{
    struct talk t = talk_new();
    two_messages(&t);
    fsync_error = EIO;

    const char *heard = say(&t, "DELE 1\r\nQUIT\r\n", false);

    cr_expect_not_null(strstr(heard, "-ERR [SYS/TEMP] Some messages"), "%s", heard);
    talk_end(&t);
}
