#include "smtp/smtp.h"

#include "lib/base/check.h"
#include "lib/mail/address.h"
#include "lib/mail/codec.h"
#include "lib/mail/dsn.h"

#include <sys/socket.h>

/* One mail transaction: MAIL, a RCPT for each recipient, DATA, the text, its end.
 *
 * Commands are numbered: 0 is MAIL, 1..n the recipients, n+1 DATA. Two counters walk over them, what is
 * sent and what is answered; with PIPELINING the first runs ahead of the second as far as the window
 * allows, without it by one. RFC 2920 3.1 */
struct transaction {
    struct delivery *d;
    struct session *s;
    size_t *recipients; /* indices of those that this transaction is for */
    bool *accepted;     /* by the order of recipients */
    bool *put_off;      /* the same: the server wants to see them in another transaction */
    size_t *lengths;    /* octets of each command that was sent */
    size_t n;
    size_t sent, answered;
    size_t window, outstanding; /* octets of commands that were sent and not answered: at most, now */
    size_t taken;       /* recipients that were accepted */
    struct verdict too_many; /* of those that are put off */
    bool mail_refused;
    bool by_chunks;     /* BDAT instead of DATA */
    bool data_begun;    /* 354; by chunks: somebody was accepted */
    bool over;          /* 421, or a reply that makes no sense: nothing more is asked */
};

enum {
    WINDOW_LEAST = 1024,
    WINDOW_MOST = 32 * 1024,
    ROUNDS_MAX = 1000, /* transactions for one attempt, where a server takes few recipients at a time */
};

/* --- commands ------------------------------------------------------------------------- */

static void put_envelope_address(const struct session *s, struct buf *out, struct span address)
{
    if (s->smtp->mine->smtp_quote_rfc821_envelope)
        address_put_external(out, address);
    else
        buf_put(out, address);
}

static bool needs_utf8(const struct delivery *d)
{
    bool asked = d->m->flags & SUBMIT_SMTPUTF8;
    bool used = !codec_is_ascii(d->m->sender) || d->facts.eight_bit_header;
    for (size_t i = 0; i < d->m->recipients.n && !used; i++)
        used = !codec_is_ascii(d->m->recipients.at[i].address);
    return asked && used;
}

static void put_mail(const struct transaction *t, struct buf *out)
{
    const struct session *s = t->s;
    const struct msg_attempt *m = t->d->m;
    buf_puts(out, "MAIL FROM:<");
    put_envelope_address(s, out, m->sender);
    buf_putc(out, '>');
    if (s->features & FEATURE_SIZE)
        buf_printf(out, " SIZE=%llu", (unsigned long long)t->d->facts.wire_size);
    if ((s->features & FEATURE_8BITMIME) && t->d->facts.eight_bit)
        buf_puts(out, " BODY=8BITMIME");
    if ((s->features & FEATURE_SMTPUTF8) && needs_utf8(t->d))
        buf_puts(out, " SMTPUTF8");
    if (!(s->features & FEATURE_DSN))
        return;
    if (m->ret.n)
        buf_printf(out, " RET=%.*s", SPAN_ARG(m->ret));
    if (m->envid.n) {
        buf_puts(out, " ENVID=");
        codec_xtext_put(out, m->envid);
    }
}

/* The sender's, or what was first received: the next server is told in any case. RFC 3461 5.2.1 */
static void put_orcpt(const struct session *s, const struct msg_recipient *r, struct buf *out)
{
    struct buf made = BUF_INIT;
    struct span original = r->original.n ? r->original : r->address;
    if (r->orcpt.n == 0) {
        buf_puts(&made, codec_is_ascii(original) ? "rfc822;" : "utf-8;");
        address_put_external(&made, original);
    }
    struct span orcpt = r->orcpt.n ? r->orcpt : buf_span(&made);
    if (codec_utf8_valid(orcpt) && orcpt.n <= DSN_ORCPT_MAX) {
        buf_puts(out, " ORCPT=");
        dsn_orcpt_put(out, orcpt, s->features & FEATURE_SMTPUTF8);
    }
    buf_fini(&made);
}

static void put_rcpt(const struct transaction *t, const struct msg_recipient *r, struct buf *out)
{
    const struct session *s = t->s;
    buf_puts(out, "RCPT TO:<");
    put_envelope_address(s, out, r->user.n ? r->user : r->address);
    buf_putc(out, '>');
    if (!(s->features & FEATURE_DSN))
        return;
    if (r->notify) {
        buf_puts(out, " NOTIFY=");
        dsn_notify_put(out, (unsigned)r->notify);
    }
    put_orcpt(s, r, out);
}

static void put_command(const struct transaction *t, size_t number, struct buf *out)
{
    if (number == 0)
        put_mail(t, out);
    else if (number <= t->n)
        put_rcpt(t, &t->d->m->recipients.at[t->recipients[number - 1]], out);
    else
        buf_puts(out, "DATA");
}

/* How much may be under way: less than what the socket takes, so that neither side waits for the other
 * with full buffers. RFC 2920 3.1 */
static size_t window_of(const struct session *s)
{
    int size = 0;
    socklen_t n = sizeof size;
    if (getsockopt(conn_fd(s->conn), SOL_SOCKET, SO_SNDBUF, &size, &n) != 0 || size / 4 < WINDOW_LEAST)
        return WINDOW_LEAST;
    return size / 4 < WINDOW_MOST ? (size_t)size / 4 : WINDOW_MOST;
}

/* Sends the next command if it may go now. DATA waits for its recipients unless it is pipelined. */
static bool send_next(struct transaction *t)
{
    struct buf command = BUF_INIT;
    bool piped = t->s->features & FEATURE_PIPELINING;
    size_t last = t->by_chunks ? t->n : t->n + 1;
    if (t->sent > last || t->over || (!piped && t->sent > t->answered))
        return false;
    if (t->mail_refused || (t->sent == t->n + 1 && t->answered == t->n + 1 && t->taken == 0))
        return false;
    put_command(t, t->sent, &command);
    bool fits = t->outstanding == 0 || t->outstanding + command.len + 2 <= t->window;
    if (fits) {
        session_say(t->s, "%s", buf_text(&command));
        t->lengths[t->sent++] = command.len + 2;
        t->outstanding += command.len + 2;
    }
    buf_fini(&command);
    return fits;
}

/* --- answers ---------------------------------------------------------------------------- */

static enum talk hear_answer(struct transaction *t)
{
    const struct params_smtp *mine = t->s->smtp->mine;
    if (t->answered == 0)
        return session_hear(t->s, "sending MAIL FROM", mine->smtp_mail_timeout);
    if (t->answered <= t->n)
        return session_hear(t->s, "sending RCPT TO", mine->smtp_rcpt_timeout);
    return session_hear(t->s, "sending DATA command", mine->smtp_data_init_timeout);
}

static const char *command_name(const struct transaction *t, size_t number)
{
    return number == 0 ? "MAIL FROM command" : number <= t->n ? "RCPT TO command" : "DATA command";
}

/* RFC 5321 4.5.3.1.10: the rest is for another transaction. */
static bool is_too_many(const struct transaction *t)
{
    return t->s->reply.code == 452 && t->taken > 0;
}

static void take_refusal(struct transaction *t)
{
    struct verdict v = session_refusal(t->s, t->d->arena, command_name(t, t->answered));
    bool about_one = t->answered > 0 && t->answered <= t->n;
    if (t->s->spent) { /* 421: it speaks to us no more, whatever it was about */
        t->over = true;
        delivery_fail(t->d, &v, true);
    } else if (!about_one) {
        t->mail_refused |= t->answered == 0;
        delivery_fail(t->d, &v, false);
    } else if (is_too_many(t)) {
        t->put_off[t->answered - 1] = true;
        t->too_many = v;
    } else {
        delivery_fail_one(t->d, t->recipients[t->answered - 1], &v);
    }
}

/* Whether the reply could be one to a command where 2xx (or, for DATA, 3xx) is the yes. A greeting and a farewell
 * are never: they come from a server that has lost count. */
static bool makes_sense(struct session *s, unsigned good)
{
    unsigned class = reply_class(&s->reply);
    if (class >= 4 || (class == good && s->reply.code != 220 && s->reply.code != 221))
        return true;
    s->unexpected = "an answer to something else";
    s->spent = true;
    return false;
}

static enum talk take_answer(struct transaction *t)
{
    enum talk talk = hear_answer(t);
    if (talk != TALK_OK)
        return talk;
    unsigned class = reply_class(&t->s->reply), good = t->answered > t->n ? 3 : 2;
    if (!makes_sense(t->s, good))
        return TALK_GARBLED;
    if (class != good && !t->mail_refused) {
        take_refusal(t);
    } else if (class == good && t->answered > t->n) {
        t->data_begun = true;
    } else if (class == good && t->answered > 0 && !t->mail_refused) {
        t->accepted[t->answered - 1] = true;
        t->taken++;
    }
    t->outstanding -= t->lengths[t->answered++];
    return TALK_OK;
}

/* All commands and their answers, but for chunks. */
static enum talk converse(struct transaction *t)
{
    enum talk talk = TALK_OK;
    while (talk == TALK_OK && !t->over) {
        if (t->answered == t->sent && t->sent > 0 && conn_has_input(t->s->conn)) {
            t->s->unexpected = "a reply that answers nothing";
            talk = TALK_GARBLED;
        } else if (!send_next(t)) {
            if (t->answered == t->sent)
                break;
            talk = take_answer(t);
        }
    }
    t->data_begun |= t->by_chunks && t->taken > 0 && !t->mail_refused;
    return talk;
}

/* --- the end of data ----------------------------------------------------------------------- */

/* A server that answers before the text has ended takes nothing; were that answer left for the one to
 * the end of data, mail would be lost. */
static enum talk hear_early_answer(struct transaction *t)
{
    struct session *s = t->s;
    enum talk talk = session_hear(s, "sending message body", s->smtp->mine->smtp_data_xfer_timeout);
    s->spent = true;
    if (talk != TALK_OK)
        return talk;
    if (reply_class(&s->reply) < 4) {
        s->unexpected = "an answer before the end of the message";
        return TALK_GARBLED;
    }
    struct verdict v = session_refusal(s, t->d->arena, "message body");
    delivery_fail(t->d, &v, false);
    return TALK_OK;
}

/* One answer to the end of data; LMTP gives one for each recipient that was accepted. RFC 2033 4.2 */
static enum talk hear_end(struct transaction *t, size_t recipient)
{
    struct session *s = t->s;
    enum talk talk = session_hear(s, "sending end of data -- message may be sent more than once",
                                  s->smtp->mine->smtp_data_done_timeout);
    if (talk != TALK_OK)
        return talk;
    if (!makes_sense(s, 2))
        return TALK_GARBLED;
    struct verdict v = {0};
    bool good = reply_class(&s->reply) == 2;
    if (!good)
        v = session_refusal(s, t->d->arena, "end of DATA command");
    for (size_t i = 0; i < t->n; i++) {
        if (!t->accepted[i] || (s->smtp->lmtp && i != recipient))
            continue;
        if (good)
            delivery_sent(t->d, t->recipients[i], s);
        else if (s->smtp->lmtp)
            delivery_fail_one(t->d, t->recipients[i], &v);
    }
    if (!good && !s->smtp->lmtp)
        delivery_fail(t->d, &v, false);
    return TALK_OK;
}

static enum talk hear_ends(struct transaction *t)
{
    enum talk talk = TALK_OK;
    if (t->taken == 0 && t->s->smtp->lmtp) {
        t->s->spent = true; /* there is no answer to wait for */
        return TALK_OK;
    }
    if (t->taken == 0)
        return session_hear(t->s, "sending end of data -- message may be sent more than once",
                            t->s->smtp->mine->smtp_data_done_timeout);
    if (!t->s->smtp->lmtp)
        return hear_end(t, 0);
    for (size_t i = 0; i < t->n && talk == TALK_OK; i++)
        if (t->accepted[i])
            talk = hear_end(t, i);
    return talk;
}

static enum talk send_by_chunks(struct transaction *t)
{
    bool refused = false;
    enum talk talk = send_chunks(t->d, t->s, &refused);
    if (talk == TALK_OK && refused) {
        if (!makes_sense(t->s, 2))
            return TALK_GARBLED;
        struct verdict v = session_refusal(t->s, t->d->arena, "BDAT command");
        delivery_fail(t->d, &v, false);
    } else if (talk == TALK_OK) {
        talk = hear_ends(t);
    }
    if (talk == TALK_OK && !t->s->spent)
        (void)session_is_interrupted(t->s);
    return talk;
}

static enum talk send_message(struct transaction *t)
{
    struct session *s = t->s;
    enum talk talk = TALK_OK;
    if (session_is_interrupted(s)) {
        s->doing = "sending message body";
        return TALK_GARBLED;
    }
    if (t->by_chunks)
        return send_by_chunks(t);
    /* RFC 2920 3.1: a server that says 354 without a recipient gets an empty message. */
    if (t->taken > 0)
        talk = send_text(t->d, s);
    if (talk != TALK_OK)
        return talk;
    if (conn_poll_input(s->conn))
        return hear_early_answer(t);
    conn_set_deadline(s->conn, clock_after(s->smtp->mine->smtp_data_xfer_timeout));
    conn_write(s->conn, SPAN(".\r\n"));
    talk = hear_ends(t);
    if (talk == TALK_OK && !s->spent)
        (void)session_is_interrupted(s);
    return talk;
}

/* --- what the server cannot take ---------------------------------------------------------- */

/* result: true: nothing is sent */
static bool is_refused_by_us(struct delivery *d, struct session *s)
{
    struct verdict v;
    if ((s->features & FEATURE_SIZE) && s->size_limit && d->facts.wire_size > s->size_limit) {
        v = session_verdict(s, DSN(5, 3, 4),
                            arena_printf(d->arena, "message size %llu exceeds size limit %llu of server %s",
                                         (unsigned long long)d->facts.wire_size, (unsigned long long)s->size_limit,
                                         s->name));
    } else if (!(s->features & FEATURE_SMTPUTF8) && needs_utf8(d)) {
        v = session_verdict(s, DSN(5, 6, 7),
                            arena_printf(d->arena, "SMTPUTF8 is required, but was not offered by host %s", s->name));
    } else {
        return false;
    }
    delivery_fail(d, &v, false);
    return true;
}

/* --- the whole -------------------------------------------------------------------------------- */

/* The recipients of the next transaction: those that the one before has put off, or all that are open. */
static void begin(struct transaction *t, struct delivery *d, struct session *s, const struct transaction *before)
{
    size_t most = before ? before->n : d->m->recipients.n;
    *t = (struct transaction){.d = d, .s = s, .window = window_of(s), .by_chunks = s->features & FEATURE_CHUNKING};
    t->recipients = arena_calloc(d->arena, most + 1, sizeof *t->recipients);
    t->accepted = arena_calloc(d->arena, most + 1, sizeof *t->accepted);
    t->put_off = arena_calloc(d->arena, most + 1, sizeof *t->put_off);
    t->lengths = arena_calloc(d->arena, most + 2, sizeof *t->lengths);
    for (size_t i = 0; i < most; i++)
        if (before ? before->put_off[i] : delivery_is_open(d, i))
            t->recipients[t->n++] = before ? before->recipients[i] : i;
}

static enum talk run(struct transaction *t)
{
    if (session_is_interrupted(t->s)) {
        t->s->doing = "sending MAIL FROM";
        return TALK_GARBLED;
    }
    enum talk talk = xforward(t->d, t->s);
    if (talk == TALK_OK)
        talk = converse(t);
    if (talk == TALK_OK && t->data_begun && !t->over)
        talk = send_message(t);
    return talk;
}

/* result: whether another one has to follow for recipients that were put off */
static bool settle(struct transaction *t, enum talk talk)
{
    struct delivery *d = t->d;
    bool again = talk == TALK_OK && t->data_begun && !t->s->spent && t->too_many.text.n > 0;
    if (talk != TALK_OK) {
        struct verdict v = session_trouble(t->s, d->arena, talk);
        delivery_fail(d, &v, talk != TALK_LOCAL && talk != TALK_CANCELLED);
    }
    for (size_t i = 0; i < t->n && !again; i++)
        if (t->put_off[i] && delivery_is_open(d, t->recipients[i]))
            delivery_fail_one(d, t->recipients[i], &t->too_many);
    return again;
}

void transact(struct delivery *d, struct session *s)
{
    struct transaction rounds[2]; /* this one and the one before */
    unsigned n = 0;
    d->uses = ++s->deliveries;
    if (is_refused_by_us(d, s))
        return;
    do
        begin(&rounds[n % 2], d, s, n ? &rounds[(n - 1) % 2] : NULL);
    while (settle(&rounds[n % 2], run(&rounds[n % 2])) && ++n < ROUNDS_MAX);
}
