#include "qmgr/past.h"
#include "lib/base/check.h"
#include "qmgr/notify.h"
#include "qmgr/progress.h"
#include "qmgr/verdict.h"

#include <stdlib.h>

enum { PAST_RECIPIENTS_MAX = 1000000 }; /* a higher number in the journal is nonsense */

struct past_recipient {
    struct text *verdict; /* owned */
    int64_t until_us;     /* wall clock */
    uint8_t state;        /* enum recipient_state: waiting, or over */
    bool begun;
};

struct past {
    struct list node; /* among all, in the order in which the journal first speaks of them */
    struct queue_id id;
    uint64_t base;        /* the first segment that speaks of it */
    uint32_t flags;       /* MESSAGE_HELD, _WARNED, _FINISHED, _DELETED */
    unsigned notice_kind; /* 0: none under way */
    uint32_t notice_last;
    struct queue_id notice_id;
    unsigned clear_of;                 /* damages that it has been repeated after */
    bool doubtful;                     /* damage that was about this very message */
    uint32_t count;                    /* recipients */
    struct past_recipient *recipients; /* owned */
};

struct past_all {
    struct map map; /* id -> struct past */
    struct list order;
    unsigned damages;
    int64_t
        damaged_before_us; /* mail stored before that may be meant by damage without an ID; 0: none such */
    struct journal_reader reader;
};

static struct past *past_find(const struct qmgr *q, const struct queue_id *id)
{
    return q->past ? map_get(&q->past->map, queue_id_span(id)) : NULL;
}

static struct past *past_make(struct qmgr *q, struct span id, uint64_t segment)
{
    struct past *p = map_get(&q->past->map, id);
    struct queue_id parsed;
    if (p || !queue_id_parse(id, &parsed))
        return p;
    p = calloc(1, sizeof *p);
    CHECK(p != NULL);
    p->id = parsed;
    p->base = segment;
    map_set(&q->past->map, queue_id_span(&p->id), p);
    list_push(&q->past->order, &p->node);
    return p;
}

static struct past_recipient *past_recipient(struct past *p, uint64_t number)
{
    if (number == 0 || number > PAST_RECIPIENTS_MAX)
        return NULL;
    if (number > p->count) {
        uint32_t count = p->count ? p->count : 1;
        while (count < number)
            count *= 2;
        p->recipients = realloc(p->recipients, count * sizeof *p->recipients);
        CHECK(p->recipients != NULL);
        memset(p->recipients + p->count, 0, (count - p->count) * sizeof *p->recipients);
        p->count = count;
    }
    return &p->recipients[number - 1];
}

/* --- entries --- */

static void take_verdict(struct qmgr *q, struct past_recipient *r, const struct msg_journal_entry *e,
                         unsigned state)
{
    struct buf stored = BUF_INIT;
    struct msg_verdict v = {.class = state == RECIPIENT_WAITING  ? 4
                                     : state == RECIPIENT_FAILED ? 5
                                                                 : 2,
                            .dsn = e->dsn,
                            .text = e->text,
                            .relay = e->relay,
                            .remote_mta = e->remote_mta,
                            .diagnostic = e->diagnostic,
                            .action = e->action};
    text_drop(&q->schedule.texts, &r->verdict);
    if (state != RECIPIENT_DONE) {
        verdict_put_stored(&stored, &v);
        r->verdict = text_take(&q->schedule.texts, buf_span(&stored));
    }
    r->state = (uint8_t)state;
    r->until_us = (int64_t)e->until_us;
    r->begun = false;
    buf_fini(&stored);
}

static void take_recipient(struct qmgr *q, struct past *p, const struct msg_journal_entry *e)
{
    static const uint8_t states[] = {[JOURNAL_DONE] = RECIPIENT_DONE,
                                     [JOURNAL_DELIVERED] = RECIPIENT_DELIVERED,
                                     [JOURNAL_DEFERRED] = RECIPIENT_WAITING,
                                     [JOURNAL_FAILED] = RECIPIENT_FAILED};
    struct past_recipient *r = past_recipient(p, e->recipient);
    if (!r)
        return;
    if (e->event == JOURNAL_BEGUN)
        r->begun = true;
    else
        take_verdict(q, r, e, states[e->event]);
}

/* Of a kind of notification nothing is owed any more, up to a number. */
static void take_notified(struct qmgr *q, struct past *p, const struct msg_journal_entry *e)
{
    unsigned state = e->kind == NOTIFY_SUCCESS ? RECIPIENT_DELIVERED : RECIPIENT_FAILED;
    p->notice_kind = 0;
    if (e->kind == NOTIFY_DELAYED) {
        p->flags |= MESSAGE_WARNED;
        return;
    }
    for (uint32_t i = 0; i < p->count && i < e->recipient; i++)
        if (p->recipients[i].state == state) {
            p->recipients[i].state = RECIPIENT_DONE;
            text_drop(&q->schedule.texts, &p->recipients[i].verdict);
        }
}

static void take_state(const struct past_all *all, struct past *p, const struct msg_journal_entry *e)
{
    p->flags = (e->flags & JOURNAL_IS_HELD ? MESSAGE_HELD : 0u) |
               (e->flags & JOURNAL_IS_WARNED ? MESSAGE_WARNED : 0u) |
               (e->flags & JOURNAL_IS_FINISHED ? MESSAGE_FINISHED : 0u);
    p->clear_of = all->damages;
    p->doubtful = false;
    p->notice_kind = 0;
}

static void take_entry(const struct msg_journal_entry *e, int64_t written_us, uint64_t segment, void *context)
{
    struct qmgr *q = context;
    struct past *p = past_make(q, e->id, segment);
    (void)written_us;
    if (!p)
        return;
    switch (e->event) {
    case JOURNAL_DONE:
    case JOURNAL_DELIVERED:
    case JOURNAL_DEFERRED:
    case JOURNAL_FAILED:
    case JOURNAL_BEGUN:
        take_recipient(q, p, e);
        break;
    case JOURNAL_HELD:
        p->flags |= MESSAGE_HELD;
        break;
    case JOURNAL_RELEASED:
        p->flags &= ~(uint32_t)MESSAGE_HELD;
        break;
    case JOURNAL_DELETED:
        p->flags |= MESSAGE_DELETED;
        break;
    case JOURNAL_FINISHED:
        p->flags |= MESSAGE_FINISHED;
        break;
    case JOURNAL_NOTIFYING:
        if (queue_id_parse(e->new_id, &p->notice_id)) {
            p->notice_kind = (unsigned)e->kind;
            p->notice_last = (uint32_t)e->recipient;
        }
        break;
    case JOURNAL_NOTIFIED:
        take_notified(q, p, e);
        break;
    case JOURNAL_STATE:
        take_state(q->past, p, e);
        break;
    default: /* of a newer version */
        break;
    }
}

static void take_damage(struct span id, int64_t before_us, const char *what, void *context)
{
    struct qmgr *q = context;
    struct past *p = id.n ? past_make(q, id, 1) : NULL;
    log_error("%s%s%.*s", what,
              p ? ": message put on hold: " : ": mail that it may have spoken of is put on hold",
              p ? (int)id.n : 0, p ? id.p : "");
    if (p) {
        p->doubtful = true;
        return;
    }
    q->past->damages++;
    if (before_us > q->past->damaged_before_us)
        q->past->damaged_before_us = before_us;
}

/* --- use --- */

void past_begin(struct qmgr *q)
{
    q->past = calloc(1, sizeof *q->past);
    CHECK(q->past != NULL);
    list_init(&q->past->order);
    q->past->reader = (struct journal_reader){take_entry, take_damage, q};
}

const struct journal_reader *past_reader(struct qmgr *q)
{
    return &q->past->reader;
}

bool past_is_finished(struct qmgr *q, const struct queue_id *id)
{
    const struct past *p = past_find(q, id);
    return p && (p->flags & MESSAGE_FINISHED);
}

void past_stand(struct qmgr *q, const struct queue_id *id, struct standing *s)
{
    const struct past *p = past_find(q, id);
    if (p)
        progress_stand(q, s, p->base);
}

static void apply_recipient(struct qmgr *q, struct message *m, struct recipient *r,
                            const struct past_recipient *p)
{
    int64_t latest = qmgr_now(q) + q->rules->schedule.maximal_backoff_us;
    r->state = p->state;
    r->verdict = text_share(p->verdict);
    r->until_us = p->until_us - qmgr_wall_offset(q);
    if (r->until_us > latest)
        r->until_us = latest;
    if (p->begun && !recipient_is_over(r))
        log_info("%s: a delivery to <%s> was under way when the queue manager ended: it may be made twice",
                 m->id.text, recipient_address(m, r));
}

static bool is_doubtful(const struct qmgr *q, const struct past *p, const struct message *m)
{
    const struct past_all *all = q->past;
    if (!all)
        return false;
    if (p && p->doubtful)
        return true;
    return all->damages > (p ? p->clear_of : 0) && queue_id_time_us(&m->id) < all->damaged_before_us;
}

static void resume_notice(struct qmgr *q, struct message *m, const struct past *p)
{
    if (p->notice_kind)
        notify_resume(q, m, p->notice_kind, p->notice_last, &p->notice_id);
}

bool past_apply(struct qmgr *q, struct message *m)
{
    struct past *p = past_find(q, &m->id);
    if (p) {
        m->flags |= (p->flags & ~(uint32_t)MESSAGE_FINISHED) | (p->count ? MESSAGE_TRIED : 0);
        for (uint32_t i = 0; i < m->recipient_count && i < p->count; i++)
            apply_recipient(q, m, &m->recipients[i], &p->recipients[i]);
        past_stand(q, &m->id, &m->standing);
        resume_notice(q, m, p);
    }
    if (!is_doubtful(q, p, m))
        return false;
    m->flags |= MESSAGE_HELD;
    log_warning("%s: put on hold: the journal is damaged where it may have spoken of this message",
                m->id.text);
    return true;
}

static int compare_bases(const void *a, const void *b)
{
    const struct standing *x = *(struct standing *const *)a, *y = *(struct standing *const *)b;
    return x->base < y->base ? -1 : x->base > y->base;
}

/* What was read does not stand in the order of the journal yet. */
static void sort_standings(struct qmgr *q)
{
    size_t count = 0, n = 0;
    LIST_EACH (node, after, &q->standings)
        count++;
    struct standing **all = calloc(count ? count : 1, sizeof(struct standing *));
    CHECK(all != NULL);
    LIST_EACH (node, after, &q->standings)
        all[n++] = LIST_ENTRY(node, struct standing, node);
    qsort(all, n, sizeof(struct standing *), compare_bases);
    for (size_t i = 0; i < n; i++) {
        list_remove(&all[i]->node);
        list_push(&q->standings, &all[i]->node);
    }
    free(all);
}

void past_end(struct qmgr *q)
{
    struct past_all *all = q->past;
    struct list *node;
    if (!all)
        return;
    q->past = NULL;
    sort_standings(q);
    while ((node = list_shift(&all->order))) {
        struct past *p = LIST_ENTRY(node, struct past, node);
        for (uint32_t i = 0; i < p->count; i++)
            text_drop(&q->schedule.texts, &p->recipients[i].verdict);
        free(p->recipients);
        free(p);
    }
    map_fini(&all->map);
    free(all);
}
