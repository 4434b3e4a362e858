/* Facts about this machine that defaults are computed from, as settings.
 *
 * The front-end (master, a command) gathers them once; sandboxed processes get
 * them with their settings and never ask the system. */
#ifndef PARAM_FACTS_H
#define PARAM_FACTS_H

#include "lib/param/settings.h"

/* The name that gethostname() gives. */
#define FACT_HOSTNAME ".hostname"
/* Addresses of the interfaces that are up: "127.0.0.1/8 [::1]/128 ...", IPv4 first. */
#define FACT_INTERFACES ".interfaces"

/* Front-ends only. Sets both facts; what cannot be found out stays unset, and the
 * defaults then know localhost only. */
void facts_gather(struct settings *s);

#endif
