/* From a next hop to the addresses that are tried, best first: MX, A and AAAA records, RFC 5321 5.1;
 * null MX, RFC 7505.
 *
 * Session code: the lookups wait, at most as long as dnsd does for each. */
#ifndef SMTP_ROUTE_H
#define SMTP_ROUTE_H

#include "smtp/destination.h"
#include "smtp/smtp.h"

/* Finds them.
 * list:   made in a; empty where nothing can be tried
 * why:    set where list is empty: class 5 only for what is proven (no such host, no mail, a loop) */
void route_find(struct smtp *smtp, struct arena *a, const struct destination *d, struct endpoint_list *list,
                struct verdict *why);

#endif
