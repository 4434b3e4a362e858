/* Routes: qmgr to rewrite. Fresh mail brings its routes along (cleanup resolves it); this is for what
 * qmgr finds in the store when it starts, and for every later attempt. */
#ifndef WIRE_RESOLVE_MSG_H
#define WIRE_RESOLVE_MSG_H

#include "lib/wire/message.h"
#include "lib/wire/submit.msg.h"

enum { RESOLVE_RECIPIENTS_MAX = 100 }; /* in one request */

/* request, qmgr -> rewrite; answered by resolved */
#define RESOLVE(F)                                                                                           \
    F(1, bytes, sender, "envelope sender, internal form; empty: the null sender")                            \
    F(2, list_recipient, recipients, "number and address of each")
MESSAGE(0x0309, resolve, RESOLVE);

/* An address that no server may be asked for has transport error and the reason as next hop, as the
 * configuration's own "error:" routes have. One that cannot be resolved now has no transport, and in nexthop
 * one line that says why. */
#define RESOLVED(F) F(1, list_recipient, recipients, "number, transport, nexthop and user of each")
MESSAGE(0x030a, resolved, RESOLVED);

#endif
