#include "qmgr/verdict.h"
#include "lib/base/check.h"
#include "lib/mail/address.h"
#include "lib/mail/dsn.h"
#include "qmgr/load.h"
#include "qmgr/notify.h"
#include "qmgr/progress.h"
#include "qmgr/store.h"

#include <stdio.h>

enum {
    TEXT_MAX = 500, /* octets of a verdict's longer texts that are kept */
    NAME_MAX_OCTETS = 200,
    SIGNIFICANT = 2, /* digits of a delay */
};

/* --- verdicts as they are held --- */

bool verdict_load(const struct text *stored, struct msg_verdict *v)
{
    return stored && msg_verdict_get(NULL, text_span(stored), v);
}

void verdict_put_stored(struct buf *out, const struct msg_verdict *v)
{
    struct msg_verdict kept = {.class = v->class,
                               .dsn = span_slice(v->dsn, 0, 32),
                               .text = span_slice(v->text, 0, TEXT_MAX),
                               .relay = span_slice(v->relay, 0, NAME_MAX_OCTETS),
                               .remote_mta = span_slice(v->remote_mta, 0, NAME_MAX_OCTETS),
                               .diagnostic = span_slice(v->diagnostic, 0, TEXT_MAX),
                               .action = span_slice(v->action, 0, 32)};
    msg_verdict_put(out, &kept);
}

enum { CODE_ROOM = 16 }; /* octets of "5.123.123" and more */

/* What an agent says is believed as far as it makes sense.
 * code: room for a code that is changed */
static struct msg_verdict sane(const struct qmgr *q, const struct msg_verdict *v, bool *softened, char code_room[CODE_ROOM])
{
    static const struct span fallback[] = {
        [2] = SPAN_INIT("2.0.0"), [4] = SPAN_INIT("4.0.0"), [5] = SPAN_INIT("5.0.0")};
    struct msg_verdict s = *v;
    struct dsn_code code;
    *softened = false;
    if (s.class != 2 && s.class != 5)
        s.class = 4;
    if (dsn_code_parse(s.dsn, &code) != s.dsn.n || code.class != s.class)
        s.dsn = fallback[s.class];
    if (s.class == 5 && q->rules->main.soft_bounce) {
        *softened = true;
        s.class = 4;
        if (code.class != 5)
            code = DSN(5, 0, 0);
        snprintf(code_room, CODE_ROOM, "4.%u.%u", code.subject, code.detail);
        s.dsn = span_text(code_room);
    }
    return s;
}

/* --- log lines --- */

void verdict_put_address(const struct qmgr *q, struct buf *out, struct span address)
{
    if (address.n == 0)
        return;
    if (q->rules->main.info_log_address_format == PARAM_info_log_address_internal)
        buf_put(out, address);
    else
        address_put_external(out, address);
}

/* Decimals that show two significant digits. */
static unsigned decimals_of(int64_t us, unsigned most)
{
    unsigned digits = 0, first = 1, n;
    for (int64_t s = us / SECOND_US; s > 0; s /= 10)
        digits++;
    for (int64_t unit = SECOND_US / 10; unit > 1 && us < unit; unit /= 10)
        first++; /* place of the first decimal that is not zero */
    if (digits)
        n = digits < SIGNIFICANT ? SIGNIFICANT - digits : 0;
    else
        n = first + SIGNIFICANT - 1;
    return n < most ? n : most;
}

void verdict_put_delay(struct buf *out, int64_t us, unsigned most)
{
    if (us < 0)
        us = 0;
    unsigned decimals = decimals_of(us, most > 6 ? 6 : most);
    int64_t unit = SECOND_US;
    for (unsigned i = 0; i < decimals; i++)
        unit /= 10;
    int64_t rounded = (us + unit / 2) / unit * unit, fraction = rounded % SECOND_US / unit;
    while (decimals > 0 && fraction % 10 == 0) {
        fraction /= 10;
        decimals--;
    }
    buf_put_u64(out, (uint64_t)(rounded / SECOND_US));
    if (decimals > 0)
        buf_printf(out, ".%0*lld", (int)decimals, (long long)fraction);
}

static void put_delays(const struct qmgr *q, struct buf *out, const struct message *m,
                       const struct msg_verdict *v, int64_t begun_us)
{
    unsigned most = (unsigned)q->rules->main.delay_logging_resolution_limit;
    int64_t now = qmgr_now(q), connect = (int64_t)v->connect_us, transfer = (int64_t)v->transfer_us;
    if (connect < 0 || connect > now - begun_us)
        connect = 0;
    if (transfer <= 0 || transfer > now - begun_us)
        transfer = now - begun_us - connect;
    const int64_t parts[] = {m->active_us - m->arrival_us, begun_us - m->active_us, connect, transfer};
    buf_puts(out, "delay=");
    verdict_put_delay(out, now - m->arrival_us, most);
    buf_puts(out, ", delays=");
    for (size_t i = 0; i < 4; i++) {
        verdict_put_delay(out, parts[i], most);
        buf_puts(out, i < 3 ? "/" : ", ");
    }
}

static void log_verdict(struct qmgr *q, const struct message *m, const struct recipient *r,
                        const struct msg_verdict *v, const char *status, const struct judge *judge)
{
    struct buf line = BUF_LIMITED(LOG_LINE_MAX);
    struct span address = span_text(recipient_address(m, r)), original = span_text(recipient_original(m, r));
    buf_puts(&line, "to=<");
    verdict_put_address(q, &line, address);
    if (!span_eq_nocase(address, original)) {
        buf_puts(&line, ">, orig_to=<");
        verdict_put_address(q, &line, original);
    }
    buf_printf(&line, ">, relay=%.*s, ", SPAN_ARG(v->relay.n ? v->relay : SPAN("none")));
    if (v->uses > 1)
        buf_printf(&line, "conn_use=%llu, ", (unsigned long long)v->uses);
    put_delays(q, &line, m, v, judge->begun_us);
    buf_printf(&line, "dsn=%.*s, status=%s (%.*s)", SPAN_ARG(v->dsn), status, SPAN_ARG(v->text));
    progress_log(q, judge->source, "%s: %s", m->id.text, buf_text(&line));
    buf_fini(&line);
}

/* --- applying --- */

static void finished_after(struct qmgr *q, void *subject)
{
    store_remove_message(q, subject);
}

void verdict_finish_message(struct qmgr *q, struct message *m)
{
    m->flags |= MESSAGE_FINISHED;
    schedule_review(&q->schedule, m);
    progress_put(q, m, &(struct msg_journal_entry){.event = JOURNAL_FINISHED});
    progress_after(q, finished_after, m);
}

/* The recipient is over. One entry ends the message where it was the last and nobody is to be told. */
static void put_over(struct qmgr *q, struct message *m, struct recipient *r, unsigned event)
{
    bool last = m->waiting == 0 && m->busy == 0 && m->owed == 0 && !(m->flags & MESSAGE_NOTIFYING);
    if (last)
        verdict_finish_message(q, m);
    else
        progress_put_recipient(q, m, r, event, 0);
}

static void apply_over(struct qmgr *q, struct message *m, struct recipient *r, const struct msg_verdict *v,
                       struct span stored)
{
    bool failed = v->class == 5, passed = !failed && span_eq(v->action, SPAN("passed"));
    if (passed || !notify_is_owed(q, m, r, failed ? NOTIFY_FAILED : NOTIFY_SUCCESS)) {
        schedule_finish(&q->schedule, m, r, RECIPIENT_DONE, SPAN_NONE);
        put_over(q, m, r, JOURNAL_DONE);
        return;
    }
    schedule_finish(&q->schedule, m, r, failed ? RECIPIENT_FAILED : RECIPIENT_DELIVERED, stored);
    put_over(q, m, r, failed ? JOURNAL_FAILED : JOURNAL_DELIVERED);
}

void verdict_apply(struct qmgr *q, struct message *m, struct recipient *r, const struct msg_verdict *said,
                   const struct judge *judge)
{
    static const char *const status[] = {[2] = "sent", [4] = "deferred", [5] = "bounced"};
    struct buf stored = BUF_INIT;
    bool softened;
    char code_room[CODE_ROOM];
    struct msg_verdict v = sane(q, said, &softened, code_room);
    log_verdict(q, m, r, &v, softened ? "SOFTBOUNCE" : status[v.class], judge);
    verdict_put_stored(&stored, &v);
    r->flags &= (uint8_t)~RECIPIENT_BEGUN;
    m->flags &= ~(uint32_t)MESSAGE_AGENT_DIED;
    if (v.class == 4) {
        int64_t until_us = schedule_defer(&q->schedule, m, r, buf_span(&stored), qmgr_now(q));
        progress_put_recipient(q, m, r, JOURNAL_DEFERRED, until_us);
    } else {
        apply_over(q, m, r, &v, buf_span(&stored));
    }
    buf_fini(&stored);
}

void verdict_apply_own(struct qmgr *q, struct message *m, struct recipient *r, unsigned class,
                       struct span dsn, struct span text)
{
    struct log_source source = log_source_named("error", q->config.next_number(q->config.host));
    struct judge judge = {.source = &source, .begun_us = qmgr_now(q)};
    verdict_apply(q, m, r, &(struct msg_verdict){.class = class, .dsn = dsn, .text = text}, &judge);
}

/* --- the end of a run --- */

/* Too old: what was deferred has failed now. */
static void expire(struct qmgr *q, struct message *m)
{
    struct buf line = BUF_LIMITED(LOG_LINE_MAX);
    verdict_put_address(q, &line, text_span(m->sender));
    progress_log(q, NULL, "%s: from=<%s>, status=expired, returned to sender", m->id.text, buf_text(&line));
    buf_fini(&line);
    for (uint32_t i = 0; i < m->recipient_count; i++) {
        struct recipient *r = &m->recipients[i];
        if (r->state != RECIPIENT_WAITING || !r->verdict)
            continue;
        bool owed = notify_is_owed(q, m, r, NOTIFY_FAILED);
        schedule_finish(&q->schedule, m, r, owed ? RECIPIENT_FAILED : RECIPIENT_DONE, text_span(r->verdict));
        progress_put_recipient(q, m, r, owed ? JOURNAL_FAILED : JOURNAL_DONE, 0);
    }
}

static bool any_recipient(const struct message *m, enum recipient_state state)
{
    for (uint32_t i = 0; i < m->recipient_count; i++)
        if (m->recipients[i].state == state && (state != RECIPIENT_WAITING || m->recipients[i].verdict))
            return true;
    return false;
}

static bool wants_warning(const struct qmgr *q, const struct message *m)
{
    if (!schedule_wants_warning(&q->schedule, m, qmgr_now(q)))
        return false;
    for (uint32_t i = 0; i < m->recipient_count; i++)
        if (m->recipients[i].state == RECIPIENT_WAITING &&
            notify_is_owed(q, m, &m->recipients[i], NOTIFY_DELAYED))
            return true;
    return false;
}

void verdict_settled(struct qmgr *q, struct message *m)
{
    if (m->busy > 0 || (m->flags & (MESSAGE_FINISHED | MESSAGE_NOTIFYING | MESSAGE_SETTLED)))
        return;
    if (m->flags & MESSAGE_DELETED) {
        verdict_finish_message(q, m);
        return;
    }
    if (!(m->flags & MESSAGE_HELD) && qmgr_now(q) >= schedule_expiry(&q->schedule, m) &&
        any_recipient(m, RECIPIENT_WAITING))
        expire(q, m);
    if (m->owed > 0)
        notify_begin(q, m, any_recipient(m, RECIPIENT_FAILED) ? NOTIFY_FAILED : NOTIFY_SUCCESS);
    else if (m->waiting == 0)
        verdict_finish_message(q, m);
    else if (wants_warning(q, m))
        notify_begin(q, m, NOTIFY_DELAYED);
    else
        load_drop(q, m);
}
