/* The five calls that wait.
 *
 * Session code is written straight on and waits only by these. Which of the two
 * implementations is linked decides what waiting is: in a session host
 * (wait_co.c) the calling coroutine is parked and the loop goes on; in workers,
 * tools and tests (wait_blocking.c) the process waits. A worker that waits for a
 * note runs its loop meanwhile, so that its channels are read; it takes no new
 * request before the one in hand is done (lib/proc).
 *
 * Every deadline is absolute, on the monotonic clock. A descriptor is waited for only
 * after reading or writing it has said EAGAIN (or done less than was asked); a wait may
 * end early, and then the next try says EAGAIN again. */
#ifndef IO_WAIT_H
#define IO_WAIT_H

#include "lib/base/clock.h"
#include "lib/base/list.h"
#include "lib/io/loop.h"

enum wait_result {
    WAIT_OK,
    WAIT_TIMEOUT,   /* the deadline passed first */
    WAIT_CANCELLED, /* somebody asked this session to end (co_cancel); stays so */
};

/* Until fd (non-blocking) can be read, was closed by the peer, or has an error. waits */
enum wait_result wait_readable(int fd, mono_ms deadline);
/* Until fd can be written or has an error. waits */
enum wait_result wait_writable(int fd, mono_ms deadline);
/* Before fd is closed or given away: ends what the implementation holds for it. Harmless
 * for a descriptor that was never waited for. */
void wait_forget(int fd);
/* Until a moment; WAIT_OK when it has come. A moment that has passed gives the others a
 * turn, as wait_yield() does. waits */
enum wait_result wait_until(mono_ms when);

/* A note: something that somebody else will set, once. Embedded; zeros are an unset note. */
struct note {
    bool set;
    void *waiter; /* whoever waits for it; private to the implementation */
};
/* From the loop or another coroutine; the waiter runs later, not inside this call. */
void note_set(struct note *n);
/* Until the note is set; at once where it is set already. waits */
enum wait_result wait_note(struct loop *l, struct note *n, mono_ms deadline);
/* The same, also for a session that is asked to end: what it waits for decides what it may tell its
 * peer. result: WAIT_OK, WAIT_TIMEOUT. waits */
enum wait_result wait_note_firm(struct loop *l, struct note *n, mono_ms deadline);

/* Gives the others a turn, where one session has done much without waiting.
 * Nothing in a blocking process. waits */
void wait_yield(void);

/* True in a session host, false where waiting blocks. */
extern const bool wait_is_coroutine;

#endif
