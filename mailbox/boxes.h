/* The Maildirs that are open, and the batch under way in each. */
#ifndef MAILBOX_BOXES_H
#define MAILBOX_BOXES_H

#include "lib/maildir/deliver.h"
#include "lib/wire/channel.h"
#include "lib/wire/mailbox.msg.h"

enum { BOXES_OPEN_MAX = 32 }; /* Maildirs kept open */

struct boxes;

/* base: borrowed for its life; AT_FDCWD: paths are absolute. l: batches are committed at the end of its step. */
struct boxes *boxes_new(struct loop *l, int base);

/* Takes one request; it is answered on c when its batch is committed, or at once where it
 * cannot be begun. text: descriptor of the file with the text, or -1; borrowed */
void boxes_store(struct boxes *all, struct channel *c, uint64_t request, const struct msg_store *m, int text);
/* The caller has gone: nobody is to be answered; what it asked for is still done. */
void boxes_forget(struct boxes *all, const struct channel *c);

#endif
