/* Deliveries in batches: every file and the directory are on stable storage when deliver_batch returns. */
#ifndef EXPERIMENT_MAILDIR_H
#define EXPERIMENT_MAILDIR_H

#include "store.h"

enum { DELIVER_BATCH = 64 };

struct maildir {
    int tmp_fd, new_fd;
};

void maildir_open(struct maildir *m, const char *dir, unsigned deliverer);
void maildir_deliver(struct maildir *m, const char *text, size_t size, const struct note *n, unsigned count);

#endif
