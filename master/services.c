#include "master/services.h"

#include "lib/base/check.h"
#include "lib/log/log.h"
#include "master/channels.h"
#include "master/children.h"

#include <stdlib.h>
#include <string.h>

enum { BACKOFF_FIRST_MS = 250, FAILURE_LASTS_MS = 120000 };

static void crew_timer(struct timer *t, void *context);

struct crew *services_find(struct master *m, struct span name)
{
    LIST_EACH (node, after, &m->crews) {
        struct crew *crew = LIST_ENTRY(node, struct crew, node);
        if (crew->plan->type != SERVICE_INET && crew->plan->program->calls != CALLS_NONE && span_eq(name, span_text(crew->name)))
            return crew;
    }
    return NULL;
}

/* --- how many ------------------------------------------------------------------------ */

/* Processes of the current generation; all with the ones that are on their way out. */
static unsigned count_children(const struct crew *crew, bool all)
{
    unsigned n = 0;
    for (struct list *node = crew->children.next; node != &crew->children; node = node->next) {
        const struct child *c = LIST_ENTRY(node, struct child, node);
        n += all || (!c->retired && c->state != CHILD_STOPPING);
    }
    return n;
}

bool crew_may_start(const struct crew *crew)
{
    /* Of what there may be one only, the old one must have gone before there is a new one. */
    bool one = crew->plan->program->processes == PROCESSES_ONE;
    return !crew->gone && !crew->master->stopping && clock_mono() >= crew->not_before &&
           count_children(crew, one) < crew->plan->processes;
}

unsigned crew_free_slot(const struct crew *crew)
{
    for (unsigned slot = 0;; slot++) {
        bool taken = false;
        for (struct list *node = crew->children.next; node != &crew->children; node = node->next)
            taken |= LIST_ENTRY(node, struct child, node)->slot == slot;
        if (!taken)
            return slot;
    }
}

void crew_start(struct crew *crew, unsigned slot)
{
    enum { SYSTEM_PAUSE_MS = 1000 };
    if (!child_start(crew, slot)) /* the system has no process to spare; logged */
        crew->not_before = clock_mono() + SYSTEM_PAUSE_MS;
}

static unsigned wanted_at_rest(const struct crew *crew)
{
    if (!crew->plan->program->at_start)
        return 0;
    return crew->plan->program->kind == PROGRAM_HOST ? crew->plan->processes : 1;
}

void crew_fill(struct crew *crew)
{
    mono_ms now = clock_mono(), due = MONO_NEVER;
    while (count_children(crew, false) < wanted_at_rest(crew) && crew_may_start(crew))
        crew_start(crew, crew_free_slot(crew));
    if (crew->not_before > now && !crew->gone && !crew->master->stopping &&
        (count_children(crew, false) < wanted_at_rest(crew) || crew->nrequests))
        due = crew->not_before;
    mono_ms expiry = channels_expire(crew, now);
    due = expiry < due ? expiry : due;
    if (due != MONO_NEVER)
        timer_set(crew->master->loop, &crew->timer, due, crew_timer, crew);
}

static void crew_timer(struct timer *t, void *context)
{
    struct crew *crew = context;
    (void)t;
    channels_serve(crew);
    crew_fill(crew);
}

/* --- news of children ------------------------------------------------------------------ */

void crew_child_ready(struct child *c)
{
    if (c->retired || c->master->stopping) {
        child_stop(c, 0);
        return;
    }
    if (c->config != c->crew->config) /* a broker: there was a reload since it was started */
        child_tell_settings(c);
    channels_serve(c->crew);
}

void crew_child_idle(struct child *c)
{
    struct crew *crew = c->crew;
    crew->failures = 0; /* it has done work */
    if (c->retired)
        child_stop(c, 0);
    else
        channels_serve(crew);
}

static void crew_free(struct crew *crew)
{
    channels_refuse(crew, "the service is there no more");
    list_remove(&crew->node);
    timer_stop(&crew->timer);
    config_release(&crew->config);
    free(crew->key);
    free(crew->name);
    free(crew);
}

/* The first failure costs nothing, the next ones a growing pause, service_throttle_time at most. */
static void back_off(struct crew *crew)
{
    mono_ms now = clock_mono();
    if (now > crew->failed_at + FAILURE_LASTS_MS)
        crew->failures = 0;
    crew->failed_at = now;
    int64_t most = 1000 * crew->config->master.service_throttle_time;
    unsigned power = crew->failures < 16 ? crew->failures : 16;
    int64_t pause = crew->failures ? (int64_t)BACKOFF_FIRST_MS << power : 0;
    crew->failures++;
    crew->not_before = now + (pause < most ? pause : most);
    if (pause >= 4000)
        channels_refuse(crew, "its processes do not start; the log says why");
}

static void stop_next_stage(struct master *m);

void crew_child_gone(struct crew *crew, bool failed)
{
    struct master *m = crew->master;
    if (failed)
        back_off(crew);
    else
        crew->failures = 0;
    if (m->stopping) {
        stop_next_stage(m);
    } else if (crew->gone && list_empty(&crew->children)) {
        crew_free(crew);
    } else {
        channels_serve(crew);
        crew_fill(crew);
    }
}

/* --- applying a configuration ------------------------------------------------------------ */

static struct crew *crew_new(struct master *m, const struct plan *plan)
{
    struct crew *crew = calloc(1, sizeof *crew);
    CHECK(crew != NULL);
    crew->master = m;
    crew->key = strdup(plan->key);
    crew->name = strdup(plan->name);
    CHECK(crew->key && crew->name);
    list_init(&crew->children);
    list_init(&crew->requests);
    list_push(&m->crews, &crew->node);
    return crew;
}

static struct crew *find_by_key(struct master *m, const char *key)
{
    LIST_EACH (node, after, &m->crews) {
        struct crew *crew = LIST_ENTRY(node, struct crew, node);
        if (strcmp(crew->key, key) == 0)
            return crew;
    }
    return NULL;
}

/* Brokers go on with new settings; all others are replaced. */
static void renew_children(struct crew *crew, const struct program *before)
{
    LIST_EACH (node, after, &crew->children) {
        struct child *c = LIST_ENTRY(node, struct child, node);
        if (crew->plan->program == before && before->kind == PROGRAM_BROKER && c->state != CHILD_STOPPING &&
            !c->retired) {
            if (c->state == CHILD_READY)
                child_tell_settings(c);
        } else {
            child_retire(c);
        }
    }
}

static void apply_plan(struct master *m, const struct plan *plan)
{
    struct crew *crew = find_by_key(m, plan->key);
    struct config *old = NULL;
    const struct program *before = NULL;
    if (!crew) {
        crew = crew_new(m, plan);
    } else {
        old = crew->config;
        before = crew->plan->program;
    }
    crew->config = m->config;
    crew->config->users++;
    crew->plan = plan;
    crew->gone = false;
    crew->failures = 0;
    crew->not_before = 0;
    if (before)
        renew_children(crew, before);
    config_release(&old);
    channels_serve(crew);
    crew_fill(crew);
}

static void crew_end(struct crew *crew)
{
    crew->gone = true;
    LIST_EACH (node, after, &crew->children)
        child_retire(LIST_ENTRY(node, struct child, node));
    if (list_empty(&crew->children))
        crew_free(crew);
}

void services_apply(struct master *m)
{
    LIST_EACH (node, after, &m->crews) {
        struct crew *crew = LIST_ENTRY(node, struct crew, node);
        if (!config_find(m->config, crew->key))
            crew_end(crew);
    }
    for (size_t i = 0; i < m->config->nplans; i++)
        apply_plan(m, &m->config->plans[i]);
}

/* --- the end -------------------------------------------------------------------------------- */

/* First those end that take new work from outside; they still need all the others. */
static bool ends_first(const struct crew *crew)
{
    return crew->plan->program->calls == CALLS_NONE;
}

static bool stop_crews(struct master *m, bool first_ones, int64_t grace_ms)
{
    bool none = true;
    LIST_EACH (node, after, &m->crews) {
        struct crew *crew = LIST_ENTRY(node, struct crew, node);
        if (ends_first(crew) != first_ones)
            continue;
        LIST_EACH (at, next, &crew->children) {
            child_stop(LIST_ENTRY(at, struct child, node), grace_ms);
            none = false;
        }
    }
    return none;
}

static void stop_next_stage(struct master *m)
{
    if (m->stopping == 1 && stop_crews(m, true, STOP_GRACE_MS)) {
        m->stopping = 2;
        stop_crews(m, false, STOP_GRACE_MS);
    }
    if (m->stopping == 2 && m->children.count == 0)
        loop_stop(m->loop);
}

void services_free(struct master *m)
{
    LIST_EACH (node, after, &m->crews)
        crew_free(LIST_ENTRY(node, struct crew, node));
}

void services_stop(struct master *m)
{
    if (m->stopping)
        return;
    m->stopping = 1;
    stop_next_stage(m);
}
