/* The conversation on coroutines: many sessions on one loop, fed an octet at a time, and ended. */
#include "lib/io/co.h"
#include "pop3d/session.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SESSIONS = 50 };

static const struct pop3d_config config = {.banner = SPAN_INIT("mail ready"),
                                           .timeout = 20,
                                           .login_timeout = 20,
                                           .auth_attempts = 3,
                                           .auth_delay = 1,
                                           .line_limit = 255,
                                           .error_limit = 20};

/* One session and its client. */
struct party {
    struct conn *conn;
    int peer;
    struct span says; /* what is left to be said */
    struct buf heard;
    bool presented;
};

static enum pop3d_verdict check(void *context, const struct pop3d_login *login, struct span client, struct buf *token,
                                struct buf *user, struct buf *why)
{
    (void)context, (void)client;
    /* auth takes its time, and the others go on. */
    (void)wait_until(clock_after_ms(20));
    if (!span_eq(login->password, SPAN("secret"))) {
        buf_puts(why, "password mismatch");
        return POP3D_BAD;
    }
    buf_puts(token, "t0ken");
    buf_put(user, login->user);
    return POP3D_GOOD;
}

static bool present(void *context, struct span token, struct conn **conn, struct span client)
{
    (void)token, (void)client;
    struct party *p = context;
    struct buf unread = BUF_INIT;
    p->presented = true;
    close(conn_take_fd(conn, &unread));
    buf_fini(&unread);
    return true;
}

static void session(void *argument)
{
    struct party *p = argument;
    struct pop3d_services services = {check, present, p};
    pop3d_session_run(&config, &services, p->conn, SPAN("192.0.2.1"), NULL);
}

static void begin(struct loop *l, struct party *p, const char *says)
{
    int fds[2];
    signal(SIGPIPE, SIG_IGN);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    *p = (struct party){.conn = conn_new(fds[0]), .peer = fds[1], .says = span_text(says)};
    cr_assert_not_null(co_spawn(l, "session", session, p));
}

/* One step of the loop, then an octet from each client. */
static void step(struct loop *l, struct party *all, size_t n)
{
    char block[256];
    loop_step(l, clock_after_ms(5));
    for (size_t i = 0; i < n; i++) {
        ssize_t got;
        if (all[i].says.n && write(all[i].peer, all[i].says.p, 1) == 1)
            all[i].says = span_skip(all[i].says, 1);
        while ((got = read(all[i].peer, block, sizeof block)) > 0)
            buf_put(&all[i].heard, span_of(block, (size_t)got));
    }
}

static void run_all(struct loop *l, struct party *all, size_t n)
{
    const mono_ms give_up = clock_after(20);
    while (co_count() > 0 && clock_mono() < give_up)
        step(l, all, n);
    cr_assert_eq(co_count(), 0);
    step(l, all, n);
}

static void end(struct loop **l, struct party *all, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        close(all[i].peer);
        buf_fini(&all[i].heard);
    }
    co_release();
    loop_free(l);
}

Test(pop3d_co, serves_many_clients_that_send_octet_by_octet, .timeout = 60)
{
    static struct party all[SESSIONS];
    struct loop *l = loop_new();
    for (size_t i = 0; i < SESSIONS; i++)
        begin(l, &all[i], i % 2 ? "USER alice\r\nPASS secret\r\n" : "CAPA\r\nAUTH PLAIN\r\nAGFsaWNlAHNlY3JldA==\r\n");

    run_all(l, all, SESSIONS);

    for (size_t i = 0; i < SESSIONS; i++) {
        cr_expect(all[i].presented, "session %zu heard %s", i, buf_text(&all[i].heard));
        cr_expect_null(strstr(buf_text(&all[i].heard), "-ERR"), "%s", buf_text(&all[i].heard));
    }
    end(&l, all, SESSIONS);
}

Test(pop3d_co, holds_one_failed_login_back_and_not_the_others, .timeout = 60)
{
    static struct party all[2];
    struct loop *l = loop_new();
    begin(l, &all[0], "USER alice\r\nPASS wrong\r\nQUIT\r\n");
    begin(l, &all[1], "USER alice\r\nPASS secret\r\n");
    mono_ms start = clock_mono();

    while (!all[1].presented && clock_mono() < start + 5000)
        step(l, all, 2);
    mono_ms presented = clock_mono();
    run_all(l, all, 2);

    cr_expect_lt(presented - start, 900);
    cr_expect_geq(clock_mono() - start, 1000);
    cr_expect_not_null(strstr(buf_text(&all[0].heard), "-ERR [AUTH] Authentication failed\r\n+OK Bye"), "%s",
                       buf_text(&all[0].heard));
    end(&l, all, 2);
}

Test(pop3d_co, says_that_the_server_stops_wherever_a_session_is, .timeout = 60)
{
    static const char *const places[] = {"", "USER alice\r\n", "AUTH PLAIN\r\n", "AUTH LOGIN\r\nYQ==\r\n", "CA"};
    static struct party all[5];
    struct loop *l = loop_new();
    for (size_t i = 0; i < 5; i++)
        begin(l, &all[i], places[i]);
    for (int i = 0; i < 60; i++)
        step(l, all, 5);

    co_cancel_all();
    run_all(l, all, 5);

    for (size_t i = 0; i < 5; i++)
        cr_expect_not_null(strstr(buf_text(&all[i].heard), "-ERR [SYS/TEMP] The server is about to stop"), "%s: %s",
                           places[i], buf_text(&all[i].heard));
    end(&l, all, 5);
}
