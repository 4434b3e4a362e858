/* From what the resolver says to what a caller is told.
 *
 * Pure; no call waits. */
#ifndef DNSD_ANSWER_H
#define DNSD_ANSWER_H

#include "lib/base/arena.h"
#include "lib/dns/dns.h"

/* What the resolver says to one question. */
struct raw_answer {
    struct span failure; /* in words, where there is nothing else: no packet came */
    struct span packet;  /* the message; borrowed */
    bool secure, bogus;  /* what DNSSEC says to it */
    struct span why;     /* of a bogus answer, or of an rcode that says that it failed; may be empty */
    uint32_t ttl;        /* seconds for which a denial holds */
};

struct answer_limits {
    uint32_t max_ttl, max_negative_ttl; /* seconds */
};

/* Fills *reply, made in a or borrowed from raw.
 * name:  as it was asked for, without a final dot; borrowed
 * type:  1..65535 */
void answer_decode(struct arena *a, struct span name, unsigned type, const struct raw_answer *raw,
                   const struct answer_limits *limits, struct msg_dns_reply *reply);

/* An answer that holds nothing. */
struct msg_dns_reply answer_none(enum dns_verdict verdict, struct span why);

/* Whether such records can be asked for: not those that stand for questions and messages themselves. RFC 6895 3.1 */
bool answer_type_valid(uint64_t type);

#endif
