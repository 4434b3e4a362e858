/* Handing a message in: smtpd, pickup, bounce and local to cleanup. */
#ifndef WIRE_SUBMIT_MSG_H
#define WIRE_SUBMIT_MSG_H

#include "lib/wire/message.h"

/* One recipient of a message, as it goes through cleanup, the store and qmgr. */
#define RECIPIENT(F)                                                                                         \
    F(1, bytes, address, "internal (unquoted) form")                                                         \
    F(2, bytes, original, "as first received, before rewriting and expansion; for X-Original-To and logs")   \
    F(3, bytes, orcpt, "RFC 3461 ORCPT parameter, decoded form type;address")                                \
    F(4, num, notify, "RFC 3461 NOTIFY: DSN_NOTIFY_* bits; 0: not given")                                    \
    F(5, num, number, "its number in the stored message, from 1; given by cleanup")                          \
    F(6, bytes, transport, "where cleanup resolved it: service name; empty: not resolved yet")               \
    F(7, bytes, nexthop, "the transport's next hop")                                                         \
    F(8, bytes, user, "the recipient that the transport is to see, where it differs from address")           \
    F(9, num, flags, "RECIPIENT_*")
MESSAGE(0x0201, recipient, RECIPIENT);

/* smtpd -> cleanup, request: a file for a text that grows over SUBMIT_INLINE_MAX; answered by
 * spool_made with one descriptor (unnamed, on the queue's file system, for writing) */
#define SPOOL_WANTED(F) F(1, num, size, "octets announced by SIZE; 0: unknown")
MESSAGE(0x0202, spool_wanted, SPOOL_WANTED);
#define SPOOL_MADE(F)                                                                                        \
    F(1, num, handle, "names the file in submit; 0: there is no file")                                       \
    F(2, bytes, error, "why not, in words")
MESSAGE(0x0203, spool_made, SPOOL_MADE);
/* notice: the transaction was given up */
#define SPOOL_DROPPED(F) F(1, num, handle, "from spool_made")
MESSAGE(0x0204, spool_dropped, SPOOL_DROPPED);

/* request: one whole message; answered by submitted */
#define SUBMIT(F)                                                                                            \
    F(1, bytes, id, "queue ID, drawn by the sender of this request (lib/queue/id.h)")                        \
    F(2, bytes, sender, "internal form; empty: the null sender")                                             \
    F(3, list_recipient, recipients, "at least one, unless SUBMIT_EXTRACT")                                  \
    F(4, num, flags, "SUBMIT_*")                                                                             \
    F(5, num, arrival_us, "wall clock")                                                                      \
    F(6, bytes, text, "message text with LF line ends, Received: of the receiver on top; empty where spooled") \
    F(7, num, spool, "handle of the file that holds the text instead")                                       \
    F(8, num, spool_size, "octets of text in the file")                                                      \
    F(9, bytes, ret, "RFC 3461 RET: FULL, HDRS or empty")                                                    \
    F(10, bytes, envid, "RFC 3461 ENVID, decoded")                                                           \
    F(11, bytes, client_name, "reverse name of the client, or unknown; localhost for pickup")                \
    F(12, bytes, client_address, "its address as text")                                                      \
    F(13, bytes, helo, "its HELO or EHLO argument")                                                          \
    F(14, bytes, protocol, "SMTP, ESMTP, ...")                                                               \
    F(15, bytes, login, "SASL login name")                                                                   \
    F(16, bytes, login_method, "SASL mechanism")                                                             \
    F(17, bytes, full_name, "sendmail -F: for a From: that is missing")                                      \
    F(18, num, encoding, "0: 7bit or unknown, 8: BODY=8BITMIME")
MESSAGE(0x0205, submit, SUBMIT);
enum {
    SUBMIT_SMTPUTF8 = 1,       /* MAIL said SMTPUTF8 */
    SUBMIT_LOCAL_REWRITE = 2,  /* headers are rewritten as for our own clients (local_header_rewrite_clients) */
    SUBMIT_BOUNCE = 4,         /* a notification made by us: no rewriting, no header checks */
    SUBMIT_EXTRACT = 8,        /* recipients come from the header (sendmail -t) */
    SUBMIT_FORWARD = 16,       /* made by local from aliases or .forward: no second expansion notice */
    SUBMIT_LOCAL = 32,         /* submitted on this host (pickup) */
    SUBMIT_VERP = 64,
};
enum {
    SUBMIT_INLINE_MAX = 64 * 1024, /* octets of text inside the frame; more goes by spool file */
};

#define SUBMITTED(F)                                                                                         \
    F(1, num, class, "0: on stable storage; 4: try again; 5: refused")                                       \
    F(2, bytes, dsn, "enhanced status code, where class is not 0")                                           \
    F(3, bytes, text, "why, for the reply's text, where class is not 0")                                     \
    F(4, bytes, id, "queue ID")
MESSAGE(0x0206, submitted, SUBMITTED);

/* request to cleanup: may a message of this size come in now? Asked at MAIL; answered by submitted. */
#define ROOM_WANTED(F) F(1, num, size, "octets announced, or 0")
MESSAGE(0x0207, room_wanted, ROOM_WANTED);

#endif
