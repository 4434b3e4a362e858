#define _GNU_SOURCE
#include "common.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t read_clock(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

uint64_t now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t cpu_ns(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

void hist_add(struct hist *h, uint64_t ns)
{
    unsigned power = ns < 16 ? 4 : 63U - (unsigned)__builtin_clzll(ns);
    size_t i = (size_t)(power - 4) * HIST_FINE + ((ns >> (power - 4)) & 15U);

    if (i >= HIST_BUCKETS)
        i = HIST_BUCKETS - 1;
    atomic_fetch_add_explicit(&h->count[i], 1, memory_order_relaxed);
}

uint64_t hist_quantile(const struct hist *h, double q)
{
    uint64_t total = 0, seen = 0;

    for (size_t i = 0; i < HIST_BUCKETS; i++)
        total += h->count[i];
    for (size_t i = 0; i < HIST_BUCKETS; i++) {
        seen += h->count[i];
        if ((double)seen > q * (double)total)
            return (16U + i % HIST_FINE) << (i / HIST_FINE);
    }
    return 0;
}

void die(const char *step)
{
    fprintf(stderr, "%s: %s\n", step, strerror(errno));
    exit(1);
}

void *shared_alloc(size_t len)
{
    void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        die("mmap shared");
    return p;
}

pid_t spawn(void (*body)(void *), void *arg)
{
    pid_t pid = fork();

    if (pid < 0)
        die("fork");
    if (pid == 0) {
        body(arg);
        _exit(0);
    }
    return pid;
}

void reap(pid_t pid, struct usage *u)
{
    struct rusage r;
    int status;

    if (wait4(pid, &status, 0, &r) != pid)
        die("wait4");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "child %d failed\n", (int)pid);
        exit(1);
    }
    u->user += (double)r.ru_utime.tv_sec + (double)r.ru_utime.tv_usec / 1e6;
    u->sys += (double)r.ru_stime.tv_sec + (double)r.ru_stime.tv_usec / 1e6;
    u->voluntary += r.ru_nvcsw;
    u->forced += r.ru_nivcsw;
}

/* The nanoseconds a thread has run, from the first field of its schedstat. */
static double thread_seconds(const char *pid)
{
    char path[300];
    unsigned long long ns = 0;

    snprintf(path, sizeof path, "/proc/%s/schedstat", pid);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return 0;
    if (fscanf(f, "%llu", &ns) != 1)
        ns = 0;
    fclose(f);
    return (double)ns / 1e9;
}

/* Write the name of the block device under dir, such as vda1, to name. */
static void device_name(const char *dir, char *name, size_t len)
{
    struct stat st;
    char link[80], target[512];

    name[0] = '\0';
    if (stat(dir, &st) != 0)
        die("stat");
    snprintf(link, sizeof link, "/sys/dev/block/%u:%u", major(st.st_dev), minor(st.st_dev));
    ssize_t n = readlink(link, target, sizeof target - 1);
    if (n <= 0)
        return;
    target[n] = '\0';
    snprintf(name, len, "%s", strrchr(target, '/') + 1);
}

double journal_cpu(const char *dir)
{
    char device[64], want[80], path[300], have[80];
    double seconds = 0;

    device_name(dir, device, sizeof device);
    snprintf(want, sizeof want, "jbd2/%s-8\n", device);
    DIR *proc = opendir("/proc");
    for (struct dirent *e; proc != NULL && (e = readdir(proc)) != NULL;) {
        snprintf(path, sizeof path, "/proc/%s/comm", e->d_name);
        FILE *f = fopen(path, "r");
        if (f == NULL)
            continue;
        if (fgets(have, sizeof have, f) != NULL && strcmp(have, want) == 0)
            seconds = thread_seconds(e->d_name);
        fclose(f);
    }
    if (proc != NULL)
        closedir(proc);
    return seconds;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, by_value);
    return n == 0 ? 0 : values[n / 2];
}
