/* Local submission: sendmail to pickup, over the UNIX socket public/pickup.
 *
 * Who submits is known from the socket's credentials, or from the owner of a file in
 * maildrop/, never from what is said here. */
#ifndef WIRE_PICKUP_MSG_H
#define WIRE_PICKUP_MSG_H

#include "lib/wire/message.h"

#define DROP_RECIPIENT(F) F(1, bytes, address, "internal form, never empty")
MESSAGE(0x0b01, drop_recipient, DROP_RECIPIENT);

/* The envelope in a submission file (lib/queue/drop.h). */
#define DROP(F)                                                                                              \
    F(1, bytes, sender, "internal form, where DROP_SENDER; empty then: the null sender")                     \
    F(2, list_drop_recipient, recipients, "in the order given; none where DROP_EXTRACT")                     \
    F(3, num, flags, "DROP_*")                                                                               \
    F(4, num, notify, "DSN_NOTIFY_* (lib/mail/dsn.h); 0: not given")                                         \
    F(5, bytes, ret, "RFC 3461 RET: FULL, HDRS or empty")                                                    \
    F(6, bytes, envid, "RFC 3461 ENVID, decoded")                                                            \
    F(7, bytes, full_name, "for a From: that is missing; empty: the submitter's own")                        \
    F(8, num, encoding, "as in submit")
MESSAGE(0x0b02, drop, DROP);
enum {
    DROP_SENDER = 1,  /* -f was given; else the submitter is the sender */
    DROP_EXTRACT = 2, /* recipients come from the header (-t) */
    DROP_REMOTE = 4,  /* a gateway submits mail of others: headers are not rewritten as our own (-G) */
};

/* pickup -> sendmail, notice, at once: an offer will be taken up. Where it does not come, nothing was
 * taken, and the mail may go to maildrop/ without being there twice. */
#define DROP_READY(F) F(1, num, size_limit, "message_size_limit as pickup knows it; 0: none")
MESSAGE(0x0b03, drop_ready, DROP_READY);

/* sendmail -> pickup, request, with one descriptor: a sealed memfd that holds a submission file */
#define DROP_OFFER(F) F(1, num, size, "octets of the file")
MESSAGE(0x0b04, drop_offer, DROP_OFFER);

/* the answer */
#define DROP_ANSWER(F)                                                                                       \
    F(1, num, class, "0: on stable storage; 4: try again; 5: refused")                                       \
    F(2, bytes, dsn, "enhanced status code, where class is not 0")                                           \
    F(3, bytes, text, "why, where class is not 0")                                                           \
    F(4, bytes, id, "queue ID, where there is one")                                                          \
    F(5, num, untouched, "1, with class 4: surely nothing was stored, so that it may go to maildrop/")
MESSAGE(0x0b05, drop_answer, DROP_ANSWER);

#endif
