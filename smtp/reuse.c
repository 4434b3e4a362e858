#include "smtp/reuse.h"

#include "lib/base/check.h"
#include "lib/base/map.h"

#include <stdlib.h>

/* A next hop with attempts under way, or with one that ended a moment ago. */
struct hop {
    struct list node;   /* among the recent ones, where none is under way */
    struct span name;   /* owned */
    size_t under_way;
    mono_ms ended;      /* the last one; 0: none */
    bool busy;          /* messages follow one another */
    struct list idle;   /* struct idle, the one used last first */
};

/* A connection that nobody uses. */
struct idle {
    struct list node;
    struct reuse *reuse;
    struct hop *hop;
    struct session *session;
    struct timer timer;
};

struct reuse {
    struct smtp *smtp;
    struct loop *loop;
    struct map hops;    /* name -> struct hop */
    struct list recent; /* struct hop, the one that ended first at the head */
    size_t idle;
    bool closed;
};

struct reuse *reuse_new(struct smtp *smtp, struct loop *l)
{
    struct reuse *r = calloc(1, sizeof *r);
    CHECK(r != NULL);
    r->smtp = smtp;
    r->loop = l;
    list_init(&r->recent);
    return r;
}

/* --- connections --------------------------------------------------------------------- */

static struct session *take_out(struct idle *i)
{
    struct session *s = i->session;
    timer_stop(&i->timer);
    list_remove(&i->node);
    i->reuse->idle--;
    free(i);
    return s;
}

static void expired(struct timer *t, void *context)
{
    struct session *s = take_out(context);
    (void)t;
    session_drop(&s);
}

static void drop_idle(struct hop *h)
{
    LIST_EACH (node, after, &h->idle) {
        struct session *s = take_out(LIST_ENTRY(node, struct idle, node));
        session_drop(&s);
    }
}

/* --- next hops ------------------------------------------------------------------------- */

static void hop_free(struct reuse *r, struct hop *h)
{
    drop_idle(h);
    list_remove(&h->node);
    map_remove(&r->hops, h->name);
    free((char *)(uintptr_t)h->name.p);
    free(h);
}

/* Those that ended long ago are forgotten; connections that they still have stay until their time is up. */
static void forget_old(struct reuse *r)
{
    mono_ms before = clock_mono() - REUSE_RECENT_MS;
    LIST_EACH (node, after, &r->recent) {
        struct hop *h = LIST_ENTRY(node, struct hop, node);
        if (h->ended >= before)
            break;
        if (list_empty(&h->idle))
            hop_free(r, h);
    }
}

static struct hop *hop_of(struct reuse *r, struct span name)
{
    struct hop *h = map_get(&r->hops, name);
    if (h)
        return h;
    h = calloc(1, sizeof *h);
    char *copy = malloc(name.n + 1);
    CHECK(h != NULL && copy != NULL);
    if (name.n)
        memcpy(copy, name.p, name.n);
    h->name = span_of(copy, name.n);
    list_init(&h->node);
    list_init(&h->idle);
    map_set(&r->hops, h->name, h);
    return h;
}

void reuse_begin(struct reuse *r, struct span name)
{
    forget_old(r);
    struct hop *h = hop_of(r, name);
    list_remove(&h->node);
    h->busy = h->under_way > 0 || (h->ended && clock_mono() - h->ended < REUSE_RECENT_MS);
    h->under_way++;
}

void reuse_end(struct reuse *r, struct span name)
{
    struct hop *h = map_get(&r->hops, name);
    CHECK(h != NULL && h->under_way > 0);
    h->ended = clock_mono();
    if (--h->under_way == 0)
        list_push(&r->recent, &h->node);
}

/* --- taking and keeping ---------------------------------------------------------------------- */

/* Whether the server still listens and has nothing left of what was before. */
static bool works(struct session *s)
{
    if (session_is_interrupted(s) || conn_state(s->conn) != CONN_OK)
        return false;
    session_say(s, "RSET");
    return session_hear(s, "sending RSET", s->smtp->mine->smtp_rset_timeout) == TALK_OK && reply_class(&s->reply) == 2 &&
           !session_is_interrupted(s);
}

struct session *reuse_take(struct reuse *r, struct span name)
{
    for (;;) {
        struct hop *h = map_get(&r->hops, name); /* again: the wait may have changed it */
        struct list *first = h && !list_empty(&h->idle) ? h->idle.next : NULL;
        if (!first)
            return NULL;
        struct session *s = take_out(LIST_ENTRY(first, struct idle, node));
        if (works(s))
            return s;
        s->spent = true;
        session_drop(&s);
    }
}

static bool is_always_kept(const struct reuse *r, struct span name)
{
    const struct param_list *list = &r->smtp->mine->smtp_connection_cache_destinations;
    for (size_t i = 0; i < list->n; i++)
        if (span_eq_nocase(list->at[i], name))
            return true;
    return false;
}

static bool is_kept(const struct reuse *r, const struct session *s, const struct hop *h)
{
    const struct params_smtp *mine = r->smtp->mine;
    bool wanted = is_always_kept(r, h->name) ||
                  (mine->smtp_connection_cache_on_demand && (h->busy || h->under_way > 1));
    return wanted && !r->closed && !s->spent && r->idle < REUSE_IDLE_MAX && conn_state(s->conn) == CONN_OK &&
           (mine->smtp_connection_reuse_count_limit == 0 || s->deliveries < mine->smtp_connection_reuse_count_limit) &&
           clock_mono() - s->since < mine->smtp_connection_reuse_time_limit * 1000;
}

void reuse_put(struct reuse *r, struct session **where, struct span name)
{
    struct session *s = *where;
    struct hop *h = map_get(&r->hops, name);
    if (!h || !is_kept(r, s, h)) {
        session_end(where);
        return;
    }
    struct idle *i = calloc(1, sizeof *i);
    CHECK(i != NULL);
    *where = NULL;
    *i = (struct idle){.reuse = r, .hop = h, .session = s};
    list_push_front(&h->idle, &i->node);
    r->idle++;
    timer_set(r->loop, &i->timer, clock_after(r->smtp->mine->smtp_connection_cache_time_limit), expired, i);
}

void reuse_close(struct reuse *r)
{
    size_t at = 0;
    r->closed = true;
    for (struct hop *h; (h = map_next(&r->hops, &at));)
        drop_idle(h);
}

void reuse_free(struct reuse **where)
{
    struct reuse *r = *where;
    size_t at = 0;
    *where = NULL;
    if (!r)
        return;
    for (struct hop *h; (h = map_next(&r->hops, &at)); at = 0) {
        CHECK(h->under_way == 0);
        hop_free(r, h);
    }
    map_fini(&r->hops);
    free(r);
}
