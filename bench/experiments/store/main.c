/*
 * Compare ways to put an accepted message on stable storage.
 *
 * usage: store DIR SIZE INFLIGHT discard|maildir ROUNDS SECONDS [CANDIDATE ...]
 *
 * Every round runs each candidate for SECONDS; the line of a candidate gives the median over the rounds.
 */
#define _GNU_SOURCE
#include "store.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_ROUNDS = 32 };

const struct candidate candidates[] = {
    {"file-tmpfile", 20, file_open, file_tmpfile, file_remove},
    {"file-rename", 20, file_open, file_rename, file_remove},
    {"file-direct", 20, file_open, file_direct, file_remove},
    {"file-direct-100", 100, file_open, file_direct, file_remove},
    {"file-batch", 1, file_open, file_batch, file_remove},
    {"recycled", 20, recycled_open, recycled_store, recycled_remove},
    {"log-1", 1, log_open, log_store, log_remove},
    {"log-2", 2, log_open, log_store, log_remove},
};
const unsigned candidate_count = sizeof candidates / sizeof candidates[0];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)st;
    (void)type;
    return f->level == 0 ? 0 : remove(path);
}

/* Empty the Maildirs between slices; pools and segments stay, as they would in a running server. */
static void empty_maildirs(const char *dir)
{
    char path[200];

    for (unsigned i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/maildir.%u", dir, i);
        nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    }
    sync();
}

static bool chosen(const char *name, int argc, char **argv)
{
    for (int i = 7; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return argc <= 7;
}

static double pick(const struct result *r, unsigned field)
{
    const double all[] = {r->rate, r->cpu_ms, r->journal_ms, r->syncs, r->p50_us, r->p99_us};

    return all[field];
}

static void print_line(const char *name, const struct result *r, unsigned rounds)
{
    double value[MAX_ROUNDS], m[6];

    for (unsigned field = 0; field < 6; field++) {
        for (unsigned i = 0; i < rounds; i++)
            value[i] = pick(&r[i], field);
        m[field] = median(value, rounds);
    }
    printf("%-16s %9.0f %9.4f %9.4f %7.3f %9.0f %9.0f\n", name, m[0], m[1], m[2], m[3], m[4], m[5]);
}

static void run_all(const struct config *c, unsigned rounds, double seconds, int argc, char **argv)
{
    static struct result r[16][MAX_ROUNDS];

    for (unsigned round = 0; round < rounds; round++)
        for (unsigned i = 0; i < candidate_count; i++)
            if (chosen(candidates[i].name, argc, argv)) {
                r[i][round] = run_slice(&candidates[i], c, seconds);
                empty_maildirs(c->dir);
            }
    printf("%zu bytes, %u in flight, %s, %u slices of %.0f s\n", c->size, c->inflight,
           c->maildir ? "maildir" : "discard", rounds, seconds);
    printf("%-16s %9s %9s %9s %7s %9s %9s\n", "", "msg/s", "cpu ms", "jbd2 ms", "syncs", "p50 us", "p99 us");
    for (unsigned i = 0; i < candidate_count; i++)
        if (chosen(candidates[i].name, argc, argv))
            print_line(candidates[i].name, r[i], rounds);
}

int main(int argc, char **argv)
{
    if (argc < 7) {
        fprintf(stderr, "usage: store DIR SIZE INFLIGHT discard|maildir ROUNDS SECONDS [CANDIDATE ...]\n");
        return 2;
    }
    struct config c = {
        .dir = argv[1],
        .size = strtoul(argv[2], NULL, 10),
        .inflight = (unsigned)strtoul(argv[3], NULL, 10),
        .maildir = strcmp(argv[4], "maildir") == 0,
    };
    unsigned rounds = (unsigned)strtoul(argv[5], NULL, 10);
    if (c.inflight == 0 || c.inflight > MAX_INFLIGHT || rounds == 0 || rounds > MAX_ROUNDS) {
        fprintf(stderr, "store: INFLIGHT is 1 to %d, ROUNDS 1 to %d\n", MAX_INFLIGHT, MAX_ROUNDS);
        return 2;
    }
    run_all(&c, rounds, strtod(argv[6], NULL), argc, argv);
    return 0;
}
