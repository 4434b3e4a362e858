#include "qmgr/route.h"
#include "lib/base/check.h"
#include "lib/wire/resolve.msg.h"
#include "qmgr/agent.h"
#include "qmgr/link.h"
#include "qmgr/notify.h"
#include "qmgr/progress.h"
#include "qmgr/verdict.h"

#include <stdlib.h>

/* A message whose recipients are being asked for, some at a time. */
struct resolving {
    struct list node; /* among those that wait for their turn */
    struct qmgr *q;
    struct message *message; /* it has resolving recipients, so it stays */
    uint32_t next;           /* index of the first that was not asked for */
};

static void ask_next(struct qmgr *q);

static bool is_deferred_transport(const struct qmgr *q, struct span transport)
{
    const struct param_list *l = &q->rules->qmgr.defer_transports;
    for (size_t i = 0; i < l->n; i++)
        if (span_eq(l->at[i], transport))
            return true;
    return false;
}

static void apply_route(struct qmgr *q, struct message *m, struct recipient *r,
                        const struct msg_recipient *route)
{
    if (is_deferred_transport(q, route->transport)) {
        verdict_apply_own(q, m, r, 4, SPAN("4.3.2"), SPAN("deferred transport"));
        return;
    }
    if (notify_is_double_bounce(q, route->user.n ? route->user : span_text(recipient_address(m, r)))) {
        struct msg_verdict v = {
            .class = 2, .dsn = SPAN("2.0.0"), .text = SPAN("undeliverable postmaster notification discarded")};
        verdict_apply(q, m, r, &v, &(struct judge){.begun_us = qmgr_now(q)});
        return;
    }
    bool same = span_eq(route->user, span_text(recipient_address(m, r)));
    schedule_ready(&q->schedule, m, r, agent_transport(q, route->transport), route->nexthop,
                   same ? SPAN_NONE : route->user);
}

static void log_active(struct qmgr *q, const struct message *m)
{
    struct buf from = BUF_LIMITED(LOG_LINE_MAX);
    verdict_put_address(q, &from, text_span(m->sender));
    log_info("%s: from=<%s>, size=%llu, nrcpt=%lu (queue active)", m->id.text, buf_text(&from),
             (unsigned long long)m->size, (unsigned long)m->busy);
    buf_fini(&from);
}

void route_message(struct qmgr *q, struct message *m, const struct msg_stored_envelope *e)
{
    uint32_t left = 0;
    log_active(q, m);
    for (uint32_t i = 0; i < m->recipient_count; i++) {
        struct recipient *r = &m->recipients[i];
        if (r->state != RECIPIENT_RESOLVING)
            continue;
        if (e && e->recipients.at[i].transport.n)
            apply_route(q, m, r, &e->recipients.at[i]);
        else
            left++;
    }
    if (left == 0)
        return;
    struct resolving *x = calloc(1, sizeof *x);
    CHECK(x != NULL);
    *x = (struct resolving){.q = q, .message = m};
    list_push(&q->resolving, &x->node);
    q->resolving_waiting++;
    ask_next(q);
}

/* --- asking rewrite --- */

/* Rewrite is not there: all that waits for it waits a little longer. */
static void put_back_all(struct qmgr *q, struct resolving *x)
{
    struct message *m = x->message;
    int64_t until_us = qmgr_now(q) + ROUTE_AGAIN_S * SECOND_US;
    for (uint32_t i = 0; i < m->recipient_count; i++)
        if (m->recipients[i].state == RECIPIENT_RESOLVING)
            schedule_put_back(&q->schedule, m, &m->recipients[i], until_us);
    progress_commit_soon(q);
    free(x);
}

static void take_routes(struct qmgr *q, struct message *m, const struct msg_resolved *answer)
{
    for (size_t i = 0; i < answer->recipients.n; i++) {
        const struct msg_recipient *route = &answer->recipients.at[i];
        if (route->number == 0 || route->number > m->recipient_count)
            continue;
        struct recipient *r = &m->recipients[route->number - 1];
        if (r->state != RECIPIENT_RESOLVING)
            continue;
        if (route->transport.n)
            apply_route(q, m, r, route);
        else
            verdict_apply_own(q, m, r, 4, SPAN("4.3.0"), route->nexthop);
    }
}

/* Whether some of it were not asked for. The asked ones that got no answer are put back. */
static bool has_more(struct qmgr *q, struct resolving *x)
{
    bool more = false;
    struct message *m = x->message;
    for (uint32_t i = 0; i < m->recipient_count; i++) {
        if (m->recipients[i].state != RECIPIENT_RESOLVING)
            continue;
        if (i >= x->next)
            more = true;
        else
            schedule_put_back(&q->schedule, m, &m->recipients[i], qmgr_now(q) + ROUTE_AGAIN_S * SECOND_US);
    }
    return more;
}

static void routes_came(struct frame *reply, void *context)
{
    struct resolving *x = context;
    struct qmgr *q = x->q;
    struct arena scratch = ARENA_INIT;
    struct msg_resolved answer;
    q->resolving_now--;
    if (q->ending) {
        free(x);
        return;
    }
    if (!reply || reply->type != MSG_resolved || !msg_resolved_get(&scratch, reply->body, &answer)) {
        put_back_all(q, x);
    } else {
        take_routes(q, x->message, &answer);
        bool more = has_more(q, x);
        if (more)
            list_push(&q->resolving, &x->node);
        else
            free(x);
        q->resolving_waiting += more;
    }
    arena_fini(&scratch);
    progress_commit_soon(q);
    ask_next(q);
    qmgr_kick(q);
}

/* The next recipients of a message in one request. */
static void ask(struct qmgr *q, struct resolving *x)
{
    struct arena scratch = ARENA_INIT;
    struct buf body = BUF_INIT;
    struct message *m = x->message;
    struct msg_resolve request = {.sender = text_span(m->sender)};
    request.recipients.at = arena_calloc(&scratch, RESOLVE_RECIPIENTS_MAX, sizeof *request.recipients.at);
    for (; x->next < m->recipient_count && request.recipients.n < RESOLVE_RECIPIENTS_MAX; x->next++)
        if (m->recipients[x->next].state == RECIPIENT_RESOLVING)
            request.recipients.at[request.recipients.n++] = (struct msg_recipient){
                .number = x->next + 1, .address = span_text(recipient_address(m, &m->recipients[x->next]))};
    msg_resolve_put(&body, &request);
    q->resolving_now++;
    link_request(q->rewrite, MSG_resolve, buf_span(&body), NULL, 0, routes_came, x);
    buf_fini(&body);
    arena_fini(&scratch);
}

static void ask_next(struct qmgr *q)
{
    struct list *node;
    while (q->resolving_now < ROUTE_REQUESTS_MAX && (node = list_shift(&q->resolving))) {
        q->resolving_waiting--;
        ask(q, LIST_ENTRY(node, struct resolving, node));
    }
}

void route_close(struct qmgr *q)
{
    struct list *node;
    while ((node = list_shift(&q->resolving)))
        free(LIST_ENTRY(node, struct resolving, node));
}
