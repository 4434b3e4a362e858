/* Stacks of coroutines: mapped in slabs, each with a guard page below it, and used again. */
#include "lib/io/co_inner.h"
#include "lib/base/check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#define STACK_UNPOISON(low, n) __asan_unpoison_memory_region((low), (n))
#else
#define STACK_UNPOISON(low, n) ((void)(low), (void)(n))
#endif

enum {
    STACK_GUARD = 64 * 1024, /* whole pages of any machine; further than a frame of ours reaches */
    STACK_GUARD_INSTALL = 102, /* MADV_GUARD_INSTALL, newer than our C library's headers */
    STACK_PER_SLAB = 64,
    STACK_HOT_MOST = 64,    /* free stacks that keep their pages */
    STACK_PAINT = 0xa5,
};

#ifdef CO_PAINT
static const bool stack_paints = true;
#else
static const bool stack_paints = false;
#endif

struct stack_slab {
    struct stack_slab *next;
    char *base;    /* owned mapping of STACK_PER_SLAB stacks */
    unsigned used; /* stacks handed out so far, from the base on */
};

/* Stands at the top of a stack that nobody uses. */
struct stack_free {
    struct stack_free *next;
};

size_t stack_size(void)
{
    return CO_STACK_BYTES - STACK_GUARD;
}

static struct stack_free *stack_top(char *low)
{
    return (struct stack_free *)(void *)(low + stack_size() - sizeof(struct stack_free));
}

static char *stack_low(struct stack_free *top)
{
    return (char *)(top + 1) - stack_size();
}

/* Address space for further stacks. */
static struct stack_slab *slab_new(void)
{
    size_t n = (size_t)STACK_PER_SLAB * CO_STACK_BYTES;
    char *base = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
    (void)madvise(base, n, MADV_NOHUGEPAGE); /* refused by kernels without huge pages */
    struct stack_slab *slab = calloc(1, sizeof *slab);
    CHECK(slab != NULL);
    slab->base = base;
    return slab;
}

/* Makes the lowest part of a stack unusable: by a mark in the page tables where the kernel has that
 * (6.13), else by a mapping of its own, of which a process may have 65,530. result: 0, or -1 with errno */
static int stack_guard(char *base)
{
    if (madvise(base, STACK_GUARD, STACK_GUARD_INSTALL) == 0)
        return 0;
    return mprotect(base, STACK_GUARD, PROT_NONE);
}

static char *stack_map(struct stack_pool *p)
{
    if (!p->slabs || p->slabs->used == STACK_PER_SLAB) {
        struct stack_slab *slab = slab_new();
        if (!slab)
            return NULL;
        slab->next = p->slabs;
        p->slabs = slab;
    }
    char *base = p->slabs->base + (size_t)p->slabs->used * CO_STACK_BYTES;
    if (stack_guard(base) != 0)
        return NULL;
    p->slabs->used++;
    return base + STACK_GUARD;
}

static char *stack_shift(struct stack_free **head)
{
    struct stack_free *top = *head;
    *head = top->next;
    return stack_low(top);
}

char *stack_take(struct stack_pool *p)
{
    char *low;
    if (p->hot) {
        low = stack_shift(&p->hot);
        p->hot_count--;
    } else {
        low = p->cold ? stack_shift(&p->cold) : stack_map(p);
    }
    if (!low)
        return NULL;
    STACK_UNPOISON(low, stack_size());
    if (stack_paints)
        memset(low, STACK_PAINT, stack_size());
    return low;
}

void stack_give(struct stack_pool *p, char *low)
{
    size_t used = stack_used(low);
    if (used > p->high_water)
        p->high_water = used;
    STACK_UNPOISON(low, stack_size());
    struct stack_free *top = stack_top(low);
    if (p->hot_count < STACK_HOT_MOST) {
        *top = (struct stack_free){p->hot};
        p->hot = top;
        p->hot_count++;
        return;
    }
    stack_trim(low, (char *)top);
    *top = (struct stack_free){p->cold};
    p->cold = top;
}

void stack_trim(char *low, const char *below)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t n = (size_t)(below - low) / page * page;
    if (n > 0 && !stack_paints)
        (void)madvise(low, n, MADV_DONTNEED); /* refused: the pages stay, no harm */
}

size_t stack_used(const char *low)
{
    size_t free_bytes = 0;
    if (!stack_paints)
        return 0;
    while (free_bytes < stack_size() && (unsigned char)low[free_bytes] == STACK_PAINT)
        free_bytes++;
    return stack_size() - free_bytes;
}

void stack_pool_fini(struct stack_pool *p)
{
    while (p->slabs) {
        struct stack_slab *slab = p->slabs;
        p->slabs = slab->next;
        munmap(slab->base, (size_t)STACK_PER_SLAB * CO_STACK_BYTES);
        free(slab);
    }
    *p = (struct stack_pool){.high_water = p->high_water};
}
