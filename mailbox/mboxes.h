/* Messages on their way into mboxes: each is tried again while somebody has the lock. */
#ifndef MAILBOX_MBOXES_H
#define MAILBOX_MBOXES_H

#include "lib/wire/channel.h"
#include "mailbox/role.h"

struct mboxes;

/* role: borrowed for its life. */
struct mboxes *mboxes_new(struct loop *l, const struct role *role);
/* Takes one request, which is answered on c now or later. text: as in boxes_store() */
void mboxes_store(struct mboxes *all, struct channel *c, uint64_t request, const struct msg_store *m, int text);
/* The caller has gone: what waits for a lock is given up. */
void mboxes_forget(struct mboxes *all, const struct channel *c);
/* Those that wait for a lock. */
size_t mboxes_waiting(const struct mboxes *all);

#endif
