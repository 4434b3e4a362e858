/* One resolver of libunbound: a cache, a thread that does the work, and the descriptor by which it says that
 * something is done.
 *
 * The thread is libunbound's own and runs none of our code but the writing of its log into a pipe. */
#ifndef DNSD_CONTEXT_H
#define DNSD_CONTEXT_H

#include "dnsd/sources.h"
#include "lib/base/list.h"
#include "lib/io/loop.h"

#include <stdio.h>
#include <unbound.h>

struct context {
    struct list node;      /* among the engine's */
    struct engine *engine; /* whose it is */
    struct ub_ctx *ub;
    struct watch *watch;
    struct list questions; /* struct question: those under way */
    bool broken;           /* its thread is gone */
};

/* Makes one and its thread. log: where libunbound writes, borrowed
 * result: NULL with why */
struct ub_ctx *context_open(const struct sources *s, FILE *log, struct buf *why);

/* Private names that libunbound answers itself; the i-th, NULL behind the last. */
const char *context_builtin_zone(unsigned i);

#endif
