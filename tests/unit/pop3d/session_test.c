#include "lib/mail/codec.h"
#include "lib/mail/sasl.h"
#include "pop3d/clients.h"
#include "pop3d/session.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the client says is in the socket before the session runs; what it heard is read afterwards. */
struct talk {
    struct pop3d_config config;
    struct buf heard;
    struct buf unread;   /* what was handed over with the connection */
    struct buf logins;   /* "user password method authorize_as;" for each check */
    unsigned checks;
    bool presented;
    bool refuses_present;
    enum pop3d_verdict verdict; /* for alice with "secret word"; others are bad */
};

static enum pop3d_verdict check(void *context, const struct pop3d_login *login, struct span client, struct buf *token,
                                struct buf *user, struct buf *why)
{
    struct talk *t = context;
    t->checks++;
    cr_expect(span_eq(client, SPAN("192.0.2.1")));
    buf_printf(&t->logins, "%.*s %.*s %s %.*s;", SPAN_ARG(login->user), SPAN_ARG(login->password), login->method,
               SPAN_ARG(login->authorize_as));
    if (t->verdict == POP3D_LATER) {
        buf_puts(why, "the table is away");
        return POP3D_LATER;
    }
    if (!span_eq(login->user, SPAN("alice")) || !span_eq(login->password, SPAN("secret word"))) {
        buf_puts(why, "password mismatch");
        return POP3D_BAD;
    }
    buf_puts(token, "t0ken");
    buf_puts(user, "alice");
    return POP3D_GOOD;
}

static bool present(void *context, struct span token, struct conn **conn, struct span client)
{
    struct talk *t = context;
    (void)client;
    cr_expect(span_eq(token, SPAN("t0ken")));
    if (t->refuses_present)
        return false;
    t->presented = true;
    close(conn_take_fd(conn, &t->unread));
    return true;
}

static struct talk talk_new(void)
{
    signal(SIGPIPE, SIG_IGN);
    return (struct talk){.config = {.banner = SPAN("mail ready"),
                                    .timeout = 10,
                                    .login_timeout = 10,
                                    .auth_attempts = 3,
                                    .line_limit = 255,
                                    .error_limit = 20}};
}

static void talk_end(struct talk *t)
{
    buf_fini(&t->heard);
    buf_fini(&t->unread);
    buf_fini(&t->logins);
}

static const char *say_octets(struct talk *t, struct span script, bool keep_open)
{
    int fds[2];
    char piece[4096];
    ssize_t n;
    struct pop3d_services services = {check, present, t};
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    cr_assert_eq(write(fds[1], script.p, script.n), (ssize_t)script.n);
    if (!keep_open)
        shutdown(fds[1], SHUT_WR);
    buf_clear(&t->heard);
    buf_clear(&t->unread);
    t->presented = false;
    pop3d_session_run(&t->config, &services, conn_new(fds[0]), SPAN("192.0.2.1"), NULL);
    while ((n = read(fds[1], piece, sizeof piece)) > 0)
        buf_put(&t->heard, span_of(piece, (size_t)n));
    close(fds[1]);
    return buf_text(&t->heard);
}

static const char *say(struct talk *t, const char *script)
{
    return say_octets(t, span_text(script), false);
}

#define GREETING "+OK mail ready\r\n"
#define GOOD_PLAIN "AGFsaWNlAHNlY3JldCB3b3Jk" /* \0alice\0secret word */
#define BAD_PLAIN "AGFsaWNlAHdyb25n"          /* \0alice\0wrong */

Test(pop3d, hands_over_whoever_logs_in_by_whatever_way)
{
    static const struct {
        const char *says, *said, *heard, *login;
    } rows[] = {
        {"USER and PASS", "USER alice\r\nPASS secret word\r\n", "+OK Now the password\r\n", "alice secret word USER ;"},
        {"in any case", "uSER alice\r\npASS secret word\r\n", "+OK Now the password\r\n", "alice secret word USER ;"},
        {"blanks behind the name", "USER alice \r\nPASS secret word\r\n", "+OK Now the password\r\n", "alice secret word USER ;"},
        {"AUTH PLAIN in two steps", "AUTH PLAIN\r\n" GOOD_PLAIN "\r\n", "+ \r\n", "alice secret word PLAIN ;"},
        {"AUTH PLAIN in one", "AUTH PLAIN " GOOD_PLAIN "\r\n", "", "alice secret word PLAIN ;"},
        {"with an authorization name", "AUTH PLAIN YWxpY2UAYWxpY2UAc2VjcmV0IHdvcmQ=\r\n", "", "alice secret word PLAIN alice;"},
        {"AUTH LOGIN", "AUTH LOGIN\r\nYWxpY2U=\r\nc2VjcmV0IHdvcmQ=\r\n", "+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\n", "alice secret word LOGIN ;"},
        {"AUTH LOGIN with the name", "AUTH login YWxpY2U=\r\nc2VjcmV0IHdvcmQ=\r\n", "+ UGFzc3dvcmQ6\r\n", "alice secret word LOGIN ;"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct talk t = talk_new();
        struct buf want = BUF_INIT;
        buf_printf(&want, GREETING "%s", rows[i].heard);

        say(&t, rows[i].said);

        cr_expect(t.presented, "%s", rows[i].says);
        cr_expect_str_eq(buf_text(&t.heard), buf_text(&want), "%s: %s", rows[i].says, buf_text(&t.heard));
        cr_expect_str_eq(buf_text(&t.logins), rows[i].login, "%s: %s", rows[i].says, buf_text(&t.logins));
        buf_fini(&want);
        talk_end(&t);
    }
}

Test(pop3d, hands_over_what_came_behind_the_login)
{
    struct talk t = talk_new();

    say(&t, "USER alice\r\nPASS secret word\r\nSTAT\r\nQU");

    cr_expect_str_eq(buf_text(&t.unread), "STAT\r\nQU");
    talk_end(&t);
}

Test(pop3d, answers_commands)
{
    static const struct {
        const char *says, *said, *heard;
    } rows[] = {
        {"QUIT", "QUIT\r\nCAPA\r\n", "+OK Bye\r\n"},
        {"bare AUTH", "AUTH\r\n", "+OK Mechanisms follow\r\nPLAIN\r\nLOGIN\r\n.\r\n"},
        {"UTF8", "UTF8\r\n", "+OK UTF-8 it is\r\n"},
        {"a command of the other state", "STAT\r\n", "-ERR Log in first\r\n"},
        {"the same with an argument", "RETR 1\r\n", "-ERR Log in first\r\n"},
        {"nonsense", "NONSENSE\r\n", "-ERR Unknown command\r\n"},
        {"an empty line", "\r\n", "-ERR Unknown command\r\n"},
        {"a control character", "CAP\001A\r\n", "-ERR Unknown command\r\n"},
        {"PASS first", "PASS x\r\n", "-ERR USER comes before PASS\r\n"},
        {"USER without a name", "USER\r\n", "-ERR Wrong arguments\r\n"},
        {"USER with a blank name", "USER \r\n", "-ERR Wrong arguments\r\n"},
        {"QUIT with an argument", "QUIT now\r\n", "-ERR Wrong arguments\r\n"},
        {"an unknown mechanism", "AUTH CRAM-MD5\r\n", "-ERR No such mechanism\r\n"},
        {"too many arguments", "AUTH PLAIN a b\r\n", "-ERR Wrong arguments\r\n"},
        {"not base64", "AUTH PLAIN !!!\r\n", "-ERR That is not what the mechanism asks for\r\n"},
        {"an empty message", "AUTH PLAIN =\r\n", "-ERR That is not what the mechanism asks for\r\n"},
        {"no NUL in it", "AUTH PLAIN YWxpY2U=\r\n", "-ERR That is not what the mechanism asks for\r\n"},
        {"one NUL in it", "AUTH PLAIN AGFsaWNl\r\n", "-ERR That is not what the mechanism asks for\r\n"},
        {"not base64 in the second step", "AUTH PLAIN\r\n?\r\n", "+ \r\n-ERR That is not what the mechanism asks for\r\n"},
        {"cancelled", "AUTH PLAIN\r\n*\r\n", "+ \r\n-ERR Authentication cancelled\r\n"},
        {"LOGIN cancelled at the name", "AUTH LOGIN\r\n*\r\n", "+ VXNlcm5hbWU6\r\n-ERR Authentication cancelled\r\n"},
        {"LOGIN cancelled at the password", "AUTH LOGIN YQ==\r\n*\r\n", "+ UGFzc3dvcmQ6\r\n-ERR Authentication cancelled\r\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct talk t = talk_new();
        struct buf want = BUF_INIT;
        buf_printf(&want, GREETING "%s", rows[i].heard);

        say(&t, rows[i].said);

        cr_expect_str_eq(buf_text(&t.heard), buf_text(&want), "%s: %s", rows[i].says, buf_text(&t.heard));
        cr_expect_eq(t.checks, 0, "%s", rows[i].says);
        buf_fini(&want);
        talk_end(&t);
    }
}

Test(pop3d, lists_its_capabilities_in_fewer_than_50_lines)
{
    static const char *const wanted[] = {"\r\nTOP\r\n", "\r\nUIDL\r\n", "\r\nUSER\r\n", "\r\nSASL PLAIN LOGIN\r\n",
                                         "\r\nPIPELINING\r\n", "\r\nRESP-CODES\r\n", "\r\nAUTH-RESP-CODE\r\n", "\r\nUTF8"};
    struct talk t = talk_new();
    unsigned lines = 0;

    const char *heard = say(&t, "CAPA\r\n");

    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        cr_expect_not_null(strstr(heard, wanted[i]), "%s", wanted[i]);
    for (const char *p = heard; *p; p++)
        lines += *p == '\n';
    cr_expect_lt(lines, 50);
    cr_expect_str_eq(heard + strlen(heard) - 5, "\r\n.\r\n");
    talk_end(&t);
}

Test(pop3d, answers_an_unknown_user_and_a_wrong_password_alike)
{
    struct talk t = talk_new();

    const char *heard = say(&t, "USER alice\r\nPASS wrong\r\nUSER nobody\r\nPASS secret word\r\nQUIT\r\n");

    cr_expect_str_eq(heard, GREETING "+OK Now the password\r\n-ERR [AUTH] Authentication failed\r\n"
                                     "+OK Now the password\r\n-ERR [AUTH] Authentication failed\r\n+OK Bye\r\n");
    talk_end(&t);
}

Test(pop3d, asks_for_the_name_again_after_a_failed_login)
{
    struct talk t = talk_new();

    const char *heard = say(&t, "USER alice\r\nPASS wrong\r\nPASS secret word\r\n");

    cr_expect_not_null(strstr(heard, "-ERR USER comes before PASS\r\n"), "%s", heard);
    cr_expect_not(t.presented);
    talk_end(&t);
}

Test(pop3d, ends_at_the_last_failed_login_and_not_before)
{
    struct talk t = talk_new();

    cr_expect_not_null(strstr(say(&t, "AUTH PLAIN " BAD_PLAIN "\r\nAUTH PLAIN " BAD_PLAIN "\r\nQUIT\r\n"), "+OK Bye"));
    t.checks = 0;
    const char *heard = say(&t, "AUTH PLAIN " BAD_PLAIN "\r\nAUTH PLAIN " BAD_PLAIN "\r\nAUTH PLAIN " BAD_PLAIN "\r\n"
                                "AUTH PLAIN " GOOD_PLAIN "\r\n");

    cr_expect_eq(t.checks, 3);
    cr_expect_not(t.presented);
    cr_expect_null(strstr(heard, "+OK Bye"));
    talk_end(&t);
}

Test(pop3d, holds_the_answer_to_a_failed_login_back)
{
    struct talk t = talk_new();
    t.config.auth_delay = 1;
    mono_ms start = clock_mono();

    say(&t, "AUTH PLAIN " BAD_PLAIN "\r\nQUIT\r\n");

    cr_expect_geq(clock_mono() - start, 1000);
    talk_end(&t);
}

Test(pop3d, says_try_later_where_nobody_can_tell)
{
    struct talk t = talk_new();
    t.verdict = POP3D_LATER;

    cr_expect_str_eq(say(&t, "AUTH PLAIN " GOOD_PLAIN "\r\nQUIT\r\n"),
                     GREETING "-ERR [SYS/TEMP] Logins are not possible at the moment; try again later\r\n+OK Bye\r\n");
    t.verdict = POP3D_GOOD;
    t.refuses_present = true;
    cr_expect_str_eq(say(&t, "AUTH PLAIN " GOOD_PLAIN "\r\nQUIT\r\n"),
                     GREETING "-ERR [SYS/TEMP] Logins are not possible at the moment; try again later\r\n+OK Bye\r\n");
    talk_end(&t);
}

Test(pop3d, ends_at_the_last_error_and_not_before)
{
    struct talk t = talk_new();
    t.config.error_limit = 3;

    cr_expect_not_null(strstr(say(&t, "X\r\nX\r\nQUIT\r\n"), "+OK Bye"));
    const char *heard = say(&t, "X\r\nX\r\nX\r\nQUIT\r\n");

    cr_expect_not_null(strstr(heard, "-ERR Too many errors"));
    cr_expect_null(strstr(heard, "+OK Bye"));
    talk_end(&t);
}

Test(pop3d, takes_a_line_of_the_limit_and_refuses_a_longer_one)
{
    struct talk t = talk_new();
    char line[300];
    memset(line, 'x', sizeof line);
    memcpy(line, "USER ", 5);

    memcpy(line + 255, "\r\n", 3);
    cr_expect_not_null(strstr(say(&t, line), "+OK Now"));
    memcpy(line + 255, "x\r\nQUIT\r\n", 10);
    const char *heard = say(&t, line);

    cr_expect_not_null(strstr(heard, "-ERR The line is too long\r\n+OK Bye\r\n"), "%s", heard);
    talk_end(&t);
}

Test(pop3d, takes_a_sasl_line_of_the_limit_and_refuses_a_longer_one)
{
    for (int beyond = 0; beyond < 2; beyond++) {
        struct talk t = talk_new();
        struct buf script = BUF_INIT;
        buf_puts(&script, "AUTH PLAIN\r\n");
        for (int i = 0; i < SASL_LINE_MAX + beyond; i++)
            buf_putc(&script, 'A');
        buf_puts(&script, "\r\nQUIT\r\n");

        const char *heard = say_octets(&t, buf_span(&script), false);

        /* At the limit it is a message of NULs, which names nobody. */
        cr_expect_not_null(strstr(heard, beyond ? "-ERR The line is too long\r\n+OK Bye" : "-ERR That is not what the mechanism asks for\r\n+OK Bye"),
                           "%s", heard);
        buf_fini(&script);
        talk_end(&t);
    }
}

Test(pop3d, takes_names_and_passwords_up_to_their_limits)
{
    for (int beyond = 0; beyond < 2; beyond++) {
        struct talk t = talk_new();
        struct buf message = BUF_INIT, script = BUF_INIT;
        buf_putc(&message, '\0');
        for (int i = 0; i < SASL_NAME_MAX; i++)
            buf_putc(&message, 'u');
        buf_putc(&message, '\0');
        for (int i = 0; i < SASL_PASSWORD_MAX + beyond; i++)
            buf_putc(&message, 'p');
        buf_puts(&script, "AUTH PLAIN ");
        codec_base64_put(&script, buf_span(&message));
        buf_puts(&script, "\r\n");

        say_octets(&t, buf_span(&script), false);

        cr_expect_eq(t.checks, beyond ? 0 : 1);
        buf_fini(&message);
        buf_fini(&script);
        talk_end(&t);
    }
}

Test(pop3d, ends_a_session_that_is_silent_or_slow_to_log_in)
{
    for (int slow = 0; slow < 2; slow++) {
        struct talk t = talk_new();
        *(slow ? &t.config.login_timeout : &t.config.timeout) = 1;

        const char *heard = say_octets(&t, SPAN("CAPA\r\n"), true);

        cr_expect_not_null(strstr(heard, "-ERR [SYS/TEMP] Idle for too long\r\n"), "%s", heard);
        talk_end(&t);
    }
}

Test(pop3d_clients, lets_one_address_have_so_many_sessions_and_no_more)
{
    struct clients c = {.limit = 2};

    cr_expect(clients_enter(&c, SPAN("a")));
    cr_expect(clients_enter(&c, SPAN("a")));
    cr_expect_not(clients_enter(&c, SPAN("a")));
    cr_expect(clients_enter(&c, SPAN("b")));
    clients_leave(&c, SPAN("a"));
    cr_expect(clients_enter(&c, SPAN("a")));
    clients_leave(&c, SPAN("a"));
    clients_leave(&c, SPAN("a"));
    clients_leave(&c, SPAN("b"));

    cr_expect_eq(c.by_address.count, 0);
    map_fini(&c.by_address);
}

Test(pop3d_clients, sets_no_limit_where_it_is_0)
{
    struct clients c = {.limit = 0};
    for (int i = 0; i < 1000; i++)
        cr_expect(clients_enter(&c, SPAN("a")));
    for (int i = 0; i < 1000; i++)
        clients_leave(&c, SPAN("a"));
    map_fini(&c.by_address);
}
