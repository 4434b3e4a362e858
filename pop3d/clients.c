#include "pop3d/clients.h"

#include "lib/base/check.h"

#include <stdlib.h>

struct client {
    uint64_t sessions;
    size_t length;
    char address[];
};

bool clients_enter(struct clients *c, struct span address)
{
    struct client *one = map_get(&c->by_address, address);
    if (!one) {
        one = calloc(1, sizeof *one + address.n);
        CHECK(one != NULL);
        memcpy(one->address, address.p, address.n);
        one->length = address.n;
        map_set(&c->by_address, span_of(one->address, one->length), one);
    }
    if (c->limit && one->sessions >= c->limit)
        return false;
    one->sessions++;
    return true;
}

void clients_leave(struct clients *c, struct span address)
{
    struct client *one = map_get(&c->by_address, address);
    CHECK(one != NULL && one->sessions > 0);
    if (--one->sessions == 0) {
        map_remove(&c->by_address, address);
        free(one);
    }
}
