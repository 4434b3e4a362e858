#include "anvil/counts.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct msg_client_counts event(struct counts *c, struct counting *by, struct span address, unsigned kind,
                                      mono_ms now)
{
    struct msg_client_event m = {.service = SPAN("smtp"), .address = address, .kind = kind};
    return counts_event(c, by, &m, now);
}

Test(counts, adds_the_connections_of_all_processes_of_a_service)
{
    struct counts c = {.unit_ms = 60000};
    struct counting one = {0}, two = {0};

    event(&c, &one, SPAN("192.0.2.1"), CLIENT_CONNECTS, 0);
    struct msg_client_counts now = event(&c, &two, SPAN("192.0.2.1"), CLIENT_CONNECTS, 1);

    cr_expect_eq(now.connections, 2u);
    cr_expect_eq(event(&c, &two, SPAN("192.0.2.2"), CLIENT_CONNECTS, 2).connections, 1u);
    counts_forget(&c, &one);
    cr_expect_eq(event(&c, &two, SPAN("192.0.2.1"), CLIENT_SENDS, 3).connections, 1u);
    counts_forget(&c, &two);
    counts_fini(&c);
}

Test(counts, a_connection_that_ends_is_taken_off_once)
{
    struct counts c = {.unit_ms = 60000};
    struct counting one = {0};
    event(&c, &one, SPAN("192.0.2.1"), CLIENT_CONNECTS, 0);

    counts_left(&c, &one, SPAN("smtp"), SPAN("192.0.2.1"));
    counts_left(&c, &one, SPAN("smtp"), SPAN("192.0.2.1"));

    cr_expect_eq(event(&c, &one, SPAN("192.0.2.1"), CLIENT_CONNECTS, 1).connections, 1u);
    counts_forget(&c, &one);
    counts_fini(&c);
}

Test(counts, rates_begin_anew_with_each_time_unit)
{
    struct counts c = {.unit_ms = 1000};
    struct counting one = {0};

    cr_expect_eq(event(&c, &one, SPAN("a"), CLIENT_SENDS, 0).rate, 1u);
    cr_expect_eq(event(&c, &one, SPAN("a"), CLIENT_SENDS, 999).rate, 2u);
    cr_expect_eq(event(&c, &one, SPAN("a"), CLIENT_SENDS, 1000).rate, 1u);
    cr_expect_eq(event(&c, &one, SPAN("a"), CLIENT_NAMES_RECIPIENT, 1001).rate, 1u);
    counts_fini(&c);
}

Test(counts, clients_that_are_gone_are_forgotten)
{
    struct counts c = {.unit_ms = 1000};
    struct counting one = {0};
    char address[16];
    for (int i = 0; i < 1000; i++) {
        snprintf(address, sizeof address, "a%d", i);
        event(&c, &one, span_text(address), CLIENT_SENDS, 0);
    }
    event(&c, &one, SPAN("stays"), CLIENT_CONNECTS, 0);

    event(&c, &one, SPAN("b"), CLIENT_SENDS, 5000);

    cr_expect_eq(c.clients.count, (size_t)2);
    counts_forget(&c, &one);
    counts_fini(&c);
}

Test(counts, an_unknown_kind_is_ignored)
{
    struct counts c = {.unit_ms = 1000};
    struct counting one = {0};

    cr_expect_eq(event(&c, &one, SPAN("a"), CLIENT_KINDS, 0).rate, 0u);
    cr_expect_eq(event(&c, &one, SPAN("a"), 0, 0).rate, 0u);
    counts_fini(&c);
}
