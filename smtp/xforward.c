#include "smtp/smtp.h"

#include "lib/mail/codec.h"

/* XFORWARD: the next server, which is ours too, learns where the message came from, for its log. Postfix's
 * XFORWARD_README. */

enum { VALUE_MAX = 255 /* octets of a value as sent */ };

static const struct {
    struct span name;
    unsigned bit;
} attributes[] = {
    {SPAN_INIT("NAME"), XFORWARD_NAME}, {SPAN_INIT("ADDR"), XFORWARD_ADDR},   {SPAN_INIT("PROTO"), XFORWARD_PROTO},
    {SPAN_INIT("HELO"), XFORWARD_HELO}, {SPAN_INIT("IDENT"), XFORWARD_IDENT}, {SPAN_INIT("SOURCE"), XFORWARD_SOURCE},
};

unsigned xforward_of(struct span words)
{
    unsigned bits = 0;
    struct span word;
    while (span_next_token(&words, SPAN(" "), &word))
        for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++)
            bits |= span_eq_nocase(attributes[i].name, word) ? attributes[i].bit : 0;
    return bits;
}

static struct span value_of(const struct delivery *d, unsigned bit)
{
    const struct msg_attempt *m = d->m;
    switch (bit) {
    case XFORWARD_NAME:
        return span_eq(m->client_name, SPAN("unknown")) ? SPAN_NONE : m->client_name;
    case XFORWARD_ADDR:
        return m->client_address;
    case XFORWARD_PROTO:
        return m->protocol;
    case XFORWARD_HELO:
        return m->helo;
    case XFORWARD_IDENT:
        return m->id;
    default:
        return m->flags & SUBMIT_LOCAL_REWRITE ? SPAN("LOCAL") : SPAN("REMOTE");
    }
}

/* Appends the attributes that the server wants, of those in the set. result: whether there are any */
static bool put_attributes(const struct delivery *d, unsigned wanted, struct buf *out)
{
    size_t before = out->len;
    for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++) {
        struct buf value = BUF_LIMITED(VALUE_MAX);
        if (!(attributes[i].bit & wanted))
            continue;
        struct span text = value_of(d, attributes[i].bit);
        if (attributes[i].bit == XFORWARD_ADDR && span_find(text, ':') < text.n)
            buf_puts(&value, "IPv6:");
        codec_xtext_put(&value, text);
        bool good = text.n > 0 && !value.full;
        buf_printf(out, " %.*s=%.*s", SPAN_ARG(attributes[i].name), SPAN_ARG(good ? buf_span(&value) : SPAN("[UNAVAILABLE]")));
        buf_fini(&value);
    }
    return out->len > before;
}

enum talk xforward(struct delivery *d, struct session *s)
{
    /* Two commands: one could be too long. */
    static const unsigned groups[] = {XFORWARD_NAME | XFORWARD_ADDR,
                                      XFORWARD_PROTO | XFORWARD_HELO | XFORWARD_IDENT | XFORWARD_SOURCE};
    enum talk talk = TALK_OK;
    if (!s->smtp->mine->smtp_send_xforward_command)
        return TALK_OK;
    for (size_t i = 0; i < sizeof groups / sizeof *groups && talk == TALK_OK; i++) {
        struct buf line = BUF_INIT;
        if (put_attributes(d, groups[i] & s->xforward, &line)) {
            session_say(s, "XFORWARD%s", buf_text(&line));
            talk = session_hear(s, "sending XFORWARD attributes", s->smtp->mine->smtp_xforward_timeout);
            if (talk == TALK_OK && reply_class(&s->reply) != 2) {
                struct verdict v = session_refusal(s, d->arena, "XFORWARD command");
                log_line(&d->log, LOG_LEVEL_WARNING, "%.*s", SPAN_ARG(v.text));
            }
        }
        buf_fini(&line);
    }
    return talk;
}
