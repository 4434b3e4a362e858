#include "smtp/route.h"

#include "lib/dns/dns.h"
#include "lib/mail/codec.h"

#include <limits.h>
#include <sys/random.h>

struct routing_job {
    struct smtp *smtp;
    struct arena *a;
    const struct destination *d;
    struct endpoint *at; /* grows in a */
    size_t n, cap;
    struct verdict *why; /* of the last host that had no address; a temporary trouble is kept */
    bool loops_matter;   /* the port is that of SMTP: what listens there may be ourselves */
};

/* --- troubles --------------------------------------------------------------------- */

static void fail(struct routing_job *j, struct dsn_code dsn, const char *text)
{
    /* Where one host may come back the whole may: a proven absence of another does not count. */
    if (j->why->text.n && j->why->dsn.class == 4 && dsn.class == 5)
        return;
    *j->why = verdict_make(verdict_class_of(dsn), dsn, span_text(text));
}

static void fail_lookup(struct routing_job *j, struct span name, unsigned type, const struct dns_answer *answer)
{
    struct buf text = BUF_INIT;
    buf_puts(&text, "Host or domain name not found. ");
    dns_put_name_error(&text, name, type, answer);
    fail(j, dns_is_permanent(answer) ? DSN(5, 4, 4) : DSN(4, 4, 3), arena_text(j->a, buf_span(&text)));
    buf_fini(&text);
}

/* --- addresses ------------------------------------------------------------------------ */

static void add_endpoint(struct routing_job *j, struct span host, const struct addr *addr, unsigned preference)
{
    struct buf text = BUF_INIT;
    if (j->n == j->cap) {
        size_t cap = j->cap ? j->cap * 2 : 8;
        struct endpoint *at = arena_calloc(j->a, cap, sizeof *at);
        for (size_t i = 0; i < j->n; i++)
            at[i] = j->at[i];
        j->at = at;
        j->cap = cap;
    }
    addr_put_host(&text, addr);
    j->at[j->n++] = (struct endpoint){.host = host,
                                      .address = arena_dup(j->a, buf_span(&text)),
                                      .addr = *addr,
                                      .port = addr_port(addr),
                                      .preference = preference};
    buf_fini(&text);
}

static bool dns_is_off(const struct smtp *smtp)
{
    return smtp->mine->disable_dns_lookups || span_eq_nocase(smtp->mine->smtp_dns_support_level, SPAN("disabled"));
}

/* By the methods of smtp_host_lookup, the next one where the one before does not know. */
static void look_up_host(struct routing_job *j, struct span host, struct dns_answer *answer)
{
    const struct param_list *methods = &j->smtp->mine->smtp_host_lookup;
    const struct smtp_services *services = &j->smtp->services;
    bool asked = false;
    for (size_t i = 0; i < methods->n; i++) {
        bool native = span_eq_nocase(methods->at[i], SPAN("native"));
        if (!native && dns_is_off(j->smtp))
            continue;
        services->addresses(services->context, j->a, host, native ? DNS_ASK_HOSTS : 0, answer);
        asked = true;
        if (answer->verdict == DNS_OK || !dns_is_permanent(answer))
            return;
    }
    if (!asked)
        services->addresses(services->context, j->a, host, DNS_ASK_HOSTS, answer);
}

static void add_host_port(struct routing_job *j, struct span host, unsigned port, unsigned preference)
{
    struct dns_answer answer;
    struct addr addr;
    if (addr_parse(host, port, &addr)) {
        add_endpoint(j, host, &addr, preference);
        return;
    }
    look_up_host(j, host, &answer);
    for (size_t i = 0; answer.verdict == DNS_OK && i < answer.count; i++)
        if (dns_record_addr(&answer.records[i], port, &addr))
            add_endpoint(j, host, &addr, preference);
    if (answer.verdict != DNS_OK)
        fail_lookup(j, host, DNS_TYPE_A, &answer);
}

static void add_host(struct routing_job *j, struct span host, unsigned preference)
{
    add_host_port(j, host, j->d->port, preference);
}

/* --- ourselves ---------------------------------------------------------------------------- */

static bool is_own(const struct smtp *smtp, const struct addr *addr)
{
    struct span bytes = addr_bytes(addr);
    for (size_t i = 0; i < smtp->own_address_count; i++) {
        const struct ip *own = &smtp->own_addresses[i];
        if (bytes.n == own->n && memcmp(bytes.p, own->bytes, own->n) == 0)
            return true;
    }
    return false;
}

/* RFC 5321 5.1: hosts that are not better than ourselves are left out.
 * best: the best preference that the domain has, whether that host has an address or not */
static void drop_ourselves(struct routing_job *j, unsigned best)
{
    unsigned own = UINT_MAX;
    size_t kept = 0;
    bool best_was_found = false;
    for (size_t i = 0; i < j->n; i++) {
        best_was_found |= j->at[i].preference == best;
        if (is_own(j->smtp, &j->at[i].addr) && j->at[i].preference < own)
            own = j->at[i].preference;
    }
    if (own == UINT_MAX)
        return;
    for (size_t i = 0; i < j->n; i++)
        if (j->at[i].preference < own)
            j->at[kept++] = j->at[i];
    j->n = kept;
    if (kept)
        return;
    *j->why = (struct verdict){0};
    if (best_was_found)
        fail(j, DSN(5, 4, 6), arena_printf(j->a, "mail for %.*s loops back to myself", SPAN_ARG(j->d->host)));
    else
        fail(j, DSN(4, 4, 4), arena_printf(j->a, "unable to find primary relay for %.*s", SPAN_ARG(j->d->host)));
}

/* --- the order ------------------------------------------------------------------------------ */

static size_t random_below(size_t n)
{
    uint32_t drawn = 0;
    if (getrandom(&drawn, sizeof drawn, GRND_NONBLOCK) != (ssize_t)sizeof drawn)
        drawn = (uint32_t)clock_mono();
    return drawn % n;
}

static void swap(struct endpoint *a, struct endpoint *b)
{
    struct endpoint kept = *a;
    *a = *b;
    *b = kept;
}

static bool is_preferred(const struct smtp *smtp, const struct endpoint *e)
{
    int family = addr_family(&e->addr);
    switch (smtp->mine->smtp_address_preference) {
    case PARAM_address_preference_ipv4:
        return family == AF_INET;
    case PARAM_address_preference_ipv6:
        return family == AF_INET6;
    default:
        return true;
    }
}

/* Stable, so that equals keep the random order; the lists are short. */
static void sort(struct routing_job *j)
{
    for (size_t i = 1; i < j->n; i++)
        for (size_t k = i; k > 0; k--) {
            struct endpoint *a = &j->at[k - 1], *b = &j->at[k];
            bool wrong = b->preference < a->preference ||
                         (b->preference == a->preference && is_preferred(j->smtp, b) && !is_preferred(j->smtp, a));
            if (!wrong)
                break;
            swap(a, b);
        }
}

/* smtp_balance_inet_protocols: of the first addresses, which are all that is tried, each family
 * gets half where it has so many. */
static void balance(struct routing_job *j)
{
    size_t limit = (size_t)j->smtp->mine->smtp_mx_address_limit, of_six = 0;
    if (!j->smtp->mine->smtp_balance_inet_protocols || limit < 2 || j->n <= limit)
        return;
    for (size_t i = 0; i < limit; i++)
        of_six += addr_family(&j->at[i].addr) == AF_INET6;
    while (of_six > limit - limit / 2 || limit - of_six > limit - limit / 2) {
        bool too_many_six = of_six > limit / 2;
        int wanted = too_many_six ? AF_INET : AF_INET6;
        size_t better = limit, worse = limit;
        while (better < j->n && addr_family(&j->at[better].addr) != wanted)
            better++;
        while (worse > 0 && addr_family(&j->at[worse - 1].addr) == wanted)
            worse--;
        if (better == j->n || worse == 0)
            return;
        swap(&j->at[worse - 1], &j->at[better]);
        of_six += too_many_six ? (size_t)-1 : 1;
    }
}

static void order(struct routing_job *j, bool randomly)
{
    for (size_t i = j->n; randomly && i > 1; i--)
        swap(&j->at[i - 1], &j->at[random_below(i)]);
    sort(j);
    balance(j);
}

/* --- domains and hosts -------------------------------------------------------------------------- */

/* The host itself, for the want of MX records or because it was asked for. */
static void find_host(struct routing_job *j)
{
    add_host(j, j->d->host, 0);
    if (j->loops_matter)
        drop_ourselves(j, 0);
}

static void find_exchangers(struct routing_job *j, const struct dns_answer *mx)
{
    if (dns_is_null_mx(mx)) {
        fail(j, DSN(5, 1, 10), arena_printf(j->a, "Domain %.*s does not accept mail (nullMX)", SPAN_ARG(j->d->host)));
        return;
    }
    for (size_t i = 0; i < mx->count; i++)
        if (!span_eq(mx->records[i].name, SPAN(".")))
            add_host(j, mx->records[i].name, mx->records[i].preference);
    unsigned best = mx->records[0].preference;
    if (j->n == 0) {
        if (j->smtp->mine->smtp_defer_if_no_mx_address_found && j->why->dsn.class == 5) {
            j->why->class = VERDICT_TEMP;
            j->why->dsn.class = 4;
        }
        log_warning("no MX host for %.*s has a valid address record", SPAN_ARG(j->d->host));
        return;
    }
    if (j->loops_matter)
        drop_ourselves(j, best);
    for (size_t i = 0; i < j->n; i++)
        j->at[i].best = j->loops_matter && j->at[i].preference == best;
}

static void find_domain(struct routing_job *j)
{
    const struct smtp_services *services = &j->smtp->services;
    struct dns_answer mx;
    services->lookup(services->context, j->a, j->d->host, DNS_TYPE_MX, &mx);
    if (mx.verdict == DNS_OK)
        find_exchangers(j, &mx);
    else if (dns_is_permanent(&mx) || j->smtp->mine->ignore_mx_lookup_error)
        find_host(j);
    else
        fail_lookup(j, j->d->host, DNS_TYPE_MX, &mx);
}

/* --- services: SRV, RFC 2782 ------------------------------------------------------------------------- */

/* The next record of the best priority, drawn by weight; taken marks those that were drawn. result: count: none is left */
static size_t draw_record(const struct dns_answer *srv, const bool *taken)
{
    unsigned priority = UINT_MAX;
    uint64_t sum = 0;
    for (size_t i = 0; i < srv->count; i++)
        if (!taken[i] && srv->records[i].preference < priority)
            priority = srv->records[i].preference;
    for (size_t i = 0; i < srv->count; i++)
        if (!taken[i] && srv->records[i].preference == priority)
            sum += srv->records[i].weight + 1u;
    if (sum == 0)
        return srv->count;
    uint64_t at = random_below((size_t)sum);
    for (size_t i = 0; i < srv->count; i++) {
        if (taken[i] || srv->records[i].preference != priority)
            continue;
        if (at <= srv->records[i].weight)
            return i;
        at -= srv->records[i].weight + 1u;
    }
    return srv->count;
}

static void add_services(struct routing_job *j, const struct dns_answer *srv)
{
    bool *taken = arena_calloc(j->a, srv->count, sizeof *taken);
    unsigned place = 0;
    for (size_t i; (i = draw_record(srv, taken)) < srv->count; place++) {
        taken[i] = true;
        if (!span_eq(srv->records[i].name, SPAN(".")) && srv->records[i].port)
            add_host_port(j, srv->records[i].name, srv->records[i].port, place);
    }
    if (srv->count == 1 && span_eq(srv->records[0].name, SPAN(".")))
        fail(j, DSN(5, 1, 0), arena_printf(j->a, "Service %.*s unavailable for %.*s", SPAN_ARG(j->d->service),
                                           SPAN_ARG(j->d->host)));
}

/* result: whether that was all: false where MX records are to be asked for instead */
static bool find_service(struct routing_job *j)
{
    const struct smtp_services *services = &j->smtp->services;
    const struct params_smtp *mine = j->smtp->mine;
    struct span name = span_text(arena_printf(j->a, "_%.*s._tcp.%.*s", SPAN_ARG(j->d->service), SPAN_ARG(j->d->host)));
    struct dns_answer srv;
    services->lookup(services->context, j->a, name, DNS_TYPE_SRV, &srv);
    if (srv.verdict == DNS_OK)
        add_services(j, &srv);
    else if (dns_is_permanent(&srv) ? mine->allow_srv_lookup_fallback : mine->ignore_srv_lookup_error)
        return false;
    else
        fail_lookup(j, name, DNS_TYPE_SRV, &srv);
    return true;
}

static bool wants_service(const struct routing_job *j)
{
    const struct param_list *list = &j->smtp->mine->use_srv_lookup;
    for (size_t i = 0; i < list->n; i++)
        if (span_eq_nocase(list->at[i], j->d->service))
            return true;
    return false;
}

void route_find(struct smtp *smtp, struct arena *a, const struct destination *d, struct endpoint_list *list,
                struct verdict *why)
{
    const struct params_smtp *mine = smtp->mine;
    struct routing_job j = {.smtp = smtp, .a = a, .d = d, .why = why, .loops_matter = d->port == 25 && !smtp->lmtp};
    bool direct = d->exact || smtp->lmtp || dns_is_off(smtp);
    *why = (struct verdict){0};
    *list = (struct endpoint_list){0};
    if (!codec_is_ascii(d->host)) {
        fail(&j, DSN(4, 4, 4), arena_printf(a, "cannot look up %.*s: internationalized names have to be written as "
                                            "A-labels here", SPAN_ARG(d->host)));
        return;
    }
    if (direct)
        find_host(&j);
    else if (!wants_service(&j) || !find_service(&j))
        find_domain(&j);
    order(&j, mine->smtp_randomize_addresses);
    *list = (struct endpoint_list){j.at, j.n};
}
