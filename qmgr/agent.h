/* Delivery services: the agents' processes behind their channels, and attempts handed to them.
 *
 * Several attempts may be under way on one channel, so that an agent can finish them together;
 * how many, and on how many channels, depends on the program and the service's limit. The
 * transports error, retry and discard are answered here. */
#ifndef QMGR_AGENT_H
#define QMGR_AGENT_H

#include "qmgr/inner.h"

enum {
    AGENT_SLOW_MS = 1000,   /* an attempt that takes longer: others go to another agent if they can */
    AGENT_IDLE_S = 60,      /* a channel without attempts is closed after that */
    AGENT_DIED_AGAIN_S = 1, /* the first attempt after an agent died */
};

/* The services as master named them; also after a reload: old agents finish what they have. */
void agent_set_services(struct qmgr *q, const wire_list_service *services);
/* The transport of this name, with its parameters. */
struct transport *agent_transport(struct qmgr *q, struct span name);
/* Begins an attempt, or answers it at once. */
void agent_begin(struct qmgr *q, struct attempt *a);
/* Once a second: idle channels. */
void agent_second(struct qmgr *q);
void agent_close_all(struct qmgr *q);

#endif
