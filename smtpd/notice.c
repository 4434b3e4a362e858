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

static struct span with_origin(struct session *s, struct span address)
{
    if (span_find(address, '@') < address.n)
        return address;
    return span_text(arena_printf(&s->call, "%.*s@%.*s", SPAN_ARG(address), SPAN_ARG(s->server->main->myorigin)));
}

static void put_notice(struct session *s, struct buf *out, struct span id)
{
    static const char *const reasons[] = {[END_LOST] = "lost connection",
                                          [END_TIMEOUT] = "timeout",
                                          [END_ERRORS] = "too many errors",
                                          [END_REFUSED] = "the client broke the rules of the protocol"};
    const struct params_main *main = s->server->main;
    struct transcript_notice notice = {.mail_name = main->mail_name,
                                       .myhostname = main->myhostname,
                                       .myorigin = main->myorigin,
                                       .id = id,
                                       .to = main->error_notice_recipient,
                                       .what = "SMTP server",
                                       .peer = span_text(client_text(s)),
                                       .now_us = clock_wall_us(),
                                       .zone = s->server->zone};
    if ((size_t)s->end < sizeof reasons / sizeof *reasons)
        notice.reason = reasons[s->end];
    transcript_put_notice(out, &s->transcript, &notice);
}

static void send_notice(struct session *s)
{
    const struct smtpd_services *services = &s->server->services;
    const struct params_main *main = s->server->main;
    struct buf text = BUF_INIT;
    struct span id = services->draw_id(services->context, &s->call);
    struct msg_recipient to = {.address = with_origin(s, main->error_notice_recipient),
                               .original = main->error_notice_recipient};
    put_notice(s, &text, id);
    struct msg_submit m = {.id = id,
                           .sender = with_origin(s, main->double_bounce_sender),
                           .recipients = {&to, 1},
                           .flags = SUBMIT_BOUNCE,
                           .arrival_us = (uint64_t)clock_wall_us(),
                           .text = buf_span(&text)};
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
