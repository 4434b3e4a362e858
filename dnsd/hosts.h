/* The hosts file: addresses of names and names of addresses that the administrator wrote down.
 *
 * A name that stands in it is answered from it alone: where it has an IPv4 address there, it has no IPv6
 * address elsewhere. Pure; no call waits. */
#ifndef DNSD_HOSTS_H
#define DNSD_HOSTS_H

#include "lib/base/arena.h"
#include "lib/base/map.h"
#include "lib/dns/dns.h"

enum { HOSTS_FILE_MAX = 32 << 20 /* octets; what is behind is left aside */ };

struct hosts {
    struct arena arena;
    struct map names; /* in lower case, those of addresses as in in-addr.arpa and ip6.arpa -> struct host */
};

#define HOSTS_INIT ((struct hosts){.arena = ARENA_INIT})

/* Takes all lines that make sense; what does not is left aside, as by the C library. h: empty */
void hosts_parse(struct hosts *h, struct span text);
void hosts_fini(struct hosts *h);

/* name: in lower case, without a final dot; type: any
 * reply:  filled in, made in a, where the result is true
 * result: whether the file has the name, and the type is A, AAAA or PTR */
bool hosts_answer(const struct hosts *h, struct arena *a, struct span name, unsigned type,
                  struct msg_dns_reply *reply);

#endif
