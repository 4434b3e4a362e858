/* Recipients get their routes: for cleanup, which has fresh mail, and rewrite, which is asked later.
 *
 * Lookups may wait as the tables do that the configuration names. */
#ifndef PROC_ROUTE_H
#define PROC_ROUTE_H

#include "lib/mail/routing.h"
#include "lib/proc/tables.h"
#include "lib/wire/submit.msg.h"

/* The routing of the process's configuration; in start().
 * result: lives as long as the process; NULL after proc_trouble() has named what is wrong */
const struct routing *proc_routing(struct proc *p, const struct params_main *main);

/* Sets a recipient's transport, nexthop and user (empty: its address), made in a. An address that no
 * server may be asked for gets the transport "error".
 * sender: internal form
 * result: false: not now (why, one line for the log): all three are empty */
bool route_recipient(const struct routing *r, struct span sender, struct msg_recipient *recipient, struct arena *a,
                     struct buf *why);

#endif
