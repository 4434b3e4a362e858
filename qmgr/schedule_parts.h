/* What schedule.c and destination.c share; for these two only. */
#ifndef QMGR_SCHEDULE_PARTS_H
#define QMGR_SCHEDULE_PARTS_H

#include "qmgr/schedule.h"

/* Whether something new may begin for the message. */
bool message_may_run(const struct message *m);
/* Ends a transport with all its destinations and jobs. */
void transport_free(struct schedule *s, struct transport *t);

#endif
