/* Where the log lines of all processes go: opened by master, given to each. */
#ifndef MASTER_LOGS_H
#define MASTER_LOGS_H

#include "master/master.h"

/* Opens the log of the configuration and logs master's own lines there.
 * result: false with why; the log is as it was then */
bool logs_open(struct master *m, const struct config *c, struct buf *why);
/* Another file stands at the log's path, or none: open it anew, and tell everybody. */
void logs_rotated(struct master *m);

#endif
