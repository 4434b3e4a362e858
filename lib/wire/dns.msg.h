/* Name lookups: any process to dnsd, and `merpati dns` over the socket public/dnsd.
 *
 * lib/dns/dns.h is how they are asked; nobody else needs these messages. */
#ifndef WIRE_DNS_MSG_H
#define WIRE_DNS_MSG_H

#include "lib/wire/message.h"

/* request; answered by dns_reply */
#define DNS_QUERY(F)                                                                                         \
    F(1, bytes, name, "letters, digits and the like (an IDN as A-labels), with or without a final dot")      \
    F(2, num, type, "number of the record type: DNS_TYPE_*, or any other")                                   \
    F(3, num, flags, "DNS_ASK_*")                                                                            \
    F(4, num, wait_ms, "how long the caller will wait; 0: as long as dnsd does")
MESSAGE(0x0901, dns_query, DNS_QUERY);
enum { DNS_ASK_HOSTS = 1 /* dns_hosts_file is asked first, for A, AAAA and PTR */ };

/* One record; which members mean something depends on the type. */
#define DNS_REPLY_RECORD(F)                                                                                  \
    F(1, num, type, "DNS_TYPE_*")                                                                            \
    F(2, num, ttl, "seconds, within dnsd's bounds")                                                          \
    F(3, num, preference, "MX: preference; SRV: priority")                                                   \
    F(4, num, weight, "SRV")                                                                                 \
    F(5, num, port, "SRV")                                                                                   \
    F(6, bytes, name, "MX, SRV, PTR, NS, CNAME: the name in it, without a final dot; the root is \".\"")     \
    F(7, bytes, data, "A, AAAA: 4 or 16 octets; TXT: its strings joined; others: as in the packet")
MESSAGE(0x0902, dns_reply_record, DNS_REPLY_RECORD);

#define DNS_REPLY(F)                                                                                         \
    F(1, num, verdict, "DNS_OK ... of lib/dns/dns.h")                                                        \
    F(2, num, flags, "DNS_REPLY_*")                                                                          \
    F(3, num, ttl, "seconds for which the answer holds")                                                     \
    F(4, num, aliases, "CNAME records that were followed")                                                   \
    F(5, bytes, canonical, "the name at the end of these; without a final dot")                              \
    F(6, bytes, why, "DNS_BOGUS, DNS_TEMPORARY, DNS_MALFORMED: the cause")                                   \
    F(7, list_dns_reply_record, records, "of the type that was asked for")
MESSAGE(0x0903, dns_reply, DNS_REPLY);
enum {
    DNS_REPLY_SECURE = 1, /* proven by DNSSEC, from a trust anchor down */
    DNS_REPLY_HOSTS = 2,  /* from the hosts file */
};

#endif
