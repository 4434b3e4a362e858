/* Name servers as they are written in parameters and in resolv.conf.
 *
 * Pure; no call waits. */
#ifndef DNSD_SERVERS_H
#define DNSD_SERVERS_H

#include "lib/base/arena.h"

enum { DNS_PORT = 53, RESOLV_SERVERS_MAX = 16 /* of one resolv.conf; the others are left aside */ };

struct server {
    struct span text; /* "192.0.2.53@53", "fe80::1%eth0@5353": what libunbound takes; terminated, in an arena */
    unsigned port;
    bool loopback;
};

/* "192.0.2.53", "::1", "fe80::1%eth0", each with "@5353" behind it; "[::1]:5353", "192.0.2.53:5353".
 * result: false: no such thing (*s untouched) */
bool server_parse(struct arena *a, struct span text, struct server *s);

/* Whether it can be a domain of the configuration: letters, digits, "-", "_"; without a final dot; "." is the root. */
bool domain_is_good(struct span text);

/* What counts of a resolv.conf; search lists and the tries of the C library do not. */
struct resolv_conf {
    struct server servers[RESOLV_SERVERS_MAX];
    size_t n;
    unsigned wrong; /* the first line whose name server is none; 0: all are good */
    bool use_tcp;   /* options use-vc */
};

/* Reads resolv.conf(5). */
void resolv_conf_parse(struct arena *a, struct span text, struct resolv_conf *conf);

#endif
