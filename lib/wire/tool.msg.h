/* What people's tools ask qmgr: postqueue, postsuper and the like, over public/qmgr and public/showq.
 *
 * These are stream sockets that outsiders connect to by path; on them run the frames of
 * channel.h. Who asks is known from the socket's peer credentials. */
#ifndef WIRE_TOOL_MSG_H
#define WIRE_TOOL_MSG_H

#include "lib/wire/message.h"

/* request: the next part of the list of the queue; answered by tool_listed. One list at a time. */
#define TOOL_LIST(F) F(1, num, begin, "1: from its beginning; 0: what follows the part that came last")
MESSAGE(0x0a01, tool_list, TOOL_LIST);

#define TOOL_RECIPIENT(F)                                                                                    \
    F(1, bytes, address, "internal form")                                                                    \
    F(2, bytes, reason, "why it was deferred; empty: it was not")
MESSAGE(0x0a02, tool_recipient, TOOL_RECIPIENT);

#define TOOL_MESSAGE(F)                                                                                      \
    F(1, bytes, id, "queue ID")                                                                              \
    F(2, num, state, "TOOL_IS_*")                                                                            \
    F(3, num, arrival_us, "wall clock")                                                                      \
    F(4, num, size, "octets of the text")                                                                    \
    F(5, bytes, sender, "internal form; empty: the null sender")                                             \
    F(6, list_tool_recipient, recipients, "those that are not over")                                         \
    F(7, num, continued, "1: more recipients of the message before; nothing else is repeated but the id")
MESSAGE(0x0a03, tool_message, TOOL_MESSAGE);
enum { TOOL_IS_INCOMING = 1, TOOL_IS_ACTIVE = 2, TOOL_IS_DEFERRED = 3, TOOL_IS_HELD = 4 };

#define TOOL_LISTED(F)                                                                                       \
    F(1, list_tool_message, messages, "in the order of arrival")                                             \
    F(2, num, more, "1: there is more to ask for")                                                           \
    F(3, bytes, error, "why there is no list; empty where there is one")
MESSAGE(0x0a04, tool_listed, TOOL_LISTED);

/* request: deliver now what waits; answered by tool_done */
#define TOOL_FLUSH(F)                                                                                        \
    F(1, num, kind, "TOOL_ALL, TOOL_SITE, TOOL_ID")                                                          \
    F(2, bytes, name, "the site (a domain), or the queue ID")
MESSAGE(0x0a05, tool_flush, TOOL_FLUSH);
enum { TOOL_ALL = 1, TOOL_SITE = 2, TOOL_ID = 3 };

/* request: change messages; answered by tool_done */
#define TOOL_CHANGE(F)                                                                                       \
    F(1, num, what, "TOOL_HOLD, TOOL_RELEASE, TOOL_DELETE, TOOL_REQUEUE")                                    \
    F(2, bytes, id, "queue ID; empty: all messages")
MESSAGE(0x0a06, tool_change, TOOL_CHANGE);
enum { TOOL_HOLD = 1, TOOL_RELEASE = 2, TOOL_DELETE = 3, TOOL_REQUEUE = 4 };

#define TOOL_DONE(F)                                                                                         \
    F(1, num, class, "2: done, or being done; 4: not now; 5: not allowed, or no such message")               \
    F(2, bytes, text, "why not")                                                                             \
    F(3, num, count, "messages that it was about, where that is known")
MESSAGE(0x0a07, tool_done, TOOL_DONE);

#endif
