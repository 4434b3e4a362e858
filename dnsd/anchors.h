/* Files of trust anchors: DS and DNSKEY records, one a line, as in Debian's /usr/share/dns/root.key.
 *
 * Pure; no call waits. */
#ifndef DNSD_ANCHORS_H
#define DNSD_ANCHORS_H

#include "lib/base/arena.h"

enum { ANCHOR_FILE_MAX = 1 << 20, ANCHORS_MAX = 1000 };

struct anchors {
    struct span at[ANCHORS_MAX]; /* a record as text, and its owner's name; terminated, in an arena */
    struct span owners[ANCHORS_MAX];
    size_t n;
    unsigned wrong; /* the first line that is none; 0: all are good */
};

/* Adds those of a text; sets wrong. Comments (";"), empty lines and revoked keys are passed over. */
void anchors_add(struct arena *a, struct span text, struct anchors *anchors);

#endif
