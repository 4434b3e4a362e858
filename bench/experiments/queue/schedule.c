/* What a million waiting messages cost in qmgr's memory, and what an attempt costs in its time. */
#define _GNU_SOURCE
#include "bench/experiments/common.h"
#include "qmgr/schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MESSAGES = 1000000, DOMAINS = 100000 };

static double ms(void)
{
    return (double)now_ns() / 1e6;
}

static long resident_kb(void)
{
    long all = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%ld %ld", &all, &resident) != 2)
        resident = 0;
    if (f)
        fclose(f);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void add(struct schedule *s, unsigned i, int64_t now_us)
{
    struct queue_id id = queue_id_make(now_us + i, 1);
    char to[48];
    int n = snprintf(to, sizeof to, "user%u@domain%u.example", i, i % DOMAINS);
    struct message *m = message_new(&id, 1, (size_t)n + 1);
    memcpy(m->strings, to, (size_t)n + 1);
    m->arrival_us = now_us;
    m->sender = text_take(&s->texts, SPAN("sender@example.org"));
    m->recipients[0].until_us = now_us + i;
    m->recipients[0].verdict = text_take(&s->texts, SPAN("connection timed out"));
    schedule_add(s, m);
}

int main(void)
{
    const struct schedule_params params = {.minimal_backoff_us = 300000000, .maximal_backoff_us = 4000000000,
                                           .maximal_lifetime_us = 432000000000};
    const struct transport_params smtp = {.process_limit = 100, .concurrency_limit = 20, .initial_concurrency = 5,
                                          .recipient_limit = 50, .cohort_limit = 1, .positive = {1, 0}, .negative = {1, 0}};
    const int64_t start = 1700000000000000, later = start + 2 * MESSAGES;
    struct schedule s;
    schedule_init(&s, &params);
    struct transport *t = schedule_transport(&s, SPAN("smtp"));
    schedule_set_transport(&s, t, &smtp);
    long before = resident_kb();
    double began = ms();
    for (unsigned i = 0; i < MESSAGES; i++)
        add(&s, i, start);
    printf("%d messages waiting: %.0f ms, %ld octets each\n", MESSAGES, ms() - began,
           (resident_kb() - before) * 1024 / MESSAGES);
    began = ms();
    for (struct message *m; (m = schedule_due(&s, later));) {
        struct span address = span_text(recipient_address(m, m->recipients));
        schedule_ready(&s, m, m->recipients, t, span_skip(address, span_rfind(address, '@') + 1), SPAN_NONE);
    }
    printf("%d ready for %d destinations: %.0f ms, %ld octets each\n", MESSAGES, DOMAINS, ms() - began,
           (resident_kb() - before) * 1024 / MESSAGES);
    began = ms();
    unsigned n = 0;
    for (struct attempt *a; (a = schedule_next(&s, later)); n++) {
        schedule_finish(&s, a->message, a->message->recipients, RECIPIENT_DONE, SPAN_NONE);
        schedule_end(&s, &a, OUTCOME_GOOD, SPAN_NONE, later);
    }
    printf("%u attempts begun and ended: %.2f us each\n", n, (ms() - began) * 1000 / n);
    return 0;
}
