/* A channel to one service that is made when it is first needed, and again when it was lost. */
#ifndef QMGR_LINK_H
#define QMGR_LINK_H

#include "qmgr/inner.h"

struct link *link_new(struct qmgr *q, const char *service);
/* Requests that are under way are answered with NULL. Nulls *l. */
void link_free(struct link **l);
/* A request as channel_request(), kept until there is a channel; answer is called once, never inside this
 * call, with NULL where there is none or it was lost. */
void link_request(struct link *l, uint16_t type, struct span body, const int *fds, unsigned nfds,
                  channel_answer answer, void *context);

#endif
