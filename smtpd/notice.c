#include "smtpd/notice.h"

enum {
    NOTICE_WAIT_S = 60, /* for cleanup's answer */
    CLASSES = 1u << PARAM_notify_class_data | 1u << PARAM_notify_class_policy | 1u << PARAM_notify_class_protocol |
              1u << PARAM_notify_class_resource | 1u << PARAM_notify_class_software,
};

/* The classes that are wanted. */
static unsigned wanted(const struct session *s)
{
    return s->server->main->notify_classes & CLASSES;
}

void notice_heard(struct session *s, struct span line)
{
    if (wanted(s))
        transcript_add(&s->transcript, TRANSCRIPT_IN, line);
}

void notice_say(struct session *s, struct span text)
{
    conn_write(s->conn, text);
    if (wanted(s))
        transcript_add(&s->transcript, TRANSCRIPT_OUT, text);
}

void notice_judge(struct session *s, const struct reply *r)
{
    s->troubles |= transcript_class_of(r->code, r->dsn);
}

void notice_forgive(struct session *s)
{
    s->troubles = 0;
}

static const char *reason_of(const struct session *s)
{
    static const char *const reasons[] = {[END_LOST] = "lost connection",
                                          [END_TIMEOUT] = "timeout",
                                          [END_ERRORS] = "too many errors",
                                          [END_REFUSED] = "the client broke the rules of the protocol"};
    return (size_t)s->end < sizeof reasons / sizeof *reasons ? reasons[s->end] : NULL;
}

static void send_notice(struct session *s)
{
    const struct smtpd_services *services = &s->server->services;
    const struct transcript_notice notice = {.main = s->server->main,
                                             .id = services->draw_id(services->context, &s->call),
                                             .what = "SMTP server",
                                             .peer = span_text(client_text(s)),
                                             .reason = reason_of(s),
                                             .now_us = clock_wall_us(),
                                             .zone = s->server->zone};
    struct msg_recipient to;
    struct msg_submit m;
    struct buf text = BUF_INIT;
    transcript_fill_envelope(&s->call, &notice, &to, &m);
    transcript_put_notice(&text, &s->transcript, &notice);
    m.text = buf_span(&text);
    struct msg_submitted answer = services->submit(services->context, &s->call, &m, clock_after(NOTICE_WAIT_S));
    if (answer.class != 0)
        log_line(&s->log, LOG_LEVEL_WARNING, "postmaster notice about %s is given up: %.*s", client_text(s),
                 SPAN_ARG(answer.text.n ? answer.text : SPAN("cleanup does not answer")));
    buf_fini(&text);
}

void notice_flush(struct session *s, size_t lines)
{
    if (s->transcript.lines + s->transcript.forgotten <= lines)
        return;
    if (s->troubles & wanted(s))
        send_notice(s);
    s->troubles = 0;
    transcript_reset(&s->transcript);
}
