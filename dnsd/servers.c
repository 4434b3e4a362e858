#include "dnsd/servers.h"

#include "dnsd/packet.h"
#include "lib/table/cidr.h"

enum { SCOPE_MAX = 15 /* octets of an interface's name */ };

/* --- one server --------------------------------------------------------------------------- */

/* The address and what stands behind a mark for the port. */
static bool cut_port(struct span text, struct span *address, struct span *port)
{
    size_t at = span_rfind(text, '@'), bracket = span_find(text, ']'), colon = span_rfind(text, ':');
    *port = SPAN_NONE;
    if (span_starts(text, SPAN("["))) {
        *address = span_slice(text, 1, bracket);
        *port = span_skip(text, bracket + 2);
        return bracket + 1 == text.n ||
               (bracket + 2 < text.n && (text.p[bracket + 1] == ':' || text.p[bracket + 1] == '@'));
    }
    /* An IPv6 address has colons of its own. */
    if (at == text.n && colon == span_find(text, ':'))
        at = colon;
    *address = span_slice(text, 0, at);
    *port = span_skip(text, at + 1);
    return at == text.n || port->n > 0;
}

static bool scope_is_good(struct span scope)
{
    for (size_t i = 0; i < scope.n; i++)
        if (!byte_is_alnum(span_at(scope, i)) && scope.p[i] != '-' && scope.p[i] != '_' && scope.p[i] != '.')
            return false;
    return scope.n > 0 && scope.n <= SCOPE_MAX;
}

static bool is_loopback(const struct ip *ip)
{
    static const unsigned char one[16] = {[15] = 1};
    return ip->n == 4 ? ip->bytes[0] == 127 : memcmp(ip->bytes, one, sizeof one) == 0;
}

bool server_parse(struct arena *a, struct span text, struct server *s)
{
    struct span address, port;
    uint64_t number = DNS_PORT;
    struct ip ip;
    if (!cut_port(text, &address, &port) || (port.n && (!span_to_u64(port, UINT16_MAX, &number) || number == 0)))
        return false;
    size_t percent = span_find(address, '%');
    if (!ip_parse(span_slice(address, 0, percent), &ip))
        return false;
    if (percent < address.n && (ip.n != 16 || !scope_is_good(span_skip(address, percent + 1))))
        return false;
    *s = (struct server){.text = span_text(arena_printf(a, "%.*s@%u", SPAN_ARG(address), (unsigned)number)),
                         .port = (unsigned)number,
                         .loopback = is_loopback(&ip)};
    return true;
}

bool domain_is_good(struct span text)
{
    struct dname name;
    struct buf out = BUF_INIT;
    bool good = text.n > 0 && dname_parse(text, &name) && dname_put(&out, &name, false);
    buf_fini(&out);
    return good;
}

/* --- resolv.conf ----------------------------------------------------------------------------- */

static void take_server(struct arena *a, struct span rest, unsigned line, struct resolv_conf *conf)
{
    struct span word = SPAN_NONE;
    struct server s;
    (void)span_next_token(&rest, SPAN(" \t\r"), &word);
    if (!server_parse(a, word, &s)) {
        conf->wrong = conf->wrong ? conf->wrong : line;
        return;
    }
    for (size_t i = 0; i < conf->n; i++)
        if (span_eq(conf->servers[i].text, s.text))
            return;
    if (conf->n < RESOLV_SERVERS_MAX)
        conf->servers[conf->n++] = s;
}

void resolv_conf_parse(struct arena *a, struct span text, struct resolv_conf *conf)
{
    *conf = (struct resolv_conf){0};
    for (unsigned number = 1; text.n; number++) {
        size_t end = span_find(text, '\n');
        struct span line = span_slice(text, 0, end), word;
        text = span_skip(text, end + 1);
        if (!span_next_token(&line, SPAN(" \t\r"), &word))
            continue;
        if (span_eq(word, SPAN("nameserver")))
            take_server(a, line, number, conf);
        while (span_eq(word, SPAN("options")) && span_next_token(&line, SPAN(" \t\r"), &word)) {
            conf->use_tcp |= span_eq(word, SPAN("use-vc"));
            word = SPAN("options");
        }
    }
}
