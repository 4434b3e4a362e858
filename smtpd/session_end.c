#include "smtpd/session_end.h"
#include "smtpd/notice.h"
#include "smtpd/smtpd.h"

enum { GOODBYE_MS = 2000 }; /* how long the last reply may take to leave */

static void log_counts(struct session *s)
{
    struct buf line = BUF_LIMITED(LOG_LINE_MAX);
    buf_printf(&line, "disconnect from %s", client_text(s));
    for (size_t row = 0; row < COMMANDS_MAX; row++) {
        if (s->counts[row].all == 0)
            continue;
        buf_printf(&line, " %s=%u", smtpd_commands[row].log_name, s->counts[row].good);
        if (s->counts[row].good != s->counts[row].all)
            buf_printf(&line, "/%u", s->counts[row].all);
    }
    buf_printf(&line, " commands=%u", s->commands_good);
    if (s->commands_good != s->commands_all)
        buf_printf(&line, "/%u", s->commands_all);
    log_line(&s->log, LOG_LEVEL_INFO, "%s", buf_text(&line));
    buf_fini(&line);
}

static void send_last(struct session *s, enum reply_id id)
{
    struct buf out = BUF_INIT;
    struct reply r = say(s, id, SPAN_NONE);
    reply_put(&out, &r);
    /* The connection's own deadline has passed or it is to end: this reply goes out if it can. */
    notice_say(s, buf_span(&out));
    buf_fini(&out);
}

void session_say_goodbye(struct session *s)
{
    switch (s->end) {
    case END_TIMEOUT:
        send_last(s, REPLY_timeout);
        log_line(&s->log, LOG_LEVEL_INFO, "timeout after %s from %s", s->last, client_text(s));
        break;
    case END_CANCELLED:
        send_last(s, REPLY_shutting_down);
        break;
    case END_LOST:
        log_line(&s->log, LOG_LEVEL_INFO, "lost connection after %s from %s", s->last, client_text(s));
        break;
    case END_ERRORS:
        log_line(&s->log, LOG_LEVEL_INFO, "too many errors after %s from %s", s->last, client_text(s));
        break;
    case END_NOT:
    case END_QUIT:
    case END_REFUSED:
        break;
    }
    conn_set_deadline(s->conn, clock_after_ms(GOODBYE_MS));
    conn_flush(s->conn);
    log_counts(s);
}
