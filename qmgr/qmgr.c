#include "qmgr/qmgr.h"
#include "lib/base/check.h"
#include "qmgr/agent.h"
#include "qmgr/inner.h"
#include "qmgr/link.h"
#include "qmgr/load.h"
#include "qmgr/notify.h"
#include "qmgr/past.h"
#include "qmgr/progress.h"
#include "qmgr/route.h"
#include "qmgr/store.h"
#include "qmgr/tool.h"

#include <stdlib.h>

enum {
    PUMP_ATTEMPTS = 500, /* begun in one step; then the channels have their turn */
    PUMP_AGAIN_MS = 50,  /* where more is due than is taken on */
};

/* --- time --- */

int64_t qmgr_now(const struct qmgr *q)
{
    return q->clock_base_us + loop_now(q->loop) * 1000;
}

int64_t qmgr_wall_offset(const struct qmgr *q)
{
    int64_t offset = clock_wall_us() - (q->clock_base_us + clock_mono() * 1000);
    /* A difference of milliseconds is the coarseness of the other clock, not a step of this one. */
    return offset > -SECOND_US && offset < SECOND_US ? 0 : offset;
}

/* --- what is due --- */

void qmgr_kick(struct qmgr *q)
{
    loop_defer(q->loop, &q->pump);
}

static void pump_again(struct timer *t, void *context)
{
    (void)t;
    qmgr_kick(context);
}

static void pump_at(struct qmgr *q, int64_t moment_us)
{
    if (moment_us == SCHEDULE_NEVER)
        timer_stop(&q->pump_timer);
    else
        timer_set(q->loop, &q->pump_timer, (moment_us - q->clock_base_us) / 1000 + 1, pump_again, q);
}

static void pump_step(struct deferred *d, void *context)
{
    struct qmgr *q = context;
    struct message *m = NULL;
    struct attempt *a = NULL;
    int64_t now_us = qmgr_now(q);
    (void)d;
    if (progress_is_broken(q))
        return; /* the next good commit kicks again */
    schedule_wake(&q->schedule, now_us);
    bool room = true;
    while ((room = q->resolving_waiting < ROUTE_WAITING_MAX) && (m = schedule_due(&q->schedule, now_us)))
        route_message(q, m, NULL);
    int n = 0;
    for (; n < PUMP_ATTEMPTS && (a = schedule_next(&q->schedule, now_us)); n++)
        agent_begin(q, a);
    /* Withdrawn jobs may have left messages idle. */
    if (q->schedule.settled_count > 0)
        progress_commit_soon(q);
    if (n == PUMP_ATTEMPTS)
        pump_at(q, now_us);
    else
        pump_at(q, room ? schedule_next_moment(&q->schedule) : now_us + PUMP_AGAIN_MS * 1000);
}

static void every_second(struct timer *t, void *context)
{
    struct qmgr *q = context;
    store_second(q);
    agent_second(q);
    tool_second(q);
    qmgr_kick(q);
    timer_set(q->loop, t, clock_after(1), every_second, q);
}

/* --- settings --- */

static void rules_free(struct rules **rp)
{
    struct rules *r = *rp;
    *rp = NULL;
    if (!r)
        return;
    settings_fini(&r->settings);
    arena_fini(&r->arena);
    free(r);
}

static struct rules *rules_load(const struct settings *settings, struct buf *why)
{
    struct rules *r = calloc(1, sizeof *r);
    struct param_errors errors = PARAM_ERRORS_INIT;
    CHECK(r != NULL);
    settings_copy(&r->settings, settings);
    bool good = params_main_load(&r->arena, &r->settings, &r->main, &errors);
    good = params_qmgr_load(&r->arena, &r->settings, &r->qmgr, &errors) && good;
    if (!good)
        buf_printf(why, "%.*s", errors.count ? (int)errors.at[0]->text.n : 0,
                   errors.count ? errors.at[0]->text.p : "");
    r->schedule = (struct schedule_params){
        .minimal_backoff_us = r->qmgr.minimal_backoff_time * SECOND_US,
        .maximal_backoff_us = r->qmgr.maximal_backoff_time * SECOND_US,
        .maximal_lifetime_us = r->qmgr.maximal_queue_lifetime * SECOND_US,
        .bounce_lifetime_us = r->qmgr.bounce_queue_lifetime * SECOND_US,
        .warn_us = r->main.delay_warning_time * SECOND_US,
        .transport_retry_us = r->qmgr.transport_retry_time * SECOND_US,
    };
    if (r->schedule.maximal_backoff_us < r->schedule.minimal_backoff_us)
        r->schedule.maximal_backoff_us = r->schedule.minimal_backoff_us;
    param_errors_fini(&errors);
    if (!good)
        rules_free(&r);
    return r;
}

bool qmgr_reload(struct qmgr *q, const struct settings *settings, const wire_list_service *services,
                 struct buf *why)
{
    struct rules *fresh = rules_load(settings, why);
    if (!fresh)
        return false;
    rules_free(&q->rules);
    q->rules = fresh;
    q->schedule.params = fresh->schedule;
    agent_set_services(q, services);
    qmgr_kick(q);
    return true;
}

/* --- beginning and end --- */

struct qmgr *qmgr_new(const struct qmgr_config *config, struct buf *why)
{
    struct rules *rules = rules_load(config->settings, why);
    if (!rules)
        return NULL;
    struct qmgr *q = calloc(1, sizeof *q);
    CHECK(q != NULL);
    q->config = *config;
    q->loop = config->loop;
    q->rules = rules;
    q->ids.incarnation = config->incarnation;
    q->clock_base_us = clock_wall_us() - clock_mono() * 1000;
    q->pump = (struct deferred){.fn = pump_step, .context = q, .rank = LOOP_RANK_RESUME};
    list_init(&q->resolving);
    list_init(&q->beginning);
    list_init(&q->loads);
    schedule_init(&q->schedule, &rules->schedule);
    tool_init(q);
    q->rewrite = link_new(q, "rewrite");
    q->bounce = link_new(q, "bounce");
    agent_set_services(q, config->services);
    return q;
}

bool qmgr_begin(struct qmgr *q, struct buf *why)
{
    struct journal_summary summary;
    store_open(q);
    past_begin(q);
    if (!progress_open(q, past_reader(q), &summary, why))
        return false;
    if (summary.torn)
        log_info("the journal ended in an entry that was not whole: it did not count yet");
    if (!store_scan(q, why))
        return false;
    timer_set(q->loop, &q->second, clock_after(1), every_second, q);
    qmgr_kick(q);
    return true;
}

static void free_messages(struct qmgr *q)
{
    struct walker w = {0};
    walker_begin(&w, &q->schedule);
    for (struct message *m; (m = walker_next(&w, &q->schedule));) {
        load_drop(q, m);
        notify_drop(q, m);
    }
    walker_end(&w);
}

void qmgr_free(struct qmgr **qp)
{
    struct qmgr *q = *qp;
    *qp = NULL;
    if (!q)
        return;
    q->ending = true;
    loop_undefer(&q->pump);
    timer_stop(&q->pump_timer);
    timer_stop(&q->second);
    tool_close_all(q);
    agent_close_all(q);
    link_free(&q->rewrite);
    link_free(&q->bounce);
    route_close(q);
    past_end(q);
    free_messages(q);
    map_fini(&q->notices);
    store_close(q);
    if (q->journal)
        progress_close(q);
    schedule_fini(&q->schedule);
    rules_free(&q->rules);
    free(q);
}
