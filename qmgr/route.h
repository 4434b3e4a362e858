/* Routes: which transport and next hop a recipient goes to.
 *
 * Fresh mail has them in its envelope. For all other mail rewrite is asked, some messages at a time. */
#ifndef QMGR_ROUTE_H
#define QMGR_ROUTE_H

#include "qmgr/inner.h"

enum {
    ROUTE_REQUESTS_MAX = 64, /* under way to rewrite */
    ROUTE_WAITING_MAX = 500, /* messages whose turn is to come; no more are activated then */
    ROUTE_AGAIN_S = 10,      /* where rewrite is lost */
};

/* The resolving recipients of a message that has become due get their routes, now or later.
 * e: an envelope with routes, borrowed; NULL: rewrite is asked */
void route_message(struct qmgr *q, struct message *m, const struct msg_stored_envelope *e);
void route_close(struct qmgr *q);

#endif
