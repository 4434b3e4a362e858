/* Connections to UNIX sockets that the configuration names: smtp (LMTP), and whoever speaks to
 * programs beside the server, to connector. */
#ifndef WIRE_CONNECT_MSG_H
#define WIRE_CONNECT_MSG_H

#include "lib/wire/message.h"

/* request; answered by connect_made, with one descriptor where it was connected */
#define CONNECT_WANTED(F) F(1, bytes, path, "absolute, or below the queue directory")
MESSAGE(0x0d01, connect_wanted, CONNECT_WANTED);
#define CONNECT_MADE(F) F(1, num, error, "errno; EAGAIN: its queue is full now; EPERM: the configuration does not name it")
MESSAGE(0x0d02, connect_made, CONNECT_MADE);

#endif
