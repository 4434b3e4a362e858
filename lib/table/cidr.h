/* Internet addresses and networks: parsing and matching.
 *
 * Any process may call these; none waits or allocates (but for the texts). */
#ifndef TABLE_CIDR_H
#define TABLE_CIDR_H

#include "lib/base/buf.h"

struct ip {
    unsigned char bytes[16]; /* network order; an IPv4 address is in the first 4, the others are 0 */
    unsigned char n;         /* 4 or 16; 0 for no address */
};

struct cidr {
    struct ip net;
    unsigned char bits; /* how many leading bits of net count */
};

/* A dotted quad without leading zeros, or an IPv6 address without a zone (RFC 4291 2.2).
 * result: false for anything else; *ip is untouched then */
bool ip_parse(struct span text, struct ip *ip);
/* An IPv4-mapped IPv6 address (::ffff:1.2.3.4, RFC 4291 2.5.5.2) as the IPv4 address it stands for. */
struct ip ip_unmapped(struct ip ip);
/* Appends the usual text form (RFC 5952 for IPv6). */
void ip_put(struct buf *b, const struct ip *ip);
bool ip_eq(const struct ip *a, const struct ip *b);

/* "1.2.3.4", "1.2.3.0/24", "::1", "2001:db8::/32", "[::1]", "[::1]/128", "[::1/128]".
 * result: false with why in Postfix's words: bad address pattern, bad mask, or host bits
 *         that are not zero (with the network that was perhaps meant) */
bool cidr_parse(struct span text, struct cidr *c, struct buf *why);
/* Whether ip is in the network; never where one is IPv4 and the other IPv6. */
bool cidr_has(const struct cidr *c, const struct ip *ip);

#endif
