/* Services: how many processes each has, and what happens when one ends. */
#ifndef MASTER_SERVICES_H
#define MASTER_SERVICES_H

#include "master/master.h"

/* Makes the crews fit the current configuration: new ones are made, changed ones get processes of
 * the new generation, those that are gone let theirs end. At start and after a reload. */
void services_apply(struct master *m);
/* All processes end; loop_stop() is called when they have. */
void services_stop(struct master *m);
/* After that: frees the crews. */
void services_free(struct master *m);

/* result: the crew that serves channels under this name, or NULL */
struct crew *services_find(struct master *m, struct span name);

/* Starts what is to be there without being asked for. */
void crew_fill(struct crew *crew);
/* Whether the crew may have one more process now. */
bool crew_may_start(const struct crew *crew);
/* One more process; where the system has none to give, the next try waits a little. */
void crew_start(struct crew *crew, unsigned slot);
/* The smallest slot that no process has. */
unsigned crew_free_slot(const struct crew *crew);

/* News of a child, from children.c. */
void crew_child_ready(struct child *c);
void crew_child_idle(struct child *c);
/* One of its processes has ended and is no member any more; the crew may be freed in this call.
 * failed: before it did any work */
void crew_child_gone(struct crew *crew, bool failed);

#endif
