#include "lib/mail/dsn.h"
#include "lib/wire/channel.h"
#include "smtpd/recipients.h"
#include "smtpd/restrict.h"
#include "smtpd/smtpd.h"

enum {
    ROOM_WAIT_S = 60,         /* for cleanup to say whether there is space */
    RECIPIENT_OVERSHOOT = 1000, /* refused recipients over the limit before they count as errors */
    RECIPIENT_FRAME = 64,       /* most octets that submit adds to the texts of a recipient */
    RECIPIENTS_OCTETS_MAX = 512 * 1024, /* of all of a message: a submit holds them beside a text */
};
_Static_assert(RECIPIENTS_OCTETS_MAX + SUBMIT_INLINE_MAX < CHANNEL_FRAME_MAX * 3 / 4, "a submit fits into a frame");

/* --- parameters of MAIL and RCPT: one row each ------------------------------------------ */

struct parameter {
    struct span name;
    /* result: code 0: taken */
    struct reply (*take)(struct session *s, struct transaction *tx, struct msg_recipient *rcpt,
                         const struct path_param *param);
};

static struct reply bad_parameter(struct session *s, const struct path_param *param)
{
    return say(s, REPLY_bad_parameter, param->name);
}

/* RFC 1870 6 */
static struct reply take_size(struct session *s, struct transaction *tx, struct msg_recipient *rcpt,
                              const struct path_param *param)
{
    const uint64_t limit = s->server->main->message_size_limit;
    (void)rcpt;
    if (!param->has_value || !span_to_u64(param->value, UINT64_MAX, &tx->size))
        return bad_parameter(s, param);
    if (limit && tx->size > limit)
        return refuse(s, "MAIL", say(s, REPLY_too_large, SPAN_NONE), SPAN_NONE);
    return REPLY_NONE;
}

/* RFC 6152 2 */
static struct reply take_body(struct session *s, struct transaction *tx, struct msg_recipient *rcpt,
                              const struct path_param *param)
{
    (void)rcpt;
    if (span_eq_nocase(param->value, SPAN("8BITMIME")))
        tx->encoding = 8;
    else if (!span_eq_nocase(param->value, SPAN("7BIT")))
        return bad_parameter(s, param);
    return REPLY_NONE;
}

/* RFC 6531 3.4 */
static struct reply take_smtputf8(struct session *s, struct transaction *tx, struct msg_recipient *rcpt,
                                  const struct path_param *param)
{
    (void)rcpt;
    if (!s->server->main->smtputf8_enable)
        return say(s, REPLY_unknown_parameter, param->name);
    if (param->has_value)
        return bad_parameter(s, param);
    tx->flags |= SUBMIT_SMTPUTF8;
    return REPLY_NONE;
}

/* RFC 3461 4.3 */
static struct reply take_ret(struct session *s, struct transaction *tx, struct msg_recipient *rcpt,
                             const struct path_param *param)
{
    enum dsn_ret ret;
    (void)rcpt;
    if (!dsn_ret_parse(param->value, &ret))
        return bad_parameter(s, param);
    tx->ret = ret == DSN_RET_FULL ? SPAN("FULL") : SPAN("HDRS");
    return REPLY_NONE;
}

/* RFC 3461 4.4 */
static struct reply take_envid(struct session *s, struct transaction *tx, struct msg_recipient *rcpt,
                               const struct path_param *param)
{
    (void)rcpt;
    return dsn_envid_parse(&tx->arena, param->value, &tx->envid) ? REPLY_NONE : bad_parameter(s, param);
}

/* RFC 3461 4.1 */
static struct reply take_notify(struct session *s, struct transaction *tx, struct msg_recipient *rcpt,
                                const struct path_param *param)
{
    unsigned notify;
    (void)tx;
    if (!dsn_notify_parse(param->value, &notify))
        return bad_parameter(s, param);
    rcpt->notify = notify;
    return REPLY_NONE;
}

/* RFC 3461 4.2 */
static struct reply take_orcpt(struct session *s, struct transaction *tx, struct msg_recipient *rcpt,
                               const struct path_param *param)
{
    return dsn_orcpt_parse(&tx->arena, param->value, &rcpt->orcpt) ? REPLY_NONE : bad_parameter(s, param);
}

static const struct parameter mail_parameters[] = {
    {SPAN_INIT("SIZE"), take_size}, {SPAN_INIT("BODY"), take_body},   {SPAN_INIT("SMTPUTF8"), take_smtputf8},
    {SPAN_INIT("RET"), take_ret},   {SPAN_INIT("ENVID"), take_envid}, {{NULL, 0}, NULL},
};

static const struct parameter rcpt_parameters[] = {
    {SPAN_INIT("NOTIFY"), take_notify},
    {SPAN_INIT("ORCPT"), take_orcpt},
    {{NULL, 0}, NULL},
};

static struct reply take_parameters(struct session *s, const struct parameter *table, const struct path *path,
                                    struct transaction *tx, struct msg_recipient *rcpt)
{
    for (size_t i = 0; i < path->param_count; i++) {
        const struct path_param *param = &path->params[i];
        const struct parameter *row = table;
        while (row->take && !span_eq_nocase(row->name, param->name))
            row++;
        if (!row->take)
            return say(s, REPLY_unknown_parameter, param->name);
        struct reply r = row->take(s, tx, rcpt, param);
        if (r.code)
            return r;
    }
    return REPLY_NONE;
}

/* --- the paths ---------------------------------------------------------------------------- */

static unsigned path_flags(const struct session *s)
{
    unsigned flags = 0;
    if (s->server->mine->strict_rfc821_envelopes)
        flags |= PATH_STRICT;
    if (s->tx && (s->tx->flags & SUBMIT_SMTPUTF8))
        flags |= PATH_SMTPUTF8;
    if (s->server->main->smtputf8_enable && s->server->main->strict_smtputf8)
        flags |= PATH_REQUIRE_UTF8;
    return flags;
}

static struct reply path_reply(struct session *s, enum path_result result, bool sender)
{
    const enum reply_id bad = sender ? REPLY_bad_sender : REPLY_bad_recipient;
    const struct span syntax = sender ? SPAN("MAIL FROM:<address>") : SPAN("RCPT TO:<address>");
    switch (result) {
    case PATH_OK:
        break;
    case PATH_NO_PREFIX:
        return say(s, REPLY_syntax, syntax);
    case PATH_BAD_SYNTAX:
    case PATH_BAD_BYTES:
    case PATH_BAD_UTF8:
        return say(s, bad, SPAN_NONE);
    case PATH_NEEDS_SMTPUTF8:
        return say(s, REPLY_needs_smtputf8, SPAN_NONE);
    case PATH_BAD_PARAM:
    case PATH_TOO_MANY:
        return say(s, REPLY_syntax, syntax);
    }
    return REPLY_NONE;
}

/* --- MAIL: RFC 5321 4.1.1.2 ---------------------------------------------------------------- */

static struct reply check_room(struct session *s, struct transaction *tx)
{
    const struct smtpd_services *services = &s->server->services;
    struct msg_submitted room = services->room(services->context, &s->call, tx->size, clock_after(ROOM_WAIT_S));
    if (room.class == 0)
        return REPLY_NONE;
    if (room.text.n == 0)
        return say(s, REPLY_no_queue, SPAN_NONE);
    return reply_make(&s->call, 452, room.dsn, room.text);
}

static struct reply fill_transaction(struct session *s, struct transaction *tx, struct span args)
{
    struct path path;
    struct reply r = path_reply(s, path_parse(&tx->arena, args, SPAN("FROM:"), path_flags(s), &path), true);
    if (r.code)
        return r;
    tx->sender = path.address;
    tx->sender_text = arena_dup(&tx->arena, path.original);
    r = take_parameters(s, mail_parameters, &path, tx, NULL);
    if (r.code)
        return r;
    return check_room(s, tx);
}

struct reply smtpd_mail(struct session *s, struct span args)
{
    if (s->tx)
        return say(s, REPLY_nested_mail, SPAN_NONE);
    struct reply r;
    if (limit_message(s, &r))
        return refuse(s, "MAIL", r, SPAN_NONE);
    struct transaction *tx = tx_new();
    r = fill_transaction(s, tx, args);
    if (!r.code) {
        s->tx = tx;
        tx = NULL;
        if (restrict_sender(s, &r)) {
            r = refuse(s, "MAIL", r, SPAN_NONE);
            tx = tx_take(s);
        } else {
            r = say(s, REPLY_sender_ok, SPAN_NONE);
        }
    }
    tx_end(s, &tx);
    return r;
}

/* --- RCPT: RFC 5321 4.1.1.3 ---------------------------------------------------------------- */

static size_t octets_of(const struct msg_recipient *rcpt)
{
    return rcpt->address.n + rcpt->original.n + rcpt->orcpt.n + RECIPIENT_FRAME;
}

static void add_recipient(struct session *s, const struct msg_recipient *rcpt)
{
    struct transaction *tx = s->tx;
    const struct smtpd_services *services = &s->server->services;
    if (tx->id.n == 0) {
        tx->id = services->draw_id(services->context, &tx->arena);
        log_line(&s->log, LOG_LEVEL_INFO, "%.*s: client=%s", SPAN_ARG(tx->id), client_text(s));
    }
    tx->recipients = wire_list_more(&tx->arena, tx->recipients, tx->count, sizeof *tx->recipients);
    tx->recipients[tx->count++] = *rcpt;
    tx->octets += octets_of(rcpt);
}

/* RFC 5321 4.5.3.1.10: the rest of the recipients come back in another transaction. */
static struct reply too_many(struct session *s)
{
    struct reply r = say(s, REPLY_too_many_recipients, SPAN_NONE);
    r.excused = ++s->tx->refused <= RECIPIENT_OVERSHOOT;
    return r;
}

struct reply smtpd_rcpt(struct session *s, struct span args)
{
    struct transaction *tx = s->tx;
    struct path path;
    struct msg_recipient rcpt = {0};
    if (tx->count >= s->server->mine->smtpd_recipient_limit)
        return too_many(s);
    struct reply r;
    if (limit_recipient(s, &r))
        return refuse(s, "RCPT", r, SPAN_NONE);
    r = path_reply(s, path_parse(&tx->arena, args, SPAN("TO:"), path_flags(s), &path), false);
    if (r.code == 0 && path.address.n == 0)
        r = say(s, REPLY_bad_recipient, SPAN_NONE);
    if (r.code == 0)
        r = take_parameters(s, rcpt_parameters, &path, tx, &rcpt);
    if (r.code)
        return r;
    rcpt.original = arena_dup(&tx->arena, path.address);
    rcpt.address = recipients_canonical(s->server->recipients, &tx->arena, path.address);
    if (tx->octets + octets_of(&rcpt) > RECIPIENTS_OCTETS_MAX)
        return too_many(s);
    if (restrict_recipient(s, rcpt.address, path.original, &r)) {
        s->tx->rejected = true;
        return refuse(s, "RCPT", r, path.address);
    }
    add_recipient(s, &rcpt);
    return say(s, REPLY_recipient_ok, SPAN_NONE);
}
