/* Counting clients: network servers to anvil. */
#ifndef WIRE_ANVIL_MSG_H
#define WIRE_ANVIL_MSG_H

#include "lib/wire/message.h"

/* request: something a client did; answered by client_counts, the event included */
#define CLIENT_EVENT(F)                                                                                      \
    F(1, bytes, service, "name in master.cf: counts are kept per service")                                   \
    F(2, bytes, address, "the client's")                                                                     \
    F(3, num, kind, "CLIENT_CONNECTS, CLIENT_SENDS, CLIENT_NAMES_RECIPIENT")
MESSAGE(0x0801, client_event, CLIENT_EVENT);
enum { CLIENT_CONNECTS = 1, CLIENT_SENDS = 2, CLIENT_NAMES_RECIPIENT = 3, CLIENT_KINDS = 4 };
#define CLIENT_COUNTS(F)                                                                                     \
    F(1, num, connections, "open now, over all processes of the service")                                    \
    F(2, num, rate, "events of this kind in the present anvil_rate_time_unit")
MESSAGE(0x0802, client_counts, CLIENT_COUNTS);

/* notice: a connection that was counted has ended */
#define CLIENT_LEFT(F)                                                                                       \
    F(1, bytes, service, "as in client_event")                                                               \
    F(2, bytes, address, "as in client_event")
MESSAGE(0x0803, client_left, CLIENT_LEFT);

#endif
