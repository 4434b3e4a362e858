/* The queue directory has one owner: locks, pid file, and numbers that are never given twice.
 *
 * All paths are relative to the queue directory, which master has made its current
 * directory. Used at start, and lock_next_number() for each process; may wait for the disk. */
#ifndef MASTER_LOCK_H
#define MASTER_LOCK_H

#include "lib/base/buf.h"

#include <sys/types.h>

struct queue_lock {
    int server; /* descriptor of pid/master.pid, locked: a server runs; -1: none */
    int queue;  /* of pid/queue.lock, locked; inherited by the processes that own the queue */
    uint64_t next, end; /* numbers that may be given without touching the disk */
};

#define QUEUE_LOCK_INIT ((struct queue_lock){-1, -1, 0, 0})

/* Takes both locks and writes the pid. A server that runs is refused at once; processes of one that
 * was killed are waited for, LOCK_WAIT_MS at most.
 * result: false with why */
bool lock_take(struct queue_lock *l, struct buf *why);
enum { LOCK_WAIT_MS = 10000, LOCK_BLOCK = 1000 };
/* After a fork into the background: the pid file says who runs now. */
void lock_write_pid(struct queue_lock *l);
/* Removes what it wrote and gives the locks up. */
void lock_end(struct queue_lock *l);

/* Whether a server holds the lock. result: its pid, 0: none runs, -1: cannot be found out */
pid_t lock_holder(void);

/* A number that no process of this queue directory has had or will have, over restarts and crashes:
 * blocks of LOCK_BLOCK are reserved on stable storage before any of them is given.
 * result: 0 with why where that fails */
uint64_t lock_next_number(struct queue_lock *l, struct buf *why);

#endif
