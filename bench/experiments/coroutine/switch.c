/*
 * What one switch costs: assembly against ucontext.
 *
 * usage: switch ROUNDS SWITCHES
 */
#define _GNU_SOURCE
#include "../common.h"
#include "co.h"

#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

enum { STACK = 64 * 1024, MAX_ROUNDS = 32 };

static void yield_forever(struct co *c)
{
    for (;;)
        co_yield (c);
}

static double assembly_ns(unsigned switches)
{
    char *stack = malloc(STACK);
    struct co c;

    if (stack == NULL)
        die("malloc");
    co_init(&c, stack + STACK, yield_forever, NULL);
    uint64_t start = cpu_ns();
    for (unsigned i = 0; i < switches; i += 2)
        co_resume(&c);
    double ns = (double)(cpu_ns() - start) / switches;
    free(stack);
    return ns;
}

static ucontext_t loop_context, co_context;

static void swap_forever(void)
{
    for (;;)
        swapcontext(&co_context, &loop_context);
}

static double ucontext_ns(unsigned switches)
{
    char *stack = malloc(STACK);

    if (stack == NULL || getcontext(&co_context) != 0)
        die("getcontext");
    co_context.uc_stack.ss_sp = stack;
    co_context.uc_stack.ss_size = STACK;
    makecontext(&co_context, swap_forever, 0);
    uint64_t start = cpu_ns();
    for (unsigned i = 0; i < switches; i += 2)
        swapcontext(&loop_context, &co_context);
    double ns = (double)(cpu_ns() - start) / switches;
    free(stack);
    return ns;
}

int main(int argc, char **argv)
{
    double a[MAX_ROUNDS], u[MAX_ROUNDS];

    if (argc != 3) {
        fprintf(stderr, "usage: switch ROUNDS SWITCHES\n");
        return 2;
    }
    unsigned rounds = (unsigned)strtoul(argv[1], NULL, 10), switches = (unsigned)strtoul(argv[2], NULL, 10);
    if (rounds == 0 || rounds > MAX_ROUNDS || switches < 2)
        return 2;
    for (unsigned i = 0; i < rounds; i++) {
        a[i] = assembly_ns(switches);
        u[i] = ucontext_ns(switches);
    }
    printf("assembly %.1f ns, swapcontext %.1f ns per switch\n", median(a, rounds), median(u, rounds));
    return 0;
}
