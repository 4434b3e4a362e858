/* Child processes: started, booted, told things, watched, reaped.
 *
 * What a child's life means for its service is decided in services.c. */
#ifndef MASTER_CHILDREN_H
#define MASTER_CHILDREN_H

#include "master/master.h"

/* Forks, boots. result: the child, a member of its crew; NULL with the reason logged */
struct child *child_start(struct crew *crew, unsigned slot);

/* Asks it to end, within grace_ms; it is killed KILL_AFTER_MS later. Harmless to repeat. */
void child_stop(struct child *c, int64_t grace_ms);
/* Of an old generation: no new channels; ends when it is idle, or after RELOAD_GRACE_S. */
void child_retire(struct child *c);

/* Everybody whose plan names the file gets it anew. fd may be -1 with error; borrowed. */
void children_tell_file(struct master *m, const char *path, int fd, int error);
/* A broker gets the settings of its crew's plan, and is of that configuration from now on. */
void child_tell_settings(struct child *c);

/* SIGCHLD: collects all that have ended. */
void children_reap(struct master *m);

/* "/usr/lib/merpati/smtpd", for log lines. */
const char *child_path(const struct child *c, struct buf *room);

#endif
