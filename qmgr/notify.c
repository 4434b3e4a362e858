#include "qmgr/notify.h"
#include "lib/base/check.h"
#include "lib/mail/dsn.h"
#include "qmgr/link.h"
#include "qmgr/load.h"
#include "qmgr/progress.h"
#include "qmgr/store.h"
#include "qmgr/verdict.h"

#include <stdlib.h>

static void ask_bounce(struct qmgr *q, void *subject);

/* --- who is to be told --- */

bool notify_is_double_bounce(const struct qmgr *q, struct span address)
{
    struct span mine = q->rules->main.double_bounce_sender;
    size_t at = span_rfind(address, '@');
    if (span_find(mine, '@') < mine.n)
        return span_eq_nocase(address, mine);
    struct span domain = span_skip(address, at + 1);
    return span_eq_nocase(span_slice(address, 0, at), mine) &&
           (domain.n == 0 || span_eq_nocase(domain, q->rules->main.myhostname) ||
            span_eq_nocase(domain, q->rules->main.myorigin));
}

/* A delivery that the sender was warned of, and is to be told of (confirm_delay_cleared). */
static bool is_cleared_delay(const struct qmgr *q, const struct message *m, const struct recipient *r)
{
    return q->rules->qmgr.confirm_delay_cleared && (m->flags & MESSAGE_WARNED) &&
           (r->notify == 0 || (r->notify & DSN_NOTIFY_DELAY));
}

bool notify_is_owed(const struct qmgr *q, const struct message *m, const struct recipient *r, unsigned kind)
{
    static const unsigned bits[] = {[NOTIFY_FAILED] = DSN_NOTIFY_FAILURE,
                                    [NOTIFY_DELAYED] = DSN_NOTIFY_DELAY,
                                    [NOTIFY_SUCCESS] = DSN_NOTIFY_SUCCESS};
    if (!m->sender || m->sender->n == 0)
        return kind == NOTIFY_FAILED &&
               (q->rules->main.notify_classes & (1u << PARAM_notify_class_twobounce));
    if (notify_is_double_bounce(q, text_span(m->sender))) {
        if (kind == NOTIFY_FAILED)
            log_warning("%s: undeliverable postmaster notification discarded", m->id.text);
        return false;
    }
    if (kind == NOTIFY_SUCCESS && is_cleared_delay(q, m, r))
        return true;
    if (r->notify == 0)
        return kind != NOTIFY_SUCCESS;
    return (r->notify & bits[kind]) != 0;
}

/* The recipients that a notification of this kind is about. */
static bool is_about(const struct qmgr *q, const struct notice *n, const struct recipient *r)
{
    if (n->kind == NOTIFY_DELAYED)
        return r->state == RECIPIENT_WAITING && r->verdict &&
               notify_is_owed(q, n->message, r, NOTIFY_DELAYED);
    return r->state == (n->kind == NOTIFY_SUCCESS ? RECIPIENT_DELIVERED : RECIPIENT_FAILED);
}

/* --- asking bounce --- */

/* A request under way; the notice may end before it is answered. */
struct asked {
    struct qmgr *q;
    struct queue_id new_id;
};

static void again(struct timer *t, void *context)
{
    struct notice *n = context;
    (void)t;
    if (!n->asked)
        progress_after(n->q, ask_bounce, n->message);
}

static void ask_later(struct notice *n)
{
    int64_t wait = NOTICE_AGAIN_MIN_S;
    for (unsigned i = 0; i < n->failures && wait < NOTICE_AGAIN_MAX_S; i++)
        wait *= 2;
    n->failures++;
    timer_set(n->q->loop, &n->again, clock_after(wait < NOTICE_AGAIN_MAX_S ? wait : NOTICE_AGAIN_MAX_S),
              again, n);
}

/* The message goes on without it. */
static void notice_end(struct qmgr *q, struct message *m)
{
    notify_drop(q, m);
    m->flags &= ~(uint32_t)MESSAGE_NOTIFYING;
    schedule_review(&q->schedule, m);
    verdict_settled(q, m);
}

/* It is on stable storage: nothing of it is owed any more. */
static void notice_made(struct qmgr *q, struct notice *n)
{
    struct message *m = n->message;
    progress_put(
        q, m, &(struct msg_journal_entry){.event = JOURNAL_NOTIFIED, .kind = n->kind, .recipient = n->last});
    if (n->kind == NOTIFY_DELAYED)
        m->flags |= MESSAGE_WARNED;
    for (uint32_t i = 0; i < m->recipient_count && i < n->last && n->kind != NOTIFY_DELAYED; i++)
        if (is_about(q, n, &m->recipients[i]))
            schedule_settle_debt(&q->schedule, m, &m->recipients[i]);
    notice_end(q, m);
}

static void bounce_answered(struct frame *reply, void *context)
{
    struct asked *x = context;
    struct qmgr *q = x->q;
    struct notice *n = map_get(&q->notices, queue_id_span(&x->new_id));
    struct msg_submitted s;
    free(x);
    if (!n || q->ending)
        return; /* its message was found meanwhile */
    n->asked = false;
    if (!reply || reply->type != MSG_submitted || !msg_submitted_get(NULL, reply->body, &s) || s.class == 4) {
        if (reply && n->failures == 0)
            log_warning("%s: the notification of its sender has to wait", n->message->id.text);
        ask_later(n);
        return;
    }
    if (s.class == 5)
        log_warning("%s: the notification of its sender was refused and is given up: %.*s",
                    n->message->id.text, SPAN_ARG(s.text));
    notice_made(q, n);
}

static void add_recipient(const struct notice *n, const struct loaded *l, uint32_t i,
                          struct msg_notify *request)
{
    struct msg_verdict *v = &request->verdicts.at[request->verdicts.n];
    struct msg_recipient *r = &request->recipients.at[request->recipients.n];
    if (!verdict_load(n->message->recipients[i].verdict, v))
        *v = (struct msg_verdict){.class = n->kind == NOTIFY_FAILED ? 5 : 4};
    v->number = i + 1;
    *r = *load_recipient(l, i);
    r->number = i + 1;
    request->verdicts.n++;
    request->recipients.n++;
}

static void put_request(struct qmgr *q, const struct notice *n, const struct loaded *l, struct buf *body)
{
    struct arena scratch = ARENA_INIT;
    const struct message *m = n->message;
    const struct msg_stored_envelope *e = &l->envelope;
    struct msg_notify request = {.kind = n->kind,
                                 .id = queue_id_span(&m->id),
                                 .sender = e->sender,
                                 .text = l->fd < 0 ? l->text : SPAN_NONE,
                                 .text_offset = l->text_offset,
                                 .text_size = m->size,
                                 .flags = e->flags,
                                 .arrival_us = e->arrival_us,
                                 .ret = e->ret,
                                 .envid = e->envid,
                                 .new_id = queue_id_span(&n->new_id)};
    request.recipients.at = arena_calloc(&scratch, NOTICE_RECIPIENTS_MAX, sizeof *request.recipients.at);
    request.verdicts.at = arena_calloc(&scratch, NOTICE_RECIPIENTS_MAX, sizeof *request.verdicts.at);
    if (n->kind == NOTIFY_DELAYED)
        request.give_up_us = (uint64_t)(schedule_expiry(&q->schedule, m) + qmgr_wall_offset(q));
    for (uint32_t i = 0;
         i < m->recipient_count && i < n->last && request.recipients.n < NOTICE_RECIPIENTS_MAX; i++)
        if (is_about(q, n, &m->recipients[i]))
            add_recipient(n, l, i, &request);
    msg_notify_put(body, &request);
    arena_fini(&scratch);
}

/* progress_after: the ID that it is to have is durable. subject: the message */
static void ask_bounce(struct qmgr *q, void *subject)
{
    struct message *m = subject;
    struct notice *n = m->notice;
    struct buf why = BUF_LIMITED(LOG_LINE_MAX), body = BUF_INIT;
    bool later;
    if (!n || n->asked)
        return;
    if (store_knows(q, &n->new_id)) {
        notice_made(q, n);
        return;
    }
    struct loaded *l = store_is_read(q) ? load_get(q, m, &later, &why) : NULL;
    if (l) {
        struct asked *x = malloc(sizeof *x);
        CHECK(x != NULL);
        *x = (struct asked){q, n->new_id};
        put_request(q, n, l, &body);
        n->asked = true;
        link_request(q->bounce, MSG_notify, buf_span(&body), &l->fd, l->fd >= 0, bounce_answered, x);
    } else if (!store_is_read(q) || later) {
        ask_later(n);
    } else {
        store_message_damaged(q, m, buf_text(&why));
        notice_end(q, m);
    }
    buf_fini(&body);
    buf_fini(&why);
}

/* --- notices --- */

static struct notice *notice_new(struct qmgr *q, struct message *m, unsigned kind,
                                 const struct queue_id *new_id)
{
    struct notice *n = calloc(1, sizeof *n);
    CHECK(n != NULL && !m->notice);
    *n = (struct notice){.q = q, .message = m, .kind = kind, .new_id = *new_id};
    m->notice = n;
    m->flags |= MESSAGE_NOTIFYING;
    map_set(&q->notices, queue_id_span(&n->new_id), n);
    return n;
}

/* The number up to which recipients go into one frame. */
static uint32_t last_that_fits(const struct qmgr *q, const struct notice *n)
{
    const struct message *m = n->message;
    size_t count = 0, octets = 0;
    for (uint32_t i = 0; i < m->recipient_count; i++) {
        const struct recipient *r = &m->recipients[i];
        if (!is_about(q, n, r))
            continue;
        octets += strlen(recipient_address(m, r)) + strlen(recipient_original(m, r)) +
                  text_span(r->verdict).n + DSN_ORCPT_MAX + 100;
        if (++count > NOTICE_RECIPIENTS_MAX || (count > 1 && octets > NOTICE_OCTETS_MAX))
            return i;
    }
    return m->recipient_count;
}

void notify_begin(struct qmgr *q, struct message *m, unsigned kind)
{
    struct queue_id id = queue_id_draw(&q->ids);
    struct notice *n = notice_new(q, m, kind, &id);
    n->last = last_that_fits(q, n);
    schedule_review(&q->schedule, m);
    progress_put_notice(q, m);
    progress_after(q, ask_bounce, m);
}

void notify_resume(struct qmgr *q, struct message *m, unsigned kind, uint32_t last,
                   const struct queue_id *new_id)
{
    if (kind < NOTIFY_FAILED || kind > NOTIFY_SUCCESS || map_get(&q->notices, queue_id_span(new_id)))
        return;
    struct notice *n = notice_new(q, m, kind, new_id);
    n->last = last;
    timer_set(q->loop, &n->again, clock_after(1), again, n);
}

void notify_found(struct qmgr *q, const struct queue_id *id)
{
    struct notice *n = map_get(&q->notices, queue_id_span(id));
    if (n && !n->asked)
        timer_set(q->loop, &n->again, clock_mono(), again, n);
}

void notify_drop(struct qmgr *q, struct message *m)
{
    struct notice *n = m->notice;
    if (!n)
        return;
    m->notice = NULL;
    map_remove(&q->notices, queue_id_span(&n->new_id));
    timer_stop(&n->again);
    free(n);
}
