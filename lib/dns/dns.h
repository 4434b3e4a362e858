/* Name lookups, by way of dnsd.
 *
 * For sessions and workers that hold a channel to dnsd (proc_dns() of lib/proc/resolver.h makes the
 * client). Each call waits until its deadline at most and always fills in *answer; what was found
 * lives in the arena that was given. A lookup that dnsd could not finish because it ended is asked
 * again, once.
 *
 * Only a proven "does not exist" is permanent: DNS_NO_NAME and DNS_NO_DATA are said where a name
 * server that answers for the domain (or its parent) says so, and, where the domain is signed, its
 * signatures prove it; whether they did is `secure`. A broken proof is DNS_BOGUS. Whatever else keeps
 * us from knowing is temporary. */
#ifndef DNS_DNS_H
#define DNS_DNS_H

#include "lib/base/arena.h"
#include "lib/io/addr.h"
#include "lib/io/loop.h"
#include "lib/wire/channel.h"
#include "lib/wire/dns.msg.h"

enum dns_type {
    DNS_TYPE_A = 1,
    DNS_TYPE_NS = 2,
    DNS_TYPE_CNAME = 5,
    DNS_TYPE_SOA = 6,
    DNS_TYPE_PTR = 12,
    DNS_TYPE_MX = 15,
    DNS_TYPE_TXT = 16,
    DNS_TYPE_AAAA = 28,
    DNS_TYPE_SRV = 33,
    DNS_TYPE_TLSA = 52,
};

enum dns_verdict {
    DNS_OK = 1,        /* there is at least one record */
    DNS_NO_DATA = 2,   /* the name exists, without records of this type */
    DNS_NO_NAME = 3,   /* the name does not exist */
    DNS_BOGUS = 4,     /* DNSSEC: signatures that must be there are not, or are wrong */
    DNS_TEMPORARY = 5, /* no answer, SERVFAIL, too many lookups, dnsd not there, ... */
    DNS_MALFORMED = 6, /* an answer that cannot be used: broken, over a limit, only unusable names */
};

enum {
    DNS_NAME_MAX = 253,    /* octets of a name as text, without its final dot; RFC 1035 2.3.4 */
    DNS_LABEL_MAX = 63,
    DNS_RECORDS_MAX = 100, /* records of one answer; the others are dropped (MX: those of high preference) */
    DNS_ALIASES_MAX = 16,  /* CNAME records in a chain; beyond: DNS_MALFORMED */
    DNS_DATA_MAX = 16384,  /* octets of one record's data; longer ones are DNS_MALFORMED */
    DNS_WAIT_MS = 100000,  /* dnsd itself gives up after so long */
};

/* One record. Spans live as the answer does. */
struct dns_record {
    uint16_t type;
    uint16_t preference; /* MX: preference; SRV: priority */
    uint16_t weight;     /* SRV */
    uint16_t port;       /* SRV */
    uint32_t ttl;        /* seconds */
    struct span name;    /* MX, SRV, PTR, NS, CNAME: the name in it, without final dot, fit to be looked up
                          * and logged (other records are dropped); the root is "." (null MX, "no service") */
    struct span data;    /* A, AAAA: 4 or 16 octets. TXT: its strings joined, any octets.
                          * Others: the octets of the packet, for TLSA at least three */
};

struct dns_answer {
    enum dns_verdict verdict;
    bool secure;            /* proven by DNSSEC; of all parts of the answer, aliases included */
    bool from_hosts;        /* from the hosts file */
    unsigned aliases;       /* CNAME records that were followed */
    struct span canonical;  /* the name at their end; the name asked for where there are none */
    struct span why;        /* not DNS_OK: the cause in words, where there is one; printable */
    uint32_t ttl;           /* seconds for which this holds; 0 for a temporary one */
    const struct dns_record *records; /* DNS_OK: MX and SRV by preference, others in the order of the packet */
    size_t count;
    bool partial;           /* dns_addresses(): one of the two families could not be asked (why) */
};

/* How a process asks. */
struct dns_client {
    struct loop *loop; /* the process's */
    /* The channel to dnsd, borrowed until the next wait; NULL: there is none. May wait until the deadline. */
    struct channel *(*channel)(void *context, mono_ms deadline);
    void *context;
    unsigned families; /* DNS_IPV4, DNS_IPV6: which addresses dns_addresses() asks for */
};
enum { DNS_IPV4 = 1, DNS_IPV6 = 2 };

/* The records of a type. name: with or without a final dot; an empty one, one that is too long or
 * that holds other than printable ASCII does not exist (DNS_NO_NAME, without asking).
 * flags: DNS_ASK_HOSTS or 0. waits */
void dns_lookup(const struct dns_client *client, struct arena *a, struct span name, unsigned type, unsigned flags,
                mono_ms deadline, struct dns_answer *answer);

/* The addresses of a host: A and AAAA as client->families allows, asked side by side; IPv6 first in the
 * records. DNS_OK where either has one (secure only if each that was asked is). DNS_NO_NAME, DNS_NO_DATA only
 * where each that was asked says so. waits */
void dns_addresses(const struct dns_client *client, struct arena *a, struct span name, unsigned flags,
                   mono_ms deadline, struct dns_answer *answer);

/* The names of an address (PTR). address: IPv4 or IPv6. waits */
void dns_names(const struct dns_client *client, struct arena *a, const struct addr *address, unsigned flags,
               mono_ms deadline, struct dns_answer *answer);

/* Appends the name that an address has in in-addr.arpa or ip6.arpa. result: false: no internet address */
bool dns_put_reverse_name(struct buf *out, const struct addr *address);

/* Whether the answer of an MX lookup says that the domain takes no mail. RFC 7505. Records "." that stand beside
 * others are never in an answer. */
bool dns_is_null_mx(const struct dns_answer *mx);

/* The address in an A or AAAA record. result: false: it is another record */
bool dns_record_addr(const struct dns_record *record, unsigned port, struct addr *address);

/* Whether trying again later is of no use: DNS_NO_NAME, DNS_NO_DATA. */
bool dns_is_permanent(const struct dns_answer *answer);

/* "MX", "TLSA"; "TYPE65280" for one without a name here. room: of DNS_TYPE_TEXT octets. result: room, or a literal */
enum { DNS_TYPE_TEXT = 12 };
const char *dns_type_name(unsigned type, char *room);
/* The number of "mx", "TYPE65280". result: 0: none */
unsigned dns_type_of(struct span name);

/* Appends what Postfix says of a failed lookup: "Host not found", "Host found but no data record of requested type",
 * "Host not found, try again", "Malformed or unexpected name server reply"; for what is not permanent
 * with the cause in parentheses behind it. */
void dns_put_error(struct buf *out, const struct dns_answer *answer);
/* "Name service error for name=example.com type=MX: Host not found" */
void dns_put_name_error(struct buf *out, struct span name, unsigned type, const struct dns_answer *answer);

#endif
