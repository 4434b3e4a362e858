/* How many sessions each client address has in this process.
 *
 * Counts those that have not logged in yet: what is handed over is deliver's. */
#ifndef POP3D_CLIENTS_H
#define POP3D_CLIENTS_H

#include "lib/base/map.h"

struct clients {
    struct map by_address;
    uint64_t limit; /* sessions of one address; 0: no limit */
};

/* result: false where the address has as many as it may; else clients_leave() is due */
bool clients_enter(struct clients *c, struct span address);
void clients_leave(struct clients *c, struct span address);

#endif
