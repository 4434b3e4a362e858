#include "qmgr/schedule.h"
#include "lib/base/check.h"
#include "qmgr/schedule_parts.h"

#include <stdlib.h>

enum { BACKOFF_GRAINS = 16 }; /* moments within a sixteenth of the least back-off fall together */

/* --- messages --- */

struct message *message_new(const struct queue_id *id, uint32_t count, size_t strings)
{
    size_t fixed = sizeof(struct message) + (size_t)count * sizeof(struct recipient);
    struct message *m = calloc(1, fixed + strings);
    CHECK(m != NULL);
    m->id = *id;
    m->recipient_count = count;
    m->strings = (char *)m + fixed;
    list_init(&m->all);
    list_init(&m->standing.node);
    return m;
}

void message_free(struct schedule *s, struct message **mp)
{
    struct message *m = *mp;
    *mp = NULL;
    if (!m)
        return;
    for (uint32_t i = 0; i < m->recipient_count; i++) {
        text_drop(&s->texts, &m->recipients[i].user);
        text_drop(&s->texts, &m->recipients[i].verdict);
    }
    text_drop(&s->texts, &m->sender);
    free(m);
}

bool message_may_run(const struct message *m)
{
    return !(m->flags & (MESSAGE_HELD | MESSAGE_DELETED | MESSAGE_FINISHED | MESSAGE_NOTIFYING));
}

/* The message stands in the heap by its earliest waiting recipient, if it may run. */
static void set_moment(struct schedule *s, struct message *m)
{
    int64_t moment = SCHEDULE_NEVER;
    if (m->waiting > 0 && message_may_run(m))
        for (uint32_t i = 0; i < m->recipient_count; i++)
            if (m->recipients[i].state == RECIPIENT_WAITING && m->recipients[i].until_us < moment)
                moment = m->recipients[i].until_us;
    if (moment == SCHEDULE_NEVER)
        heap_remove(&s->retries, &m->retry);
    else
        heap_set(&s->retries, &m->retry, moment);
}

/* One more recipient waits: as set_moment(), without looking at all of them. */
static void set_moment_at_most(struct schedule *s, struct message *m, int64_t moment)
{
    if (message_may_run(m) && (m->retry.place == 0 || m->retry.key > moment))
        heap_set(&s->retries, &m->retry, moment);
}

bool schedule_add(struct schedule *s, struct message *m)
{
    struct span id = queue_id_span(&m->id);
    if (map_get(&s->messages, id))
        return false;
    map_set(&s->messages, id, m);
    list_push(&s->all, &m->all);
    s->count++;
    m->waiting = m->owed = 0;
    for (uint32_t i = 0; i < m->recipient_count; i++) {
        m->waiting += m->recipients[i].state == RECIPIENT_WAITING;
        m->owed +=
            m->recipients[i].state == RECIPIENT_FAILED || m->recipients[i].state == RECIPIENT_DELIVERED;
    }
    set_moment(s, m);
    return true;
}

void schedule_remove(struct schedule *s, struct message *m)
{
    CHECK(m->busy == 0 && m->attempts == 0 && !(m->flags & MESSAGE_SETTLED));
    CHECK(map_remove(&s->messages, queue_id_span(&m->id)) == m);
    LIST_EACH (node, after, &s->walkers) {
        struct walker *w = LIST_ENTRY(node, struct walker, node);
        if (w->next == &m->all)
            w->next = m->all.next;
    }
    list_remove(&m->all);
    heap_remove(&s->retries, &m->retry);
    s->count--;
}

struct message *schedule_find(const struct schedule *s, struct span id)
{
    return map_get(&s->messages, id);
}

/* --- becoming due --- */

uint32_t schedule_activate(struct schedule *s, struct message *m, int64_t now_us)
{
    uint32_t n = 0;
    if (!message_may_run(m))
        return 0;
    if (m->busy == 0)
        m->active_us = now_us;
    for (uint32_t i = 0; i < m->recipient_count; i++) {
        struct recipient *r = &m->recipients[i];
        if (r->state != RECIPIENT_WAITING || r->until_us > now_us)
            continue;
        r->state = RECIPIENT_RESOLVING;
        n++;
    }
    m->waiting -= n;
    m->busy += n;
    set_moment(s, m);
    return n;
}

struct message *schedule_due(struct schedule *s, int64_t now_us)
{
    struct heap_node *top = heap_top(&s->retries);
    if (!top || top->key > now_us)
        return NULL;
    struct message *m = LIST_ENTRY(top, struct message, retry);
    CHECK(schedule_activate(s, m, now_us) > 0);
    return m;
}

/* --- verdicts --- */

/* A recipient that was busy is not any more. */
static void leave_busy(struct schedule *s, struct message *m, struct recipient *r)
{
    CHECK(m->busy > 0 && r->state > RECIPIENT_WAITING && r->state < RECIPIENT_DONE);
    CHECK(r->state != RECIPIENT_READY); /* those are in a job's chain */
    r->destination = NULL;
    text_drop(&s->texts, &r->user);
    if (--m->busy > 0 || (m->flags & MESSAGE_SETTLED))
        return;
    if (s->settled_count == s->settled_cap) {
        s->settled_cap = s->settled_cap ? s->settled_cap * 2 : 64;
        s->settled = realloc(s->settled, s->settled_cap * sizeof(struct message *));
        CHECK(s->settled != NULL);
    }
    s->settled[s->settled_count++] = m;
    m->flags |= MESSAGE_SETTLED;
}

struct message *schedule_take_settled(struct schedule *s)
{
    while (s->settled_count > 0) {
        struct message *m = s->settled[--s->settled_count];
        m->flags &= ~(uint32_t)MESSAGE_SETTLED;
        if (m->busy == 0)
            return m;
    }
    return NULL;
}

static void set_verdict(struct schedule *s, struct recipient *r, struct span verdict)
{
    struct text *old = r->verdict; /* given back last: verdict may be borrowed from it */
    r->verdict = verdict.n ? text_take(&s->texts, verdict) : NULL;
    text_drop(&s->texts, &old);
}

void schedule_put_back(struct schedule *s, struct message *m, struct recipient *r, int64_t until_us)
{
    leave_busy(s, m, r);
    r->state = RECIPIENT_WAITING;
    r->until_us = until_us;
    m->waiting++;
    set_moment_at_most(s, m, until_us);
}

int64_t schedule_defer(struct schedule *s, struct message *m, struct recipient *r, struct span verdict,
                       int64_t now_us)
{
    int64_t until_us = schedule_backoff(s, m, now_us);
    set_verdict(s, r, verdict);
    schedule_put_back(s, m, r, until_us);
    return until_us;
}

void schedule_finish(struct schedule *s, struct message *m, struct recipient *r, enum recipient_state state,
                     struct span verdict)
{
    CHECK(state >= RECIPIENT_DONE && !recipient_is_over(r));
    set_verdict(s, r, verdict);
    if (r->state == RECIPIENT_WAITING) {
        m->waiting--;
        r->state = (uint8_t)state;
        if (m->waiting == 0)
            heap_remove(&s->retries, &m->retry);
    } else {
        leave_busy(s, m, r);
        r->state = (uint8_t)state;
    }
    m->owed += state != RECIPIENT_DONE;
}

void schedule_settle_debt(struct schedule *s, struct message *m, struct recipient *r)
{
    CHECK(r->state == RECIPIENT_FAILED || r->state == RECIPIENT_DELIVERED);
    r->state = RECIPIENT_DONE;
    text_drop(&s->texts, &r->verdict);
    m->owed--;
}

/* --- ages --- */

static int64_t age(const struct message *m, int64_t now_us)
{
    return now_us > m->arrival_us ? now_us - m->arrival_us : 0;
}

int64_t schedule_expiry(const struct schedule *s, const struct message *m)
{
    bool null_sender = !m->sender || m->sender->n == 0;
    return m->arrival_us + (null_sender ? s->params.bounce_lifetime_us : s->params.maximal_lifetime_us);
}

bool schedule_wants_warning(const struct schedule *s, const struct message *m, int64_t now_us)
{
    return s->params.warn_us > 0 && !(m->flags & MESSAGE_WARNED) && m->sender && m->sender->n > 0 &&
           age(m, now_us) >= s->params.warn_us;
}

/* The wait is the message's age between the two limits: it doubles with each attempt. Rounded up, so that
 * recipients deferred one after the other are due together, by a grid that differs from message to message.
 */
int64_t schedule_backoff(const struct schedule *s, const struct message *m, int64_t now_us)
{
    int64_t wait = age(m, now_us), grain = s->params.minimal_backoff_us / BACKOFF_GRAINS;
    if (wait > s->params.maximal_backoff_us)
        wait = s->params.maximal_backoff_us;
    if (wait < s->params.minimal_backoff_us)
        wait = s->params.minimal_backoff_us;
    if (grain > 0) {
        int64_t past = (now_us + wait - m->arrival_us % grain) % grain;
        wait += past ? grain - past : 0;
    }
    return now_us + wait;
}

/* --- the operator's wishes --- */

void schedule_flush(struct schedule *s, struct message *m, int64_t now_us)
{
    for (uint32_t i = 0; i < m->recipient_count; i++)
        if (m->recipients[i].state == RECIPIENT_WAITING && m->recipients[i].until_us > now_us)
            m->recipients[i].until_us = now_us;
    set_moment(s, m);
}

void schedule_review(struct schedule *s, struct message *m)
{
    set_moment(s, m);
}

int64_t schedule_next_moment(const struct schedule *s)
{
    const struct heap_node *retry = heap_top(&s->retries), *wake = heap_top(&s->wakes);
    int64_t moment = retry ? retry->key : SCHEDULE_NEVER;
    return wake && wake->key < moment ? wake->key : moment;
}

/* --- walking --- */

void walker_begin(struct walker *w, struct schedule *s)
{
    w->next = s->all.next;
    list_push(&s->walkers, &w->node);
}

struct message *walker_peek(const struct walker *w, const struct schedule *s)
{
    return w->next == &s->all ? NULL : LIST_ENTRY(w->next, struct message, all);
}

struct message *walker_next(struct walker *w, struct schedule *s)
{
    struct message *m = walker_peek(w, s);
    if (m)
        w->next = m->all.next;
    return m;
}

void walker_end(struct walker *w)
{
    if (w->next)
        list_remove(&w->node);
    w->next = NULL;
}

/* --- beginning and end --- */

void schedule_init(struct schedule *s, const struct schedule_params *params)
{
    *s = (struct schedule){.params = *params};
    list_init(&s->all);
    list_init(&s->walkers);
    list_init(&s->turn);
}

void schedule_fini(struct schedule *s)
{
    size_t at = 0;
    for (struct transport *t; (t = map_next(&s->transports, &at));)
        transport_free(s, t);
    map_fini(&s->transports);
    at = 0;
    for (struct message *m; (m = map_next(&s->messages, &at));)
        message_free(s, &m);
    map_fini(&s->messages);
    heap_fini(&s->retries);
    heap_fini(&s->wakes);
    free(s->settled);
    texts_fini(&s->texts);
}
