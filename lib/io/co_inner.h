/* The inside of the coroutines, shared by their sources: the switch (switch_co.c), the stacks
 * (stack_co.c), the scheduler (sched_co.c) and the waits (wait_co.c). */
#ifndef IO_CO_INNER_H
#define IO_CO_INNER_H

#include "lib/io/co.h"

#include <stdint.h>

/* --- the switch -------------------------------------------------------------- */

#if (!defined(__x86_64__) && !defined(__aarch64__)) || defined(CO_UCONTEXT)
#define CO_BY_UCONTEXT
#include <ucontext.h>
#endif

/* Where a flow of control stands while another one runs. */
struct context {
#ifdef CO_BY_UCONTEXT
    ucontext_t machine;
#else
    void *sp; /* the callee-saved registers are on the stack there */
#endif
    const void *low; /* lowest address of its stack; of the loop's own known to the sanitizer only */
    size_t size;
    void *fake_stack; /* AddressSanitizer's */
};

/* Makes *c begin by entry(argument) on the stack low..low+size-1. entry does not return. */
void context_make(struct context *c, char *low, size_t size, void (*entry)(void *argument), void *argument);
/* Leaves *from and goes on in *to, until somebody goes back to *from. */
void context_switch(struct context *from, struct context *to);
/* First thing on a new stack; from: whence it was entered. */
void context_entered(struct context *from);
/* Leaves *from for good. */
_Noreturn void context_leave(struct context *from, struct context *to);

/* --- stacks ------------------------------------------------------------------ */

struct stack_slab;
struct stack_free;

/* Stacks, mapped in slabs and kept for the life of the pool. Zeros are an empty pool. */
struct stack_pool {
    struct stack_slab *slabs; /* owned, newest first */
    struct stack_free *hot;   /* free stacks with their pages */
    struct stack_free *cold;  /* free stacks whose pages were given back */
    size_t hot_count;
    size_t high_water;        /* most bytes used by a stack that was given back (CO_PAINT) */
};

/* result: the lowest usable address of a stack; NULL with errno */
char *stack_take(struct stack_pool *p);
void stack_give(struct stack_pool *p, char *low);
/* Usable bytes of each stack. */
size_t stack_size(void);
/* Gives the whole pages below the address back to the system; nothing there is in use. */
void stack_trim(char *low, const char *below);
/* Bytes of the stack that were ever used since it was taken; 0 without CO_PAINT. */
size_t stack_used(const char *low);
/* Unmaps everything; no stack is in use. */
void stack_pool_fini(struct stack_pool *p);

/* --- the scheduler ------------------------------------------------------------- */

enum { CO_MAGIC = 0x434f524f };

enum co_state {
    CO_READY,   /* in sched.ready */
    CO_RUNNING,
    CO_PARKED,  /* in sched.parked, or in no list when its stack was trimmed */
};

/* Stands at the top of its own stack. docs/gdb/merpati-co.py knows the names of members. */
struct co {
    unsigned magic;
    enum co_state state;
    uint64_t id;
    const char *name;
    void (*fn)(void *argument);
    void *argument;
    char *stack;             /* lowest usable address */
    struct context context;
    struct list node;
    struct timer timer;      /* not after the deadline while parked; may be earlier, or left from a former wait */
    mono_ms deadline;        /* of the present wait */
    mono_ms since;           /* when it parked */
    const char *waiting_for; /* literal */
    const char *parked_at;   /* nothing far below this address of its stack is in use */
    enum wait_result result; /* of the wait that ended */
    bool cancelled, ended;
    bool firm;               /* in a wait that no cancellation ends */
};

/* The running coroutine; none is a bug: waiting on the loop's own stack. */
struct co *co_running(void);
struct loop *co_loop(void);
/* Parks the running coroutine until co_wake() or the deadline. waits
 * what: literal, for dumps */
enum wait_result co_park(const char *what, mono_ms deadline);
/* Makes it run in this step; harmless where it is not parked. */
void co_wake(struct co *c, enum wait_result result);

/* Ends all watches kept by the waits. */
void wait_release(void);

#endif
