#include "smtp/notice.h"

#include "lib/base/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { REPLY_PATIENCE = 4 /* times the timeout of one wait: all lines of a reply together */ };

struct session *session_new(struct smtp *smtp, int fd, const struct endpoint *to, uint64_t number)
{
    struct session *s = calloc(1, sizeof *s);
    struct buf port = BUF_INIT;
    CHECK(s != NULL);
    *s = (struct session){.smtp = smtp, .to = *to, .since = clock_mono(), .reply = REPLY_INIT, .line = BUF_LIMITED(REPLY_LINE_MAX)};
    s->log = log_source_numbered(number);
    s->conn = conn_new(fd);
    s->to.host = arena_dup(&s->arena, to->host);
    s->to.address = arena_dup(&s->arena, to->address);
    if (to->port)
        buf_printf(&port, ":%u", to->port);
    s->name = arena_printf(&s->arena, "%.*s[%.*s]", SPAN_ARG(s->to.host), SPAN_ARG(s->to.address));
    s->relay = arena_printf(&s->arena, "%s%s", s->name, buf_text(&port));
    buf_fini(&port);
    return s;
}

static void session_free(struct session *s)
{
    conn_close(&s->conn);
    reply_fini(&s->reply);
    buf_fini(&s->line);
    transcript_fini(&s->transcript);
    arena_fini(&s->arena);
    free(s);
}

/* Whether QUIT can be said: nothing is under way, and nothing is wrong. */
static bool say_goodbye(struct session *s)
{
    if (s->spent || conn_state(s->conn) != CONN_OK)
        return false;
    session_say(s, "QUIT");
    return true;
}

void session_drop(struct session **where)
{
    struct session *s = *where;
    *where = NULL;
    (void)say_goodbye(s);
    session_free(s);
}

void session_end(struct session **where)
{
    struct session *s = *where;
    *where = NULL;
    if (say_goodbye(s) && !s->smtp->mine->smtp_skip_quit_response)
        (void)session_hear(s, "sending QUIT", s->smtp->mine->smtp_quit_timeout);
    session_free(s);
}

/* --- words --------------------------------------------------------------------------- */

void session_say(struct session *s, const char *format, ...)
{
    struct buf line = BUF_INIT;
    va_list args;
    va_start(args, format);
    buf_vprintf(&line, format, args);
    va_end(args);
    /* Nothing that came from outside can end a command: addresses are clean, but this is the last door. */
    for (size_t i = 0; i < line.len; i++)
        if (line.data[i] == '\r' || line.data[i] == '\n' || line.data[i] == 0)
            line.data[i] = ' ';
    notice_said(s, buf_span(&line));
    buf_puts(&line, "\r\n");
    conn_write(s->conn, buf_span(&line));
    buf_fini(&line);
}

static enum talk talk_of(struct session *s, enum conn_result r)
{
    static const enum talk talks[] = {
        [CONN_OK] = TALK_OK,           [CONN_EOF] = TALK_LOST,  [CONN_ERROR] = TALK_LOST, [CONN_TIMEOUT] = TALK_TIMEOUT,
        [CONN_CANCELLED] = TALK_CANCELLED, [CONN_TOO_LONG] = TALK_GARBLED,
    };
    if (r != CONN_OK)
        s->spent = true;
    return talks[r];
}

/* One line, whole or cut. dropped: octets behind what is kept */
static enum conn_result read_line(struct session *s, size_t *dropped)
{
    enum line_ending ending = LINE_CUT;
    struct span piece;
    bool has_cr;
    *dropped = 0;
    buf_clear(&s->line);
    s->line.full = false;
    while (ending == LINE_CUT) {
        enum conn_result r = conn_read_piece(s->conn, REPLY_LINE_MAX, &piece, &ending, &has_cr);
        if (r != CONN_OK)
            return r;
        if (s->line.len == 0 && *dropped == 0)
            buf_put(&s->line, piece);
        else
            *dropped += piece.n;
        if (*dropped > REPLY_OCTETS_MAX)
            break; /* reply_take() says what is wrong */
    }
    return CONN_OK;
}

enum talk session_hear(struct session *s, const char *doing, int64_t seconds)
{
    enum reply_result taken = REPLY_MORE;
    size_t dropped;
    const mono_ms last = clock_after(seconds * REPLY_PATIENCE);
    s->doing = doing;
    reply_begin(&s->reply);
    conn_set_deadline(s->conn, clock_after(seconds));
    while (taken == REPLY_MORE) {
        enum conn_result r = read_line(s, &dropped);
        if (r != CONN_OK)
            return talk_of(s, r);
        notice_heard(s, buf_span(&s->line));
        taken = reply_take(&s->reply, buf_span(&s->line), dropped);
        if (!s->smtp->mine->smtp_per_request_deadline && clock_after(seconds) < last)
            conn_set_deadline(s->conn, clock_after(seconds));
    }
    if (taken == REPLY_BAD || s->reply.code == 421)
        s->spent = true;
    return taken == REPLY_BAD ? TALK_GARBLED : TALK_OK;
}

bool session_is_interrupted(struct session *s)
{
    if (!conn_poll_input(s->conn))
        return false;
    s->unexpected = "a reply that answers nothing";
    s->spent = true;
    return true;
}

/* --- verdicts -------------------------------------------------------------------------- */

struct verdict session_verdict(struct session *s, struct dsn_code dsn, const char *text)
{
    struct verdict v = verdict_make(verdict_class_of(dsn), dsn, span_text(text));
    v.relay = span_text(s->relay);
    v.mta_type = SPAN("dns");
    v.mta = s->to.host;
    return v;
}

struct verdict session_trouble(struct session *s, struct arena *a, enum talk talk)
{
    const char *text = NULL;
    struct dsn_code dsn = DSN(4, 4, 2);
    CHECK(talk != TALK_OK);
    switch (talk) {
    case TALK_LOST:
        text = arena_printf(a, "lost connection with %s while %s", s->name, s->doing);
        break;
    case TALK_TIMEOUT:
        text = arena_printf(a, "conversation with %s timed out while %s", s->name, s->doing);
        break;
    case TALK_GARBLED:
        text = arena_printf(a, "protocol error from %s while %s: %s", s->name, s->doing,
                            s->unexpected ? s->unexpected : reply_fault_text(s->reply.fault));
        dsn = DSN(4, 5, 0);
        break;
    case TALK_LOCAL:
        text = arena_printf(a, "local data error while talking to %s", s->name);
        dsn = DSN(4, 3, 0);
        break;
    case TALK_CANCELLED:
    case TALK_OK:
        text = arena_printf(a, "the server was stopped while %s to %s", s->doing, s->name);
        dsn = DSN(4, 3, 2);
        break;
    }
    s->spent = true;
    notice_broken(s, talk);
    return session_verdict(s, dsn, text);
}

/* The words of the last reply as one line, in a. */
static const char *reply_words(const struct session *s, struct arena *a)
{
    struct buf line = BUF_INIT;
    reply_put(&line, &s->reply);
    const char *words = arena_text(a, buf_span(&line));
    buf_fini(&line);
    return words;
}

struct verdict session_refusal(struct session *s, struct arena *a, const char *in_reply_to)
{
    const char *words = reply_words(s, a);
    notice_refused(s, s->reply.code);
    const char *text = in_reply_to
                           ? arena_printf(a, "host %s said: %s (in reply to %s)", s->name, words, in_reply_to)
                           : arena_printf(a, "host %s refused to talk to me: %s", s->name, words);
    struct dsn_code dsn = s->reply.dsn;
    if (dsn.class != 5)
        dsn.class = 4; /* 2xx and 3xx where they mean no yes: not now */
    struct verdict v = session_verdict(s, dsn, text);
    v.smtp_code = s->reply.code;
    v.diagnostic_type = SPAN("smtp");
    v.diagnostic = span_text(words);
    return v;
}
