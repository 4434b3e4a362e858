#include "pickup/submission.h"

#include "lib/base/clock.h"
#include "lib/log/log.h"
#include "lib/mail/address.h"

#include <errno.h>
#include <unistd.h>

enum {
    COPY_AT_ONCE = 128 * 1024,
    TRIES = 3,                                    /* of a request that was lost with cleanup */
    FRAME_ROOM = CHANNEL_FRAME_MAX - 16 * 1024,   /* octets of a submit for recipients and text */
    RECIPIENT_OVERHEAD = 32,                      /* octets of an encoded recipient beside its two addresses */
    NOTICE_RECIPIENTS_MAX = 200,                  /* named in a notification */
};

/* The work on one. */
struct taking {
    const struct submission_config *config;
    const struct pickup_services *services;
    const struct submission *s;
    struct arena *a;
    struct drop drop;
    struct user user;
    struct span sender;    /* for the envelope */
    struct buf received;
    uint64_t recipients_n; /* octets of the encoded recipients */
    struct outcome outcome;
    bool done;             /* outcome is final */
    int file_error;        /* errno of writing to cleanup's file */
};

static void decide(struct taking *t, unsigned class, const char *dsn, struct span text)
{
    t->outcome.class = class;
    t->outcome.dsn = dsn;
    t->outcome.text = arena_dup(t->a, text);
    t->done = true;
}

/* Not now, and nothing is stored of it. */
static void decide_untouched(struct taking *t, const char *dsn, struct span text)
{
    decide(t, 4, dsn, text);
    t->outcome.untouched = true;
}

/* --- judging ------------------------------------------------------------------------ */

static void read_file(struct taking *t)
{
    struct buf why = BUF_INIT;
    if (drop_read(t->a, t->s->fd, t->s->size, &t->drop, &why) != DROP_OK) {
        decide(t, 5, "5.6.0", buf_span(&why));
        t->outcome.unreadable = true;
    } else if (t->config->size_limit && t->drop.text_size > t->config->size_limit) {
        decide(t, 5, "5.3.4", SPAN("message file too big"));
    }
    const struct msg_drop *m = &t->drop.envelope;
    for (size_t i = 0; i < m->recipients.n; i++)
        t->recipients_n += 2 * m->recipients.at[i].address.n + RECIPIENT_OVERHEAD;
    if (!t->done && t->recipients_n > FRAME_ROOM)
        decide(t, 5, "5.5.3", SPAN("too many recipients"));
    buf_fini(&why);
}

static void find_user(struct taking *t)
{
    struct buf line = BUF_INIT, why = BUF_INIT;
    enum table_result result = t->services->user(t->services->context, t->s->uid, &line, &why);
    t->user = user_parse(t->a, t->s->uid, result == TABLE_FOUND ? buf_span(&line) : SPAN_NONE);
    if (result == TABLE_TEMP) {
        log_warning("%s: user %u: %s", t->s->id.text, t->s->uid, buf_text(&why));
        decide_untouched(t, "4.3.0", SPAN("the system's user database does not answer"));
        t->outcome.unserved = true;
    }
    t->sender = t->drop.envelope.flags & DROP_SENDER ? t->drop.envelope.sender : t->user.login;
    buf_fini(&line);
    buf_fini(&why);
}

static void judge(struct taking *t, enum table_result may, const struct buf *why, const char *what)
{
    struct buf text = BUF_INIT;
    if (may == TABLE_TEMP) {
        log_warning("%s: %s", t->s->id.text, buf_text(why));
        decide_untouched(t, "4.3.0", SPAN("Temporary lookup failure"));
    } else if (may == TABLE_NOT_FOUND) {
        buf_printf(&text, "User %.*s(%u) is not allowed to %s", SPAN_ARG(t->user.login), t->s->uid, what);
        decide(t, 5, "5.7.1", buf_span(&text));
    }
    buf_fini(&text);
}

static void judge_user(struct taking *t)
{
    struct buf why = BUF_INIT;
    judge(t, user_may_submit(&t->config->policy, &t->user, &why), &why, "submit mail");
    if (!t->done && t->drop.envelope.flags & DROP_SENDER)
        judge(t, user_may_send_as(&t->config->policy, &t->user, t->sender, &why), &why, "send as this sender");
    buf_fini(&why);
}

static void log_arrival(const struct taking *t)
{
    struct buf sender = BUF_INIT;
    address_put_external(&sender, t->sender);
    log_info("%s: uid=%u from=<%s>", t->s->id.text, t->s->uid, buf_text(&sender));
    buf_fini(&sender);
}

/* --- handing in ---------------------------------------------------------------------- */

static void put_received(struct taking *t, int64_t now_us)
{
    struct date_zone zone = t->config->zone(now_us);
    buf_printf(&t->received, "Received: by %.*s (%.*s, from userid %u)\n\tid %s; ", SPAN_ARG(t->config->myhostname),
               SPAN_ARG(t->config->mail_name), t->s->uid, t->s->id.text);
    date_put(&t->received, now_us, &zone);
    buf_putc(&t->received, '\n');
}

static bool write_file(struct taking *t, int to, struct span octets)
{
    while (octets.n > 0) {
        ssize_t n = write(to, octets.p, octets.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            t->file_error = n < 0 ? errno : ENOSPC;
            return false;
        }
        octets = span_skip(octets, (size_t)n);
    }
    return true;
}

/* The next octets of the text. result: false: the file is not what it was */
static bool read_text(struct taking *t, char *to, size_t n, uint64_t at)
{
    if (drop_read_octets(t->s->fd, to, n, t->drop.text_at + at))
        return true;
    decide(t, 5, "5.6.0", SPAN("the file has changed while it was read"));
    t->outcome.unreadable = true;
    return false;
}

/* The text behind Received: in a file of cleanup's. result: its handle, 0 where it could not be made */
static uint64_t spool_text(struct taking *t)
{
    uint64_t handle = 0, size = t->received.len + t->drop.text_size;
    int to = t->services->spool(t->services->context, size, &handle);
    if (to < 0) {
        decide_untouched(t, "4.3.0", SPAN("the cleanup service has no room for the message"));
        t->outcome.unserved = true;
        return 0;
    }
    char *room = arena_alloc(t->a, COPY_AT_ONCE);
    bool good = write_file(t, to, buf_span(&t->received));
    for (uint64_t at = 0; good && at < t->drop.text_size;) {
        uint64_t left = t->drop.text_size - at;
        size_t n = left < COPY_AT_ONCE ? (size_t)left : COPY_AT_ONCE;
        good = read_text(t, room, n, at) && write_file(t, to, span_of(room, n));
        at += n;
    }
    close(to);
    if (good)
        return handle;
    t->services->spool_drop(t->services->context, handle);
    if (!t->done)
        decide_untouched(t, "4.3.1", span_text(strerror(t->file_error)));
    return 0;
}

static void fill_text(struct taking *t, struct msg_submit *m)
{
    uint64_t size = t->received.len + t->drop.text_size;
    if (size <= SUBMIT_INLINE_MAX && t->recipients_n + size <= FRAME_ROOM) {
        char *room = arena_alloc(t->a, (size_t)size);
        memcpy(room, t->received.data, t->received.len);
        if (read_text(t, room + t->received.len, (size_t)t->drop.text_size, 0))
            m->text = span_of(room, (size_t)size);
    } else {
        m->spool = spool_text(t);
        m->spool_size = size;
    }
}

static void fill_envelope(const struct taking *t, struct msg_submit *m, int64_t now_us)
{
    const struct msg_drop *d = &t->drop.envelope;
    struct msg_recipient *r = arena_calloc(t->a, d->recipients.n, sizeof *r);
    for (size_t i = 0; i < d->recipients.n; i++) {
        struct span address = d->recipients.at[i].address;
        r[i] = (struct msg_recipient){.address = address, .original = address, .notify = d->notify};
    }
    *m = (struct msg_submit){
        .id = queue_id_span(&t->s->id),
        .sender = t->sender,
        .recipients = {r, d->recipients.n},
        .flags = SUBMIT_LOCAL | (d->flags & DROP_REMOTE ? 0u : SUBMIT_LOCAL_REWRITE) |
                 (d->flags & DROP_EXTRACT ? SUBMIT_EXTRACT : 0u),
        .arrival_us = (uint64_t)now_us,
        .ret = d->ret,
        .envid = d->envid,
        .client_name = SPAN("localhost"),
        .client_address = SPAN("127.0.0.1"),
        .helo = SPAN("localhost"),
        .full_name = d->full_name.n ? d->full_name : t->user.full_name,
        .encoding = d->encoding,
    };
}

static const char *code_of(const struct taking *t, const struct msg_submitted *answer, const char *usual)
{
    return answer->dsn.n ? arena_text(t->a, answer->dsn) : usual;
}

static void settle(struct taking *t, enum call_result result, const struct msg_submitted *answer)
{
    t->outcome.unserved = result != CALL_OK;
    if (result != CALL_OK)
        decide_untouched(t, "4.3.0", SPAN("the cleanup service does not answer"));
    else if (answer->class == 0)
        t->done = true;
    else if (answer->class == 5)
        decide(t, 5, code_of(t, answer, "5.0.0"), answer->text);
    else
        decide_untouched(t, code_of(t, answer, "4.0.0"), answer->text);
}

/* When cleanup has gone with the request, it may have stored the message: the same again, under
 * the same ID, is the same message to those who come after. */
static void hand_in(struct taking *t)
{
    int64_t now_us = clock_wall_us();
    struct msg_submitted answer = {0};
    enum call_result result = CALL_LOST;
    bool was_sent = true, may_be_stored = false;
    put_received(t, now_us);
    for (int i = 0; i < TRIES && !t->done && result == CALL_LOST && was_sent; i++) {
        struct msg_submit m;
        fill_envelope(t, &m, now_us);
        fill_text(t, &m);
        if (t->done)
            break;
        result = t->services->submit(t->services->context, t->a, &m, &answer, &was_sent);
        may_be_stored = may_be_stored || (was_sent && result != CALL_OK);
    }
    if (!t->done)
        settle(t, result, &answer);
    if (may_be_stored)
        t->outcome.untouched = false;
}

struct outcome submission_take(const struct submission_config *config, const struct pickup_services *services,
                               const struct submission *s, struct arena *a)
{
    struct taking t = {.config = config, .services = services, .s = s, .a = a, .outcome.dsn = ""};
    read_file(&t);
    if (!t.done)
        find_user(&t);
    if (!t.done)
        judge_user(&t);
    if (!t.done) {
        log_arrival(&t);
        hand_in(&t);
    }
    if (t.outcome.class && !t.outcome.unreadable)
        log_warning("%s: uid=%u: %s: %s %.*s", s->id.text, s->uid,
                    t.outcome.class == 5 ? "refused" : "not taken now", t.outcome.dsn, SPAN_ARG(t.outcome.text));
    buf_fini(&t.received);
    return t.outcome;
}

/* --- telling the sender ---------------------------------------------------------------- */

bool submission_tell_sender(const struct pickup_services *services, const struct submission *s,
                            const struct outcome *o, const struct queue_id *notice, struct arena *a)
{
    struct taking t = {.services = services, .s = s, .a = a};
    struct buf why = BUF_INIT;
    bool good = drop_read(a, s->fd, s->size, &t.drop, &why) == DROP_OK;
    buf_fini(&why);
    if (good)
        find_user(&t);
    if (!good || t.done)
        return false;
    const struct msg_drop *d = &t.drop.envelope;
    size_t n = d->recipients.n < NOTICE_RECIPIENTS_MAX ? d->recipients.n : NOTICE_RECIPIENTS_MAX;
    struct msg_recipient *r = arena_calloc(a, n + 1, sizeof *r);
    struct msg_verdict *v = arena_calloc(a, n + 1, sizeof *v);
    for (size_t i = 0; i < n; i++)
        r[i].address = d->recipients.at[i].address;
    if (n == 0)
        r[n++].address = SPAN("unknown"); /* they were to be found in the header */
    for (size_t i = 0; i < n; i++) {
        r[i].original = r[i].address;
        r[i].number = i + 1;
        v[i] = (struct msg_verdict){.number = i + 1, .class = 5, .dsn = span_text(o->dsn), .text = o->text,
                                    .relay = SPAN("none")};
    }
    struct msg_notify m = {
        .kind = NOTIFY_FAILED,
        .id = queue_id_span(&s->id),
        .sender = t.sender,
        .recipients = {r, n},
        .verdicts = {v, n},
        .text_offset = t.drop.text_at,
        .text_size = t.drop.text_size,
        .flags = SUBMIT_LOCAL,
        .arrival_us = (uint64_t)clock_wall_us(),
        .ret = d->ret,
        .envid = d->envid,
        .new_id = queue_id_span(notice),
    };
    return services->notify(services->context, a, &m, s->fd);
}
