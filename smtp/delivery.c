#include "smtp/smtp.h"

#include "lib/base/check.h"
#include "lib/mail/dsn.h"

static struct span dsn_text(struct arena *a, struct dsn_code dsn)
{
    struct buf text = BUF_INIT;
    dsn_code_put(&text, dsn);
    struct span made = arena_dup(a, buf_span(&text));
    buf_fini(&text);
    return made;
}

static void settle(struct delivery *d, size_t recipient, const struct verdict *v)
{
    static const unsigned classes[] = {[VERDICT_OK] = 2, [VERDICT_TEMP] = 4, [VERDICT_PERM] = 5};
    struct msg_verdict *m = &d->verdicts[recipient];
    int64_t now = clock_wall_us(), connected = d->connected_us ? d->connected_us : now;
    CHECK(m->class == 0 && d->open > 0);
    m->class = classes[v->class];
    m->dsn = dsn_text(d->arena, v->dsn);
    struct verdict kept = verdict_dup(d->arena, v); /* a session's texts end with it */
    m->text = kept.text;
    m->relay = kept.relay;
    m->remote_mta = kept.mta;
    m->diagnostic = kept.diagnostic;
    m->uses = v->relay.n ? d->uses : 0;
    m->connect_us = (uint64_t)(connected - d->begun_us);
    m->transfer_us = (uint64_t)(now - connected);
    d->kept[recipient] = false;
    d->open--;
}

/* What another server may do better. */
static bool is_worth_another(const struct delivery *d, const struct verdict *v)
{
    return v->class == VERDICT_TEMP && !d->last_server;
}

static void log_skip(const struct delivery *d, const struct verdict *v)
{
    log_line(&d->log, LOG_LEVEL_INFO, "%.*s: %.*s", SPAN_ARG(d->m->id), SPAN_ARG(v->text));
}

void delivery_fail(struct delivery *d, const struct verdict *v, bool unreachable)
{
    bool keep = is_worth_another(d, v);
    d->why = verdict_dup(d->arena, v);
    if (keep)
        log_skip(d, v);
    for (size_t i = 0; i < d->m->recipients.n; i++) {
        if (!delivery_is_open(d, i))
            continue;
        if (keep)
            d->kept[i] = true;
        else
            settle(d, i, v);
    }
    d->unreachable |= unreachable && !keep && v->class == VERDICT_TEMP;
}

void delivery_fail_one(struct delivery *d, size_t recipient, const struct verdict *v)
{
    CHECK(delivery_is_open(d, recipient));
    if (is_worth_another(d, v)) {
        d->why = verdict_dup(d->arena, v);
        d->kept[recipient] = true;
        log_skip(d, v);
    } else {
        settle(d, recipient, v);
    }
}

void delivery_sent(struct delivery *d, size_t recipient, const struct session *s)
{
    struct buf words = BUF_INIT;
    reply_put(&words, &s->reply);
    struct verdict v = verdict_make(VERDICT_OK, s->reply.dsn, arena_dup(d->arena, buf_span(&words)));
    v.relay = span_text(s->relay);
    v.mta = s->to.host;
    v.diagnostic = v.text;
    settle(d, recipient, &v);
    d->verdicts[recipient].action = s->features & FEATURE_DSN ? SPAN("passed") : SPAN("relayed");
    buf_fini(&words);
}

void delivery_next_server(struct delivery *d)
{
    for (size_t i = 0; i < d->m->recipients.n; i++)
        d->kept[i] = false;
}
