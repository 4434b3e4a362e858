#include "smtpd/restrict.h"
#include "lib/mail/dsn.h"
#include "smtpd/recipients.h"

enum outcome { DUNNO, PERMIT, REFUSE };

/* What a rule looks at. */
struct question {
    struct session *s;
    struct span recipient; /* rewritten; empty outside RCPT */
    struct span sent;      /* as in the command */
    struct span subject;   /* what a plain reject is about: client, helo name, sender, recipient */
    enum reply_id plain;   /* the reply of a plain reject in this list */
};

struct rule {
    const char *word;
    enum outcome (*decide)(const struct question *q, struct reply *r); /* NULL: decides nothing yet */
    unsigned arguments;
};

struct rules {
    const struct rule **at;
    size_t n;
};

struct restrictions {
    struct rules client, helo, sender, relay, recipient, data;
    bool delay; /* smtpd_delay_reject */
};

/* --- the words ------------------------------------------------------------------ */

static enum outcome no(const struct question *q, enum reply_id id, struct span what, struct reply *r)
{
    *r = say(q->s, id, what);
    return REFUSE;
}

static enum outcome permit(const struct question *q, struct reply *r)
{
    (void)q, (void)r;
    return PERMIT;
}

static enum outcome refuse_all(const struct question *q, struct reply *r)
{
    return no(q, q->plain, q->subject, r);
}

static enum outcome defer_all(const struct question *q, struct reply *r)
{
    return no(q, REPLY_deferred_by_rule, q->subject, r);
}

static enum outcome permit_mynetworks(const struct question *q, struct reply *r)
{
    (void)r;
    return q->s->client.is_mine ? PERMIT : DUNNO;
}

/* No client can have logged in: this server offers neither AUTH nor TLS. */
static enum outcome permit_authenticated(const struct question *q, struct reply *r)
{
    (void)q, (void)r;
    return DUNNO;
}

static enum outcome on_destination(const struct question *q, struct reply *r, enum outcome ours, enum reply_id other)
{
    struct buf why = BUF_INIT;
    enum outcome out = ours;
    if (q->recipient.n == 0)
        return DUNNO;
    switch (recipients_class_of(q->s->server->recipients, &q->s->call, q->recipient, &why)) {
    case CLASS_OURS:
        break;
    case CLASS_OTHER:
        out = other == REPLY_COUNT ? DUNNO : no(q, other, q->sent, r);
        break;
    case CLASS_TEMP:
        out = no(q, REPLY_lookup_failed, buf_span(&why), r);
        break;
    }
    buf_fini(&why);
    return out;
}

static enum outcome permit_auth_destination(const struct question *q, struct reply *r)
{
    return on_destination(q, r, PERMIT, REPLY_COUNT);
}

static enum outcome refuse_relay(const struct question *q, struct reply *r)
{
    return on_destination(q, r, DUNNO, REPLY_relay_denied);
}

static enum outcome defer_relay(const struct question *q, struct reply *r)
{
    return on_destination(q, r, DUNNO, REPLY_relay_deferred);
}

/* What error: or retry: would say in a notification is said here, before the mail is taken. */
static enum outcome to_error(const struct question *q, bool is_sender, unsigned code, struct span text, struct span sent,
                             struct reply *r)
{
    struct buf dsn = BUF_INIT;
    dsn_code_put(&dsn, dsn_code_cut(&text, DSN((unsigned char)(code / 100), 1, is_sender ? 0 : 1)));
    const char *words = arena_printf(&q->s->call, "<%.*s>: %s address rejected: %.*s", SPAN_ARG(sent),
                                     is_sender ? "Sender" : "Recipient", SPAN_ARG(text));
    *r = reply_make(&q->s->call, code, buf_span(&dsn), span_text(words));
    buf_fini(&dsn);
    return REFUSE;
}

static enum outcome on_listing(const struct question *q, struct span address, struct span sent, bool is_sender,
                               struct reply *r)
{
    static const enum reply_id replies[] = {
        [RECIPIENT_EXISTS] = REPLY_ok,
        [RECIPIENT_NO_LOCAL] = REPLY_unknown_local,
        [RECIPIENT_NO_ALIAS] = REPLY_unknown_virtual_alias,
        [RECIPIENT_NO_MAILBOX] = REPLY_unknown_virtual_mailbox,
        [RECIPIENT_NO_RELAY] = REPLY_unknown_relay,
        [RECIPIENT_TO_ERROR] = REPLY_recipient_refused,
        [RECIPIENT_TO_RETRY] = REPLY_recipient_refused,
        [RECIPIENT_TEMP] = REPLY_lookup_failed,
    };
    struct buf why = BUF_INIT;
    enum outcome out = DUNNO;
    enum recipients_result found = recipients_find(q->s->server->recipients, &q->s->call, address, &why);
    if (found == RECIPIENT_TO_ERROR || found == RECIPIENT_TO_RETRY)
        out = to_error(q, is_sender, found == RECIPIENT_TO_ERROR ? 550 : 450, buf_span(&why), sent, r);
    else if (found == RECIPIENT_TEMP)
        out = no(q, REPLY_lookup_failed, buf_span(&why), r);
    else if (found != RECIPIENT_EXISTS)
        out = no(q, is_sender ? REPLY_unknown_sender : replies[found], sent, r);
    buf_fini(&why);
    return out;
}

static enum outcome refuse_unlisted_recipient(const struct question *q, struct reply *r)
{
    return q->recipient.n ? on_listing(q, q->recipient, q->sent, false, r) : DUNNO;
}

static enum outcome refuse_unlisted_sender(const struct question *q, struct reply *r)
{
    const struct transaction *tx = q->s->tx;
    return tx && tx->sender.n ? on_listing(q, tx->sender, tx->sender, true, r) : DUNNO;
}

static enum outcome refuse_pipelining(const struct question *q, struct reply *r)
{
    /* Only DATA must wait for the replies before it; the others may come in a group, and behind BDAT
     * stands its chunk. */
    if (!span_eq(span_text(q->s->last), SPAN("DATA")) || !conn_has_input(q->s->conn))
        return DUNNO;
    return no(q, REPLY_pipelining_refused, SPAN("DATA"), r);
}

static enum outcome refuse_multi_bounce(const struct question *q, struct reply *r)
{
    const struct transaction *tx = q->s->tx;
    return tx && tx->sender.n == 0 && tx->count > 1 ? no(q, REPLY_bounce_recipients, SPAN_NONE, r) : DUNNO;
}

static bool is_host_name(struct span name)
{
    size_t label = 0;
    if (name.n == 0 || name.n > 253)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = span_at(name, i);
        bool edge = label == 0 || i + 1 == name.n || name.p[i + 1] == '.';
        if (c == '.' ? label == 0 : !(byte_is_alnum(c) || c == '_' || c >= 0x80 || (c == '-' && !edge)))
            return false;
        label = c == '.' ? 0 : label + 1;
        if (label > 63)
            return false;
    }
    return true;
}

static bool is_address_literal(struct span name)
{
    return name.n > 2 && name.p[0] == '[' && name.p[name.n - 1] == ']';
}

static enum outcome refuse_invalid_helo(const struct question *q, struct reply *r)
{
    struct span helo = q->s->helo;
    if (helo.n == 0 || is_address_literal(helo) || is_host_name(helo))
        return DUNNO;
    return no(q, REPLY_helo_invalid, helo, r);
}

static bool is_full(struct span domain)
{
    return is_address_literal(domain) || (span_find(domain, '.') < domain.n && is_host_name(domain));
}

static enum outcome refuse_short_helo(const struct question *q, struct reply *r)
{
    struct span helo = q->s->helo;
    return helo.n == 0 || is_full(helo) ? DUNNO : no(q, REPLY_helo_not_fqdn, helo, r);
}

static bool has_full_domain(struct span address)
{
    return is_full(span_skip(address, span_rfind(address, '@') + 1));
}

static enum outcome refuse_short_sender(const struct question *q, struct reply *r)
{
    const struct transaction *tx = q->s->tx;
    if (!tx || tx->sender.n == 0 || has_full_domain(tx->sender))
        return DUNNO;
    return no(q, REPLY_sender_not_fqdn, tx->sender, r);
}

/* As sent, not as rewritten; postmaster alone is an address everywhere: RFC 5321 4.5.1. */
static enum outcome refuse_short_recipient(const struct question *q, struct reply *r)
{
    if (q->sent.n == 0 || span_eq_nocase(q->sent, SPAN("postmaster")) || has_full_domain(q->sent))
        return DUNNO;
    return no(q, REPLY_recipient_not_fqdn, q->sent, r);
}

static const struct rule known_rules[] = {
#define RULE(word, decide, doc) {word, decide, 0},
#include "smtpd/rules.def"
#undef RULE
#define LATER(word, arguments) {word, NULL, arguments},
#include "smtpd/rules_later.def"
#undef LATER
};

/* --- the lists -------------------------------------------------------------------- */

static const struct rule *find_rule(struct span word)
{
    for (size_t i = 0; i < sizeof known_rules / sizeof *known_rules; i++)
        if (span_eq_nocase(word, span_text(known_rules[i].word)))
            return &known_rules[i];
    return NULL;
}

/* A word like 554 or a class of smtpd_restriction_classes would be taken for a typing error, so
 * an unknown one stops the process: an access rule must not vanish silently. */
static bool read_list(struct arena *a, const char *parameter, const struct param_list *list, struct rules *rules,
                      struct buf *why)
{
    rules->at = arena_calloc(a, list->n + 1, sizeof(struct rule *));
    for (size_t i = 0; i < list->n; i++) {
        const struct rule *rule = find_rule(list->at[i]);
        /* A table without a word is check_*_access in short. */
        if (!rule && span_find(list->at[i], ':') < list->at[i].n)
            rule = find_rule(SPAN("check_client_access"));
        if (!rule) {
            buf_printf(why, "parameter %s: unknown restriction \"%.*s\"", parameter, SPAN_ARG(list->at[i]));
            return false;
        }
        if (!rule->decide)
            log_warning("parameter %s: %.*s is not supported yet and decides nothing", parameter,
                        SPAN_ARG(list->at[i]));
        else
            rules->at[rules->n++] = rule;
        if (rule->arguments && span_eq_nocase(list->at[i], span_text(rule->word)))
            i += rule->arguments;
    }
    return true;
}

struct restrictions *restrictions_new(struct arena *a, const struct params_smtpd *mine, struct buf *why)
{
    struct restrictions *all = ARENA_NEW(a, struct restrictions);
    const struct {
        const char *parameter;
        const struct param_list *list;
        struct rules *rules;
    } lists[] = {
        {"smtpd_client_restrictions", &mine->smtpd_client_restrictions, &all->client},
        {"smtpd_helo_restrictions", &mine->smtpd_helo_restrictions, &all->helo},
        {"smtpd_sender_restrictions", &mine->smtpd_sender_restrictions, &all->sender},
        {"smtpd_relay_restrictions", &mine->smtpd_relay_restrictions, &all->relay},
        {"smtpd_recipient_restrictions", &mine->smtpd_recipient_restrictions, &all->recipient},
        {"smtpd_data_restrictions", &mine->smtpd_data_restrictions, &all->data},
    };
    all->delay = mine->smtpd_delay_reject;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (!read_list(a, lists[i].parameter, lists[i].list, lists[i].rules, why))
            return NULL;
    return all;
}

/* The first rule that decides ends the list. result: true: refused */
static bool run_list(const struct rules *rules, const struct question *q, struct reply *r)
{
    for (size_t i = 0; i < rules->n; i++) {
        enum outcome out = rules->at[i]->decide(q, r);
        if (out != DUNNO)
            return out == REFUSE;
    }
    return false;
}

static struct question ask(struct session *s, enum reply_id plain, struct span subject)
{
    return (struct question){.s = s, .plain = plain, .subject = subject};
}

static bool run_client(struct session *s, struct reply *r)
{
    struct question q = ask(s, REPLY_client_refused, span_text(client_text(s)));
    return run_list(&s->server->restrictions->client, &q, r);
}

static bool run_helo(struct session *s, struct reply *r)
{
    struct question q = ask(s, REPLY_helo_refused, s->helo);
    return s->helo.n && run_list(&s->server->restrictions->helo, &q, r);
}

static bool run_sender(struct session *s, struct reply *r)
{
    struct question q = ask(s, REPLY_sender_refused, s->tx->sender);
    return run_list(&s->server->restrictions->sender, &q, r);
}

bool restrict_hello(struct session *s, struct reply *r)
{
    return !s->server->restrictions->delay && (run_client(s, r) || run_helo(s, r));
}

bool restrict_sender(struct session *s, struct reply *r)
{
    return !s->server->restrictions->delay && run_sender(s, r);
}

bool restrict_recipient(struct session *s, struct span address, struct span sent, struct reply *r)
{
    const struct restrictions *all = s->server->restrictions;
    struct question q = ask(s, REPLY_recipient_refused, sent);
    q.recipient = address;
    q.sent = sent;
    if (all->delay && (run_client(s, r) || run_helo(s, r) || run_sender(s, r)))
        return true;
    if (run_list(&all->recipient, &q, r) || run_list(&all->relay, &q, r))
        return true;
    return s->server->mine->smtpd_reject_unlisted_recipient && refuse_unlisted_recipient(&q, r) == REFUSE;
}

bool restrict_data(struct session *s, struct reply *r)
{
    struct question q = ask(s, REPLY_sender_refused, s->tx->sender);
    return run_list(&s->server->restrictions->data, &q, r);
}
