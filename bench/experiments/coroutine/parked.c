/*
 * What a parked session holds: memory, page tables and mappings, by the way its stack is made.
 *
 * usage: parked
 */
#define _GNU_SOURCE
#include "../common.h"
#include "co.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#endif

enum { PAGE = 4096, EXCURSION = 17 * 1024 };

enum layout { EACH, SLAB, SLAB_GUARD, LAYOUTS };

static const char *const layout_name[LAYOUTS] = {
    [EACH] = "one mmap each",
    [SLAB] = "slab, mprotect",
    [SLAB_GUARD] = "slab, MADV_GUARD",
};

struct plan {
    enum layout layout;
    unsigned count;
    size_t stack;
    bool deep, trim;
};

struct state {
    double pss_kb, tables_kb, slab_kb;
    unsigned mappings;
};

/* The number after a label in a file of /proc. */
static double proc_number(const char *path, const char *label)
{
    char line[256];
    double value = 0;
    FILE *f = fopen(path, "r");

    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, label, strlen(label)) == 0)
            value = strtod(line + strlen(label), NULL);
    if (f != NULL)
        fclose(f);
    return value;
}

/* Kernel memory in the caches that mappings use; 0 where /proc/slabinfo may not be read. */
static double mapping_slab_kb(void)
{
    char line[512], name[64];
    unsigned long active, total, size;
    double bytes = 0;
    FILE *f = fopen("/proc/slabinfo", "r");

    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "%63s %lu %lu %lu", name, &active, &total, &size) == 4 &&
            (strncmp(name, "vm_area", 7) == 0 || strncmp(name, "anon_vma", 8) == 0 ||
             strcmp(name, "maple_node") == 0))
            bytes += (double)active * (double)size;
    if (f != NULL)
        fclose(f);
    return bytes / 1024;
}

static struct state look(void)
{
    struct state s = {
        .pss_kb = proc_number("/proc/self/smaps_rollup", "Pss:"),
        .tables_kb = proc_number("/proc/self/status", "VmPTE:"),
        .slab_kb = mapping_slab_kb(),
    };
    FILE *f = fopen("/proc/self/maps", "r");

    for (int c; f != NULL && (c = getc(f)) != EOF;)
        s.mappings += c == '\n';
    if (f != NULL)
        fclose(f);
    return s;
}

static char *reserve(size_t len)
{
    char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK,
                   -1, 0);

    if (p == MAP_FAILED)
        die("mmap");
    if (madvise(p, len, MADV_NOHUGEPAGE) != 0)
        die("MADV_NOHUGEPAGE");
    return p;
}

static void guard(char *page, enum layout layout)
{
    if (layout == SLAB_GUARD ? madvise(page, PAGE, MADV_GUARD_INSTALL) != 0
                             : mprotect(page, PAGE, PROT_NONE) != 0)
        die(layout_name[layout]);
}

/* Make every stack: a guard page and, above it, the stack; return their lowest addresses. */
static char **make_stacks(const struct plan *p)
{
    char **base = calloc(p->count, sizeof *base);
    size_t each = p->stack + PAGE;
    char *slab = p->layout == EACH ? NULL : reserve(each * p->count);

    if (base == NULL)
        die("calloc");
    for (unsigned i = 0; i < p->count; i++) {
        base[i] = slab == NULL ? reserve(each) : slab + each * i;
        guard(base[i], p->layout);
    }
    return base;
}

__attribute__((noinline)) static void go_deep(void)
{
    volatile char room[EXCURSION];

    for (size_t i = 0; i < sizeof room; i += 64)
        room[i] = 1;
}

/* What a session does before it waits for its client. */
static void greet(void)
{
    char line[512], date[80];
    time_t now = time(NULL);
    struct tm tm;

    localtime_r(&now, &tm);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S %z", &tm);
    snprintf(line, sizeof line, "220 %s ESMTP %u %.3f %s\r\n", "mail.example", 25U, 0.125, date);
    __asm__ volatile("" : : "r"(line) : "memory");
}

static void session(struct co *c)
{
    const struct plan *p = c->arg;

    greet();
    if (p->deep)
        go_deep();
    co_yield (c);
}

/* Give back the pages below the stopped coroutine's stack pointer. */
static void trim(const struct co *c, char *base)
{
    char *low = base + PAGE;
    char *high = (char *)c->sp - (size_t)c->sp % PAGE;

    if (high > low && madvise(low, (size_t)(high - low), MADV_DONTNEED) != 0)
        die("MADV_DONTNEED");
}

static void park(void *arg)
{
    const struct plan *p = arg;
    struct co *c = calloc(p->count, sizeof *c);

    if (c == NULL)
        die("calloc");
    memset(c, 0, p->count * sizeof *c);
    greet();
    struct state before = look();
    uint64_t start = cpu_ns();
    char **base = make_stacks(p);
    for (unsigned i = 0; i < p->count; i++) {
        co_init(&c[i], base[i] + PAGE + p->stack, session, arg);
        co_resume(&c[i]);
        if (p->trim)
            trim(&c[i], base[i]);
    }
    double us = (double)(cpu_ns() - start) / 1e3 / p->count;
    struct state after = look();
    printf("%6u %4zu KB  %-18s %-14s %8.2f %8.2f %8.2f %9u %8.2f\n", p->count, p->stack / 1024,
           layout_name[p->layout],
           p->trim   ? "deep, trimmed"
           : p->deep ? "deep"
                     : "shallow",
           (after.pss_kb - before.pss_kb) / p->count, (after.tables_kb - before.tables_kb) / p->count,
           (after.slab_kb - before.slab_kb) / p->count, after.mappings - before.mappings, us);
    fflush(stdout);
}

static void run(struct plan p)
{
    struct usage u = {0};

    reap(spawn(park, &p), &u);
}

/* Pages resident in a stack of 256 KB after one call in it. */
static void touched(const char *name, void (*body)(struct co *))
{
    enum { STACK = 256 * 1024 };
    unsigned char in[STACK / PAGE];
    unsigned pages = 0;
    struct co c;
    char *base = reserve(STACK);

    co_init(&c, base + STACK, body, NULL);
    co_resume(&c);
    mincore(base, STACK, in);
    for (unsigned i = 0; i < STACK / PAGE; i++)
        pages += in[i] & 1U;
    printf("%-28s %3u\n", name, pages);
    munmap(base, STACK);
}

static void body_nothing(struct co *c)
{
    co_yield (c);
}
static void body_greet(struct co *c)
{
    greet();
    co_yield (c);
}
static void body_deep(struct co *c)
{
    go_deep();
    co_yield (c);
}

static void body_snprintf(struct co *c)
{
    char line[200];

    snprintf(line, sizeof line, "250 %s %d %lu", "ok", 3, 4UL);
    __asm__ volatile("" : : "r"(line) : "memory");
    co_yield (c);
}

static void body_malloc(struct co *c)
{
    for (size_t i = 0; i < 17; i++) {
        void *p = malloc((size_t)1 << i);
        __asm__ volatile("" : : "r"(p) : "memory");
        free(p);
    }
    co_yield (c);
}

/* What a session pays that goes 17 KB deep and is trimmed each time it parks, against one that keeps its
 * pages. */
static double deep_cycle_us(bool trims)
{
    enum { STACK = 64 * 1024, CYCLES = 20000 };
    char *base = reserve(STACK + PAGE);
    struct co c;

    uint64_t start = cpu_ns();
    for (unsigned i = 0; i < CYCLES; i++) {
        co_init(&c, base + PAGE + STACK, body_deep, NULL);
        co_resume(&c);
        if (trims)
            trim(&c, base);
    }
    double us = (double)(cpu_ns() - start) / 1e3 / CYCLES;
    munmap(base, STACK + PAGE);
    return us;
}

int main(void)
{
    printf("pages touched in a stack\n");
    touched("nothing", body_nothing);
    touched("snprintf", body_snprintf);
    touched("snprintf %f, strftime", body_greet);
    touched("malloc and free", body_malloc);
    touched("17 KB excursion", body_deep);
    printf("17 KB excursion and park: %.2f us kept, %.2f us trimmed\n", deep_cycle_us(false),
           deep_cycle_us(true));
    printf("\n%6s %7s  %-18s %-14s %8s %8s %8s %9s %8s\n", "count", "stack", "", "", "PSS KB", "tables",
           "slab KB", "mappings", "cpu us");
    fflush(stdout);
    for (unsigned count = 1000; count <= 10000; count *= 10)
        for (size_t stack = 64; stack <= 256; stack *= 4)
            for (enum layout l = 0; l < LAYOUTS; l++)
                run((struct plan){l, count, stack * 1024, false, false});
    for (enum layout l = 0; l < LAYOUTS; l++) {
        run((struct plan){l, 10000, 64 * 1024, true, false});
        run((struct plan){l, 10000, 64 * 1024, true, true});
    }
    return 0;
}
