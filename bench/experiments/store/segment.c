/*
 * Which preallocation and which segment size make an appended, synced batch cheapest.
 *
 * usage: segment DIR BATCH ROUNDS [SEGMENT_MB ...]
 *
 * Every round fills fresh segments by each method and then fills the same segments again (recycled). A batch
 * is BATCH bytes, written in one call and followed by one data sync.
 */
#define _GNU_SOURCE
#include "../common.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MAX_ROUNDS = 32, PASSES = 2, MAX_BATCHES = 1000 };

enum how { GROW, FALLOCATE, ZEROED, ZEROED_UNPADDED, ZEROED_DSYNC, ZEROED_DIRECT, METHODS };

static const char *const method_name[METHODS] = {
    [GROW] = "no preallocation",         [FALLOCATE] = "fallocate",
    [ZEROED] = "zeros written",          [ZEROED_UNPADDED] = "zeros, not block-aligned",
    [ZEROED_DSYNC] = "zeros, RWF_DSYNC", [ZEROED_DIRECT] = "zeros, O_DIRECT|O_DSYNC",
};

struct cost {
    double wall_us, cpu_us, journal_us;
};

static void write_zeros(int fd, size_t segment)
{
    static char zero[1 << 20];

    for (size_t at = 0; at < segment; at += sizeof zero)
        if (pwrite(fd, zero, sizeof zero, (off_t)at) != (ssize_t)sizeof zero)
            die("pwrite zeros");
}

/* Create the segment in the way of the method, durable before the first batch. */
static void prepare(const char *path, enum how how, size_t segment)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0)
        die("create segment");
    if (how == FALLOCATE && fallocate(fd, 0, 0, (off_t)segment) != 0)
        die("fallocate");
    if (how >= ZEROED)
        write_zeros(fd, segment);
    if (fsync(fd) != 0)
        die("fsync");
    close(fd);
}

static void write_batch(int fd, enum how how, const char *data, size_t len, off_t at)
{
    struct iovec v = {(void *)data, len};
    ssize_t wrote = pwritev2(fd, &v, 1, at, how == ZEROED_DSYNC ? RWF_DSYNC : 0);

    if (wrote != (ssize_t)len)
        die("pwritev2");
    if (how != ZEROED_DSYNC && how != ZEROED_DIRECT && fdatasync(fd) != 0)
        die("fdatasync");
}

/* Fill the segment once; what one batch cost. */
static struct cost fill(const char *dir, const char *path, enum how how, size_t segment, size_t batch)
{
    static char *data;
    size_t len = how == ZEROED_UNPADDED ? batch - 296 : batch;
    int fd = open(path, O_WRONLY | O_CLOEXEC | (how == ZEROED_DIRECT ? O_DIRECT | O_DSYNC : 0));

    if (data == NULL)
        data = aligned_alloc(4096, 4 << 20);
    if (fd < 0 || data == NULL)
        die("open segment");
    memset(data, 'x', batch);
    double journal = journal_cpu(dir);
    uint64_t wall = now_ns(), cpu = cpu_ns();
    size_t count = 0;
    for (size_t at = 0; at + len <= segment && count < MAX_BATCHES; at += len, count++)
        write_batch(fd, how, data, len, (off_t)at);
    struct cost c = {
        (double)(now_ns() - wall) / 1e3 / (double)count,
        (double)(cpu_ns() - cpu) / 1e3 / (double)count,
        (journal_cpu(dir) - journal) * 1e6 / (double)count,
    };
    close(fd);
    return c;
}

static void measure(const char *dir, size_t segment, size_t batch, struct cost out[METHODS][PASSES])
{
    char path[200];

    for (enum how how = 0; how < METHODS; how++) {
        snprintf(path, sizeof path, "%s/segment.%d", dir, (int)how);
        prepare(path, how, segment);
        for (unsigned pass = 0; pass < PASSES; pass++)
            out[how][pass] = fill(dir, path, how, segment, batch);
        unlink(path);
    }
}

static void print_cost(struct cost all[][METHODS][PASSES], unsigned rounds, enum how how, unsigned pass)
{
    double wall[MAX_ROUNDS], cpu[MAX_ROUNDS], journal[MAX_ROUNDS];

    for (unsigned i = 0; i < rounds; i++) {
        wall[i] = all[i][how][pass].wall_us;
        cpu[i] = all[i][how][pass].cpu_us;
        journal[i] = all[i][how][pass].journal_us;
    }
    printf("%-26s %-8s %9.1f %9.1f %9.1f\n", method_name[how], pass == 0 ? "first" : "again",
           median(wall, rounds), median(cpu, rounds), median(journal, rounds));
}

static void compare(const char *dir, size_t segment, size_t batch, unsigned rounds)
{
    static struct cost all[MAX_ROUNDS][METHODS][PASSES];

    for (unsigned i = 0; i < rounds; i++)
        measure(dir, segment, batch, all[i]);
    printf("segment %zu MB, batch %zu bytes\n", segment >> 20, batch);
    printf("%-26s %-8s %9s %9s %9s\n", "", "pass", "wall us", "cpu us", "jbd2 us");
    for (enum how how = 0; how < METHODS; how++)
        for (unsigned pass = 0; pass < PASSES; pass++)
            print_cost(all, rounds, how, pass);
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: segment DIR BATCH ROUNDS SEGMENT_MB ...\n");
        return 2;
    }
    size_t batch = strtoul(argv[2], NULL, 10);
    unsigned rounds = (unsigned)strtoul(argv[3], NULL, 10);
    if (batch < 4096 || batch > 4 << 20 || batch % 4096 != 0 || rounds == 0 || rounds > MAX_ROUNDS) {
        fprintf(stderr, "segment: BATCH is 4096 to 4194304 in blocks, ROUNDS 1 to %d\n", MAX_ROUNDS);
        return 2;
    }
    for (int i = 4; i < argc; i++)
        compare(argv[1], strtoul(argv[i], NULL, 10) << 20, batch, rounds);
    return 0;
}
