#include "lib/table/cidr.h"

#include <arpa/inet.h>

bool ip_parse(struct span text, struct ip *ip)
{
    char copy[INET6_ADDRSTRLEN + 1];
    struct ip read = {0};
    if (text.n == 0 || text.n >= sizeof copy || span_find(text, '\0') < text.n)
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    bool is_v6 = span_find(text, ':') < text.n;
    if (inet_pton(is_v6 ? AF_INET6 : AF_INET, copy, read.bytes) != 1)
        return false;
    read.n = is_v6 ? 16 : 4;
    *ip = read;
    return true;
}

struct ip ip_unmapped(struct ip ip)
{
    static const unsigned char prefix[12] = {[10] = 0xff, [11] = 0xff};
    struct ip v4 = {.n = 4};
    if (ip.n != 16 || memcmp(ip.bytes, prefix, sizeof prefix) != 0)
        return ip;
    memcpy(v4.bytes, ip.bytes + sizeof prefix, 4);
    return v4;
}

void ip_put(struct buf *b, const struct ip *ip)
{
    char text[INET6_ADDRSTRLEN];
    if (inet_ntop(ip->n == 16 ? AF_INET6 : AF_INET, ip->bytes, text, sizeof text))
        buf_puts(b, text);
}

bool ip_eq(const struct ip *a, const struct ip *b)
{
    return a->n == b->n && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

/* Zeroes all but the first bits. */
static struct ip ip_masked(struct ip ip, unsigned bits)
{
    for (unsigned i = 0; i < ip.n; i++) {
        unsigned keep = bits > 8 * i ? bits - 8 * i : 0;
        if (keep < 8)
            ip.bytes[i] &= (unsigned char)(0xff00u >> keep);
    }
    return ip;
}

/* Takes the brackets off "[addr]", "[addr]/n" and "[addr/n]".
 * has_mask: whether there is a '/'
 * result:   false for brackets that do not fit */
static bool split_pattern(struct span text, struct span *address, struct span *mask, bool *has_mask)
{
    if (text.n && text.p[0] == '[') {
        size_t end = span_find(text, ']');
        struct span behind = span_skip(text, end + 1);
        if (end == text.n || (behind.n && behind.p[0] != '/'))
            return false;
        if (behind.n == 0)
            return split_pattern(span_slice(text, 1, end), address, mask, has_mask);
        *address = span_slice(text, 1, end);
        *mask = span_skip(behind, 1);
        *has_mask = true;
        return true;
    }
    size_t slash = span_find(text, '/');
    *address = span_slice(text, 0, slash);
    *mask = span_skip(text, slash + 1);
    *has_mask = slash < text.n;
    return true;
}

static bool fault(struct buf *why, const char *what, struct span text)
{
    buf_printf(why, "%s \"%.*s\"", what, (int)(text.n < 200 ? text.n : 200), text.p ? text.p : "");
    return false;
}

bool cidr_parse(struct span text, struct cidr *c, struct buf *why)
{
    struct span address, mask;
    bool has_mask;
    uint64_t bits;
    struct cidr read;
    if (!split_pattern(text, &address, &mask, &has_mask) || !ip_parse(address, &read.net))
        return fault(why, "bad address pattern:", text);
    bits = read.net.n * 8u;
    if (has_mask && !span_to_u64(mask, UINT32_MAX, &bits))
        return fault(why, "bad mask value in", text);
    if (bits > read.net.n * 8u)
        return fault(why, "bad mask length in", text);
    read.bits = (unsigned char)bits;
    struct ip masked = ip_masked(read.net, read.bits);
    if (!ip_eq(&masked, &read.net)) {
        buf_printf(why, "non-null host address bits in \"%.*s\", perhaps you should use \"", SPAN_ARG(text));
        bool is_bracketed = text.p[0] == '[';
        buf_puts(why, is_bracketed ? "[" : "");
        ip_put(why, &masked);
        buf_printf(why, "%s/%u\" instead", is_bracketed ? "]" : "", read.bits);
        return false;
    }
    *c = read;
    return true;
}

bool cidr_has(const struct cidr *c, const struct ip *ip)
{
    unsigned whole = c->bits / 8, rest = c->bits % 8;
    if (c->net.n != ip->n || memcmp(c->net.bytes, ip->bytes, whole) != 0)
        return false;
    return rest == 0 || ((c->net.bytes[whole] ^ ip->bytes[whole]) & (0xff00u >> rest) & 0xff) == 0;
}
