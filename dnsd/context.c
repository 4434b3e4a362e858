#include "dnsd/context.h"

#include <errno.h>
#include <string.h>

enum {
    SOCKETS_UDP = 1000, /* questions to name servers under way at a time; more of them queue up */
    SOCKETS_TCP = 64,
    OPTION_MAX = 32,    /* octets of a number */
};

static const char *const builtin_zones[] = {
    "localhost.", "test.", "invalid.", "onion.", "home.arpa.", "127.in-addr.arpa.",
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa.",
};

const char *context_builtin_zone(unsigned i)
{
    return i < sizeof builtin_zones / sizeof *builtin_zones ? builtin_zones[i] : NULL;
}

/* --- settings -------------------------------------------------------------------------------- */

/* A step that failed ends all that come after it. */
struct setting_up {
    struct ub_ctx *ub;
    struct buf *why;
    bool good;
};

static void check(struct setting_up *u, int rc, const char *what, const char *value)
{
    if (rc != UB_NOERROR && u->good) {
        buf_printf(u->why, "libunbound refuses %s %s: %s", what, value, ub_strerror(rc));
        u->good = false;
    }
}

static void set(struct setting_up *u, const char *name, const char *value)
{
    check(u, ub_ctx_set_option(u->ub, name, value), name, value);
}

static void set_number(struct setting_up *u, const char *name, uint64_t value)
{
    char text[OPTION_MAX];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    set(u, name, text);
}

static bool asks_this_machine(const struct sources *s)
{
    bool found = false;
    for (size_t i = 0; i < s->nforwarders; i++)
        found |= s->forwarders[i].loopback;
    for (size_t i = 0; i < s->nstubs; i++)
        found |= s->stubs[i].server.loopback;
    return found;
}

static void set_limits(struct setting_up *u, const struct sources *s)
{
    set_number(u, "outgoing-range:", SOCKETS_UDP);
    set_number(u, "outgoing-num-tcp:", SOCKETS_TCP);
    set_number(u, "num-queries-per-thread:", s->query_limit);
    /* Records take about twice the room of the messages that refer to them. */
    set_number(u, "rrset-cache-size:", s->cache_size / 2);
    set_number(u, "msg-cache-size:", s->cache_size / 4);
    set_number(u, "key-cache-size:", s->cache_size / 8);
    set_number(u, "neg-cache-size:", s->cache_size / 8);
    set_number(u, "cache-max-ttl:", (uint64_t)s->max_ttl);
    set_number(u, "cache-max-negative-ttl:", (uint64_t)s->max_negative_ttl);
}

static void set_servers(struct setting_up *u, const struct sources *s)
{
    set(u, "tcp-upstream:", s->use_tcp ? "yes" : "no");
    set(u, "do-not-query-localhost:", asks_this_machine(s) ? "no" : "yes");
    for (size_t i = 0; i < s->nforwarders; i++)
        check(u, ub_ctx_set_fwd(u->ub, s->forwarders[i].text.p), "forwarder", s->forwarders[i].text.p);
    for (size_t i = 0; i < s->nstubs; i++)
        check(u, ub_ctx_set_stub(u->ub, s->stubs[i].zone.p, s->stubs[i].server.text.p, 0), "stub zone",
              s->stubs[i].zone.p);
}

static void set_dnssec(struct setting_up *u, const struct sources *s)
{
    set(u, "module-config:", s->validate ? "validator iterator" : "iterator");
    set(u, "insecure-lan-zones:", "yes");
    for (size_t i = 0; s->validate && i < s->anchors->n; i++)
        check(u, ub_ctx_add_ta(u->ub, s->anchors->at[i].p), "trust anchor", s->anchors->at[i].p);
    for (size_t i = 0; i < s->ninsecure; i++)
        set(u, "domain-insecure:", s->insecure[i].p);
}

/* --- what libunbound knows without asking --------------------------------------------------------- */

/* Whether one of two names, without final dots, is the other or below it. */
static bool are_related(struct span a, struct span b)
{
    struct span longer = a.n > b.n ? a : b, shorter = a.n > b.n ? b : a;
    if (span_eq(shorter, SPAN(".")))
        return true;
    return span_ends_nocase(longer, shorter) &&
           (longer.n == shorter.n || longer.p[longer.n - shorter.n - 1] == '.');
}

/* A zone that has name servers of its own is asked for, whatever is built in. */
static bool is_asked_for(const struct sources *s, const char *zone)
{
    struct span bare = span_slice(span_text(zone), 0, strlen(zone) - 1);
    bool found = !s->builtin;
    for (size_t i = 0; i < s->nstubs; i++)
        found |= are_related(s->stubs[i].zone, bare);
    return found;
}

static void remove_builtin(struct setting_up *u, const struct sources *s)
{
    const char *zone;
    for (unsigned i = 0; u->good && (zone = context_builtin_zone(i)); i++)
        if (is_asked_for(s, zone))
            check(u, ub_ctx_zone_remove(u->ub, zone), "to ask for", zone);
}

struct ub_ctx *context_open(const struct sources *s, FILE *log, struct buf *why)
{
    struct setting_up u = {.ub = ub_ctx_create(), .why = why, .good = true};
    if (!u.ub) {
        buf_printf(why, "libunbound: %s", strerror(errno));
        return NULL;
    }
    check(&u, ub_ctx_debugout(u.ub, log), "its log", "");
    check(&u, ub_ctx_async(u.ub, 1), "to use a thread", "");
    /* The cause of a failed lookup is told in its log alone. */
    set(&u, "log-servfail:", "yes");
    set(&u, "unblock-lan-zones:", is_asked_for(s, "in-addr.arpa.") || is_asked_for(s, "ip6.arpa.") ? "yes" : "no");
    set_limits(&u, s);
    set_servers(&u, s);
    set_dnssec(&u, s);
    remove_builtin(&u, s);
    if (u.good)
        return u.ub;
    ub_ctx_delete(u.ub);
    return NULL;
}
