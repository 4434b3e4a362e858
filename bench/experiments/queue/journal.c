/* How long the journal's housekeeping holds qmgr up, with a million messages standing in it.
 * usage: journal DIRECTORY    (empty, on the disk that is to be measured) */
#define _GNU_SOURCE
#include "lib/base/check.h"
#include "lib/queue/journal.h"
#include "bench/experiments/common.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

enum { MESSAGES = 1000000, BATCH = 1000, STEPS = 20000, VERDICTS = 20, LONG_MS = 50 };

static struct journal *journal;
static uint64_t base[MESSAGES]; /* the segment since which it stands */
static size_t oldest;           /* the message with the least base */

static uint64_t put_deferred(size_t i)
{
    char id[32];
    int n = snprintf(id, sizeof id, "4jYTTW1DJgz%07zu", i);
    return journal_put(journal, &(struct msg_journal_entry){
                                    .id = span_of(id, (size_t)n),
                                    .event = JOURNAL_DEFERRED,
                                    .recipient = 1,
                                    .until_us = 1399896732000000,
                                    .dsn = SPAN("4.4.1"),
                                    .text = SPAN("connect to mx.example.net[192.0.2.7]:25: Connection timed out"),
                                    .relay = SPAN("none")});
}

static bool repeat(uint64_t segment, size_t octets, void *context)
{
    (void)context;
    for (size_t done = 0; base[oldest] <= segment; done += 280) {
        if (done >= octets)
            return true;
        put_deferred(oldest);
        base[oldest] = journal_segment(journal);
        oldest = (oldest + 1) % MESSAGES;
    }
    return false;
}

static void count_entry(const struct msg_journal_entry *e, int64_t written_us, uint64_t segment, void *context)
{
    (void)e, (void)written_us, (void)segment;
    ++*(uint64_t *)context;
}

static double ms(void)
{
    return (double)now_ns() / 1e6;
}

static void commit(void)
{
    struct buf why = BUF_INIT;
    CHECK(journal_commit(journal, &why));
}

static void live(void)
{
    double worst_work = 0, worst_commit = 0, worst = 0, began = ms();
    int too_long = 0;
    for (int step = 0; step < STEPS; step++) {
        for (int k = 0; k < VERDICTS; k++)
            put_deferred((size_t)random() % MESSAGES);
        double a = ms();
        commit();
        double b = ms();
        journal_work(journal);
        double c = ms();
        worst_commit = b - a > worst_commit ? b - a : worst_commit;
        worst_work = c - b > worst_work ? c - b : worst_work;
        worst = c - a > worst ? c - a : worst;
        too_long += c - a > LONG_MS;
    }
    printf("%d steps of %d verdicts: %.0f ms; longest commit %.1f ms, work %.1f ms, both %.1f ms; over %d ms: %d\n", STEPS,
           VERDICTS, ms() - began, worst_commit, worst_work, worst, LONG_MS, too_long);
    printf("the journal has %.0f MB\n", (double)journal_octets(journal) / 1e6);
}

int main(int argc, char **argv)
{
    struct journal_summary summary;
    struct buf why = BUF_INIT;
    uint64_t entries = 0;
    struct journal_reader reader = {count_entry, NULL, &entries};
    struct journal_options options = {.repeat = repeat};
    int dir = argc == 2 ? open(argv[1], O_RDONLY | O_DIRECTORY) : -1;
    if (dir < 0 || !(journal = journal_open(dir, &options, &reader, &summary, &why))) {
        fprintf(stderr, "usage: journal DIRECTORY\n");
        return 1;
    }
    double began = ms();
    for (size_t i = 0; i < MESSAGES; i++) {
        base[i] = put_deferred(i);
        if (i % BATCH == BATCH - 1)
            commit();
    }
    printf("%d entries put, synced every %d: %.0f ms, %.0f MB\n", MESSAGES, BATCH, ms() - began,
           (double)journal_octets(journal) / 1e6);
    live();
    journal_close(&journal);
    began = ms();
    CHECK(journal_replay(dir, &reader, &summary, &why));
    printf("%llu entries replayed: %.0f ms\n", (unsigned long long)entries, ms() - began);
    return 0;
}
