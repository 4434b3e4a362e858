#include "smtp/notice.h"

enum { NOTICE_WAIT_S = 30 /* for cleanup's answer: qmgr waits for the verdicts meanwhile */ };

/* The classes that are wanted, of those that a client can have. */
static unsigned wanted(const struct session *s)
{
    return s->smtp->main->notify_classes & (1u << PARAM_notify_class_protocol | 1u << PARAM_notify_class_data);
}

void notice_said(struct session *s, struct span line)
{
    if (wanted(s))
        transcript_add(&s->transcript, TRANSCRIPT_OUT, line);
}

void notice_heard(struct session *s, struct span line)
{
    if (wanted(s))
        transcript_add(&s->transcript, TRANSCRIPT_IN, line);
}

/* x0z are about syntax, and 555 about parameters (RFC 5321 4.2.1): our fault, it seems. */
void notice_refused(struct session *s, unsigned code)
{
    if (code < 400 || code == 555 || (code >= 500 && code < 510))
        s->troubles |= 1u << PARAM_notify_class_protocol;
}

void notice_broken(struct session *s, enum talk talk)
{
    if (talk == TALK_GARBLED)
        s->troubles |= 1u << PARAM_notify_class_protocol;
    if (talk == TALK_LOCAL)
        s->troubles |= 1u << PARAM_notify_class_data;
    if (talk == TALK_LOST || talk == TALK_TIMEOUT)
        s->broken = talk == TALK_LOST ? "lost connection" : "timeout";
}

static void send_notice(struct session *s)
{
    const struct smtp *smtp = s->smtp;
    const struct smtp_services *services = &smtp->services;
    struct arena a = ARENA_INIT;
    const struct transcript_notice notice = {.main = smtp->main,
                                             .id = services->draw_id(services->context, &a),
                                             .what = smtp->lmtp ? "LMTP client" : "SMTP client",
                                             .peer = span_text(s->relay),
                                             .reason = s->broken,
                                             .now_us = clock_wall_us(),
                                             .zone = smtp->zone};
    struct msg_recipient to;
    struct msg_submit m;
    struct buf text = BUF_INIT;
    transcript_fill_envelope(&a, &notice, &to, &m);
    transcript_put_notice(&text, &s->transcript, &notice);
    struct msg_submitted answer =
        services->submit(services->context, &a, &m, buf_span(&text), clock_after(NOTICE_WAIT_S));
    if (answer.class != 0)
        log_line(&s->log, LOG_LEVEL_WARNING, "postmaster notice about %s is given up: %.*s", s->name,
                 SPAN_ARG(answer.text));
    buf_fini(&text);
    arena_fini(&a);
}

/* No notice about the delivery of a notice. */
static bool may_be_told_of(const struct session *s, struct span sender)
{
    struct span ours = s->smtp->main->double_bounce_sender;
    size_t at = span_find(ours, '@') < ours.n ? sender.n : span_rfind(sender, '@');
    return !span_eq_nocase(span_slice(sender, 0, at), ours);
}

void notice_flush(struct session *s, struct span sender)
{
    if ((s->troubles & wanted(s)) && s->smtp->services.submit && may_be_told_of(s, sender))
        send_notice(s);
    s->troubles = 0;
    s->broken = NULL;
    transcript_fini(&s->transcript);
}
