#include "lib/param/computed.h"

#include "lib/param/expand.h"
#include "lib/param/facts.h"
#include "lib/param/param.h"

#include <arpa/inet.h>
#include <stdio.h>

enum { COMPUTED_DEPTH_MAX = 8 };

static const char LOCAL_DOMAIN[] = "localdomain";

/* --- lookups ------------------------------------------------------------------- */

static struct span computed_value(struct param_scope *scope, struct span name);

/* <transport>_<suffix>, where the suffix is one of transport.def. */
static bool transport_default(struct span name, struct span *value)
{
    for (size_t i = 0; i < param_transport_spec_count(); i++) {
        const struct param_spec *spec = param_transport_spec_at(i);
        if (name.n > spec->name.n + 1 && span_ends_nocase(name, spec->name) &&
            name.p[name.n - spec->name.n - 1] == '_') {
            *value = span_text(spec->initial);
            return true;
        }
    }
    return false;
}

bool param_raw_default(struct param_scope *scope, struct span name, struct span *value)
{
    const struct param_spec *spec = param_spec_find(name);
    if (spec)
        *value = param_spec_default(scope, spec);
    return spec != NULL;
}

struct span param_spec_default(struct param_scope *scope, const struct param_spec *spec)
{
    return spec->initial ? span_text(spec->initial) : computed_value(scope, spec->name);
}

bool param_raw(struct param_scope *scope, struct span name, struct span *value)
{
    const struct setting *set = settings_get(scope->settings, name);
    if (!set)
        return param_raw_default(scope, name, value) || transport_default(name, value);
    *value = set->value;
    return true;
}

static bool scope_lookup(void *context, struct span name, struct span *value)
{
    return param_raw(context, name, value);
}

bool param_expand(struct param_scope *scope, struct span text, struct span *value, struct buf *why)
{
    if (span_find(text, '$') == text.n) {
        *value = arena_dup(scope->arena, text);
        return true;
    }
    struct buf out = BUF_LIMITED(2 * EXPAND_RESULT_MAX);
    struct expand_source source = {.lookup = scope_lookup, .context = scope, .recursive = true};
    bool good = expand_text(&out, text, &source, why);
    *value = arena_dup(scope->arena, good ? span_trim(buf_span(&out)) : SPAN_NONE);
    buf_fini(&out);
    return good;
}

/* The expanded value of a name; nothing where it cannot be expanded (its own check says why). */
static struct span scope_value(struct param_scope *scope, const char *name)
{
    struct span raw, value;
    struct buf why = BUF_INIT;
    if (!param_raw(scope, span_text(name), &raw) || !param_expand(scope, raw, &value, &why))
        value = SPAN_NONE;
    buf_fini(&why);
    return value;
}

static struct span fact(const struct param_scope *scope, const char *name)
{
    const struct setting *set = settings_get(scope->settings, span_text(name));
    return set ? set->value : SPAN_NONE;
}

/* --- names ---------------------------------------------------------------------- */

/* The host's name; a short one is made whole with mydomain, where that is set. */
static struct span compute_myhostname(struct param_scope *scope)
{
    struct span host = fact(scope, FACT_HOSTNAME);
    if (host.n == 0)
        host = SPAN("localhost");
    if (span_find(host, '.') < host.n)
        return host;
    struct span domain = span_text(LOCAL_DOMAIN);
    if (settings_get(scope->settings, SPAN("mydomain")))
        domain = scope_value(scope, "mydomain");
    return span_text(arena_printf(scope->arena, "%.*s.%.*s", SPAN_ARG(host), SPAN_ARG(domain)));
}

static struct span compute_mydomain(struct param_scope *scope)
{
    struct span host = scope_value(scope, "myhostname");
    size_t dot = span_find(host, '.');
    return dot + 1 < host.n ? span_skip(host, dot + 1) : span_text(LOCAL_DOMAIN);
}

/* --- networks ------------------------------------------------------------------- */

/* One address of the fact: IPv4 or IPv6, with the prefix of its network. */
struct own_address {
    int family;
    unsigned prefix; /* bits */
    unsigned char octets[16];
};

/* "192.0.2.1/24" or "[2001:db8::1]/64". */
static bool own_address_parse(struct span text, struct own_address *own)
{
    char host[INET6_ADDRSTRLEN];
    size_t slash = span_rfind(text, '/');
    uint64_t prefix;
    struct span address = span_slice(text, 0, slash);
    own->family = AF_INET;
    if (address.n > 2 && address.p[0] == '[' && address.p[address.n - 1] == ']') {
        own->family = AF_INET6;
        address = span_slice(address, 1, address.n - 1);
    }
    if (address.n >= sizeof host ||
        !span_to_u64(span_skip(text, slash + 1), own->family == AF_INET ? 32 : 128, &prefix))
        return false;
    memcpy(host, address.p, address.n);
    host[address.n] = '\0';
    own->prefix = (unsigned)prefix;
    return inet_pton(own->family, host, own->octets) == 1;
}

static size_t own_octets(const struct own_address *own)
{
    return own->family == AF_INET ? 4 : 16;
}

static bool own_is_loopback(const struct own_address *own)
{
    static const unsigned char localhost6[16] = {[15] = 1};
    return own->family == AF_INET ? own->octets[0] == 127 : memcmp(own->octets, localhost6, 16) == 0;
}

/* Whether inet_interfaces has this address. Names other than localhost are not looked up here:
 * an address that is named so is not trusted by default. */
static bool own_is_used(const struct own_address *own, struct span interfaces)
{
    struct span item;
    while (value_next_item(&interfaces, &item) > 0) {
        struct own_address listed;
        char with_prefix[80];
        if (span_eq_nocase(item, SPAN("all")))
            return true;
        if ((span_eq_nocase(item, SPAN("loopback-only")) || span_eq_nocase(item, SPAN("localhost"))) &&
            own_is_loopback(own))
            return true;
        if (item.n > 60)
            continue;
        bool bare6 = span_find(item, ':') < item.n && item.p[0] != '[';
        int n = snprintf(with_prefix, sizeof with_prefix, bare6 ? "[%.*s]/0" : "%.*s/0", SPAN_ARG(item));
        if (own_address_parse(span_of(with_prefix, (size_t)n), &listed) && listed.family == own->family &&
            memcmp(listed.octets, own->octets, own_octets(own)) == 0)
            return true;
    }
    return false;
}

static bool own_family_is_used(const struct own_address *own, struct span protocols)
{
    struct span item;
    struct span wanted = own->family == AF_INET ? SPAN("ipv4") : SPAN("ipv6");
    while (value_next_item(&protocols, &item) > 0)
        if (span_eq_nocase(item, SPAN("all")) || span_eq_nocase(item, wanted))
            return true;
    return false;
}

static unsigned class_prefix(unsigned char first)
{
    if (first < 128)
        return 8;
    return first < 192 ? 16 : 24;
}

/* Appends the network that trusts this address, where it does not stand there yet. */
static void put_network(struct buf *out, const struct own_address *own, unsigned prefix)
{
    unsigned char network[16] = {0};
    char text[INET6_ADDRSTRLEN], item[INET6_ADDRSTRLEN + 10];
    for (unsigned bit = 0; bit < prefix; bit++)
        network[bit / 8] |= (unsigned char)(own->octets[bit / 8] & (0x80 >> bit % 8));
    if (!inet_ntop(own->family, network, text, sizeof text))
        return;
    int n = snprintf(item, sizeof item, own->family == AF_INET ? "%s/%u" : "[%s]/%u", text, prefix);
    struct span rest = buf_span(out), have;
    while (value_next_item(&rest, &have) > 0)
        if (span_eq(have, span_of(item, (size_t)n)))
            return;
    buf_printf(out, "%s%s", out->len ? " " : "", item);
}

static struct span compute_mynetworks(struct param_scope *scope)
{
    struct span style = scope_value(scope, "mynetworks_style");
    struct span interfaces = scope_value(scope, "inet_interfaces");
    struct span protocols = scope_value(scope, "inet_protocols");
    struct span rest = fact(scope, FACT_INTERFACES), item;
    struct own_address own;
    struct buf out = BUF_INIT;
    if (rest.n == 0)
        rest = SPAN("127.0.0.1/8 [::1]/128");
    while (value_next_item(&rest, &item) > 0) {
        if (!own_address_parse(item, &own) || !own_family_is_used(&own, protocols) ||
            !own_is_used(&own, interfaces))
            continue;
        unsigned prefix = own.prefix;
        if (span_eq_nocase(style, SPAN("class")) && own.family == AF_INET)
            prefix = class_prefix(own.octets[0]);
        else if (span_eq_nocase(style, SPAN("host")))
            prefix = own.family == AF_INET ? 32 : 128;
        put_network(&out, &own, prefix);
    }
    struct span networks = arena_dup(scope->arena, buf_span(&out));
    buf_fini(&out);
    return networks;
}

/* --- all of them ------------------------------------------------------------------ */

static const struct {
    struct span name;
    struct span (*compute)(struct param_scope *scope);
} COMPUTED[] = {
    {SPAN_INIT("myhostname"), compute_myhostname},
    {SPAN_INIT("mydomain"), compute_mydomain},
    {SPAN_INIT("mynetworks"), compute_mynetworks},
};

static struct span computed_value(struct param_scope *scope, struct span name)
{
    struct span value = SPAN_NONE;
    if (scope->depth >= COMPUTED_DEPTH_MAX)
        return value;
    scope->depth++;
    for (size_t i = 0; i < sizeof COMPUTED / sizeof *COMPUTED; i++)
        if (span_eq(COMPUTED[i].name, name))
            value = COMPUTED[i].compute(scope);
    scope->depth--;
    return value;
}
