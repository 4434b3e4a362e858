#include "smtpd/notice.h"
#include "smtpd/restrict.h"
#include "smtpd/smtpd.h"

/* Blanks in the name, or none at all, are refused; what else a name may be is policy
 * (smtpd_helo_restrictions). RFC 5321 4.1.1.1 */
static bool name_is_sound(struct span name)
{
    return name.n > 0 && !span_has_any(name, SPAN(" \t"));
}

static struct reply introduce(struct session *s, struct span name, bool esmtp)
{
    struct reply r;
    tx_end(s, &s->tx);
    s->helo = arena_dup(&s->arena, name);
    s->esmtp = esmtp;
    if (restrict_hello(s, &r)) {
        s->helo = SPAN_NONE;
        return refuse(s, esmtp ? "EHLO" : "HELO", r, SPAN_NONE);
    }
    return REPLY_NONE;
}

struct reply smtpd_helo(struct session *s, struct span args)
{
    if (!name_is_sound(args))
        return say(s, REPLY_syntax, SPAN("HELO hostname"));
    struct reply r = introduce(s, args, false);
    return r.code ? r : say(s, REPLY_hello, SPAN_NONE);
}

/* A keyword that the site does not want shown: smtpd_discard_ehlo_keywords. */
static bool is_discarded(const struct session *s, struct span line)
{
    const struct param_list *list = &s->server->mine->smtpd_discard_ehlo_keywords;
    struct span keyword = span_slice(line, 0, span_find(line, ' '));
    for (size_t i = 0; i < list->n; i++)
        if (span_eq_nocase(list->at[i], keyword))
            return true;
    return false;
}

struct reply smtpd_ehlo(struct session *s, struct span args)
{
    const struct server *server = s->server;
    struct buf out = BUF_INIT;
    if (!name_is_sound(args))
        return say(s, REPLY_syntax, SPAN("EHLO hostname"));
    struct reply r = introduce(s, args, true);
    if (r.code)
        return r;

    const struct {
        struct span line;
        bool offered;
    } keywords[] = {
        {SPAN_INIT("PIPELINING"), true},
        {span_text(arena_printf(&s->call, "SIZE %llu", (unsigned long long)server->main->message_size_limit)), true},
        {SPAN_INIT("VRFY"), !server->main->disable_vrfy_command},
        {SPAN_INIT("ENHANCEDSTATUSCODES"), true},
        {SPAN_INIT("8BITMIME"), true},
        {SPAN_INIT("DSN"), true},
        {SPAN_INIT("SMTPUTF8"), server->main->smtputf8_enable},
        {SPAN_INIT("CHUNKING"), true},
    };
    const size_t count = sizeof keywords / sizeof *keywords;
    size_t last = count;
    for (size_t i = 0; i < count; i++)
        if (keywords[i].offered && !is_discarded(s, keywords[i].line))
            last = i;
    buf_printf(&out, "250%c%.*s\r\n", last < count ? '-' : ' ', SPAN_ARG(server->main->myhostname));
    for (size_t i = 0; i < count && last < count; i++)
        if (keywords[i].offered && !is_discarded(s, keywords[i].line))
            buf_printf(&out, "250%c%.*s\r\n", i == last ? ' ' : '-', SPAN_ARG(keywords[i].line));
    notice_say(s, buf_span(&out));
    buf_fini(&out);
    return (struct reply){.code = 250, .sent = true};
}
