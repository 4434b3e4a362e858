/* A coroutine on memory that the caller gives: just enough to measure. */
#ifndef EXPERIMENT_CO_H
#define EXPERIMENT_CO_H

#include <stdbool.h>
#include <stddef.h>

struct co {
    void *sp;      /* where it stopped */
    void *resumer; /* where co_resume stopped */
    void (*body)(struct co *);
    void *arg;
    bool done;
};

/* Prepare a coroutine that will run body(c) on the stack that ends at top. */
void co_init(struct co *c, char *top, void (*body)(struct co *), void *arg);

void co_resume(struct co *c);
void co_yield (struct co *c);

#endif
