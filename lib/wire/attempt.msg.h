/* A delivery attempt: qmgr to the agents (local, virtual, smtp, pipe). */
#ifndef WIRE_ATTEMPT_MSG_H
#define WIRE_ATTEMPT_MSG_H

#include "lib/wire/message.h"
#include "lib/wire/submit.msg.h"

/* request: deliver one message to these recipients. Several may be on their way to one agent at a
 * time; the agent may finish them together (one sync) and answers each. Descriptor, where there is
 * one: the stored file, read-only, the text from text_offset. */
#define ATTEMPT(F)                                                                                           \
    F(1, bytes, id, "queue ID")                                                                              \
    F(2, bytes, sender, "internal form; empty: the null sender")                                             \
    F(3, list_recipient, recipients, "for one next hop; number names each in the verdicts")                  \
    F(4, bytes, nexthop, "next hop")                                                                         \
    F(5, bytes, text, "message text with LF line ends; empty where it comes by descriptor")                  \
    F(6, num, text_offset, "octets into the descriptor's file")                                              \
    F(7, num, text_size, "octets of text, in either case")                                                   \
    F(8, num, flags, "SUBMIT_*")                                                                             \
    F(9, num, arrival_us, "wall clock")                                                                      \
    F(10, bytes, ret, "as in submit")                                                                        \
    F(11, bytes, envid, "as in submit")                                                                      \
    F(12, bytes, client_name, "as in submit")                                                                \
    F(13, bytes, client_address, "as in submit")                                                             \
    F(14, bytes, helo, "as in submit")                                                                       \
    F(15, bytes, protocol, "as in submit")                                                                   \
    F(16, bytes, login, "as in submit")                                                                      \
    F(17, num, encoding, "as in submit")
MESSAGE(0x0401, attempt, ATTEMPT);

/* What became of one recipient. */
#define VERDICT(F)                                                                                           \
    F(1, num, number, "the recipient's number")                                                              \
    F(2, num, class, "2: delivered, 4: deferred, 5: failed for good")                                        \
    F(3, bytes, dsn, "enhanced status code, 2.0.0")                                                          \
    F(4, bytes, text, "one line for log and notification: delivered to maildir, or why not")                 \
    F(5, bytes, relay, "local, virtual, name[address]:port, ...; none where there was none")                 \
    F(6, bytes, remote_mta, "name of the far side, for the notification")                                    \
    F(7, bytes, diagnostic, "the far side's reply, for the notification")                                    \
    F(8, bytes, action, "relayed, expanded, delivered: for success notifications; empty: by class; passed: the "    \
                        "next server has taken over what the sender asked for (RFC 3461 5.2.2)")             \
    F(9, num, connect_us, "Postfix's delay c: connection setup")                                             \
    F(10, num, transfer_us, "Postfix's delay d")                                                             \
    F(11, num, uses, "messages that the connection was used for, this one included; 0: there was none")
MESSAGE(0x0402, verdict, VERDICT);

/* the answer */
#define ATTEMPTED(F)                                                                                         \
    F(1, list_verdict, verdicts, "one for each recipient; one that is missing counts as deferred")           \
    F(2, num, unreachable, "1: the destination itself could not be reached or refused to speak: the verdicts say " \
                           "nothing of the recipients, and later mail to it may wait")
MESSAGE(0x0403, attempted, ATTEMPTED);

/* request, qmgr -> bounce: make a notification from these verdicts and submit it; answered by submitted.
 * Text as in attempt. */
#define NOTIFY(F)                                                                                            \
    F(1, num, kind, "NOTIFY_FAILED, NOTIFY_DELAYED, NOTIFY_SUCCESS")                                         \
    F(2, bytes, id, "queue ID of the message that it is about")                                              \
    F(3, bytes, sender, "its sender: where the notification goes")                                           \
    F(4, list_recipient, recipients, "those that it is about")                                               \
    F(5, list_verdict, verdicts, "by recipient number")                                                      \
    F(6, bytes, text, "as in attempt")                                                                       \
    F(7, num, text_offset, "as in attempt")                                                                  \
    F(8, num, text_size, "as in attempt")                                                                    \
    F(9, num, flags, "SUBMIT_*")                                                                             \
    F(10, num, arrival_us, "wall clock")                                                                     \
    F(11, bytes, ret, "as in submit")                                                                        \
    F(12, bytes, envid, "as in submit")                                                                      \
    F(13, num, give_up_us, "wall clock at which the queue gives up, for a delay warning")                    \
    F(14, bytes, new_id, "queue ID that the notification is to have: the same at every repetition, so that a " \
                         "crash cannot make two of it")
MESSAGE(0x0404, notify, NOTIFY);
enum { NOTIFY_FAILED = 1, NOTIFY_DELAYED = 2, NOTIFY_SUCCESS = 3 };

#endif
