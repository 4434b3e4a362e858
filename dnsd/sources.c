#include "dnsd/sources.h"

#include <errno.h>
#include <stdio.h>

enum { RESOLV_CONF_MAX = 1 << 20, FORWARDERS_MAX = 64 };

struct making {
    struct arena *a;
    const struct params_dnsd *params;
    const struct sources_reader *reader;
    struct sources *s;
    struct server *forwarders; /* room for FORWARDERS_MAX */
};

static void __attribute__((format(printf, 2, 3))) warn(const struct making *m, const char *format, ...)
{
    struct buf line = BUF_INIT;
    va_list args;
    va_start(args, format);
    buf_vprintf(&line, format, args);
    va_end(args);
    m->reader->warn(m->reader->context, buf_text(&line));
    buf_fini(&line);
}

static bool read_file(const struct making *m, const char *path, size_t most, struct span *text)
{
    return m->reader->read(m->reader->context, m->a, path, most, text);
}

/* --- name servers --------------------------------------------------------------------------- */

static void add_port(struct sources *s, unsigned port)
{
    for (size_t i = 0; i < s->nports; i++)
        if (s->ports[i] == port)
            return;
    if (s->nports < PORTS_MAX)
        s->ports[s->nports++] = (uint16_t)port;
}

static void add_forwarder(struct making *m, struct server server)
{
    if (m->s->nforwarders < FORWARDERS_MAX)
        m->forwarders[m->s->nforwarders++] = server;
    add_port(m->s, server.port);
}

/* As the C library does it: without a name server the one of this machine is asked. */
static void add_system_servers(struct making *m)
{
    const char *path = m->params->dnsd_resolv_conf_file.p;
    struct resolv_conf conf = {0};
    struct span text;
    if (!read_file(m, path, RESOLV_CONF_MAX, &text))
        warn(m, "%s: %s: the name server on 127.0.0.1 is asked", path, strerror(errno));
    else
        resolv_conf_parse(m->a, text, &conf);
    if (conf.wrong)
        warn(m, "%s, line %u: there is no address of a name server", path, conf.wrong);
    m->s->use_tcp |= conf.use_tcp;
    for (size_t i = 0; i < conf.n; i++)
        add_forwarder(m, conf.servers[i]);
    if (conf.n == 0) {
        struct server own = {.port = 0};
        (void)server_parse(m->a, SPAN("127.0.0.1"), &own);
        add_forwarder(m, own);
    }
}

static bool take_forwarders(struct making *m, struct buf *why)
{
    const struct param_list *list = &m->params->dnsd_forwarders;
    m->forwarders = arena_calloc(m->a, FORWARDERS_MAX, sizeof *m->forwarders);
    for (size_t i = 0; i < list->n; i++) {
        struct server server;
        if (span_eq_nocase(list->at[i], SPAN("resolv.conf"))) {
            add_system_servers(m);
        } else if (server_parse(m->a, list->at[i], &server)) {
            add_forwarder(m, server);
        } else {
            buf_printf(why, "dnsd_forwarders: \"%.*s\" is no name server: write an address, address@port or resolv.conf",
                       SPAN_ARG(list->at[i]));
            return false;
        }
    }
    m->s->forwarders = m->forwarders;
    if (list->n == 0)
        add_port(m->s, DNS_PORT);
    return true;
}

static struct span without_dot(struct span domain)
{
    return domain.n > 1 && domain.p[domain.n - 1] == '.' ? span_slice(domain, 0, domain.n - 1) : domain;
}

static bool take_stubs(struct making *m, struct buf *why)
{
    const struct param_list *list = &m->params->dnsd_stub_zones;
    struct stub *stubs = arena_calloc(m->a, list->n, sizeof *stubs);
    for (size_t i = 0; i < list->n; i++) {
        size_t mark = span_find(list->at[i], '=');
        stubs[i].zone = arena_dup(m->a, without_dot(span_slice(list->at[i], 0, mark)));
        if (!domain_is_good(stubs[i].zone) || !server_parse(m->a, span_skip(list->at[i], mark + 1), &stubs[i].server)) {
            buf_printf(why, "dnsd_stub_zones: \"%.*s\": write zone=address or zone=address@port", SPAN_ARG(list->at[i]));
            return false;
        }
        add_port(m->s, stubs[i].server.port);
    }
    m->s->stubs = stubs;
    m->s->nstubs = list->n;
    return true;
}

/* --- DNSSEC ------------------------------------------------------------------------------------- */

static void take_anchors(struct making *m)
{
    const struct param_list *list = &m->params->dnsd_trust_anchor_files;
    struct anchors *anchors = ARENA_NEW(m->a, struct anchors);
    struct buf missing = BUF_INIT;
    struct span text;
    for (size_t i = 0; m->params->dnsd_validation && i < list->n; i++) {
        const char *path = list->at[i].p;
        if (!read_file(m, path, ANCHOR_FILE_MAX, &text)) {
            buf_printf(&missing, "%s%s: %s", missing.len ? ", " : " (", path, strerror(errno));
            continue;
        }
        anchors_add(m->a, text, anchors);
        if (anchors->wrong)
            warn(m, "%s, line %u: this is no trust anchor, which is a DS or DNSKEY record", path, anchors->wrong);
    }
    if (missing.len)
        buf_puts(&missing, ")");
    if (m->params->dnsd_validation && anchors->n == 0)
        warn(m, "there is no trust anchor%s: no answer is secure; Debian has the root's in the package dns-root-data",
             buf_text(&missing));
    else if (missing.len)
        warn(m, "trust anchors are missing%s", buf_text(&missing));
    buf_fini(&missing);
    m->s->anchors = anchors;
    m->s->validate = anchors->n > 0;
}

static void take_insecure_domains(struct making *m)
{
    const struct param_list *list = &m->params->dnsd_insecure_domains;
    struct span *domains = arena_calloc(m->a, list->n, sizeof *domains);
    for (size_t i = 0; i < list->n; i++) {
        struct span domain = without_dot(list->at[i]);
        if (domain_is_good(domain))
            domains[m->s->ninsecure++] = arena_dup(m->a, domain);
        else
            warn(m, "dnsd_insecure_domains: \"%.*s\" is no domain", SPAN_ARG(list->at[i]));
    }
    m->s->insecure = domains;
}

/* --- the whole -------------------------------------------------------------------------------------- */

static struct span fingerprint(struct arena *a, const struct sources *s)
{
    struct buf out = BUF_INIT;
    for (size_t i = 0; i < s->nforwarders; i++)
        buf_printf(&out, "forward %.*s\n", SPAN_ARG(s->forwarders[i].text));
    for (size_t i = 0; i < s->nstubs; i++)
        buf_printf(&out, "stub %.*s %.*s\n", SPAN_ARG(s->stubs[i].zone), SPAN_ARG(s->stubs[i].server.text));
    for (size_t i = 0; i < s->anchors->n; i++)
        buf_printf(&out, "anchor %.*s\n", SPAN_ARG(s->anchors->at[i]));
    for (size_t i = 0; i < s->ninsecure; i++)
        buf_printf(&out, "insecure %.*s\n", SPAN_ARG(s->insecure[i]));
    buf_printf(&out, "%d %d %d %llu %llu %lld %lld\n", s->validate, s->builtin, s->use_tcp,
               (unsigned long long)s->cache_size, (unsigned long long)s->query_limit, (long long)s->max_ttl,
               (long long)s->max_negative_ttl);
    struct span text = arena_dup(a, buf_span(&out));
    buf_fini(&out);
    return text;
}

bool sources_make(struct arena *a, const struct params_dnsd *params, const struct sources_reader *reader,
                  struct sources *s, struct buf *why)
{
    struct making m = {.a = a, .params = params, .reader = reader, .s = s};
    *s = (struct sources){.cache_size = params->dnsd_cache_size,
                          .query_limit = params->dnsd_query_limit,
                          .max_ttl = params->dnsd_max_ttl,
                          .max_negative_ttl = params->dnsd_max_negative_ttl};
    if (!take_forwarders(&m, why) || !take_stubs(&m, why))
        return false;
    take_anchors(&m);
    take_insecure_domains(&m);
    s->builtin = params->dnsd_builtin_answers == PARAM_builtin_answers_yes ||
                 (params->dnsd_builtin_answers == PARAM_builtin_answers_recursion && s->nforwarders == 0);
    s->fingerprint = fingerprint(a, s);
    return true;
}
