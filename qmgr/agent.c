#include "qmgr/agent.h"
#include "lib/base/check.h"
#include "lib/mail/dsn.h"
#include "qmgr/load.h"
#include "qmgr/progress.h"
#include "qmgr/store.h"
#include "qmgr/verdict.h"

#include <stdlib.h>

/* How a program likes to be asked. */
struct habit {
    const char *program;
    unsigned depth;    /* attempts on one channel; 0: as many as there are */
    unsigned channels; /* at most; 0: as many as the service's limit */
    bool remote;       /* what it does cannot be repeated unseen: the journal says that it began */
};
static const struct habit habits[] = {
    {"smtp", 0, 2, true},      {"lmtp", 0, 2, true},    {"pipe", 1, 0, true},
    {"virtual", 64, 4, false}, {"local", 16, 0, false},
};
static const struct habit other_habit = {"", 1, 0, true};

enum answer_kind { BY_AGENT, BY_ERROR, BY_RETRY, BY_DISCARD };

/* A delivery service of master.cf. */
struct service {
    struct qmgr *q;
    char *name, *program; /* owned */
    unsigned limit;
    const struct habit *habit;
    enum answer_kind kind;
    bool gone;             /* not in master.cf any more */
    struct list agents;    /* struct agent */
    struct list waiting;   /* struct attempt: there is no channel for them yet */
    unsigned channels;     /* agents, but those that are retired */
    bool asked;            /* master makes a channel */
    int64_t not_before_us; /* none could be had: not asked again before that */
};

/* One of its processes. */
struct agent {
    struct list node;
    struct service *service;
    struct channel *channel;
    struct list attempts; /* struct attempt: under way, the oldest first */
    unsigned in_flight;
    bool retired;    /* of settings that are no more: begins nothing new */
    int64_t idle_us; /* since when it has had nothing to do */
    struct log_source source;
};

static void serve(struct service *s);
static void answer_unavailable(struct qmgr *q, struct attempt *a);

/* --- services --- */

static const struct habit *habit_of(const char *program)
{
    for (size_t i = 0; i < sizeof habits / sizeof *habits; i++)
        if (strcmp(habits[i].program, program) == 0)
            return &habits[i];
    return &other_habit;
}

static struct feedback feedback_from(struct span text)
{
    struct feedback f = {1, FEEDBACK_FIXED};
    size_t slash = span_find(text, '/');
    struct span number = span_trim(span_slice(text, 0, slash)), per = span_trim(span_skip(text, slash + 1));
    size_t dot = span_find(number, '.');
    uint64_t whole = 0, part = 0;
    double unit = 1;
    struct span fraction = span_slice(span_skip(number, dot + 1), 0, 6);
    span_to_u64(span_slice(number, 0, dot), 1000000, &whole);
    span_to_u64(fraction, 1000000, &part);
    for (size_t i = 0; i < fraction.n; i++)
        unit *= 10;
    f.amount = (double)whole + (double)part / unit;
    if (span_eq(per, SPAN("concurrency")))
        f.per = FEEDBACK_BY_WINDOW;
    if (span_eq(per, SPAN("sqrt_concurrency")))
        f.per = FEEDBACK_BY_ROOT;
    return f;
}

static unsigned at_most(uint64_t n, unsigned most)
{
    return n > most ? most : (unsigned)n;
}

/* The transport's parameters, from the settings; names that no service has get the general ones. */
static void set_params(struct qmgr *q, struct transport *t, unsigned limit)
{
    struct arena scratch = ARENA_INIT;
    struct params_transport p;
    struct param_errors errors = PARAM_ERRORS_INIT;
    if (!params_transport_load(&scratch, &q->rules->settings, text_span(t->name), &p, &errors) &&
        errors.count)
        log_warning("%.*s", SPAN_ARG(errors.at[0]->text));
    struct transport_params params = {
        .process_limit = limit,
        .concurrency_limit = at_most(p.destination_concurrency_limit, 100000),
        .initial_concurrency = at_most(p.initial_destination_concurrency, 100000),
        .recipient_limit = at_most(p.destination_recipient_limit, 100000),
        .cohort_limit = at_most(p.destination_concurrency_failed_cohort_limit, 100000),
        .positive = feedback_from(p.destination_concurrency_positive_feedback),
        .negative = feedback_from(p.destination_concurrency_negative_feedback),
        .rate_delay_us = p.destination_rate_delay * SECOND_US,
    };
    schedule_set_transport(&q->schedule, t, &params);
    param_errors_fini(&errors);
    arena_fini(&scratch);
}

struct transport *agent_transport(struct qmgr *q, struct span name)
{
    struct transport *t = schedule_transport(&q->schedule, name);
    if (t->params.initial_concurrency == 0)
        set_params(q, t, 0);
    return t;
}

static enum answer_kind kind_of(struct span name, struct span program)
{
    if (span_eq(program, SPAN("discard")))
        return BY_DISCARD;
    if (!span_eq(program, SPAN("error")))
        return BY_AGENT;
    return span_eq(name, SPAN("retry")) ? BY_RETRY : BY_ERROR;
}

static void service_set(struct qmgr *q, const struct msg_service *m)
{
    struct service *s = map_get(&q->services, m->name);
    if (!s) {
        s = calloc(1, sizeof *s);
        CHECK(s != NULL && (s->name = strndup(m->name.p, m->name.n)));
        s->q = q;
        list_init(&s->agents);
        list_init(&s->waiting);
        map_set(&q->services, span_text(s->name), s);
    }
    free(s->program);
    s->program = strndup(m->program.p, m->program.n);
    CHECK(s->program != NULL);
    s->limit = at_most(m->limit, 100000);
    s->habit = habit_of(s->program);
    s->kind = kind_of(m->name, m->program);
    s->gone = false;
    struct transport *t = schedule_transport(&q->schedule, m->name);
    t->own = s;
    set_params(q, t, s->kind == BY_AGENT ? s->limit : 0);
}

static void agent_retire(struct agent *a)
{
    if (!a->retired)
        a->service->channels--;
    a->retired = true;
}

void agent_set_services(struct qmgr *q, const wire_list_service *services)
{
    size_t at = 0;
    for (struct service *s; (s = map_next(&q->services, &at));) {
        s->gone = true;
        LIST_EACH (node, after, &s->agents)
            agent_retire(LIST_ENTRY(node, struct agent, node));
    }
    for (size_t i = 0; i < services->n; i++)
        service_set(q, &services->at[i]);
    at = 0;
    for (struct service *s; (s = map_next(&q->services, &at));)
        serve(s);
}

/* --- verdicts --- */

static const struct msg_verdict *verdict_of(const struct msg_attempted *answer, uint32_t number)
{
    for (size_t i = 0; answer && i < answer->verdicts.n; i++)
        if (answer->verdicts.at[i].number == number)
            return &answer->verdicts.at[i];
    return NULL;
}

/* Every recipient of the attempt gets its verdict. */
static void apply_answer(struct qmgr *q, struct attempt *a, const struct msg_attempted *answer,
                         const struct judge *judge)
{
    static const struct msg_verdict silence = {
        .class = 4, .dsn = SPAN_INIT("4.3.0"), .text = SPAN_INIT("the delivery agent gave no verdict")};
    struct message *m = a->message;
    for (uint32_t number = a->first, next; number; number = next) {
        const struct msg_verdict *v = verdict_of(answer, number);
        next = m->recipients[number - 1].next;
        verdict_apply(q, m, &m->recipients[number - 1], v ? v : &silence, judge);
    }
}

/* What later mail to a dead destination is told. */
static void put_reason(struct buf *out, const struct msg_attempted *answer)
{
    struct buf text = BUF_LIMITED(1000);
    struct msg_verdict reason = {.class = 4, .dsn = SPAN("4.4.1")};
    for (size_t i = 0; i < answer->verdicts.n; i++)
        if (answer->verdicts.at[i].class == 4) {
            reason.dsn = answer->verdicts.at[i].dsn;
            buf_puts(&text, "delivery temporarily suspended: ");
            buf_put(&text, span_slice(answer->verdicts.at[i].text, 0, 500));
            break;
        }
    reason.text = buf_span(&text);
    verdict_put_stored(out, &reason);
    buf_fini(&text);
}

static void end_attempt(struct qmgr *q, struct attempt *a, const struct msg_attempted *answer)
{
    struct buf reason = BUF_INIT;
    bool dead = answer && answer->unreachable;
    if (dead)
        put_reason(&reason, answer);
    schedule_end(&q->schedule, &a,
                 dead     ? OUTCOME_DEAD
                 : answer ? OUTCOME_GOOD
                          : OUTCOME_NEUTRAL,
                 buf_span(&reason), qmgr_now(q));
    buf_fini(&reason);
    progress_commit_soon(q);
    qmgr_kick(q);
}

/* What it did is not known: soon again, the second time as any deferral. */
static void attempt_lost(struct qmgr *q, struct attempt *a, const char *program, const struct judge *judge)
{
    struct message *m = a->message;
    static const struct msg_verdict died = {.class = 4,
                                            .dsn = SPAN_INIT("4.3.0"),
                                            .text =
                                                SPAN_INIT("unknown mail system error: delivery agent died")};
    bool again = m->flags & MESSAGE_AGENT_DIED;
    log_warning("%s: delivery agent %s died; what it did is not known", m->id.text, program);
    for (uint32_t number = a->first, next; number; number = next) {
        struct recipient *r = &m->recipients[number - 1];
        next = r->next;
        if (again)
            verdict_apply(q, m, r, &died, judge);
        else
            schedule_put_back(&q->schedule, m, r, qmgr_now(q) + AGENT_DIED_AGAIN_S * SECOND_US);
    }
    m->flags |= MESSAGE_AGENT_DIED;
    end_attempt(q, a, NULL);
}

static void attempt_answered(struct frame *reply, void *context)
{
    struct attempt *a = context;
    struct agent *agent = a->agent;
    struct service *s = agent->service;
    struct qmgr *q = s->q;
    struct arena scratch = ARENA_INIT;
    struct msg_attempted answer;
    struct judge judge = {.source = &agent->source, .begun_us = a->begun_us};
    list_remove(&a->node);
    if (q->ending) {
        free(a);
        return;
    }
    if (--agent->in_flight == 0)
        agent->idle_us = qmgr_now(q);
    if (reply && reply->type == MSG_attempted && msg_attempted_get(&scratch, reply->body, &answer)) {
        apply_answer(q, a, &answer, &judge);
        end_attempt(q, a, &answer);
    } else {
        attempt_lost(q, a, s->program, &judge);
    }
    arena_fini(&scratch);
    serve(s);
}

/* --- handing over --- */

static void put_attempt(const struct attempt *a, const struct loaded *l, struct buf *body)
{
    struct arena scratch = ARENA_INIT;
    const struct message *m = a->message;
    const struct msg_stored_envelope *e = &l->envelope;
    struct msg_attempt request = {.id = queue_id_span(&m->id),
                                  .sender = e->sender,
                                  .nexthop = text_span(a->destination->nexthop),
                                  .text = l->fd < 0 ? l->text : SPAN_NONE,
                                  .text_offset = l->text_offset,
                                  .text_size = m->size,
                                  .flags = e->flags,
                                  .arrival_us = e->arrival_us,
                                  .ret = e->ret,
                                  .envid = e->envid,
                                  .client_name = e->client_name,
                                  .client_address = e->client_address,
                                  .helo = e->helo,
                                  .protocol = e->protocol,
                                  .login = e->login,
                                  .encoding = e->encoding};
    request.recipients.at = arena_calloc(&scratch, a->count, sizeof *request.recipients.at);
    for (uint32_t number = a->first; number; number = m->recipients[number - 1].next) {
        const struct recipient *r = &m->recipients[number - 1];
        struct msg_recipient *to = &request.recipients.at[request.recipients.n++];
        *to = *load_recipient(l, number - 1);
        to->number = number;
        to->transport = text_span(a->destination->transport->name);
        to->nexthop = text_span(a->destination->nexthop);
        to->user = text_span(r->user);
    }
    msg_attempt_put(body, &request);
    arena_fini(&scratch);
}

static void attempt_unreadable(struct qmgr *q, struct attempt *a, bool later, const char *why)
{
    struct message *m = a->message;
    struct judge judge = {.source = NULL, .begun_us = qmgr_now(q)};
    struct msg_verdict v = {
        .class = 4, .dsn = SPAN("4.3.0"), .text = span_text("the message cannot be read now")};
    for (uint32_t number = a->first, next; number; number = next) {
        struct recipient *r = &m->recipients[number - 1];
        next = r->next;
        if (later)
            verdict_apply(q, m, r, &v, &judge);
        else
            schedule_put_back(&q->schedule, m, r, qmgr_now(q));
    }
    end_attempt(q, a, NULL);
    if (!later)
        store_message_damaged(q, m, why);
}

/* The frame goes to the agent. Too many recipients for one frame are two attempts. */
static void hand_over(struct agent *agent, struct attempt *a)
{
    struct qmgr *q = agent->service->q;
    struct buf body = BUF_INIT, why = BUF_LIMITED(LOG_LINE_MAX);
    bool later;
    struct loaded *l = load_get(q, a->message, &later, &why);
    if (!l) {
        attempt_unreadable(q, a, later, buf_text(&why));
    } else {
        put_attempt(a, l, &body);
        while (body.len > CHANNEL_FRAME_MAX && a->count > 1) {
            schedule_shrink(&q->schedule, a, a->count / 2);
            buf_clear(&body);
            put_attempt(a, l, &body);
        }
        a->agent = agent;
        a->begun_us = qmgr_now(q);
        list_push(&agent->attempts, &a->node);
        agent->in_flight++;
        if (channel_request(agent->channel, MSG_attempt, buf_span(&body), &l->fd, l->fd >= 0,
                            attempt_answered, a)) {
            store_message_tried(q, a->message);
        } else { /* it has just been lost */
            agent->in_flight--;
            list_remove(&a->node);
            list_push_front(&agent->service->waiting, &a->node);
        }
    }
    buf_fini(&body);
    buf_fini(&why);
}

/* --- channels --------------------------------------------------------------------------------------------
 */

static void agent_frame(struct channel *c, struct frame *f, void *context)
{
    (void)context;
    log_warning("unexpected message 0x%04x from %s", f->type, channel_peer(c));
}

/* Its attempts have been answered with NULL already. */
static void agent_closed(struct channel *c, void *context)
{
    struct agent *a = context;
    struct service *s = a->service;
    agent_retire(a);
    list_remove(&a->node);
    free(a);
    channel_close(&c);
    serve(s);
}

static const struct channel_handler agent_handler = {agent_frame, agent_closed};
static const struct channel_handler no_handler = {agent_frame, NULL};

/* What waits for a channel that cannot be had is deferred, as all that follows for a while. */
static void service_unavailable(struct service *s)
{
    struct qmgr *q = s->q;
    struct buf reason = BUF_INIT;
    struct list *node;
    struct msg_verdict v = {.class = 4, .dsn = SPAN("4.3.0"), .text = SPAN("mail transport unavailable")};
    verdict_put_stored(&reason, &v);
    schedule_transport_dead(&q->schedule, schedule_transport(&q->schedule, span_text(s->name)),
                            buf_span(&reason), qmgr_now(q));
    buf_fini(&reason);
    while ((node = list_shift(&s->waiting)))
        answer_unavailable(q, LIST_ENTRY(node, struct attempt, node));
}

static void channel_came(struct channel *c, unsigned slot, void *context)
{
    struct service *s = context;
    struct qmgr *q = s->q;
    (void)slot;
    s->asked = false;
    if (!c) {
        s->not_before_us = qmgr_now(q) + SECOND_US;
        if (s->channels == 0)
            service_unavailable(s);
        return;
    }
    struct agent *a = calloc(1, sizeof *a);
    CHECK(a != NULL);
    *a = (struct agent){.service = s,
                        .channel = c,
                        .idle_us = qmgr_now(q),
                        .source = log_source_named(s->program, q->config.next_number(q->config.host))};
    list_init(&a->attempts);
    list_push(&s->agents, &a->node);
    s->channels++;
    channel_set_context(c, &agent_handler, a);
    serve(s);
}

static bool is_slow(const struct qmgr *q, const struct agent *a)
{
    if (list_empty(&a->attempts))
        return false;
    const struct attempt *oldest = LIST_ENTRY(a->attempts.next, const struct attempt, node);
    return qmgr_now(q) - oldest->begun_us > AGENT_SLOW_MS * INT64_C(1000);
}

/* The agent with the least to do that may take one more; those that are stuck come last. */
static struct agent *best_agent(struct service *s)
{
    struct agent *best = NULL;
    unsigned least = UINT32_MAX;
    LIST_EACH (node, after, &s->agents) {
        struct agent *a = LIST_ENTRY(node, struct agent, node);
        unsigned load = a->in_flight + (is_slow(s->q, a) ? 1000000 : 0);
        if (a->retired || channel_is_closed(a->channel) ||
            (s->habit->depth && a->in_flight >= s->habit->depth))
            continue;
        if (load < least) {
            best = a;
            least = load;
        }
    }
    return best;
}

/* Whether another process would help. */
static bool wants_channel(const struct service *s, const struct agent *best)
{
    unsigned most =
        s->habit->channels && (!s->limit || s->habit->channels < s->limit) ? s->habit->channels : s->limit;
    if (s->asked || qmgr_now(s->q) < s->not_before_us || (most && s->channels >= most))
        return false;
    return !best || is_slow(s->q, best) || (s->habit->depth && best->in_flight >= s->habit->depth / 2);
}

/* Hands out what waits, and asks for more channels where that would help. */
static void serve(struct service *s)
{
    struct agent *best;
    while (!list_empty(&s->waiting) && (best = best_agent(s)))
        hand_over(best, LIST_ENTRY(list_shift(&s->waiting), struct attempt, node));
    best = best_agent(s);
    if (list_empty(&s->waiting) && (!best || best->in_flight == 0))
        return;
    if (wants_channel(s, best)) {
        s->asked = true;
        s->q->config.want_channel(s->q->config.host, s->name, &no_handler, s, channel_came);
    }
}

static void close_idle(struct service *s)
{
    LIST_EACH (node, after, &s->agents) {
        struct agent *a = LIST_ENTRY(node, struct agent, node);
        if (a->in_flight > 0 || (!a->retired && qmgr_now(s->q) - a->idle_us < AGENT_IDLE_S * SECOND_US))
            continue;
        agent_retire(a);
        list_remove(&a->node);
        channel_close(&a->channel);
        free(a);
    }
}

void agent_second(struct qmgr *q)
{
    size_t at = 0;
    for (struct service *s; (s = map_next(&q->services, &at));) {
        close_idle(s);
        serve(s);
    }
}

void agent_close_all(struct qmgr *q)
{
    size_t at = 0;
    for (struct service *s; (s = map_next(&q->services, &at));) {
        struct list *node;
        while ((node = list_shift(&s->agents))) {
            struct agent *a = LIST_ENTRY(node, struct agent, node);
            channel_close(&a->channel);
            free(a);
        }
        while ((node = list_shift(&s->waiting)))
            free(LIST_ENTRY(node, struct attempt, node));
        free(s->name);
        free(s->program);
        free(s);
    }
    struct list *rest;
    while ((rest = list_shift(&q->beginning)))
        free(LIST_ENTRY(rest, struct attempt, node));
    map_fini(&q->services);
}

/* --- attempts --- */

/* One verdict for all of an attempt that no agent sees. */
static void answer_all(struct qmgr *q, struct attempt *a, const char *program, const struct msg_verdict *v)
{
    struct message *m = a->message;
    struct log_source source = log_source_named(program, q->config.next_number(q->config.host));
    struct judge judge = {.source = &source, .begun_us = a->begun_us};
    for (uint32_t number = a->first, next; number; number = next) {
        next = m->recipients[number - 1].next;
        verdict_apply(q, m, &m->recipients[number - 1], v, &judge);
    }
    store_message_tried(q, m);
    end_attempt(q, a, NULL);
}

static void answer_unavailable(struct qmgr *q, struct attempt *a)
{
    struct msg_verdict v = {.class = 4, .dsn = SPAN("4.3.0"), .text = SPAN("mail transport unavailable")};
    answer_all(q, a, "error", &v);
}

/* The next hop of error: and retry: is what is to be said, with or without a status code. */
static void answer_error(struct qmgr *q, struct attempt *a, unsigned class)
{
    struct span text = text_span(a->destination->nexthop);
    const struct dsn_code fallback = class == 5 ? DSN(5, 0, 0) : DSN(4, 0, 0);
    struct dsn_code code = dsn_code_cut(&text, fallback);
    struct buf dsn = BUF_INIT;
    if (code.class != class)
        code = fallback;
    dsn_code_put(&dsn, code);
    struct msg_verdict v = {.class = class, .dsn = buf_span(&dsn), .text = text};
    answer_all(q, a, "error", &v);
    buf_fini(&dsn);
}

static void answer_discard(struct qmgr *q, struct attempt *a)
{
    struct msg_verdict v = {.class = 2, .dsn = SPAN("2.0.0"), .text = text_span(a->destination->nexthop)};
    answer_all(q, a, "discard", &v);
}

/* progress_after: the journal says that it begins. subject: the attempt */
static void begin_after(struct qmgr *q, void *subject)
{
    struct attempt *a = subject;
    struct service *s = a->destination->transport->own;
    (void)q;
    list_remove(&a->node);
    list_push(&s->waiting, &a->node);
    serve(s);
}

static void begin_by_agent(struct qmgr *q, struct service *s, struct attempt *a)
{
    struct message *m = a->message;
    if (!s->habit->remote) {
        list_push(&s->waiting, &a->node);
        serve(s);
        return;
    }
    for (uint32_t number = a->first; number; number = m->recipients[number - 1].next) {
        m->recipients[number - 1].flags |= RECIPIENT_BEGUN;
        progress_put_recipient(q, m, &m->recipients[number - 1], JOURNAL_BEGUN, 0);
    }
    list_push(&q->beginning, &a->node);
    progress_after(q, begin_after, a);
}

void agent_begin(struct qmgr *q, struct attempt *a)
{
    struct service *s = a->destination->transport->own;
    struct msg_verdict v;
    if (verdict_load(a->suspended, &v))
        answer_all(q, a, "error", &v);
    else if (!s || s->gone)
        answer_unavailable(q, a);
    else if (s->kind == BY_ERROR)
        answer_error(q, a, 5);
    else if (s->kind == BY_RETRY)
        answer_error(q, a, 4);
    else if (s->kind == BY_DISCARD)
        answer_discard(q, a);
    else
        begin_by_agent(q, s, a);
}
