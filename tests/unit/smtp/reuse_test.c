#include "tests/unit/smtp/world.h"

static struct world w; /* too large for a frame; each test is a process of its own */
static const struct line usual[] = {{NULL, NULL}};
static const struct server one_server[] = {{"192.0.2.1", usual, NULL}, {NULL, NULL, NULL}};

static void deliver(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        world_deliver(&w);
        cr_expect_eq(w.d.verdicts[0].class, 2u, "%u: %.*s", i, SPAN_ARG(w.d.verdicts[0].text));
    }
}

Test(reuse, keeps_no_connection_for_a_single_message)
{
    world_open(&w, "", false);
    w.servers = one_server;

    deliver(1);

    cr_expect(strstr(world_heard(&w, 0), "QUIT\r\n"));
    world_close(&w);
}

Test(reuse, keeps_it_where_messages_follow_one_another)
{
    world_open(&w, "", false);
    w.servers = one_server;

    deliver(4);

    cr_expect_eq(w.npeers, 2u, "%zu connections", w.npeers);
    reuse_close(w.smtp.reuse);
    cr_expect(strstr(world_heard(&w, 1), ".\r\nRSET\r\nMAIL"), "%s", world_heard(&w, 1));
    cr_expect(strstr(world_heard(&w, 1), ".\r\nQUIT\r\n"), "%s", world_heard(&w, 1));
    world_close(&w);
}

Test(reuse, keeps_it_always_where_the_destination_is_named)
{
    world_open(&w, "smtp_connection_cache_destinations = [192.0.2.1]", false);
    w.servers = one_server;

    deliver(3);

    cr_expect_eq(w.npeers, 1u);
    world_close(&w);
}

Test(reuse, keeps_none_where_it_is_switched_off)
{
    world_open(&w, "smtp_connection_cache_on_demand = no", false);
    w.servers = one_server;

    deliver(4);

    cr_expect_eq(w.npeers, 4u);
    world_close(&w);
}

Test(reuse, ends_at_so_many_messages)
{
    world_open(&w, "smtp_connection_cache_destinations = [192.0.2.1]\nsmtp_connection_reuse_count_limit = 3", false);
    w.servers = one_server;

    deliver(6);

    cr_expect_eq(w.npeers, 2u, "%zu", w.npeers);
    world_close(&w);
}

Test(reuse, keeps_no_connection_to_another_next_hop)
{
    static const struct server servers[] = {{"192.0.2.1", usual, NULL}, {"192.0.2.2", usual, NULL}, {NULL, NULL, NULL}};
    world_open(&w, "smtp_connection_cache_destinations = [192.0.2.1]", false);
    w.servers = servers;
    deliver(1);
    w.m.nexthop = SPAN("[192.0.2.2]");

    deliver(1);

    cr_expect_eq(w.npeers, 2u);
    cr_expect(strstr(world_heard(&w, 1), "MAIL"));
    world_close(&w);
}

Test(reuse, connects_anew_where_a_kept_connection_does_not_work)
{
    static const struct line hangs_up[] = {{"RSET", NULL}, {NULL, NULL}};
    static const struct line refuses[] = {{"RSET", "421 idle\r\n"}, {NULL, NULL}};
    static const struct line babbles[] = {{"RSET", "250 ok\r\n250 ok\r\n"}, {NULL, NULL}};
    static const struct line *const rows[] = {hangs_up, refuses, babbles};
    for (size_t i = 0; i < 3; i++) {
        const struct server servers[] = {{"192.0.2.1", rows[i], NULL}, {NULL, NULL, NULL}};
        world_open(&w, "smtp_connection_cache_destinations = [192.0.2.1]", false);
        w.servers = servers;

        deliver(2);

        cr_expect_eq(w.npeers, 2u, "row %zu: %zu", i, w.npeers);
        world_close(&w);
    }
}

Test(reuse, connects_anew_where_a_kept_connection_breaks)
{
    static const struct line lines[] = {{"MAIL", "250 ok\r\n"}, {"MAIL", NULL}, {NULL, NULL}};
    static const struct server servers[] = {{"192.0.2.1", lines, NULL}, {NULL, NULL, NULL}};
    world_open(&w, "smtp_connection_cache_destinations = [192.0.2.1]", false);
    w.servers = servers;

    deliver(2);

    cr_expect_eq(w.npeers, 2u);
    world_close(&w);
}

Test(reuse, asks_the_same_server_no_second_time_where_it_said_not_now)
{
    static const struct line lines[] = {{"RCPT", "250 ok\r\n"}, {"RCPT", "450 4.2.0 grey\r\n"}, {NULL, NULL}};
    static const struct server servers[] = {{"192.0.2.1", lines, NULL}, {NULL, NULL, NULL}};
    world_open(&w, "smtp_connection_cache_destinations = [192.0.2.1]", false);
    w.servers = servers;
    deliver(1);

    world_deliver(&w);

    WANT(&w, 0, 4, "4.2.0", "450 4.2.0 grey (in reply to RCPT TO command)");
    cr_expect_eq(w.npeers, 1u);
    world_close(&w);
}

Test(reuse, keeps_no_connection_that_is_spent)
{
    static const struct line lines[] = {{".", "250 ok\r\n421 bye\r\n"}, {NULL, NULL}};
    static const struct server servers[] = {{"192.0.2.1", lines, NULL}, {NULL, NULL, NULL}};
    world_open(&w, "smtp_connection_cache_destinations = [192.0.2.1]", false);
    w.servers = servers;

    deliver(2);

    cr_expect_eq(w.npeers, 2u);
    world_close(&w);
}
