/* Writing into mailboxes: local and virtual to deliver, and to the mailbox process that
 * deliver started as the mailbox's owner. */
#ifndef WIRE_MAILBOX_MSG_H
#define WIRE_MAILBOX_MSG_H

#include "lib/wire/message.h"

/* agent -> deliver, request: a channel to a process that runs as an owner of mailboxes; answered
 * by owner_made with one descriptor. What is asked is only who and where: deliver holds it
 * against its own configuration. */
#define OWNER_WANTED(F)                                                                                      \
    F(1, num, kind, "OWNER_VIRTUAL: uid, gid and base; OWNER_USER: a user of the system by name")            \
    F(2, bytes, user, "OWNER_USER")                                                                          \
    F(3, num, uid, "OWNER_VIRTUAL")                                                                          \
    F(4, num, gid, "OWNER_VIRTUAL")                                                                          \
    F(5, bytes, base, "OWNER_VIRTUAL: virtual_mailbox_base")
MESSAGE(0x0701, owner_wanted, OWNER_WANTED);
enum { OWNER_VIRTUAL = 1, OWNER_USER = 2 };
#define OWNER_MADE(F)                                                                                        \
    F(1, num, class, "2: made; 4: try again; 5: there is no such owner, or it may not be one")               \
    F(2, bytes, dsn, "where class is not 2")                                                                 \
    F(3, bytes, text, "where class is not 2")                                                                \
    F(4, bytes, home, "OWNER_USER: the home directory")
MESSAGE(0x0702, owner_made, OWNER_MADE);

/* deliver -> mailbox process, notice, the first on descriptor 3; descriptor: the base directory
 * (virtual_mailbox_base or the home) */
#define MAILBOX_BEGIN(F)                                                                                     \
    F(1, bytes, log_target, "as in boot; the log's descriptor is 2")                                         \
    F(2, bytes, log_host, "this host's name")                                                                \
    F(3, bytes, log_name, "postfix/mailbox")
MESSAGE(0x0703, mailbox_begin, MAILBOX_BEGIN);
/* deliver -> mailbox process, notice with one descriptor: an agent's channel */
#define MAILBOX_CALLER(F) F(1, bytes, name, "service/slot of the agent, for logs")
MESSAGE(0x0704, mailbox_caller, MAILBOX_CALLER);

/* agent -> mailbox process, request: put one message into a mailbox; answered by stored. Requests
 * that are there together share one sync. Descriptor, where there is one: the file with the text. */
#define STORE(F)                                                                                             \
    F(1, num, format, "STORE_MAILDIR, STORE_MBOX")                                                           \
    F(2, bytes, path, "below the base directory; absolute for system mailboxes")                             \
    F(3, bytes, queue_id, "names the delivery, with number: the same at every repetition")                   \
    F(4, num, number, "the recipient's number in the message")                                               \
    F(5, num, arrival_us, "wall clock")                                                                      \
    F(6, bytes, host, "this host's name, for the file's name")                                               \
    F(7, num, maybe_again, "1: it may have been done before")                                                \
    F(8, bytes, top, "header lines to put before the text")                                                  \
    F(9, bytes, text, "message text; empty where it comes by descriptor")                                    \
    F(10, num, text_offset, "octets into the descriptor's file")                                             \
    F(11, num, text_size, "octets of text, in either case")                                                  \
    F(12, bytes, sender, "envelope sender, for the From line of an mbox")
MESSAGE(0x0705, store, STORE);
enum { STORE_MAILDIR = 1, STORE_MBOX = 2 };
#define STORED(F)                                                                                            \
    F(1, num, class, "2, 4 or 5")                                                                            \
    F(2, bytes, dsn, "enhanced status code")                                                                 \
    F(3, bytes, text, "delivered to maildir, or why not")                                                    \
    F(4, num, was_there, "1: it had been delivered before")
MESSAGE(0x0706, stored, STORED);

#endif
