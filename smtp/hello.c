#include "smtp/smtp.h"

#include "lib/table/maps.h"

static const struct {
    struct span keyword;
    unsigned bit;
} keywords[] = {
    {SPAN_INIT("PIPELINING"), FEATURE_PIPELINING}, {SPAN_INIT("SIZE"), FEATURE_SIZE},
    {SPAN_INIT("8BITMIME"), FEATURE_8BITMIME},     {SPAN_INIT("SMTPUTF8"), FEATURE_SMTPUTF8},
    {SPAN_INIT("DSN"), FEATURE_DSN},               {SPAN_INIT("STARTTLS"), FEATURE_STARTTLS},
    {SPAN_INIT("AUTH"), FEATURE_AUTH},             {SPAN_INIT("XFORWARD"), FEATURE_XFORWARD},
    {SPAN_INIT("CHUNKING"), FEATURE_CHUNKING},
};

unsigned feature_of(struct span keyword)
{
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (span_eq_nocase(keywords[i].keyword, keyword))
            return keywords[i].bit;
    return 0;
}

unsigned features_of(struct span list)
{
    unsigned bits = 0;
    struct span word;
    while (span_next_token(&list, SPAN(", \t\r\n"), &word))
        bits |= feature_of(word);
    return bits;
}

/* --- the greeting ---------------------------------------------------------------- */

static bool has_word(struct span text, struct span word)
{
    struct span next;
    while (span_next_token(&text, SPAN(" \n"), &next))
        if (span_eq_nocase(next, word))
            return true;
    return false;
}

/* What stands behind the code in the first line: the server's name. */
static struct span server_name(const struct reply *r)
{
    struct span text = span_skip(buf_span(&r->text), 4), word = SPAN_NONE;
    text = span_slice(text, 0, span_find(text, '\n'));
    span_next_token(&text, SPAN(" "), &word);
    return word;
}

/* Whether we talk to ourselves: then mail for this domain would go round for ever. */
static bool is_myself(struct session *s, const char *what)
{
    struct span myself = s->smtp->main->myhostname;
    if (s->smtp->lmtp || !span_eq_nocase(server_name(&s->reply), myself))
        return false;
    log_line(&s->log, LOG_LEVEL_WARNING, "host %s %s with my own hostname %.*s", s->name, what, SPAN_ARG(myself));
    return s->to.best;
}

static struct verdict loop_verdict(struct session *s, struct arena *a, struct span nexthop)
{
    return session_verdict(s, DSN(5, 4, 6), arena_printf(a, "mail for %.*s loops back to myself", SPAN_ARG(nexthop)));
}

/* --- EHLO -------------------------------------------------------------------------- */

static void take_keyword(struct session *s, struct span line)
{
    struct span word = SPAN_NONE, value = SPAN_NONE;
    line = span_skip(line, 4);
    span_next_token(&line, SPAN(" ="), &word);
    unsigned bit = feature_of(word) & ~s->discard;
    if (bit == FEATURE_XFORWARD)
        s->xforward = xforward_of(line);
    span_next_token(&line, SPAN(" "), &value);
    s->features |= bit;
    if (bit != FEATURE_SIZE || value.n == 0)
        return;
    if (!span_to_u64(value, UINT64_MAX / 2, &s->size_limit)) {
        log_line(&s->log, LOG_LEVEL_WARNING, "bad EHLO SIZE limit \"%.*s\" from %s", SPAN_ARG(value), s->name);
        s->size_limit = 0;
    }
}

/* The keywords that this server's are not heeded of: of the address, else of all servers. */
static void set_discarded(struct session *s)
{
    struct buf value = BUF_INIT, why = BUF_INIT;
    s->discard = s->smtp->discard;
    if (!s->smtp->discard_maps)
        return;
    switch (maps_find(s->smtp->discard_maps, s->to.address, MAPS_ALL, &value, &why)) {
    case TABLE_FOUND:
        s->discard = features_of(buf_span(&value));
        break;
    case TABLE_TEMP: /* nothing is lost by using less of what is offered */
        log_line(&s->log, LOG_LEVEL_WARNING, "%s", buf_text(&why));
        s->discard = ~0u;
        break;
    case TABLE_NOT_FOUND:
        break;
    }
    if (s->discard)
        log_line(&s->log, LOG_LEVEL_DEBUG, "discarding EHLO keywords of %s", s->name);
    buf_fini(&value);
    buf_fini(&why);
}

static void take_keywords(struct session *s)
{
    set_discarded(s);
    struct span rest = buf_span(&s->reply.text);
    for (bool first = true; rest.n; first = false) {
        size_t end = span_find(rest, '\n');
        if (!first)
            take_keyword(s, span_slice(rest, 0, end));
        rest = span_skip(rest, end + 1);
    }
    /* RFC 6531 3.1: SMTPUTF8 goes with 8BITMIME. */
    if ((s->features & FEATURE_SMTPUTF8) && !(s->features & FEATURE_8BITMIME))
        log_line(&s->log, LOG_LEVEL_INFO, "host %s offers SMTPUTF8 support, but not 8BITMIME", s->name);
}

static enum talk say_hello(struct session *s, const char *verb, const char *doing)
{
    const struct params_smtp *mine = s->smtp->mine;
    if (session_is_interrupted(s)) {
        s->doing = doing;
        return TALK_GARBLED;
    }
    session_say(s, "%s %.*s", verb, SPAN_ARG(mine->smtp_helo_name));
    return session_hear(s, doing, mine->smtp_helo_timeout);
}

/* EHLO, and HELO where the server does not know that; or LHLO. s->reply is the last answer. */
static enum talk introduce(struct session *s)
{
    const char *verb = s->smtp->lmtp ? "LHLO" : "EHLO";
    if (s->smtp->lmtp || (s->features & FEATURE_ESMTP)) {
        enum talk talk = say_hello(s, verb, s->smtp->lmtp ? "performing the LHLO handshake" : "performing the EHLO handshake");
        if (talk != TALK_OK)
            return talk;
        if (reply_class(&s->reply) == 2) {
            take_keywords(s);
            return TALK_OK;
        }
        if (s->smtp->lmtp || s->reply.code == 421)
            return TALK_OK;
    }
    s->features = 0;
    return say_hello(s, "HELO", "performing the HELO handshake");
}

/* A server that knows AUTH may well refuse for good what comes without it. */
static bool lacks_login(struct session *s, struct arena *a, struct verdict *why)
{
    if (!s->smtp->mine->smtp_sasl_auth_enable || !(s->features & FEATURE_AUTH))
        return false;
    *why = session_verdict(s, DSN(4, 7, 0),
                           arena_printf(a, "host %s asks for a login (smtp_sasl_auth_enable), which this client cannot "
                                        "do yet", s->name));
    return true;
}

/* --- both ------------------------------------------------------------------------------ */

static enum talk greet(struct session *s, struct arena *a, struct span nexthop, bool *refused, struct verdict *why)
{
    const struct params_smtp *mine = s->smtp->mine;
    enum talk talk = session_hear(s, "receiving the initial server greeting", mine->smtp_helo_timeout);
    *refused = false;
    if (talk != TALK_OK)
        return talk;
    if (reply_class(&s->reply) != 2) {
        if (mine->smtp_skip_5xx_greeting)
            s->reply.dsn.class = 4;
        *why = session_refusal(s, a, NULL);
        *refused = true;
    } else if (is_myself(s, "greeted me")) {
        *why = loop_verdict(s, a, nexthop);
        *refused = true;
    }
    if (mine->smtp_always_send_ehlo || has_word(buf_span(&s->reply.text), SPAN("ESMTP")))
        s->features |= FEATURE_ESMTP;
    if (mine->smtp_never_send_ehlo)
        s->features = 0;
    return TALK_OK;
}

enum talk session_hello(struct session *s, struct arena *a, struct span nexthop, bool *refused, struct verdict *why)
{
    enum talk talk = greet(s, a, nexthop, refused, why);
    if (talk != TALK_OK || *refused)
        return talk;
    talk = introduce(s);
    if (talk != TALK_OK)
        return talk;
    *refused = true;
    if (reply_class(&s->reply) != 2)
        *why = session_refusal(s, a, NULL);
    else if (is_myself(s, "replied to HELO/EHLO"))
        *why = loop_verdict(s, a, nexthop);
    else
        *refused = lacks_login(s, a, why);
    /* Here STARTTLS will go, and EHLO again: see policy.c for what must not be sent before that. */
    return TALK_OK;
}
