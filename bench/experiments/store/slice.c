/* One slice: store workers with clients that wait for their acknowledgement, deliverers that deliver and
 * remove. */
#define _GNU_SOURCE
#include "maildir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DELIVERERS = 2 };

static struct totals *totals; /* one per program: it outlives a slice because pools do */

struct job {
    const struct candidate *candidate;
    const struct config *config;
    unsigned index, clients;
    int pipe_in, pipe_out;
    uint64_t end_ns;
    char *text;
};

int worker_dir(const struct config *c, const char *candidate, uint32_t worker)
{
    char path[200];

    snprintf(path, sizeof path, "%s/%s.%03u", c->dir, candidate, worker);
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        die("mkdir");
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        die("open directory");
    return fd;
}

void sync_data(struct worker *w, int fd)
{
    if (fdatasync(fd) != 0)
        die("fdatasync");
    w->totals->syncs++;
}

void sync_all(struct worker *w, int fd)
{
    if (fsync(fd) != 0)
        die("fsync");
    w->totals->syncs++;
}

void write_text(int fd, const char *text, size_t len, uint64_t offset)
{
    if (pwrite(fd, text, len, (off_t)offset) != (ssize_t)len)
        die("pwrite");
}

/*
 * The clients of a worker send again as soon as they are acknowledged. Workers that store one message at a
 * time take the client that waits longest; workers that batch take all that wait.
 */
static void store_until_end(void *arg)
{
    struct job *j = arg;
    struct worker w = {.config = j->config, .totals = totals, .index = j->index, .text = j->text};
    struct note n[MAX_INFLIGHT];
    uint64_t since[MAX_INFLIGHT], first = 0;
    bool batches = j->candidate->store == file_batch || j->candidate->store == log_store;
    unsigned step = batches ? j->clients : 1;

    w.next_id = now_ns();
    j->candidate->open(&w);
    for (unsigned i = 0; i < j->clients; i++)
        since[i] = now_ns();
    while (now_ns() < j->end_ns) {
        for (unsigned i = 0; i < step; i++)
            n[i] = (struct note){.id = w.next_id++, .worker = w.index};
        j->candidate->store(&w, n, step);
        uint64_t done = now_ns();
        for (unsigned i = 0; i < step; i++, first++) {
            hist_add(&totals->ack, done - since[first % j->clients]);
            since[first % j->clients] = done;
        }
        totals->stored += step;
        if (write(j->pipe_out, n, step * sizeof *n) != (ssize_t)(step * sizeof *n))
            die("write note");
    }
    if (w.log_fd > 0 && w.slots > 0)
        totals->slot[w.index][w.current].stored -= 1; /* release the segment being filled */
}

static void deliver_until_closed(void *arg)
{
    struct job *j = arg;
    struct note n[DELIVER_BATCH];
    struct maildir m;

    maildir_open(&m, j->config->dir, j->index);
    close(j->pipe_out);
    for (ssize_t got; (got = read(j->pipe_in, n, sizeof n)) > 0;) {
        unsigned count = (unsigned)((size_t)got / sizeof *n);
        if (j->config->maildir)
            maildir_deliver(&m, j->text, j->config->size, n, count);
        for (unsigned i = 0; i < count; i++)
            j->candidate->remove(j->config, totals, &n[i]);
        totals->delivered += count;
    }
}

static unsigned start_workers(struct job *base, pid_t *pid)
{
    unsigned workers = base->candidate->max_workers;

    if (workers > base->config->inflight)
        workers = base->config->inflight;
    for (unsigned i = 0; i < workers; i++) {
        struct job j = *base;
        j.index = i;
        j.clients = base->config->inflight / workers + (i < base->config->inflight % workers);
        pid[i] = spawn(store_until_end, &j);
    }
    return workers;
}

static void reset_totals(void)
{
    if (totals == NULL)
        totals = shared_alloc(sizeof *totals);
    memset(totals, 0, sizeof *totals); /* all was delivered: every pool is free again */
}

struct result run_slice(const struct candidate *c, const struct config *config, double seconds)
{
    struct job base = {.candidate = c, .config = config};
    struct usage u = {0};
    pid_t worker[MAX_WORKERS], deliverer[DELIVERERS];
    int ends[2];

    reset_totals();
    base.text = malloc(config->size);
    if (pipe2(ends, O_CLOEXEC) != 0 || base.text == NULL)
        die("pipe");
    memset(base.text, 'x', config->size);
    base.pipe_in = ends[0];
    base.pipe_out = ends[1];
    double journal = journal_cpu(config->dir);
    uint64_t start = now_ns();
    base.end_ns = start + (uint64_t)(seconds * 1e9);
    unsigned workers = start_workers(&base, worker);
    for (unsigned i = 0; i < DELIVERERS; i++) {
        base.index = i;
        deliverer[i] = spawn(deliver_until_closed, &base);
    }
    close(ends[1]);
    for (unsigned i = 0; i < workers; i++)
        reap(worker[i], &u);
    for (unsigned i = 0; i < DELIVERERS; i++)
        reap(deliverer[i], &u);
    close(ends[0]);
    free(base.text);

    double elapsed = (double)(now_ns() - start) / 1e9, stored = (double)totals->stored;
    return (struct result){
        .rate = stored / elapsed,
        .cpu_ms = (u.user + u.sys) * 1e3 / stored,
        .journal_ms = (journal_cpu(config->dir) - journal) * 1e3 / stored,
        .syncs = (double)totals->syncs / stored,
        .p50_us = (double)hist_quantile(&totals->ack, 0.50) / 1e3,
        .p99_us = (double)hist_quantile(&totals->ack, 0.99) / 1e3,
    };
}
