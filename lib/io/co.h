/* Stackful coroutines: a session's straight-line code over the loop.
 *
 * Only session hosts link this. One thread; only the loop resumes a coroutine,
 * wake-ups are queued and never nested; the coroutine owns its session and
 * nobody else frees it. Stacks are pooled, with a guard page each.
 *
 * Rules for code on a coroutine: no array over 4 KiB on the stack, recursion only
 * with a depth limit, no blocking library call, no pointer to another session's
 * object across a wait. */
#ifndef IO_CO_H
#define IO_CO_H

#include "lib/io/wait.h"

#include <stddef.h>

struct co;

enum {
    CO_STACK_BYTES = 256 * 1024, /* reserved address space, 64 KiB of it guard; touched as needed */
};

/* Starts fn(argument) as a coroutine; it first runs in the loop's current or next step.
 * name: our own literal, shown in dumps ("smtpd session").
 * result: owned by itself, ends when fn returns; NULL with errno where no stack can be mapped */
struct co *co_spawn(struct loop *l, const char *name, void (*fn)(void *argument), void *argument);

/* The running coroutine, or NULL on the loop's own stack. */
struct co *co_self(void);
/* A number that is never used twice in the process; 0 on the loop's own stack. */
uint64_t co_id(const struct co *c);

/* Asks a coroutine to end: its present wait and all later ones return WAIT_CANCELLED, but for
 * those that are firm (wait.h).
 * id: from co_id(); a coroutine that has ended is left alone. */
void co_cancel(uint64_t id);
void co_cancel_all(void);

/* How many are alive. */
size_t co_count(void);
/* Gives back the stacks and watches that are kept for use again; none is alive (checked).
 * Before loop_free(), and after a wave of sessions. */
void co_release(void);

/* One line a coroutine for a dump: id, name, what it waits for and for how long. */
void co_each(void (*fn)(uint64_t id, const char *name, const char *waiting_for, int64_t since_ms, void *context),
             void *context);

/* Most stack bytes that any coroutine has used so far (debug builds paint stacks; else 0). */
size_t co_stack_high_water(void);

#endif
