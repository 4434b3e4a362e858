#include "smtpd/smtpd.h"

struct reply smtpd_rset(struct session *s, struct span args)
{
    if (args.n)
        return say(s, REPLY_syntax, SPAN("RSET"));
    tx_end(s, &s->tx);
    return say(s, REPLY_ok, SPAN_NONE);
}

/* RFC 5321 4.1.1.9: an argument is ignored. */
struct reply smtpd_noop(struct session *s, struct span args)
{
    (void)args;
    return say(s, REPLY_ok, SPAN_NONE);
}

/* Tells nobody who has a mailbox here (RFC 5321 7.3): the answer is the same for every address. */
struct reply smtpd_vrfy(struct session *s, struct span args)
{
    struct path path;
    if (s->server->main->disable_vrfy_command)
        return say(s, REPLY_vrfy_disabled, SPAN_NONE);
    if (args.n == 0)
        return say(s, REPLY_syntax, SPAN("VRFY address [SMTPUTF8]"));
    if (path_parse_address(&s->call, args, 0, &path) != PATH_OK)
        return say(s, REPLY_bad_recipient, SPAN_NONE);
    return say(s, REPLY_cannot_verify, args);
}

struct reply smtpd_help(struct session *s, struct span args)
{
    struct buf verbs = BUF_INIT;
    (void)args;
    for (const struct command *c = smtpd_commands; c->handle; c++)
        buf_printf(&verbs, "%s%.*s", c == smtpd_commands ? "" : " ", SPAN_ARG(c->verb));
    struct reply r = say(s, REPLY_help, buf_span(&verbs));
    buf_fini(&verbs);
    return r;
}

struct reply smtpd_quit(struct session *s, struct span args)
{
    if (args.n)
        return say(s, REPLY_syntax, SPAN("QUIT"));
    return hang_up(s, END_QUIT, say(s, REPLY_bye, SPAN_NONE));
}

/* Flushing by site needs the scheduler's list of sites, which mail for other sites brings. RFC 1985 */
struct reply smtpd_etrn(struct session *s, struct span args)
{
    (void)args;
    return say(s, REPLY_not_implemented, SPAN_NONE);
}
