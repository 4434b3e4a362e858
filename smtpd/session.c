#include "smtpd/notice.h"
#include "smtpd/session_end.h"
#include "smtpd/smtpd.h"

#include <errno.h>
#include <string.h>

/* RFC 5321 4.1.1; legality is a flag of the row, not an if in the handler. */
const struct command smtpd_commands[] = {
    {SPAN_INIT("HELO"), smtpd_helo, COMMAND_IS_JUNK | COMMAND_LAST | COMMAND_FLUSHES, "helo"},
    {SPAN_INIT("EHLO"), smtpd_ehlo, COMMAND_IS_JUNK | COMMAND_LAST | COMMAND_FLUSHES, "ehlo"},
    {SPAN_INIT("MAIL"), smtpd_mail, COMMAND_NEEDS_HELLO, "mail"},
    {SPAN_INIT("RCPT"), smtpd_rcpt, COMMAND_NEEDS_HELLO | COMMAND_NEEDS_MAIL, "rcpt"},
    {SPAN_INIT("DATA"), smtpd_data, COMMAND_NEEDS_HELLO | COMMAND_NEEDS_MAIL | COMMAND_LAST | COMMAND_FLUSHES, "data"},
    {SPAN_INIT("BDAT"), smtpd_bdat, COMMAND_NEEDS_HELLO | COMMAND_IN_CHUNKS | COMMAND_FLUSHES, "bdat"},
    {SPAN_INIT("RSET"), smtpd_rset, COMMAND_IS_JUNK | COMMAND_IN_CHUNKS | COMMAND_FLUSHES, "rset"},
    {SPAN_INIT("NOOP"), smtpd_noop, COMMAND_IS_JUNK | COMMAND_IN_CHUNKS, "noop"},
    {SPAN_INIT("VRFY"), smtpd_vrfy, COMMAND_IS_JUNK | COMMAND_LAST, "vrfy"},
    {SPAN_INIT("HELP"), smtpd_help, COMMAND_IS_JUNK | COMMAND_IN_CHUNKS, "help"},
    {SPAN_INIT("ETRN"), smtpd_etrn, COMMAND_IS_JUNK, "etrn"},
    {SPAN_INIT("QUIT"), smtpd_quit, COMMAND_LAST | COMMAND_IN_CHUNKS, "quit"},
    {{NULL, 0}, NULL, 0, "unknown"},
};

struct reply say(struct session *s, enum reply_id id, struct span what)
{
    return reply_declared(&s->call, id, s->server->main->myhostname, what);
}

const char *client_text(struct session *s)
{
    return arena_printf(&s->call, "%.*s[%.*s]", SPAN_ARG(s->client.name), SPAN_ARG(s->client.address));
}

bool refuses_bare(const struct session *s)
{
    return s->server->mine->smtpd_forbid_bare_newline == PARAM_bare_newline_reject && !s->client.may_send_bare;
}

void soften(struct session *s, struct reply *r)
{
    if (!s->server->main->soft_bounce || r->code < 500)
        return;
    r->code -= 100;
    if (r->dsn.n && r->dsn.p[0] == '5')
        r->dsn = span_text(arena_printf(&s->call, "4%.*s", SPAN_ARG(span_skip(r->dsn, 1))));
}

struct reply refuse(struct session *s, const char *verb, struct reply r, struct span recipient)
{
    struct buf line = BUF_LIMITED(LOG_LINE_MAX);
    bool queued = s->tx && s->tx->id.n;
    soften(s, &r);
    buf_printf(&line, "%.*s: reject: %s from %s: ", SPAN_ARG(queued ? s->tx->id : SPAN("NOQUEUE")), verb,
               client_text(s));
    reply_put_log(&line, &r);
    buf_putc(&line, ';');
    if (s->tx)
        buf_printf(&line, " from=<%.*s>", SPAN_ARG(s->tx->sender));
    if (recipient.n)
        buf_printf(&line, " to=<%.*s>", SPAN_ARG(recipient));
    buf_printf(&line, " proto=%s", s->esmtp ? "ESMTP" : "SMTP");
    if (s->helo.n)
        buf_printf(&line, " helo=<%.*s>", SPAN_ARG(s->helo));
    log_line(&s->log, LOG_LEVEL_INFO, "%s", buf_text(&line));
    buf_fini(&line);
    return r;
}

struct reply hang_up(struct session *s, enum session_end end, struct reply r)
{
    if (s->end == END_NOT)
        s->end = end;
    return r;
}

/* --- one command ---------------------------------------------------------------- */

static const struct command *find_command(struct span verb)
{
    const struct command *c = smtpd_commands;
    while (c->handle && !span_eq_nocase(c->verb, verb))
        c++;
    return c;
}

/* The list may also hold table patterns (CONNECT GET POST regexp:...); words are what counts here. */
static bool is_forbidden(const struct session *s, struct span verb)
{
    const struct param_list *list = &s->server->mine->smtpd_forbidden_commands;
    for (size_t i = 0; i < list->n; i++)
        if (span_eq_nocase(list->at[i], verb))
            return true;
    /* What starts with no letter is no mail client: a TLS hello, a line of HTTP's body. */
    return verb.n && !byte_is_alpha(span_at(verb, 0));
}

static bool has_control(struct span line)
{
    for (size_t i = 0; i < line.n; i++)
        if ((span_at(line, i) < 0x20 && line.p[i] != '\t') || line.p[i] == 0x7f)
            return true;
    return false;
}

/* Input behind a command that must be the last of its group: RFC 2920 3.1. */
static struct reply out_of_step(struct session *s, const struct command *c)
{
    log_line(&s->log, LOG_LEVEL_INFO, "improper command pipelining after %s from %s", c->verb.p, client_text(s));
    return hang_up(s, END_REFUSED, say(s, REPLY_not_synchronized, SPAN_NONE));
}

static struct reply run_command(struct session *s, const struct command *c, struct span args)
{
    if ((c->flags & COMMAND_NEEDS_HELLO) && s->server->mine->smtpd_helo_required && s->helo.n == 0)
        return say(s, REPLY_hello_first, SPAN_NONE);
    if ((c->flags & COMMAND_NEEDS_MAIL) && !s->tx)
        return say(s, REPLY_mail_first, SPAN_NONE);
    if (s->tx && s->tx->body && !(c->flags & COMMAND_IN_CHUNKS))
        return say(s, REPLY_in_chunks, SPAN_NONE);
    /* Without PIPELINING in use nothing may follow before the reply; with it, nothing behind
     * those that end a group. */
    if ((c->flags & COMMAND_LAST) && c->handle != smtpd_quit && s->server->mine->smtpd_forbid_unauth_pipelining &&
        conn_has_input(s->conn))
        return out_of_step(s, c);
    return c->handle(s, args);
}

void count_junk(struct session *s)
{
    if (++s->budget.junk > s->server->mine->smtpd_junk_command_limit)
        s->budget.errors++;
}

static struct reply charge(struct session *s, const struct command *c, struct reply r)
{
    const struct params_smtpd *mine = s->server->mine;
    size_t row = (size_t)(c - smtpd_commands);
    s->counts[row].all++;
    s->commands_all++;
    if (r.code && !reply_is_error(&r)) {
        s->counts[row].good++;
        s->commands_good++;
    }
    if (c->flags & COMMAND_IS_JUNK)
        count_junk(s);
    if (reply_is_error(&r) && !r.excused)
        s->budget.errors++;
    if (s->end == END_NOT && s->budget.errors >= mine->smtpd_hard_error_limit)
        return hang_up(s, END_ERRORS, say(s, REPLY_too_many_errors, SPAN_NONE));
    return r;
}

/* Clients that make errors are slowed down; the others are not held up by it. */
static void slow_down(struct session *s, const struct reply *r)
{
    const struct params_smtpd *mine = s->server->mine;
    if (reply_is_error(r) && s->budget.errors > mine->smtpd_soft_error_limit && mine->smtpd_error_sleep_time > 0)
        wait_until(clock_after(mine->smtpd_error_sleep_time));
}

static void send_reply(struct session *s, struct reply *r)
{
    struct buf out = BUF_INIT;
    soften(s, r);
    notice_judge(s, r);
    if (r->code && !r->sent) {
        reply_put(&out, r);
        notice_say(s, buf_span(&out));
    }
    buf_fini(&out);
}

/* One line from the client, its answer, its price. */
static void serve_line(struct session *s, struct span line, enum line_ending ending)
{
    struct span verb = span_slice(line, 0, span_find(line, ' '));
    struct span args = span_trim(span_skip(line, verb.n));
    const struct command *c = find_command(verb);
    struct reply r;
    s->last = c->handle ? c->verb.p : "UNKNOWN";
    notice_heard(s, line);
    if (ending == LINE_BARE_LF && refuses_bare(s))
        r = hang_up(s, END_REFUSED, refuse(s, s->last, say(s, REPLY_bare_lf, SPAN_NONE), SPAN_NONE));
    else if (is_forbidden(s, verb) && !c->handle)
        r = hang_up(s, END_REFUSED, say(s, REPLY_breaks_rules, SPAN_NONE));
    else if (has_control(line))
        r = say(s, REPLY_control_character, SPAN_NONE);
    else if (!c->handle)
        r = say(s, REPLY_not_recognized, SPAN_NONE);
    else
        r = run_command(s, c, args);
    r = charge(s, c, r);
    slow_down(s, &r);
    send_reply(s, &r);
    if (c->flags & COMMAND_FLUSHES)
        notice_flush(s, s->server->mine->smtpd_history_flush_threshold);
}

/* --- the conversation ------------------------------------------------------------- */

static void note_connection(struct session *s, enum conn_result result)
{
    static const enum session_end ends[] = {
        [CONN_OK] = END_NOT,           [CONN_EOF] = END_LOST,           [CONN_ERROR] = END_LOST,
        [CONN_TIMEOUT] = END_TIMEOUT, [CONN_CANCELLED] = END_CANCELLED, [CONN_TOO_LONG] = END_NOT,
    };
    if (s->end == END_NOT)
        s->end = ends[result];
}

static void converse(struct session *s)
{
    const struct params_smtpd *mine = s->server->mine;
    while (s->end == END_NOT) {
        struct span line;
        enum line_ending ending;
        arena_fini(&s->call); /* an idle session holds nothing */
        conn_set_deadline(s->conn, clock_after(mine->smtpd_timeout));
        enum conn_result got = conn_read_line(s->conn, s->server->main->line_length_limit, &line, &ending);
        if (got == CONN_OK) {
            serve_line(s, line, ending);
        } else if (got == CONN_TOO_LONG) {
            struct reply r = charge(s, find_command(SPAN_NONE), say(s, REPLY_line_too_long, SPAN_NONE));
            send_reply(s, &r);
        }
        note_connection(s, got == CONN_OK ? conn_state(s->conn) : got);
    }
}

/* Talking before the greeting is no SMTP client: RFC 5321 4.3.1. */
static bool greet(struct session *s)
{
    if (s->server->mine->smtpd_forbid_unauth_pipelining && conn_poll_input(s->conn)) {
        s->last = "CONNECT";
        log_line(&s->log, LOG_LEVEL_INFO, "improper command pipelining after CONNECT from %s", client_text(s));
        struct reply r = hang_up(s, END_REFUSED, say(s, REPLY_not_synchronized, SPAN_NONE));
        send_reply(s, &r);
        return false;
    }
    struct reply r = {.code = 220, .text = s->server->mine->smtpd_banner};
    send_reply(s, &r);
    return true;
}

void smtpd_session(struct server *server, int fd, const struct client *client, uint64_t number)
{
    struct session s = {.server = server, .client = *client, .last = "CONNECT"};
    s.conn = conn_new(fd);
    s.log = log_source_numbered(number);
    conn_set_deadline(s.conn, clock_after(server->mine->smtpd_timeout));
    log_line(&s.log, LOG_LEVEL_INFO, "connect from %s", client_text(&s));
    struct reply full;
    if (limit_connection(&s, &full))
        send_reply(&s, &full);
    else if (greet(&s))
        converse(&s);
    limit_connection_ended(&s);
    session_say_goodbye(&s);
    tx_end(&s, &s.tx);
    conn_close(&s.conn);
    if (s.end != END_CANCELLED)
        notice_flush(&s, 0);
    transcript_fini(&s.transcript);
    arena_fini(&s.call);
    arena_fini(&s.arena);
}
