#include "lib/dns/dns.h"

#include <netinet/in.h>
#include <stdio.h>

static const struct {
    unsigned type;
    const char *name;
} types[] = {
    {DNS_TYPE_A, "A"},     {DNS_TYPE_NS, "NS"},   {DNS_TYPE_CNAME, "CNAME"}, {DNS_TYPE_SOA, "SOA"},
    {DNS_TYPE_PTR, "PTR"}, {DNS_TYPE_MX, "MX"},   {DNS_TYPE_TXT, "TXT"},     {DNS_TYPE_AAAA, "AAAA"},
    {DNS_TYPE_SRV, "SRV"}, {DNS_TYPE_TLSA, "TLSA"},
};

const char *dns_type_name(unsigned type, char *room)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].type == type)
            return types[i].name;
    snprintf(room, DNS_TYPE_TEXT, "TYPE%u", type & UINT16_MAX);
    return room;
}

unsigned dns_type_of(struct span name)
{
    uint64_t number;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (span_eq_nocase(name, span_text(types[i].name)))
            return types[i].type;
    if (span_starts_nocase(name, SPAN("TYPE")) && span_to_u64(span_skip(name, 4), UINT16_MAX, &number))
        return (unsigned)number;
    return 0;
}

bool dns_put_reverse_name(struct buf *out, const struct addr *address)
{
    struct span bytes = addr_bytes(address);
    if (bytes.n != 4 && bytes.n != 16)
        return false;
    for (size_t i = bytes.n; i-- > 0;) {
        unsigned octet = span_at(bytes, i);
        if (bytes.n == 4)
            buf_printf(out, "%u.", octet);
        else
            buf_printf(out, "%x.%x.", octet & 15, octet >> 4);
    }
    buf_puts(out, bytes.n == 4 ? "in-addr.arpa" : "ip6.arpa");
    return true;
}

bool dns_is_null_mx(const struct dns_answer *mx)
{
    return mx->verdict == DNS_OK && mx->count == 1 && mx->records[0].type == DNS_TYPE_MX &&
           span_eq(mx->records[0].name, SPAN("."));
}

bool dns_record_addr(const struct dns_record *record, unsigned port, struct addr *address)
{
    if (record->type == DNS_TYPE_A && record->data.n == 4) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        memcpy(&in.sin_addr, record->data.p, 4);
        *address = (struct addr){.len = sizeof in};
        memcpy(&address->sa, &in, sizeof in);
        return true;
    }
    if (record->type == DNS_TYPE_AAAA && record->data.n == 16) {
        struct sockaddr_in6 in = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
        memcpy(&in.sin6_addr, record->data.p, 16);
        *address = (struct addr){.len = sizeof in};
        memcpy(&address->sa, &in, sizeof in);
        return true;
    }
    return false;
}

bool dns_is_permanent(const struct dns_answer *answer)
{
    return answer->verdict == DNS_NO_NAME || answer->verdict == DNS_NO_DATA;
}

void dns_put_error(struct buf *out, const struct dns_answer *answer)
{
    static const char *const words[] = {
        [DNS_OK] = "Success",
        [DNS_NO_DATA] = "Host found but no data record of requested type",
        [DNS_NO_NAME] = "Host not found",
        [DNS_BOGUS] = "Host not found, try again",
        [DNS_TEMPORARY] = "Host not found, try again",
        [DNS_MALFORMED] = "Malformed or unexpected name server reply",
    };
    buf_puts(out, words[answer->verdict]);
    if (!dns_is_permanent(answer) && answer->why.n)
        buf_printf(out, " (%.*s)", SPAN_ARG(answer->why));
}

void dns_put_name_error(struct buf *out, struct span name, unsigned type, const struct dns_answer *answer)
{
    char room[DNS_TYPE_TEXT];
    buf_printf(out, "Name service error for name=%.*s type=%s: ", SPAN_ARG(name), dns_type_name(type, room));
    dns_put_error(out, answer);
}
