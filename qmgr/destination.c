#include "lib/base/check.h"
#include "qmgr/schedule.h"
#include "qmgr/schedule_parts.h"

#include <stdlib.h>

/* The recipients of one message for one destination that wait for their turn. */
struct job {
    struct list node; /* among the destination's */
    struct message *message;
    uint32_t first, last, count; /* chained by next; index + 1 */
};

/* moment: 0: never */
static void set_wake(struct schedule *s, struct wake *wake, int64_t moment)
{
    if (moment == 0)
        heap_remove(&s->wakes, &wake->node);
    else
        heap_set(&s->wakes, &wake->node, moment);
}

/* --- turns --- */

static void transport_queue(struct schedule *s, struct transport *t)
{
    if (list_empty(&t->node) && !list_empty(&t->turn))
        list_push(&s->turn, &t->node);
}

/* The destination may have something to do. */
static void destination_queue(struct schedule *s, struct destination *d)
{
    if (list_empty(&d->jobs))
        return;
    if (list_empty(&d->turn))
        list_push(&d->transport->turn, &d->turn);
    transport_queue(s, d->transport);
}

/* Attempts that may be under way. */
static unsigned window_of(const struct destination *d)
{
    unsigned limit = d->transport->params.concurrency_limit;
    unsigned window = d->window < 1 ? 1 : d->window > 1e6 ? 1000000 : (unsigned)d->window;
    if (d->transport->params.rate_delay_us > 0)
        return 1;
    return limit && window > limit ? limit : window;
}

static bool destination_is_full(const struct destination *d)
{
    return d->blocked_until_us || d->in_flight >= window_of(d);
}

static bool transport_is_full(const struct transport *t)
{
    return t->params.process_limit && t->in_flight >= t->params.process_limit;
}

/* --- destinations --- */

static void job_free(struct job *job)
{
    list_remove(&job->node);
    free(job);
}

static void destination_free(struct schedule *s, struct destination *d)
{
    struct list *node;
    while ((node = list_shift(&d->jobs)))
        free(LIST_ENTRY(node, struct job, node));
    map_remove(&d->transport->destinations, text_span(d->key));
    list_remove(&d->turn);
    heap_remove(&s->wakes, &d->wake.node);
    text_drop(&s->texts, &d->dead_reason);
    text_drop(&s->texts, &d->nexthop);
    text_drop(&s->texts, &d->key);
    free(d);
}

/* Nothing is known of a destination that is not known of any: it goes. */
static void destination_release(struct schedule *s, struct destination *d)
{
    if (list_empty(&d->jobs) && d->in_flight == 0 && !d->dead_until_us && !d->blocked_until_us)
        destination_free(s, d);
}

static struct destination *destination_find(struct schedule *s, struct transport *t, struct span key,
                                            struct span nexthop)
{
    struct destination *d = map_get(&t->destinations, key);
    if (d)
        return d;
    d = calloc(1, sizeof *d);
    CHECK(d != NULL);
    d->transport = t;
    d->wake.destination = d;
    d->key = text_take(&s->texts, key);
    d->nexthop = text_take(&s->texts, nexthop);
    d->window = t->params.initial_concurrency ? t->params.initial_concurrency : 1;
    list_init(&d->jobs);
    list_init(&d->turn);
    map_set(&t->destinations, text_span(d->key), d);
    return d;
}

void schedule_ready(struct schedule *s, struct message *m, struct recipient *r, struct transport *t,
                    struct span nexthop, struct span user)
{
    CHECK(r->state == RECIPIENT_RESOLVING);
    bool each = t->params.recipient_limit == 1;
    struct span key = !each ? nexthop : user.n ? user : span_text(recipient_address(m, r));
    struct destination *d = destination_find(s, t, key.n ? key : SPAN("."), nexthop);
    struct job *job = list_empty(&d->jobs) ? NULL : LIST_ENTRY(d->jobs.prev, struct job, node);
    if (!job || job->message != m) {
        job = calloc(1, sizeof *job);
        CHECK(job != NULL);
        job->message = m;
        list_push(&d->jobs, &job->node);
    }
    uint32_t number = (uint32_t)(r - m->recipients) + 1;
    r->state = RECIPIENT_READY;
    r->destination = d;
    r->next = 0;
    r->user = user.n ? text_take(&s->texts, user) : NULL;
    if (job->last)
        m->recipients[job->last - 1].next = number;
    else
        job->first = number;
    job->last = number;
    job->count++;
    s->ready++;
    destination_queue(s, d);
}

/* --- the next attempt --- */

/* The job's message may not run any more: its recipients wait again. */
static void withdraw_job(struct schedule *s, struct job *job, int64_t now_us)
{
    struct message *m = job->message;
    uint32_t number = job->first;
    s->ready -= job->count;
    job_free(job);
    while (number) {
        struct recipient *r = &m->recipients[number - 1];
        number = r->next;
        r->next = 0;
        r->state = RECIPIENT_RESOLVING;
        schedule_put_back(s, m, r, now_us);
    }
}

void schedule_withdraw(struct schedule *s, struct message *m, int64_t now_us)
{
    for (uint32_t i = 0; i < m->recipient_count; i++) {
        struct destination *d = m->recipients[i].destination;
        if (m->recipients[i].state != RECIPIENT_READY)
            continue;
        LIST_EACH (node, after, &d->jobs) {
            struct job *job = LIST_ENTRY(node, struct job, node);
            if (job->message == m)
                withdraw_job(s, job, now_us);
        }
        destination_release(s, d);
    }
}

static struct attempt *begin_attempt(struct schedule *s, struct destination *d, struct job *job,
                                     uint32_t most, int64_t now_us)
{
    struct message *m = job->message;
    struct attempt *a = calloc(1, sizeof *a);
    CHECK(a != NULL);
    *a = (struct attempt){.message = m, .destination = d, .first = job->first, .begun_us = now_us};
    list_init(&a->node);
    uint32_t number = job->first, last = 0;
    for (; number && (most == 0 || a->count < most); a->count++) {
        struct recipient *r = &m->recipients[number - 1];
        r->state = RECIPIENT_ACTIVE;
        last = number;
        number = r->next;
    }
    m->recipients[last - 1].next = 0;
    m->attempts++;
    job->first = number;
    job->count -= a->count;
    s->ready -= a->count;
    list_remove(&job->node);
    if (number)
        list_push(&d->jobs, &job->node);
    else
        job_free(job);
    return a;
}

/* The destination's next attempt. reason: not NULL: to be given back unsent */
static struct attempt *destination_next(struct schedule *s, struct destination *d, struct text *reason,
                                        int64_t now_us)
{
    while (!list_empty(&d->jobs)) {
        struct job *job = LIST_ENTRY(d->jobs.next, struct job, node);
        if (!message_may_run(job->message)) {
            withdraw_job(s, job, now_us);
            continue;
        }
        struct attempt *a =
            begin_attempt(s, d, job, reason ? 0 : d->transport->params.recipient_limit, now_us);
        d->in_flight++;
        if (reason) {
            a->suspended = text_share(reason);
        } else {
            d->transport->in_flight++;
            s->in_flight++;
        }
        return a;
    }
    return NULL;
}

/* One try at the transport whose turn it is. result: an attempt, or NULL: the transport has lost its turn, or
 * one of its destinations has */
static struct attempt *transport_next(struct schedule *s, struct transport *t, int64_t now_us)
{
    struct text *reason = t->dead_until_us ? t->dead_reason : NULL;
    list_remove(&t->node);
    if (list_empty(&t->turn) || (!reason && transport_is_full(t)))
        return NULL;
    struct destination *d = LIST_ENTRY(t->turn.next, struct destination, turn);
    if (!reason && d->dead_until_us)
        reason = d->dead_reason;
    list_remove(&d->turn);
    struct attempt *a = NULL;
    if (reason || !destination_is_full(d)) {
        a = destination_next(s, d, reason, now_us);
        destination_queue(s, d);
        destination_release(s, d);
    }
    transport_queue(s, t);
    return a;
}

struct attempt *schedule_next(struct schedule *s, int64_t now_us)
{
    while (!list_empty(&s->turn)) {
        struct attempt *a = transport_next(s, LIST_ENTRY(s->turn.next, struct transport, node), now_us);
        if (a)
            return a;
    }
    return NULL;
}

void schedule_shrink(struct schedule *s, struct attempt *a, uint32_t keep)
{
    struct message *m = a->message;
    struct job *job = calloc(1, sizeof *job);
    CHECK(job != NULL && keep > 0 && keep < a->count);
    struct recipient *last = &m->recipients[a->first - 1];
    for (uint32_t i = 1; i < keep; i++)
        last = &m->recipients[last->next - 1];
    *job = (struct job){.message = m, .first = last->next, .count = a->count - keep};
    last->next = 0;
    a->count = keep;
    for (uint32_t number = job->first; number; number = m->recipients[number - 1].next) {
        m->recipients[number - 1].state = RECIPIENT_READY;
        job->last = number;
    }
    list_push_front(&a->destination->jobs, &job->node);
    s->ready += job->count;
    destination_queue(s, a->destination);
}

/* --- the end of an attempt --- */

/* By Newton, so that no mathematical library is needed. */
static double square_root(double x)
{
    double r = x > 1 ? x : 1;
    for (int i = 0; i < 40; i++)
        r = (r + x / r) / 2;
    return r;
}

static double feedback_of(const struct feedback *f, double window)
{
    if (f->per == FEEDBACK_BY_WINDOW)
        return f->amount / window;
    return f->per == FEEDBACK_BY_ROOT ? f->amount / square_root(window) : f->amount;
}

static void destination_good(struct destination *d)
{
    const struct transport_params *p = &d->transport->params;
    d->failed_cohorts = 0;
    /* A window that is not made use of says nothing of what the destination bears. */
    if (d->in_flight + p->initial_concurrency < window_of(d))
        return;
    d->window += feedback_of(&p->positive, d->window);
    if (p->concurrency_limit && d->window > p->concurrency_limit)
        d->window = p->concurrency_limit;
}

static void destination_bad(struct schedule *s, struct destination *d, struct span reason, int64_t now_us)
{
    const struct transport_params *p = &d->transport->params;
    if (d->dead_until_us)
        return;
    d->failed_cohorts += 1 / (double)window_of(d);
    d->window -= feedback_of(&p->negative, d->window);
    if (d->window < 1)
        d->window = 1;
    /* The sum of many quotients may miss a whole number by a hair. */
    if (p->cohort_limit == 0 || d->failed_cohorts < p->cohort_limit - 1e-9)
        return;
    d->dead_until_us = now_us + s->params.minimal_backoff_us;
    d->dead_reason = text_take(&s->texts, reason);
    set_wake(s, &d->wake, d->dead_until_us);
}

void schedule_end(struct schedule *s, struct attempt **ap, enum outcome outcome, struct span reason,
                  int64_t now_us)
{
    struct attempt *a = *ap;
    struct destination *d = a->destination;
    *ap = NULL;
    list_remove(&a->node);
    a->message->attempts--;
    d->in_flight--;
    if (!a->suspended) {
        d->transport->in_flight--;
        s->in_flight--;
        if (outcome == OUTCOME_GOOD)
            destination_good(d);
        if (outcome == OUTCOME_DEAD)
            destination_bad(s, d, reason, now_us);
        if (d->transport->params.rate_delay_us > 0 && !d->dead_until_us) {
            d->blocked_until_us = now_us + d->transport->params.rate_delay_us;
            set_wake(s, &d->wake, d->blocked_until_us);
        }
    }
    text_drop(&s->texts, &a->suspended);
    free(a);
    destination_queue(s, d);
    transport_queue(s, d->transport);
    destination_release(s, d);
}

/* --- transports --- */

struct transport *schedule_transport(struct schedule *s, struct span name)
{
    struct transport *t = map_get(&s->transports, name);
    if (t)
        return t;
    t = calloc(1, sizeof *t);
    CHECK(t != NULL);
    t->name = text_take(&s->texts, name);
    t->wake.transport = t;
    list_init(&t->turn);
    list_init(&t->node);
    map_set(&s->transports, text_span(t->name), t);
    return t;
}

void schedule_set_transport(struct schedule *s, struct transport *t, const struct transport_params *params)
{
    size_t at = 0;
    t->params = *params;
    for (struct destination *d; (d = map_next(&t->destinations, &at));)
        destination_queue(s, d);
}

void transport_free(struct schedule *s, struct transport *t)
{
    size_t at = 0;
    for (struct destination *d; (d = map_next(&t->destinations, &at)); at = 0)
        destination_free(s, d);
    map_fini(&t->destinations);
    heap_remove(&s->wakes, &t->wake.node);
    text_drop(&s->texts, &t->dead_reason);
    text_drop(&s->texts, &t->name);
    free(t);
}

void schedule_transport_dead(struct schedule *s, struct transport *t, struct span reason, int64_t now_us)
{
    text_drop(&s->texts, &t->dead_reason);
    t->dead_reason = text_take(&s->texts, reason);
    t->dead_until_us = now_us + s->params.transport_retry_us;
    set_wake(s, &t->wake, t->dead_until_us);
    size_t at = 0;
    for (struct destination *d; (d = map_next(&t->destinations, &at));)
        destination_queue(s, d);
}

static void destination_revive(struct schedule *s, struct destination *d)
{
    if (d->dead_until_us) {
        d->window = d->transport->params.initial_concurrency ? d->transport->params.initial_concurrency : 1;
        d->failed_cohorts = 0;
    }
    d->dead_until_us = d->blocked_until_us = 0;
    text_drop(&s->texts, &d->dead_reason);
    set_wake(s, &d->wake, 0);
    destination_queue(s, d);
}

static void transport_revive(struct schedule *s, struct transport *t)
{
    t->dead_until_us = 0;
    text_drop(&s->texts, &t->dead_reason);
    set_wake(s, &t->wake, 0);
    transport_queue(s, t);
}

void schedule_revive(struct schedule *s, struct transport *only)
{
    size_t at = 0;
    for (struct transport *t; (t = map_next(&s->transports, &at));) {
        if (only && t != only)
            continue;
        if (t->dead_until_us)
            set_wake(s, &t->wake, 1); /* long past: schedule_wake() does the rest */
        size_t i = 0;
        for (struct destination *d; (d = map_next(&t->destinations, &i));)
            if (d->dead_until_us)
                set_wake(s, &d->wake, 1);
    }
}

void schedule_wake(struct schedule *s, int64_t now_us)
{
    for (struct heap_node *top; (top = heap_top(&s->wakes)) && top->key <= now_us;) {
        struct wake *w = LIST_ENTRY(top, struct wake, node);
        if (w->transport) {
            transport_revive(s, w->transport);
        } else {
            destination_revive(s, w->destination);
            destination_release(s, w->destination);
        }
    }
}
