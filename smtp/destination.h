/* A next hop as it is written in main.cf and transport tables: "example.com", "[mx.example.com]:587",
 * "[192.0.2.1]", "example.com:submission", for LMTP also "unix:/path" and "inet:host:port".
 *
 * Pure; no call waits. */
#ifndef SMTP_DESTINATION_H
#define SMTP_DESTINATION_H

#include "lib/base/buf.h"

struct destination {
    struct span host;    /* a domain, a host, or an address without brackets; borrowed */
    struct span service; /* what stands for the port, as written; "smtp" or "lmtp" where nothing does */
    unsigned port;       /* 1..65535 */
    bool exact;          /* in brackets: the host itself, without its MX records */
    struct span path;    /* of a UNIX socket; the others are empty then; borrowed */
};

/* text: one of the hops of a list, see destination_next()
 * why:  set where it is none, one line
 * result: false: no such destination */
bool destination_parse(struct span text, bool lmtp, unsigned default_port, struct destination *d, struct buf *why);

/* Cuts the next destination off a list with blanks and commas. result: false at the end */
bool destination_next(struct span *list, struct span *text);

/* The port of a service name or a number. result: 0: unknown */
unsigned destination_port(struct span service);

#endif
