#include "smtp/route.h"

#include "lib/dns/dns.h"
#include "lib/mail/dsn.h"
#include "smtp/generic.h"
#include "smtp/notice.h"
#include "smtp/policy.h"
#include "smtp/reuse.h"

#include <errno.h>
#include <string.h>

/* The way through next hops and their servers, best first, until all recipients have a verdict.
 *
 * A server that cannot be reached, does not want to talk, or says "not now" is followed by the next
 * one; a final "no" is final whoever says it. smtp_mx_address_limit counts addresses,
 * smtp_mx_session_limit those that answered. */

struct walk {
    struct delivery *d;
    struct destination to;
    struct endpoint_list servers;
    size_t next;       /* of servers */
    uint64_t sessions; /* begun at this next hop */
    bool last_hop;     /* no other next hop follows */
    bool fallback;     /* this one is of smtp_fallback_relay */
    struct span asked; /* the address that a kept connection led to, which has given its answer */
};

/* --- one server -------------------------------------------------------------------------- */

static struct verdict connect_verdict(const struct walk *w, const struct endpoint *e, int error)
{
    struct arena *a = w->d->arena;
    const char *text = e->port ? arena_printf(a, "connect to %.*s[%.*s]:%u: %s", SPAN_ARG(e->host), SPAN_ARG(e->address),
                                              e->port, strerror(error))
                               : arena_printf(a, "connect to %.*s[%.*s]: %s", SPAN_ARG(e->host), SPAN_ARG(e->address),
                                              strerror(error));
    return verdict_make(VERDICT_TEMP, DSN(4, 4, 1), span_text(text));
}

static struct session *open_session(struct walk *w, const struct endpoint *e)
{
    struct delivery *d = w->d;
    const struct smtp_services *services = &d->smtp->services;
    int64_t seconds = d->smtp->mine->smtp_connect_timeout;
    int fd = services->connect(services->context, e, seconds > 0 ? clock_after(seconds) : MONO_NEVER);
    if (fd >= 0)
        return session_new(d->smtp, fd, e, services->number(services->context));
    d->why = connect_verdict(w, e, errno);
    log_line(&d->log, LOG_LEVEL_INFO, "%.*s", SPAN_ARG(d->why.text));
    return NULL;
}

/* Over a session that has just been connected. */
static void use_new_session(struct walk *w, struct session *s)
{
    struct delivery *d = w->d;
    struct verdict why = {0};
    bool refused = false;
    enum talk talk = session_hello(s, d->arena, d->m->nexthop, &refused, &why);
    d->connected_us = clock_wall_us();
    if (talk != TALK_OK)
        why = session_trouble(s, d->arena, talk);
    if (talk != TALK_OK || refused)
        delivery_fail(d, &why, talk != TALK_CANCELLED);
    else
        transact(d, s);
    notice_flush(s, d->m->sender);
    reuse_put(d->smtp->reuse, &s, d->m->nexthop);
}

/* Over one that was kept from the message before. Where it breaks the server is asked anew; where it says
 * "not now" the others are. */
static void use_kept_session(struct walk *w)
{
    struct delivery *d = w->d;
    struct session *s = reuse_take(d->smtp->reuse, d->m->nexthop);
    if (!s)
        return;
    d->connected_us = clock_wall_us();
    d->last_server = false;
    transact(d, s);
    if (!s->spent)
        w->asked = arena_dup(d->arena, s->to.address);
    notice_flush(s, d->m->sender);
    reuse_put(d->smtp->reuse, &s, d->m->nexthop);
    delivery_next_server(d);
}

/* --- the servers of a next hop -------------------------------------------------------------- */

static bool has_next(const struct walk *w)
{
    const struct params_smtp *mine = w->d->smtp->mine;
    return w->next < w->servers.n && (mine->smtp_mx_address_limit == 0 || w->next < mine->smtp_mx_address_limit) &&
           (mine->smtp_mx_session_limit == 0 || w->sessions < mine->smtp_mx_session_limit);
}

static void try_servers(struct walk *w)
{
    struct delivery *d = w->d;
    while (d->open > 0 && has_next(w)) {
        const struct endpoint *e = &w->servers.at[w->next++];
        if (w->asked.n && span_eq(e->address, w->asked))
            continue;
        struct session *s = open_session(w, e);
        if (!s)
            continue;
        w->sessions++;
        d->last_server = w->last_hop && !has_next(w);
        delivery_next_server(d);
        use_new_session(w, s);
    }
}

static void find_servers(struct walk *w, struct span hop)
{
    struct delivery *d = w->d;
    struct verdict why = {0};
    struct buf bad = BUF_INIT;
    w->servers = (struct endpoint_list){0};
    w->next = w->sessions = 0;
    if (!destination_parse(hop, d->smtp->lmtp, d->smtp->default_port, &w->to, &bad)) {
        log_line(&d->log, LOG_LEVEL_WARNING, "%s", buf_text(&bad));
        why = verdict_make(VERDICT_TEMP, DSN(4, 3, 5), SPAN("mail system configuration error"));
    } else if (w->to.path.n) {
        w->servers.at = ARENA_NEW(d->arena, struct endpoint);
        w->servers.at[0] = (struct endpoint){.host = d->smtp->main->myhostname, .address = w->to.path};
        w->servers.n = 1;
    } else {
        route_find(d->smtp, d->arena, &w->to, &w->servers, &why);
    }
    if (w->servers.n == 0)
        d->why = why;
    buf_fini(&bad);
}

/* --- the next hops ------------------------------------------------------------------------------ */

/* Hosts that the administrator has named are not given up for good: mail waits for the correction. */
static void blame_configuration(struct walk *w)
{
    struct delivery *d = w->d;
    const char *parameter = w->fallback ? "smtp_fallback_relay"
                            : span_eq(d->m->nexthop, d->smtp->main->relayhost) ? "relayhost"
                                                                              : NULL;
    if (d->why.class != VERDICT_PERM || !parameter)
        return;
    log_line(&d->log, LOG_LEVEL_WARNING, "%s configuration problem", parameter);
    d->why.class = VERDICT_TEMP;
    d->why.dsn = DSN(4, 3, 5);
}

/* What no server has taken. */
static void give_up(struct walk *w)
{
    struct delivery *d = w->d;
    if (d->open == 0)
        return;
    if (d->why.text.n == 0)
        d->why = verdict_make(VERDICT_TEMP, DSN(4, 3, 0), SPAN("server unavailable or unable to receive mail"));
    blame_configuration(w);
    d->last_server = true;
    delivery_next_server(d);
    struct verdict why = d->why;
    delivery_fail(d, &why, true);
}

static void try_hops(struct walk *w)
{
    struct delivery *d = w->d;
    struct span hops = d->m->nexthop, fallback = d->smtp->mine->smtp_fallback_relay.text, hop, next;
    bool more = destination_next(&hops, &hop);
    if (!more && (more = destination_next(&fallback, &hop)))
        w->fallback = true;
    use_kept_session(w);
    while (more && d->open > 0) {
        bool next_is_fallback = w->fallback;
        more = destination_next(&hops, &next);
        if (!more && (more = destination_next(&fallback, &next)))
            next_is_fallback = true;
        w->last_hop = !more;
        find_servers(w, hop);
        try_servers(w);
        hop = next;
        if (more)
            w->fallback = next_is_fallback;
    }
    give_up(w);
}

static void refuse_all(struct delivery *d, const struct verdict *v)
{
    d->last_server = true;
    delivery_fail(d, v, false);
}

static bool rename_addresses(struct delivery *d)
{
    struct buf why = BUF_LIMITED(LOG_LINE_MAX);
    bool good = !d->smtp->generic || generic_apply(d->smtp->generic, d, &why);
    if (!good)
        log_line(&d->log, LOG_LEVEL_WARNING, "%.*s: %s", SPAN_ARG(d->m->id), buf_text(&why));
    buf_fini(&why);
    return good;
}

void delivery_run(struct delivery *d)
{
    struct walk w = {.d = d};
    struct verdict v;
    d->begun_us = clock_wall_us();
    if (policy_puts_off(d->smtp, d->arena, &v)) {
        refuse_all(d, &v);
    } else if (!rename_addresses(d)) {
        v = verdict_make(VERDICT_TEMP, DSN(4, 3, 0), SPAN("smtp_generic_maps lookup problem"));
        refuse_all(d, &v);
    } else if (!text_scan(&d->text, &d->facts)) {
        log_line(&d->log, LOG_LEVEL_WARNING, "%.*s: reading the message: %s", SPAN_ARG(d->m->id), strerror(errno));
        v = verdict_make(VERDICT_TEMP, DSN(4, 3, 0), SPAN("the message cannot be read"));
        refuse_all(d, &v);
    } else {
        reuse_begin(d->smtp->reuse, d->m->nexthop);
        try_hops(&w);
        reuse_end(d->smtp->reuse, d->m->nexthop);
    }
}
