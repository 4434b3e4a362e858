/* Interned strings: the domains, next hops, reasons and senders that a million messages share.
 *
 * Equal strings are one object, counted. No call waits. */
#ifndef QMGR_TEXT_H
#define QMGR_TEXT_H

#include "lib/base/map.h"

/* A shared string; belongs to its table. */
struct text {
    uint32_t users;
    uint32_t n; /* octets */
    char p[];   /* terminated */
};

struct texts {
    struct map map; /* string -> struct text */
};

/* Every text has been given back, or ends now. */
void texts_fini(struct texts *t);
/* The shared object of this string, one user more. result: never NULL */
struct text *text_take(struct texts *t, struct span s);
/* One user more of the same. x may be NULL. */
struct text *text_share(struct text *x);
/* Gives it back; NULL is harmless. Nulls *x. */
void text_drop(struct texts *t, struct text **x);

static inline struct span text_span(const struct text *x)
{
    return x ? (struct span){x->p, x->n} : SPAN_NONE;
}

#endif
