/* Whether a server answers: it is connected to, and greets. */
#ifndef CLI_MERPATI_READY_H
#define CLI_MERPATI_READY_H

#include <stdbool.h>
#include <stdint.h>

/* address: numeric; greeting: how a good greeting begins ("220", "+OK").
 * waits: two seconds at most */
bool server_greets(const char *address, uint16_t port, const char *greeting);

#endif
