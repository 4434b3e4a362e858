/* The way of a process to dnsd. */
#ifndef PROC_RESOLVER_H
#define PROC_RESOLVER_H

#include "lib/dns/dns.h"
#include "lib/proc/proc.h"

/* Fills *client for lookups of this process: by its channel to dnsd (the program's row in walls.def must
 * name dnsd), with the families of inet_protocols. Called from start(), before the sandbox, or after a reload.
 * result: false after proc_trouble() has named what is wrong with inet_protocols */
bool proc_dns(struct proc *p, struct dns_client *client);

#endif
