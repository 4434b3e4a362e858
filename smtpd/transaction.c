#include "smtpd/body.h"
#include "smtpd/smtpd.h"
#include "lib/base/check.h"

#include <stdlib.h>

struct transaction *tx_new(void)
{
    struct transaction *tx = calloc(1, sizeof *tx);
    CHECK(tx != NULL);
    return tx;
}

void tx_end(struct session *s, struct transaction **txp)
{
    struct transaction *tx = *txp;
    *txp = NULL;
    if (!tx)
        return;
    body_free(s, &tx->body);
    arena_fini(&tx->arena);
    free(tx);
}

struct transaction *tx_take(struct session *s)
{
    struct transaction *tx = s->tx;
    s->tx = NULL;
    return tx;
}
