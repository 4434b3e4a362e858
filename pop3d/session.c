#include "pop3d/session.h"

#include "lib/mail/codec.h"
#include "lib/mail/pop3.h"
#include "lib/mail/sasl.h"

#include <stdio.h>
#include <string.h>

enum { CHECK_WAIT_S = 60, LAST_WORD_S = 5 };

struct session {
    const struct pop3d_config *config;
    const struct pop3d_services *services;
    const struct log_source *source;
    struct conn *conn;   /* NULL once it was handed over */
    struct span client;
    struct buf user;     /* of USER; empty: none was given */
    struct buf secret;   /* a decoded password or SASL message; wiped after use */
    mono_ms login_by;    /* end of the patience for a login */
    uint64_t attempts;   /* failed logins */
    uint64_t errors;     /* bad commands */
    bool ended;
};

/* --- replies -------------------------------------------------------------------------------- */

#define OK(text) "+OK " text "\r\n"
#define ERR(text) "-ERR " text "\r\n"

/* Each reply once. RFC 1939 3; codes in brackets: RFC 2449 8, RFC 3206 4 */
#define REPLIES(R)                                                                       \
    R(bye, OK("Bye"))                                                                    \
    R(user_taken, OK("Now the password"))                                                \
    R(utf8_on, OK("UTF-8 it is"))                                                        \
    R(mechanisms, OK("Mechanisms follow") "PLAIN\r\nLOGIN\r\n.\r\n")                      \
    R(go_on, "+ \r\n")                                                                   \
    R(ask_user, "+ VXNlcm5hbWU6\r\n")                                                    \
    R(ask_password, "+ UGFzc3dvcmQ6\r\n")                                                \
    R(unknown, ERR("Unknown command"))                                                   \
    R(log_in_first, ERR("Log in first"))                                                 \
    R(syntax, ERR("Wrong arguments"))                                                    \
    R(too_long, ERR("The line is too long"))                                             \
    R(user_first, ERR("USER comes before PASS"))                                         \
    R(no_mechanism, ERR("No such mechanism"))                                            \
    R(bad_encoding, ERR("That is not what the mechanism asks for"))                      \
    R(cancelled, ERR("Authentication cancelled"))                                        \
    R(auth_failed, ERR("[AUTH] Authentication failed"))                                  \
    R(try_later, ERR("[SYS/TEMP] Logins are not possible at the moment; try again later")) \
    R(too_many_errors, ERR("Too many errors"))                                           \
    R(timeout, ERR("[SYS/TEMP] Idle for too long"))                                      \
    R(ending, ERR("[SYS/TEMP] The server is about to stop; try again later"))

enum reply {
#define R(name, text) REPLY_##name,
    REPLIES(R)
#undef R
};

static const struct span replies[] = {
#define R(name, text) [REPLY_##name] = SPAN_INIT(text),
    REPLIES(R)
#undef R
};

static void say(struct session *s, enum reply reply)
{
    conn_write(s->conn, replies[reply]);
}

/* A command that could not be carried out; many of them end the session. */
static void refuse(struct session *s, enum reply reply)
{
    say(s, reply);
    if (s->config->error_limit && ++s->errors >= s->config->error_limit) {
        say(s, REPLY_too_many_errors);
        s->ended = true;
    }
}

/* --- secrets ---------------------------------------------------------------------------------- */

static void wipe(struct buf *b)
{
    if (b->data)
        explicit_bzero(b->data, b->cap);
    buf_clear(b);
}

/* Bytes of the connection's own buffer that were used up. */
static void wipe_line(struct span line)
{
    if (line.n)
        explicit_bzero((char *)(uintptr_t)line.p, line.n);
}

/* --- logging in ------------------------------------------------------------------------------- */

/* A name as it may stand in a log line: it cannot end its <> or look like another field. */
static const char *harmless(struct span name, char text[100])
{
    size_t n = 0;
    for (; n < name.n && n < 99; n++)
        text[n] = name.p[n] == '<' || name.p[n] == '>' || span_at(name, n) <= ' ' ? '?' : name.p[n];
    text[n] = '\0';
    return text;
}

static void log_failure(struct session *s, const struct pop3d_login *login, const char *why)
{
    char name[100];
    /* The form that log watchers know from the SMTP server. */
    log_line(s->source, LOG_LEVEL_WARNING, "unknown[%.*s]: SASL %s authentication failed: %s, user=<%s>, method=%s, rip=%.*s",
             SPAN_ARG(s->client), strcmp(login->method, "USER") == 0 ? "PLAIN" : login->method, why,
             harmless(login->user, name), login->method, SPAN_ARG(s->client));
}

static void bad_login(struct session *s)
{
    s->attempts++;
    conn_flush(s->conn);
    if (s->config->auth_delay > 0)
        (void)wait_until(clock_after(s->config->auth_delay));
    say(s, REPLY_auth_failed);
    if (s->attempts >= s->config->auth_attempts)
        s->ended = true;
}

static void good_login(struct session *s, const struct pop3d_login *login, const struct buf *token,
                       const struct buf *user)
{
    char name[100];
    log_line(s->source, LOG_LEVEL_INFO, "login: user=<%s>, method=%s, rip=%.*s", harmless(buf_span(user), name),
             login->method, SPAN_ARG(s->client));
    conn_flush(s->conn);
    if (s->services->present(s->services->context, buf_span(token), &s->conn, s->client)) {
        s->ended = true;
        return;
    }
    say(s, REPLY_try_later);
}

static void log_in(struct session *s, const struct pop3d_login *login)
{
    struct buf token = BUF_INIT, user = BUF_INIT, why = BUF_INIT;
    enum pop3d_verdict verdict = POP3D_BAD;
    if (sasl_credentials_are_sound(login->user, login->password))
        verdict = s->services->check(s->services->context, login, s->client, &token, &user, &why);
    else
        buf_puts(&why, "name or password too long");
    switch (verdict) {
    case POP3D_GOOD:
        good_login(s, login, &token, &user);
        break;
    case POP3D_BAD:
        log_failure(s, login, buf_text(&why));
        bad_login(s);
        break;
    case POP3D_LATER:
        log_line(s->source, LOG_LEVEL_WARNING, "login not possible: %s, rip=%.*s", buf_text(&why), SPAN_ARG(s->client));
        say(s, REPLY_try_later);
        break;
    }
    wipe(&token);
    buf_fini(&token);
    buf_fini(&user);
    buf_fini(&why);
}

/* Reads one line of an exchange and decodes it.
 * message: replaced
 * result:  false: the exchange is over; what there is to say was said */
static bool read_response(struct session *s, struct buf *message)
{
    struct span line;
    enum line_ending ending;
    enum conn_result got = conn_read_line(s->conn, SASL_LINE_MAX, &line, &ending);
    wipe(message);
    if (got == CONN_TOO_LONG)
        refuse(s, REPLY_too_long);
    else if (got == CONN_OK && span_eq(line, SPAN("*")))
        refuse(s, REPLY_cancelled);
    else if (got == CONN_OK && !codec_base64_get(message, line))
        refuse(s, REPLY_bad_encoding);
    else if (got == CONN_OK) {
        wipe_line(line);
        return true;
    }
    return false;
}

/* RFC 4616; RFC 5034 4: an initial response of "=" is an empty one */
static void auth_plain(struct session *s, struct span initial)
{
    struct sasl_plain plain;
    if (initial.n == 0) {
        say(s, REPLY_go_on);
        if (!read_response(s, &s->secret))
            return;
    } else if (!span_eq(initial, SPAN("=")) && !codec_base64_get(&s->secret, initial)) {
        refuse(s, REPLY_bad_encoding);
        return;
    }
    if (sasl_plain_parse(buf_span(&s->secret), &plain))
        log_in(s, &(struct pop3d_login){plain.user, plain.password, plain.authorize_as, "PLAIN"});
    else
        refuse(s, REPLY_bad_encoding);
}

/* draft-murchison-sasl-login; the initial response, where there is one, is the name. */
static void auth_login(struct session *s, struct span initial)
{
    struct buf user = BUF_INIT;
    bool good = true;
    if (initial.n && !codec_base64_get(&user, initial)) {
        refuse(s, REPLY_bad_encoding);
        good = false;
    } else if (initial.n == 0) {
        say(s, REPLY_ask_user);
        good = read_response(s, &user);
    }
    if (good) {
        say(s, REPLY_ask_password);
        if (read_response(s, &s->secret))
            log_in(s, &(struct pop3d_login){buf_span(&user), buf_span(&s->secret), SPAN_NONE, "LOGIN"});
    }
    buf_fini(&user);
}

static const struct {
    struct span name;
    void (*run)(struct session *s, struct span initial);
} mechanisms[] = {{SPAN_INIT("PLAIN"), auth_plain}, {SPAN_INIT("LOGIN"), auth_login}};

/* --- commands ------------------------------------------------------------------------------------ */

static void pop3d_quit(struct session *s, const struct pop3_line *line)
{
    (void)line;
    say(s, REPLY_bye);
    s->ended = true;
}

static void pop3d_capa(struct session *s, const struct pop3_line *line)
{
    (void)line;
    struct buf out = BUF_INIT;
    pop3_put_capabilities(&out);
    conn_write(s->conn, buf_span(&out));
    buf_fini(&out);
}

static void pop3d_user(struct session *s, const struct pop3_line *line)
{
    buf_clear(&s->user);
    buf_put(&s->user, span_trim(line->rest));
    say(s, REPLY_user_taken);
}

static void pop3d_pass(struct session *s, const struct pop3_line *line)
{
    if (s->user.len == 0) {
        refuse(s, REPLY_user_first);
        return;
    }
    buf_put(&s->secret, line->rest);
    log_in(s, &(struct pop3d_login){buf_span(&s->user), buf_span(&s->secret), SPAN_NONE, "USER"});
    buf_clear(&s->user);
}

static void pop3d_auth(struct session *s, const struct pop3_line *line)
{
    if (line->n == 0) {
        say(s, REPLY_mechanisms);
        return;
    }
    for (size_t i = 0; i < sizeof mechanisms / sizeof *mechanisms; i++)
        if (span_eq_nocase(line->at[0], mechanisms[i].name)) {
            mechanisms[i].run(s, line->at[1]);
            return;
        }
    refuse(s, REPLY_no_mechanism);
}

/* RFC 6856 2.1: messages go out as they are in either mode, so there is nothing to switch. */
static void pop3d_utf8(struct session *s, const struct pop3_line *line)
{
    (void)line;
    say(s, REPLY_utf8_on);
}

static void pop3d_too_early(struct session *s, const struct pop3_line *line)
{
    (void)line;
    refuse(s, REPLY_log_in_first);
}

enum { FREE_TEXT = 9 }; /* as most: what follows the word is one argument with blanks in it */

/* The commands and how many arguments each takes. */
static const struct {
    struct span name;
    unsigned least, most;
    void (*run)(struct session *s, const struct pop3_line *line);
} commands[] = {
    {SPAN_INIT("CAPA"), 0, 0, pop3d_capa},       {SPAN_INIT("USER"), 1, FREE_TEXT, pop3d_user},
    {SPAN_INIT("PASS"), 1, FREE_TEXT, pop3d_pass}, {SPAN_INIT("AUTH"), 0, 2, pop3d_auth},
    {SPAN_INIT("UTF8"), 0, 0, pop3d_utf8},       {SPAN_INIT("QUIT"), 0, 0, pop3d_quit},
    {SPAN_INIT("STAT"), 0, FREE_TEXT, pop3d_too_early}, {SPAN_INIT("LIST"), 0, FREE_TEXT, pop3d_too_early},
    {SPAN_INIT("RETR"), 0, FREE_TEXT, pop3d_too_early}, {SPAN_INIT("DELE"), 0, FREE_TEXT, pop3d_too_early},
    {SPAN_INIT("NOOP"), 0, FREE_TEXT, pop3d_too_early}, {SPAN_INIT("RSET"), 0, FREE_TEXT, pop3d_too_early},
    {SPAN_INIT("TOP"), 0, FREE_TEXT, pop3d_too_early},  {SPAN_INIT("UIDL"), 0, FREE_TEXT, pop3d_too_early},
};

static void run_command(struct session *s, struct span text)
{
    struct pop3_line line;
    bool good = pop3_line_parse(text, &line);
    /* RFC 2449 4: all but a response to AUTH is short. */
    if (good && text.n > s->config->line_limit && !span_eq_nocase(line.word, SPAN("AUTH"))) {
        refuse(s, REPLY_too_long);
        return;
    }
    for (size_t i = 0; good && i < sizeof commands / sizeof *commands; i++)
        if (span_eq_nocase(line.word, commands[i].name)) {
            unsigned given = commands[i].most == FREE_TEXT ? line.rest.n > 0 : line.n;
            if (given < commands[i].least || given > commands[i].most)
                refuse(s, REPLY_syntax);
            else
                commands[i].run(s, &line);
            return;
        }
    refuse(s, REPLY_unknown);
}

/* --- the conversation ------------------------------------------------------------------------------ */

static void set_deadline(struct session *s)
{
    mono_ms idle = clock_after(s->config->timeout);
    conn_set_deadline(s->conn, idle < s->login_by ? idle : s->login_by);
}

static enum conn_result converse(struct session *s)
{
    struct span line;
    enum line_ending ending;
    set_deadline(s);
    enum conn_result got = conn_read_line(s->conn, SASL_LINE_MAX, &line, &ending);
    if (got == CONN_TOO_LONG)
        refuse(s, REPLY_too_long);
    if (got != CONN_OK)
        return got;
    /* A copy, because a command may read on; freed at once, because most sessions are idle. */
    struct buf command = BUF_INIT;
    buf_put(&command, line);
    wipe_line(line);
    run_command(s, buf_span(&command));
    wipe(&command);
    buf_fini(&command);
    wipe(&s->secret);
    return CONN_OK;
}

static void end(struct session *s, enum conn_result why)
{
    static const char *const reasons[] = {[CONN_OK] = "ended",         [CONN_EOF] = "connection closed",
                                          [CONN_ERROR] = "lost",       [CONN_TIMEOUT] = "timeout",
                                          [CONN_CANCELLED] = "server stopping"};
    if (why == CONN_TIMEOUT)
        say(s, REPLY_timeout);
    if (why == CONN_CANCELLED)
        say(s, REPLY_ending);
    log_line(s->source, LOG_LEVEL_INFO, "disconnect: rip=%.*s, failed logins=%llu, reason=%s", SPAN_ARG(s->client),
             (unsigned long long)s->attempts, reasons[why]);
    if (why == CONN_OK) {
        conn_set_deadline(s->conn, clock_after(LAST_WORD_S));
        conn_flush(s->conn);
    }
    conn_close(&s->conn);
}

void pop3d_session_run(const struct pop3d_config *config, const struct pop3d_services *services, struct conn *conn,
                       struct span client, const struct log_source *source)
{
    struct session s = {.config = config,
                        .services = services,
                        .source = source,
                        .conn = conn,
                        .client = client,
                        .login_by = clock_after(config->login_timeout)};
    enum conn_result got = CONN_OK;
    log_line(source, LOG_LEVEL_INFO, "connect from unknown[%.*s]", SPAN_ARG(client));
    conn_printf(conn, "+OK %.*s\r\n", SPAN_ARG(config->banner));
    while (!s.ended && (got == CONN_OK || got == CONN_TOO_LONG))
        got = converse(&s);
    if (s.conn)
        end(&s, got == CONN_TOO_LONG ? CONN_OK : got);
    buf_fini(&s.user);
    buf_fini(&s.secret);
}
