/* What libunbound says in words: lines of its log, and the reasons of bogus answers.
 *
 * Pure; no call waits. */
#ifndef DNSD_REPORT_H
#define DNSD_REPORT_H

#include "lib/base/buf.h"

enum { REASON_MAX = 300 /* octets that are kept */ };

/* One line: "[1796076775] libunbound[16450:0] error: SERVFAIL <name. MX IN>: all servers failed". */
struct report {
    struct span text;   /* behind the level; borrowed */
    struct span name;   /* of a failed lookup, without its final dot; "." is the root; empty: another kind of line */
    unsigned type;      /* of that lookup; 0: one without a name here */
    struct span reason; /* why it failed */
};

/* result: false: an empty line */
bool report_parse(struct span line, struct report *r);

/* Appends at most REASON_MAX octets of a reason, printable. */
void report_put_reason(struct buf *out, struct span reason);
/* The same of a reason that libunbound gives with a bogus answer: without "validation failure <name. MX IN>: ". */
void report_put_bogus(struct buf *out, struct span reason);

#endif
