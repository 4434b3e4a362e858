/* The event loop: one per process, over epoll.
 *
 * Every process has one: brokers and workers run it for their channels, session
 * hosts also for their coroutines. Callbacks are run by the loop only, one at a
 * time and never nested (but see wait.h for blocking processes). A callback does
 * not block; it may add and remove watches and timers, its own included. */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include "lib/base/clock.h"
#include "lib/base/heap.h"
#include "lib/base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct watch;

enum loop_event {
    LOOP_READ = 1,   /* readable, or the peer closed, or an error is there to be read */
    LOOP_WRITE = 2,  /* writable, or an error */
    LOOP_HANGUP = 4, /* beside one of the others: the peer closed its side, or an error; never asked for */
    LOOP_EXCLUSIVE = 8, /* asked for at a level watch of a descriptor shared by several processes:
                         * the kernel wakes at least one of them, not all */
};

typedef void (*watch_fn)(struct watch *w, unsigned events, void *context);

/* A loop for this process. result: never NULL (no epoll: the process ends). */
struct loop *loop_new(void);
/* Every watch has ended (checked); timers and deferred work that are still set never run. Nulls *l. */
void loop_free(struct loop **l);

/* Watches a non-blocking descriptor, edge-triggered in both directions: the owner
 * reads or writes until EAGAIN. events: a set of enum loop_event that is of interest.
 * result: owned by the caller until loop_unwatch(); NULL with errno where epoll refuses */
struct watch *loop_watch(struct loop *l, int fd, unsigned events, watch_fn fn, void *context);
/* Level-triggered instead (listening sockets); may be switched off and on. */
struct watch *loop_watch_level(struct loop *l, int fd, unsigned events, watch_fn fn, void *context);
/* 0 switches the watch off. */
void watch_set_events(struct watch *w, unsigned events);
/* Ends the watch; fd is still open (checked: end the watch first, then close) and is the
 * caller's. NULL is harmless. Nulls *w.
 * No callback of it runs afterwards, also where its event was already fetched. */
void loop_unwatch(struct watch **w);

/* A timer is embedded in its object; zeros are a timer that is not set. */
struct timer {
    struct heap_node node;
    struct loop *loop;
    void (*fn)(struct timer *t, void *context);
    void *context;
};
/* Sets or moves it; fn runs once, at or after the moment. */
void timer_set(struct loop *l, struct timer *t, mono_ms at, void (*fn)(struct timer *, void *), void *context);
/* Harmless where it is not set. */
void timer_stop(struct timer *t);
static inline bool timer_is_set(const struct timer *t)
{
    return t->node.place != 0;
}

/* Work for the end of the current step, when all events that are there have been
 * handled and before the loop waits: this is where what was gathered is flushed,
 * synced or sent in one go. Embedded in its object. */
struct deferred {
    struct list node; /* zeros: not queued */
    void (*fn)(struct deferred *d, void *context);
    void *context;
    int rank; /* lower ranks run first: LOOP_RANK_* */
};
enum { LOOP_RANK_RESUME = 0, LOOP_RANK_COMMIT = 1, LOOP_RANK_SEND = 2, LOOP_RANK_LOG = 3, LOOP_RANKS = 4 };
enum { LOOP_DEFERRED_MAX = 10000 }; /* runs in one step; what is left goes first in the next, which does not wait */
/* Queues d to run once in this step; harmless where it is queued already. What is queued
 * while deferred work runs belongs to the same step, again lower ranks first. */
void loop_defer(struct loop *l, struct deferred *d);
void loop_undefer(struct deferred *d);

/* Runs until loop_stop(); a stop that came before is heeded at once. */
void loop_run(struct loop *l);
/* Makes the innermost loop_run() return at the end of the step. */
void loop_stop(struct loop *l);
/* One step: waits for events until the deadline at most, handles them, runs the timers that
 * are due and what was deferred. A callback of a blocking process may call it (wait_note): the
 * inner step first handles what the outer one has fetched and not yet come to. */
void loop_step(struct loop *l, mono_ms deadline);

/* The time at which the current step began to handle events; cheap. */
mono_ms loop_now(const struct loop *l);
/* The longest a step took since the last call, in ms; for the lag metric. */
int64_t loop_take_lag_ms(struct loop *l);

/* A signal as an event: it is blocked (children inherit that: whoever runs a program unblocks
 * it first) and read by signalfd. fn gets the signal's number. May be called once for each signal. */
void loop_on_signal(struct loop *l, int signo, void (*fn)(int signo, void *context), void *context);

#endif
