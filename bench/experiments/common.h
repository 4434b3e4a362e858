/* What the founding experiments share: clocks, a latency histogram, child processes that are charged for
 * their CPU. */
#ifndef EXPERIMENT_COMMON_H
#define EXPERIMENT_COMMON_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { HIST_FINE = 16, HIST_BUCKETS = 40 * HIST_FINE };

/* Sixteen buckets per power of two of nanoseconds; safe to share between processes. */
struct hist {
    _Atomic uint32_t count[HIST_BUCKETS];
};

/* What one child process consumed. */
struct usage {
    double user, sys;       /* seconds */
    long voluntary, forced; /* context switches */
};

uint64_t now_ns(void);
uint64_t cpu_ns(void);

void hist_add(struct hist *h, uint64_t ns);
uint64_t hist_quantile(const struct hist *h, double q);

/* Print the failed step with errno and exit; an experiment has nothing to recover. */
_Noreturn void die(const char *step);

/* Zeroed memory that children share with their parent. */
void *shared_alloc(size_t len);

/* Run body(arg) in a child process; its exit status is 0. */
pid_t spawn(void (*body)(void *), void *arg);

/* Wait for a child and add what it consumed to *u. */
void reap(pid_t pid, struct usage *u);

/* Seconds of CPU used so far by the journal thread of the file system that holds dir; 0 where there is none.
 */
double journal_cpu(const char *dir);

double median(double *values, size_t n);

#endif
