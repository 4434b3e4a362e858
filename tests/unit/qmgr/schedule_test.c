#include "qmgr/schedule.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define START (INT64_C(1700000000) * SECOND)

static const struct schedule_params usual = {
    .minimal_backoff_us = 300 * SECOND,
    .maximal_backoff_us = 4000 * SECOND,
    .maximal_lifetime_us = 5 * DAY,
    .bounce_lifetime_us = 2 * DAY,
    .transport_retry_us = 60 * SECOND,
};
static const struct transport_params smtp = {
    .process_limit = 100,
    .concurrency_limit = 20,
    .initial_concurrency = 5,
    .recipient_limit = 50,
    .cohort_limit = 1,
    .positive = {1, FEEDBACK_FIXED},
    .negative = {1, FEEDBACK_FIXED},
};

static struct message *make_message(unsigned number, int64_t arrival_us, const char *const *recipients,
                                    uint32_t count)
{
    struct queue_id id = queue_id_make(arrival_us, number);
    size_t room = 0, used = 0;
    for (uint32_t i = 0; i < count; i++)
        room += strlen(recipients[i]) + 1;
    struct message *m = message_new(&id, count, room);
    m->arrival_us = arrival_us;
    for (uint32_t i = 0; i < count; i++) {
        m->recipients[i].address = (uint32_t)used;
        memcpy(m->strings + used, recipients[i], strlen(recipients[i]) + 1);
        used += strlen(recipients[i]) + 1;
    }
    return m;
}

/* Adds a message with a sender and gives every recipient the next hop behind its @. */
static struct message *add_message(struct schedule *s, unsigned number, int64_t now,
                                   const char *const *recipients, uint32_t count)
{
    struct message *m = make_message(number, now, recipients, count);
    m->sender = text_take(&s->texts, SPAN("sender@example.org"));
    cr_assert(schedule_add(s, m));
    return m;
}

static struct span domain_of(const struct message *m, const struct recipient *r)
{
    struct span address = span_text(recipient_address(m, r));
    return span_skip(address, span_rfind(address, '@') + 1);
}

static void route(struct schedule *s, struct message *m, struct transport *t)
{
    for (uint32_t i = 0; i < m->recipient_count; i++)
        if (m->recipients[i].state == RECIPIENT_RESOLVING)
            schedule_ready(s, m, &m->recipients[i], t, domain_of(m, &m->recipients[i]), SPAN_NONE);
}

static void route_due(struct schedule *s, struct transport *t, int64_t now)
{
    for (struct message *m; (m = schedule_due(s, now));)
        route(s, m, t);
}

/* Ends an attempt with the same verdict for all. */
static void end_attempt(struct schedule *s, struct attempt *a, unsigned class, enum outcome outcome,
                        int64_t now)
{
    struct message *m = a->message;
    for (uint32_t n = a->first, next; n; n = next) {
        struct recipient *r = &m->recipients[n - 1];
        next = r->next;
        if (class == 4)
            schedule_defer(s, m, r, SPAN("verdict"), now);
        else
            schedule_finish(s, m, r, class == 5 ? RECIPIENT_FAILED : RECIPIENT_DONE, SPAN_NONE);
    }
    schedule_end(s, &a, outcome, SPAN("dead"), now);
}

/* --- single promises --- */

Test(schedule, knows_a_message_by_its_id_and_refuses_a_second_one)
{
    struct schedule s;
    schedule_init(&s, &usual);
    struct message *m = add_message(&s, 1, START, (const char *[]){"a@b"}, 1);
    struct message *again = make_message(1, START, (const char *[]){"a@b"}, 1);

    cr_expect_not(schedule_add(&s, again));
    cr_expect_eq(schedule_find(&s, queue_id_span(&m->id)), m);

    message_free(&s, &again);
    schedule_fini(&s);
}

Test(schedule, groups_recipients_of_one_destination_up_to_the_limit)
{
    static const char *const to[] = {"1@b", "1@c", "2@b", "3@b", "2@c"};
    struct schedule s;
    schedule_init(&s, &usual);
    struct transport *t = schedule_transport(&s, SPAN("smtp"));
    struct transport_params p = smtp;
    p.recipient_limit = 2;
    schedule_set_transport(&s, t, &p);
    add_message(&s, 1, START, to, 5);
    route_due(&s, t, START);
    uint32_t b = 0, c = 0, attempts = 0;

    for (struct attempt *a; (a = schedule_next(&s, START)); attempts++) {
        cr_expect_leq(a->count, 2u);
        *(span_eq(text_span(a->destination->nexthop), SPAN("b")) ? &b : &c) += a->count;
        end_attempt(&s, a, 2, OUTCOME_GOOD, START);
    }

    cr_expect_eq(attempts, 3u);
    cr_expect_eq(b, 3u);
    cr_expect_eq(c, 2u);
    schedule_fini(&s);
}

Test(schedule, counts_concurrency_per_recipient_where_an_attempt_takes_only_one)
{
    static const char *const to[] = {"a@b", "a@b", "a@b", "c@b"};
    struct schedule s;
    schedule_init(&s, &usual);
    struct transport *t = schedule_transport(&s, SPAN("local"));
    struct transport_params p = smtp;
    p.recipient_limit = 1;
    p.concurrency_limit = 2;
    schedule_set_transport(&s, t, &p);
    add_message(&s, 1, START, to, 4);
    route_due(&s, t, START);
    struct attempt *a[5] = {0};
    int n = 0;

    while ((a[n] = schedule_next(&s, START)))
        n++;

    cr_expect_eq(n, 3, "two for a@b, one for c@b");
    for (int i = 0; i < n; i++)
        end_attempt(&s, a[i], 2, OUTCOME_GOOD, START);
    cr_expect_not_null(a[0] = schedule_next(&s, START));
    end_attempt(&s, a[0], 2, OUTCOME_GOOD, START);
    schedule_fini(&s);
}

Test(schedule, keeps_to_the_process_limit_of_a_transport)
{
    struct schedule s;
    schedule_init(&s, &usual);
    struct transport *t = schedule_transport(&s, SPAN("slow"));
    struct transport_params p = smtp;
    p.process_limit = 1;
    schedule_set_transport(&s, t, &p);
    add_message(&s, 1, START, (const char *[]){"a@b", "a@c"}, 2);
    route_due(&s, t, START);

    struct attempt *first = schedule_next(&s, START);
    cr_assert_not_null(first);
    cr_expect_null(schedule_next(&s, START));
    end_attempt(&s, first, 2, OUTCOME_GOOD, START);
    struct attempt *second = schedule_next(&s, START);

    cr_assert_not_null(second);
    end_attempt(&s, second, 2, OUTCOME_GOOD, START);
    schedule_fini(&s);
}

Test(schedule, lets_a_letter_pass_a_mailing_to_the_same_destination)
{
    enum { MANY = 10000 };
    static char names[MANY][16];
    static const char *to[MANY];
    struct schedule s;
    schedule_init(&s, &usual);
    struct transport *t = schedule_transport(&s, SPAN("smtp"));
    schedule_set_transport(&s, t, &smtp);
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "u%d@b", i);
        to[i] = names[i];
    }
    add_message(&s, 1, START, to, MANY);
    struct message *letter = add_message(&s, 2, START + 1, (const char *[]){"me@b"}, 1);
    route_due(&s, t, START + 1);

    int before = 0;
    struct attempt *a;
    for (; (a = schedule_next(&s, START + 1)) && a->message != letter; before++)
        end_attempt(&s, a, 2, OUTCOME_GOOD, START + 1);

    cr_expect_leq(before, 1);
    cr_assert_not_null(a);
    end_attempt(&s, a, 2, OUTCOME_GOOD, START + 1);
    schedule_fini(&s);
}

Test(schedule, gives_every_destination_its_turn)
{
    struct schedule s;
    schedule_init(&s, &usual);
    struct transport *t = schedule_transport(&s, SPAN("smtp"));
    struct transport_params p = smtp;
    p.process_limit = 10;
    schedule_set_transport(&s, t, &p);
    for (unsigned i = 0; i < 1000; i++)
        add_message(&s, i, START, (const char *[]){"x@busy"}, 1);
    struct message *other = add_message(&s, 5000, START + 1, (const char *[]){"x@calm"}, 1);
    route_due(&s, t, START + 1);

    bool met = false;
    struct attempt *a[3];
    for (int i = 0; i < 3; i++) {
        a[i] = schedule_next(&s, START + 1);
        cr_assert_not_null(a[i]);
        met = met || a[i]->message == other;
    }

    cr_expect(met, "the second destination comes second, not 1001st");
    for (int i = 0; i < 3; i++)
        end_attempt(&s, a[i], 2, OUTCOME_GOOD, START + 1);
    schedule_fini(&s);
}

Test(schedule, opens_the_window_by_success_up_to_the_limit)
{
    struct schedule s;
    schedule_init(&s, &usual);
    struct transport *t = schedule_transport(&s, SPAN("smtp"));
    schedule_set_transport(&s, t, &smtp);
    for (unsigned i = 0; i < 500; i++)
        add_message(&s, i, START, (const char *[]){"x@b"}, 1);
    route_due(&s, t, START);
    struct attempt *open[500];
    size_t n = 0, most = 0;

    while ((open[n] = schedule_next(&s, START)))
        n++;
    cr_expect_eq(n, 5u, "initial_destination_concurrency");
    while (n > 0) {
        end_attempt(&s, open[--n], 2, OUTCOME_GOOD, START);
        while ((open[n] = schedule_next(&s, START)))
            n++;
        most = n > most ? n : most;
    }

    cr_expect_eq(most, 20u, "destination_concurrency_limit");
    schedule_fini(&s);
}

Test(schedule, declares_a_destination_dead_after_a_cohort_of_failures_and_tries_it_again_later)
{
    struct schedule s;
    schedule_init(&s, &usual);
    struct transport *t = schedule_transport(&s, SPAN("smtp"));
    schedule_set_transport(&s, t, &smtp);
    for (unsigned i = 0; i < 100; i++)
        add_message(&s, i, START, (const char *[]){"x@b"}, 1);
    route_due(&s, t, START);
    int tried = 0, suspended = 0;

    for (struct attempt *a; (a = schedule_next(&s, START));) {
        tried += a->suspended == NULL;
        if (a->suspended) {
            suspended++;
            cr_expect(span_eq(text_span(a->suspended), SPAN("dead")));
        }
        end_attempt(&s, a, 4, OUTCOME_DEAD, START);
    }

    cr_expect_eq(tried, 4, "1/5 + 1/4 + 1/3 + 1/2 is a cohort");
    cr_expect_eq(suspended, 96);
    int64_t later = START + 300 * SECOND + 20 * SECOND;
    schedule_wake(&s, later);
    route_due(&s, t, later);
    struct attempt *a = schedule_next(&s, later);
    cr_assert_not_null(a);
    cr_expect_null(a->suspended);
    end_attempt(&s, a, 2, OUTCOME_GOOD, later);
    schedule_fini(&s);
}

Test(schedule, gives_back_what_is_ready_for_a_dead_transport)
{
    struct schedule s;
    schedule_init(&s, &usual);
    struct transport *t = schedule_transport(&s, SPAN("gone"));
    struct transport_params p = smtp;
    p.process_limit = 1;
    schedule_set_transport(&s, t, &p);
    add_message(&s, 1, START, (const char *[]){"a@b", "a@c", "a@d"}, 3);
    route_due(&s, t, START);
    struct attempt *running = schedule_next(&s, START);
    cr_assert_not_null(running);

    schedule_transport_dead(&s, t, SPAN("unavailable"), START);

    for (int i = 0; i < 2; i++) {
        struct attempt *a = schedule_next(&s, START);
        cr_assert(a && a->suspended, "also while the process limit is reached");
        end_attempt(&s, a, 4, OUTCOME_NEUTRAL, START);
    }
    end_attempt(&s, running, 4, OUTCOME_NEUTRAL, START);
    schedule_wake(&s, START + 60 * SECOND);
    cr_expect_eq(t->dead_until_us, 0);
    schedule_fini(&s);
}

Test(schedule, pauses_between_attempts_by_rate_delay)
{
    struct schedule s;
    schedule_init(&s, &usual);
    struct transport *t = schedule_transport(&s, SPAN("smtp"));
    struct transport_params p = smtp;
    p.rate_delay_us = SECOND;
    schedule_set_transport(&s, t, &p);
    for (unsigned i = 0; i < 3; i++)
        add_message(&s, i, START, (const char *[]){"x@b"}, 1);
    route_due(&s, t, START);
    int64_t now = START;
    int done = 0;

    for (; now < START + 10 * SECOND; now += SECOND / 10) {
        schedule_wake(&s, now);
        struct attempt *a = schedule_next(&s, now);
        if (!a)
            continue;
        cr_expect_null(schedule_next(&s, now));
        cr_expect_geq(now, START + done * SECOND);
        end_attempt(&s, a, 2, OUTCOME_GOOD, now);
        done++;
    }

    cr_expect_eq(done, 3);
    schedule_fini(&s);
}

Test(schedule, begins_nothing_for_a_message_on_hold_until_it_is_released)
{
    struct schedule s;
    schedule_init(&s, &usual);
    struct transport *t = schedule_transport(&s, SPAN("smtp"));
    schedule_set_transport(&s, t, &smtp);
    struct message *m = add_message(&s, 1, START, (const char *[]){"a@b"}, 1);
    route_due(&s, t, START);
    m->flags |= MESSAGE_HELD;
    schedule_review(&s, m);

    cr_expect_null(schedule_next(&s, START));
    cr_expect_eq(m->busy, 0u);
    cr_expect_eq(schedule_take_settled(&s), m);
    cr_expect_null(schedule_due(&s, START + DAY));
    m->flags &= ~(uint32_t)MESSAGE_HELD;
    schedule_review(&s, m);

    cr_expect_eq(schedule_due(&s, START), m);
    schedule_fini(&s);
}

Test(schedule, flushes_what_waits)
{
    struct schedule s;
    schedule_init(&s, &usual);
    struct transport *t = schedule_transport(&s, SPAN("smtp"));
    schedule_set_transport(&s, t, &smtp);
    struct message *m = add_message(&s, 1, START, (const char *[]){"a@b", "b@b"}, 2);
    route_due(&s, t, START);
    end_attempt(&s, schedule_next(&s, START), 4, OUTCOME_GOOD, START);
    cr_expect_null(schedule_due(&s, START + SECOND));

    schedule_flush(&s, m, START + SECOND);

    cr_expect_eq(schedule_due(&s, START + SECOND), m);
    cr_expect_eq(m->busy, 2u);
    schedule_fini(&s);
}

Test(schedule, doubles_the_wait_between_the_two_limits)
{
    struct schedule s;
    schedule_init(&s, &usual);
    struct message *m = add_message(&s, 1, START, (const char *[]){"a@b"}, 1);
    int64_t now = START, grain = usual.minimal_backoff_us / 16;

    for (int i = 0; i < 100; i++) {
        int64_t wait = schedule_backoff(&s, m, now) - now, age = now - START;
        int64_t want = age < 300 * SECOND ? 300 * SECOND : age > 4000 * SECOND ? 4000 * SECOND : age;
        cr_expect(wait >= want && wait < want + grain, "age %lld: %lld", (long long)age, (long long)wait);
        now += wait;
    }
    m->arrival_us = now + 365 * DAY;
    cr_expect_lt(schedule_backoff(&s, m, now), now + 330 * SECOND,
                 "a message from the future waits as a new one");
    schedule_fini(&s);
}

Test(schedule, gives_back_what_does_not_fit_into_an_attempt)
{
    static const char *const to[] = {"1@b", "2@b", "3@b", "4@b", "5@b"};
    struct schedule s;
    schedule_init(&s, &usual);
    struct transport *t = schedule_transport(&s, SPAN("smtp"));
    schedule_set_transport(&s, t, &smtp);
    add_message(&s, 1, START, to, 5);
    route_due(&s, t, START);
    struct attempt *a = schedule_next(&s, START);
    cr_assert_eq(a->count, 5u);

    schedule_shrink(&s, a, 2);

    cr_expect_eq(a->count, 2u);
    struct attempt *rest = schedule_next(&s, START);
    cr_assert_not_null(rest);
    cr_expect_eq(rest->count, 3u);
    end_attempt(&s, a, 2, OUTCOME_GOOD, START);
    end_attempt(&s, rest, 2, OUTCOME_GOOD, START);
    cr_expect_eq(s.ready, 0u);
    schedule_fini(&s);
}

Test(schedule, withdraws_what_is_ready)
{
    struct schedule s;
    schedule_init(&s, &usual);
    struct transport *t = schedule_transport(&s, SPAN("smtp"));
    schedule_set_transport(&s, t, &smtp);
    struct message *m = add_message(&s, 1, START, (const char *[]){"1@b", "1@c", "2@b"}, 3);
    struct message *other = add_message(&s, 2, START, (const char *[]){"3@b"}, 1);
    route_due(&s, t, START);

    schedule_withdraw(&s, m, START);

    cr_expect_eq(m->busy, 0u);
    cr_expect_eq(m->waiting, 3u);
    struct attempt *a = schedule_next(&s, START);
    cr_assert_not_null(a);
    cr_expect_eq(a->message, other);
    end_attempt(&s, a, 2, OUTCOME_GOOD, START);
    cr_expect_null(schedule_next(&s, START));
    schedule_fini(&s);
}

Test(schedule, walks_all_messages_while_they_come_and_go)
{
    struct schedule s;
    struct walker w = {0};
    struct message *m[10];
    schedule_init(&s, &usual);
    for (unsigned i = 0; i < 10; i++)
        m[i] = add_message(&s, i, START, (const char *[]){"a@b"}, 1);
    walker_begin(&w, &s);
    cr_expect_eq(walker_next(&w, &s), m[0]);

    schedule_remove(&s, m[1]);
    schedule_remove(&s, m[0]);
    schedule_remove(&s, m[5]);

    unsigned met = 0;
    for (struct message *x; (x = walker_next(&w, &s)); met++)
        cr_expect_neq(x, m[5]);
    cr_expect_eq(met, 7u);
    walker_end(&w);
    walker_end(&w);
    message_free(&s, &m[0]);
    message_free(&s, &m[1]);
    message_free(&s, &m[5]);
    schedule_fini(&s);
}

/* --- ten days in a simulated world --- */

enum { SITES = 200, LETTERS = 4000, MAILINGS = 20, MAILING_SIZE = 300 };

enum behaviour {
    SITE_GOOD,
    SITE_SLOW,
    SITE_DEAD,
    SITE_FLAPPING,
    SITE_GREY,
    SITE_PICKY,
    SITE_LIMITED,
    BEHAVIOURS
};

struct running {
    struct heap_node node;
    struct attempt *attempt;
};

struct world {
    struct schedule s;
    struct transport *t;
    uint64_t random;
    int64_t now;
    struct heap running;     /* by their end */
    unsigned at_site[SITES]; /* attempts under way */
    uint64_t accepted, delivered, bounced, tries;
    struct track *tracks; /* one per recipient, in the order of acceptance */
};

struct track {
    int64_t last_try, last_gap;
    unsigned over;
};

static uint64_t draw(struct world *w, uint64_t below)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random % below;
}

static unsigned site_of(const struct message *m, const struct recipient *r)
{
    return (unsigned)atoi(domain_of(m, r).p);
}

static struct track *track_of(struct world *w, const struct message *m, const struct recipient *r)
{
    uint64_t n = 0;
    span_to_u64(
        span_slice(span_text(recipient_address(m, r)), 0, span_find(span_text(recipient_address(m, r)), '@')),
        UINT64_MAX, &n);
    return &w->tracks[n];
}

static int64_t duration(struct world *w, enum behaviour b)
{
    if (b == SITE_SLOW)
        return (int64_t)draw(w, 600) * SECOND;
    return b == SITE_DEAD ? 30 * SECOND : (int64_t)draw(w, 2000) * 1000;
}

static void start_attempt(struct world *w, struct attempt *a)
{
    unsigned site = site_of(a->message, &a->message->recipients[a->first - 1]);
    struct running *run = calloc(1, sizeof *run);
    w->at_site[site]++;
    cr_assert_leq(w->at_site[site], 20u, "concurrency limit");
    cr_assert_leq(w->s.in_flight, 100u, "process limit");
    cr_assert_leq(a->count, 50u, "recipient limit");
    for (uint32_t n = a->first; n; n = a->message->recipients[n - 1].next) {
        struct track *track = track_of(w, a->message, &a->message->recipients[n - 1]);
        cr_assert_eq(track->over, 0u, "tried again after its end");
        w->tries++;
    }
    run->attempt = a;
    heap_set(&w->running, &run->node, w->now + duration(w, site % BEHAVIOURS));
}

/* Class and outcome as the site feels like. */
static unsigned behave(struct world *w, enum behaviour b, const struct message *m, enum outcome *outcome)
{
    *outcome = OUTCOME_GOOD;
    switch (b) {
    case SITE_DEAD:
        *outcome = OUTCOME_DEAD;
        return 4;
    case SITE_FLAPPING:
        if ((w->now / (6 * HOUR)) % 2 == 0)
            return 2;
        *outcome = OUTCOME_DEAD;
        return 4;
    case SITE_GREY:
        return w->now - m->arrival_us < 20 * MINUTE ? 4 : 2;
    case SITE_PICKY:
        return draw(w, 2) ? 5 : 2;
    case SITE_LIMITED:
        return draw(w, 10) ? 4 : 2;
    default:
        return 2;
    }
}

static void over(struct world *w, struct message *m, struct recipient *r, bool delivered)
{
    track_of(w, m, r)->over++;
    w->delivered += delivered;
    w->bounced += !delivered;
    schedule_finish(&w->s, m, r, RECIPIENT_DONE, SPAN_NONE);
}

static void finish_attempt(struct world *w, struct attempt *a, bool made)
{
    struct message *m = a->message;
    unsigned site = site_of(m, &m->recipients[a->first - 1]);
    enum outcome outcome = OUTCOME_NEUTRAL;
    if (made)
        w->at_site[site]--;
    for (uint32_t n = a->first, next; n; n = next) {
        struct recipient *r = &m->recipients[n - 1];
        struct track *track = track_of(w, m, r);
        unsigned class = made ? behave(w, site % BEHAVIOURS, m, &outcome) : 4;
        next = r->next;
        if (class != 4) {
            over(w, m, r, class == 2);
            continue;
        }
        int64_t until = schedule_defer(&w->s, m, r, SPAN("later"), w->now), gap = until - w->now;
        cr_assert_geq(gap, track->last_gap - usual.minimal_backoff_us / 16, "the wait does not shrink");
        cr_assert(gap >= usual.minimal_backoff_us &&
                  gap <= usual.maximal_backoff_us + usual.minimal_backoff_us / 16);
        cr_assert_geq(w->now, track->last_try);
        track->last_gap = gap;
        track->last_try = until;
    }
    schedule_end(&w->s, &a, outcome, SPAN("connection refused"), w->now);
}

static void settle(struct world *w)
{
    for (struct message *m; (m = schedule_take_settled(&w->s));) {
        for (uint32_t i = 0; i < m->recipient_count && w->now >= schedule_expiry(&w->s, m); i++)
            if (m->recipients[i].state == RECIPIENT_WAITING)
                over(w, m, &m->recipients[i], false);
        if (m->waiting == 0) {
            schedule_remove(&w->s, m);
            message_free(&w->s, &m);
        }
    }
}

static void accept_message(struct world *w, uint32_t count)
{
    static char names[MAILING_SIZE][32];
    static const char *to[MAILING_SIZE];
    static unsigned number;
    for (uint32_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "%llu@%llu", (unsigned long long)w->accepted++,
                 (unsigned long long)draw(w, SITES));
        to[i] = names[i];
    }
    struct message *m = make_message(++number, w->now, to, count);
    if (draw(w, 4))
        m->sender = text_take(&w->s.texts, SPAN("someone@example.org"));
    cr_assert(schedule_add(&w->s, m));
}

/* Everything that can happen at this moment. */
static void live_now(struct world *w)
{
    for (struct heap_node *top; (top = heap_top(&w->running)) && top->key <= w->now;) {
        struct running *run = LIST_ENTRY(top, struct running, node);
        heap_remove(&w->running, top);
        finish_attempt(w, run->attempt, true);
        free(run);
    }
    schedule_wake(&w->s, w->now);
    route_due(&w->s, w->t, w->now);
    for (struct attempt *a; (a = schedule_next(&w->s, w->now));) {
        if (a->suspended)
            finish_attempt(w, a, false);
        else
            start_attempt(w, a);
    }
    settle(w);
}

static uint64_t queued_recipients(struct world *w)
{
    uint64_t n = 0;
    struct walker walk = {0};
    walker_begin(&walk, &w->s);
    for (struct message *m; (m = walker_next(&walk, &w->s));)
        n += m->waiting + m->busy;
    walker_end(&walk);
    return n;
}

static void run_world(uint64_t seed)
{
    struct world w = {.random = seed, .now = START};
    int letters = 0, mailings = 0;
    int64_t next_arrival = START, end = START + 10 * DAY;
    w.tracks = calloc(LETTERS + MAILINGS * MAILING_SIZE, sizeof *w.tracks);
    schedule_init(&w.s, &usual);
    w.t = schedule_transport(&w.s, SPAN("smtp"));
    schedule_set_transport(&w.s, w.t, &smtp);

    for (int steps = 0; w.now < end; steps++) {
        if (w.now >= next_arrival && letters < LETTERS) {
            accept_message(&w, 1);
            letters++;
            if (draw(&w, LETTERS / MAILINGS) == 0 && mailings < MAILINGS) {
                accept_message(&w, MAILING_SIZE);
                mailings++;
            }
            next_arrival = w.now + (int64_t)draw(&w, 60) * SECOND;
        }
        live_now(&w);
        if (steps % 5000 == 0)
            cr_assert_eq(w.accepted, w.delivered + w.bounced + queued_recipients(&w), "conservation");
        struct heap_node *top = heap_top(&w.running);
        int64_t moment = schedule_next_moment(&w.s);
        if (top && top->key < moment)
            moment = top->key;
        if (letters < LETTERS && next_arrival < moment)
            moment = next_arrival;
        if (moment == SCHEDULE_NEVER)
            break;
        w.now = moment > w.now ? moment : w.now + 1;
    }

    cr_expect_eq(letters, LETTERS);
    cr_expect_eq(w.s.count, 0u, "seed %llu: all is over within ten days", (unsigned long long)seed);
    cr_expect_eq(w.accepted, w.delivered + w.bounced);
    for (uint64_t i = 0; i < w.accepted; i++)
        cr_assert_eq(w.tracks[i].over, 1u);
    cr_expect_gt(w.delivered, w.accepted / 2);
    cr_expect_gt(w.bounced, 0u);
    cr_expect_eq(w.t->destinations.count, 0u, "nothing is kept of destinations without mail");
    schedule_fini(&w.s);
    heap_fini(&w.running);
    free(w.tracks);
}

Test(schedule, loses_and_repeats_no_recipient_in_ten_days_of_any_world, .timeout = 120)
{
    for (uint64_t seed = 1; seed <= 12; seed++)
        run_world(seed * UINT64_C(0x9e3779b97f4a7c15));
}

Test(schedule, holds_a_waiting_message_in_about_three_hundred_octets)
{
    cr_expect_leq(sizeof(struct message) + sizeof(struct recipient), 256u);
}
