/* The session of chat.h on coroutines: served well, served by a hostile network, and cancelled. */
#include "lib/base/buf.h"
#include "lib/io/co.h"
#include "lib/io/transport.h"
#include "tests/unit/io/chat.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* The peer of a session, driven by the test between steps of the loop. */
struct peer {
    struct loop *loop;
    int fd;
    struct span says; /* what is left to be said */
    struct buf heard;
    size_t at_once;   /* most octets said or heard between two steps */
};

static void peer_open(struct peer *p, struct chat *chat, struct loop *l, size_t at_once)
{
    int fds[2];
    signal(SIGPIPE, SIG_IGN);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    chat->conn = conn_new(fds[0]);
    *p = (struct peer){.loop = l, .fd = fds[1], .says = span_text(chat_says), .at_once = at_once};
}

static void peer_close(struct peer *p)
{
    close(p->fd);
    buf_fini(&p->heard);
}

static void peer_move(struct peer *p)
{
    char block[4096];
    size_t n = p->says.n < p->at_once ? p->says.n : p->at_once;
    ssize_t said = n > 0 ? write(p->fd, p->says.p, n) : 0;
    if (said > 0)
        p->says = span_skip(p->says, (size_t)said);
    ssize_t heard = read(p->fd, block, p->at_once < sizeof block ? p->at_once : sizeof block);
    if (heard > 0)
        buf_put(&p->heard, span_of(block, (size_t)heard));
}

static void peer_run(struct peer *p)
{
    mono_ms deadline = clock_after(20);
    while (co_count() > 0 && clock_mono() < deadline) {
        loop_step(p->loop, 0);
        peer_move(p);
    }
    cr_assert_eq(co_count(), 0U, "the session hangs after '%s'", buf_text(&p->heard));
    for (size_t before = p->heard.len + 1; before != p->heard.len;) {
        before = p->heard.len;
        peer_move(p);
    }
}

static void chat_main(void *argument)
{
    chat_session(argument);
}

static struct chat chat_new(void)
{
    struct chat chat = {.file = memfd_create("file", MFD_CLOEXEC)};
    cr_assert_eq(write(chat.file, chat_file, sizeof chat_file - 1), (ssize_t)sizeof chat_file - 1);
    return chat;
}

static void end_loop(struct loop **l)
{
    co_release();
    loop_free(l);
}

/* --- adversity ----------------------------------------------------------------- */

/* One octet at a time, and between two octets written always one refusal: the peer's reading of the
 * octet before is what makes the socket writable anew. Cancels the session at the given refusal. */
struct adversity {
    unsigned refusals;  /* so far: each is followed by a wait */
    unsigned cancel_at; /* 0: never */
    bool refused;       /* the last write was */
};

static ssize_t adverse_refusal(struct adversity *a)
{
    if (++a->refusals == a->cancel_at)
        co_cancel(co_id(co_self()));
    errno = EAGAIN;
    return -1;
}

static ssize_t adverse_read(void *layer, struct transport_try *how, char *to, size_t n)
{
    ssize_t got = recv(how->fd, to, n < 1 ? n : 1, 0);
    return got < 0 && errno == EAGAIN ? adverse_refusal(layer) : got;
}

static ssize_t adverse_write(void *layer, struct transport_try *how, const char *from, size_t n)
{
    struct adversity *a = layer;
    a->refused = !a->refused;
    return a->refused ? adverse_refusal(a) : send(how->fd, from, n < 1 ? n : 1, MSG_NOSIGNAL);
}

static const struct transport_ops transport_adverse = {.read = adverse_read, .write = adverse_write};

/* result: what the peer heard, in p */
static enum conn_result run_adverse(struct loop *l, struct peer *p, struct adversity *a)
{
    struct chat chat = chat_new();
    peer_open(p, &chat, l, 1);
    conn_set_transport(chat.conn, &transport_adverse, a);
    co_spawn(l, "chat", chat_main, &chat);
    peer_run(p);
    close(chat.file);
    return chat.ended;
}

Test(conn_co, holds_the_session_with_a_good_peer)
{
    const size_t at_once[] = {1000, 7, 1};
    for (int i = 0; i < 3; i++) {
        struct loop *l = loop_new();
        struct chat chat = chat_new();
        struct peer p;
        peer_open(&p, &chat, l, at_once[i]);

        co_spawn(l, "chat", chat_main, &chat);
        peer_run(&p);

        cr_expect_str_eq(buf_text(&p.heard), chat_hears, "%zu at once: %s", at_once[i], buf_text(&p.heard));
        cr_expect_eq(chat.ended, CONN_OK);
        peer_close(&p);
        close(chat.file);
        end_loop(&l);
    }
}

Test(conn_co, holds_the_session_when_every_octet_has_to_wait)
{
    struct loop *l = loop_new();
    struct adversity a = {0};
    struct peer p;

    enum conn_result ended = run_adverse(l, &p, &a);

    cr_expect_eq(ended, CONN_OK);
    cr_expect_str_eq(buf_text(&p.heard), chat_hears);
    cr_expect_gt(a.refusals, 100U);
    peer_close(&p);
    end_loop(&l);
}

Test(conn_co, ends_cleanly_when_cancelled_at_any_wait)
{
    struct loop *l = loop_new();
    unsigned cancelled = 0;
    for (unsigned at = 1;; at++) {
        struct adversity a = {.cancel_at = at};
        struct peer p;

        enum conn_result ended = run_adverse(l, &p, &a);

        bool done = a.refusals < at;
        size_t heard = p.heard.len < sizeof chat_hears ? p.heard.len : 0;
        cr_assert_eq(ended, done ? CONN_OK : CONN_CANCELLED, "cancelled at wait %u", at);
        cr_assert(memcmp(buf_text(&p.heard), chat_hears, heard) == 0, "wait %u: %s", at, buf_text(&p.heard));
        peer_close(&p);
        cancelled += !done;
        if (done)
            break;
    }

    cr_expect_gt(cancelled, 100U);
    end_loop(&l);
}

Test(conn_co, says_a_last_word_when_cancelled)
{
    struct loop *l = loop_new();
    struct chat chat = chat_new();
    struct peer p;
    peer_open(&p, &chat, l, 1000);
    p.says = SPAN("SAY hi\r\nSAY");
    co_spawn(l, "chat", chat_main, &chat);
    for (int i = 0; i < 5; i++) {
        loop_step(l, 0);
        peer_move(&p);
    }

    co_cancel_all();
    peer_run(&p);

    cr_expect_str_eq(buf_text(&p.heard), "220 hello\r\n200 hi\r\n421 ending\r\n");
    cr_expect_eq(chat.ended, CONN_CANCELLED);
    peer_close(&p);
    close(chat.file);
    end_loop(&l);
}

Test(conn_co, ends_a_session_that_is_silent_or_too_slow)
{
    const size_t says_n[] = {0, 1000};
    for (int i = 0; i < 2; i++) {
        struct loop *l = loop_new();
        struct chat chat = chat_new();
        struct peer p;
        peer_open(&p, &chat, l, 1);
        chat.timeout_ms = 30;
        p.says = SPAN_NONE;
        co_spawn(l, "chat", chat_main, &chat);
        mono_ms began = clock_mono();

        for (size_t said = 0; co_count() > 0 && clock_mono() < began + 5000;) {
            loop_step(l, clock_after_ms(1));
            if (said < says_n[i])
                said += write(p.fd, "x", 1) == 1; /* a drip keeps no session alive */
        }

        cr_expect_eq(chat.ended, CONN_TIMEOUT);
        cr_expect_lt(clock_mono() - began, 3000);
        peer_close(&p);
        close(chat.file);
        end_loop(&l);
    }
}

/* --- edges ------------------------------------------------------------------- */

struct busy {
    struct conn *conn;
    struct loop *loop;
    struct note *note;
    unsigned lines;
    enum conn_result ended;
};

static void read_all_lines(void *argument)
{
    struct busy *b = argument;
    struct span line;
    enum line_ending ending;
    conn_set_deadline(b->conn, clock_after(5));
    while ((b->ended = conn_read_line(b->conn, 100, &line, &ending)) == CONN_OK)
        b->lines++;
    conn_close(&b->conn);
}

Test(conn_co, sees_the_end_that_came_with_the_last_octets)
{
    struct loop *l = loop_new();
    struct chat chat = {.file = -1};
    struct peer p;
    peer_open(&p, &chat, l, 1000);
    p.says = SPAN_NONE;
    struct busy b = {.conn = chat.conn, .loop = l};
    co_spawn(l, "reader", read_all_lines, &b); /* which writes nothing: its output would be an edge, too */
    loop_step(l, 0);
    loop_step(l, 0);

    cr_assert_eq(write(p.fd, "one\r\n", 5), 5);
    shutdown(p.fd, SHUT_WR);
    peer_run(&p);

    cr_expect_eq(b.lines, 1U);
    cr_expect_eq(b.ended, CONN_EOF);
    peer_close(&p);
    end_loop(&l);
}

static void read_line_then_note_then_line(void *argument)
{
    struct busy *b = argument;
    struct span line;
    enum line_ending ending;
    conn_set_deadline(b->conn, clock_after(5));
    b->lines += conn_read_line(b->conn, 100, &line, &ending) == CONN_OK;
    (void)wait_note(b->loop, b->note, MONO_NEVER);
    b->lines += conn_read_line(b->conn, 100, &line, &ending) == CONN_OK;
    conn_close(&b->conn);
}

Test(conn_co, remembers_input_that_came_while_it_waited_for_something_else)
{
    struct loop *l = loop_new();
    struct chat chat = {.file = -1};
    struct peer p;
    struct note note = {0};
    peer_open(&p, &chat, l, 1000);
    struct busy b = {.conn = chat.conn, .loop = l, .note = &note};
    p.says = SPAN("one\r\n");
    co_spawn(l, "busy", read_line_then_note_then_line, &b);
    for (int i = 0; i < 4; i++) {
        loop_step(l, 0);
        peer_move(&p);
    }
    cr_assert_eq(write(p.fd, "two\r\n", 5), 5);
    for (int i = 0; i < 4; i++)
        loop_step(l, 0);

    note_set(&note);
    peer_run(&p);

    cr_expect_eq(b.lines, 2U);
    peer_close(&p);
    end_loop(&l);
}

/* --- many, and greedy ones -------------------------------------------------------- */

static ssize_t read_for_ever(void *layer, struct transport_try *how, char *to, size_t n)
{
    (void)layer, (void)how;
    memset(to, 'x', n);
    return (ssize_t)n;
}

static const struct transport_ops transport_endless = {.read = read_for_ever};

static void read_endless_line(void *argument)
{
    struct busy *b = argument;
    struct span line;
    enum line_ending ending;
    b->lines = conn_read_line(b->conn, 100, &line, &ending) == CONN_CANCELLED;
    conn_close(&b->conn);
}

static void cancel_all(struct timer *t, void *context)
{
    (void)t, (void)context;
    co_cancel_all();
}

Test(conn_co, a_peer_that_never_pauses_does_not_hold_up_the_loop)
{
    struct loop *l = loop_new();
    struct chat chat = {.file = -1};
    struct peer p;
    struct timer timer = {0};
    peer_open(&p, &chat, l, 1000);
    conn_set_transport(chat.conn, &transport_endless, NULL);
    struct busy b = {.conn = chat.conn, .loop = l};
    co_spawn(l, "endless", read_endless_line, &b);
    timer_set(l, &timer, clock_after_ms(20), cancel_all, NULL);
    (void)loop_take_lag_ms(l);

    mono_ms deadline = clock_after(10);
    while (co_count() > 0 && clock_mono() < deadline)
        loop_step(l, deadline);

    cr_expect_eq(b.lines, 1U);
    cr_expect_eq(co_count(), 0U);
    peer_close(&p);
    end_loop(&l);
}

static void idle_session(void *argument)
{
    struct chat chat = {.conn = argument, .file = -1};
    chat_session(&chat);
}

Test(conn_co, an_idle_session_holds_little_memory)
{
    enum { IDLE = 400 };
    struct loop *l = loop_new();
    int peers[IDLE];
    size_t before = mallinfo2().uordblks;
    for (int i = 0; i < IDLE; i++) {
        int fds[2];
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
        co_spawn(l, "idle", idle_session, conn_new(fds[0]));
        peers[i] = fds[1];
        cr_assert_eq(write(peers[i], "SAY hi\r\n", 8), 8);
    }

    for (int i = 0; i < 10; i++)
        loop_step(l, 0);
    size_t each = (mallinfo2().uordblks - before) / IDLE;

#ifndef __SANITIZE_ADDRESS__
    cr_expect_leq(each, 400U, "%zu octets of heap for each session", each);
#endif
    (void)each;
    for (int i = 0; i < IDLE; i++)
        close(peers[i]);
    for (int i = 0; i < 10; i++)
        loop_step(l, 0);
    cr_expect_eq(co_count(), 0U);
    end_loop(&l);
}
