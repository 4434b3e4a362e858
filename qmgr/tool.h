/* What people ask: lists of the queue, flushes, and changes to single messages (lib/wire/tool.msg.h). */
#ifndef QMGR_TOOL_H
#define QMGR_TOOL_H

#include "qmgr/inner.h"

enum {
    TOOLS_MAX = 64,         /* clients at a time */
    TOOL_WALK_SLICE = 2000, /* messages looked at between two looks at the channels */
    TOOL_IDLE_S = 60,       /* a client that asks nothing is hung up on */
};

void tool_init(struct qmgr *q);
void tool_close_all(struct qmgr *q);
/* Once a second. */
void tool_second(struct qmgr *q);

#endif
