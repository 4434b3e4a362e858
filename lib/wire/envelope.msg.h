/* The envelope of a stored message. It is on the disk too: a tag keeps its meaning for ever. */
#ifndef WIRE_ENVELOPE_MSG_H
#define WIRE_ENVELOPE_MSG_H

#include "lib/wire/message.h"
#include "lib/wire/submit.msg.h"

#define STORED_ENVELOPE(F)                                                                                   \
    F(1, bytes, id, "queue ID")                                                                              \
    F(2, bytes, sender, "internal form; empty: the null sender")                                             \
    F(3, list_recipient, recipients, "numbered from 1 without gaps; transport, nexthop and user are those "  \
                                     "of the moment of storing: whoever reads them from the disk resolves again") \
    F(4, num, flags, "SUBMIT_*")                                                                             \
    F(5, num, arrival_us, "wall clock")                                                                      \
    F(6, num, text_size, "octets of the message text, with LF line ends")                                    \
    F(7, bytes, ret, "as in submit")                                                                         \
    F(8, bytes, envid, "as in submit")                                                                       \
    F(9, bytes, client_name, "as in submit")                                                                 \
    F(10, bytes, client_address, "as in submit")                                                             \
    F(11, bytes, helo, "as in submit")                                                                       \
    F(12, bytes, protocol, "as in submit")                                                                   \
    F(13, bytes, login, "as in submit")                                                                      \
    F(14, bytes, login_method, "as in submit")                                                               \
    F(15, num, encoding, "as in submit")
MESSAGE(0x0308, stored_envelope, STORED_ENVELOPE);

#endif
