/* The files that dnsd reads: hosts, resolv.conf, trust anchors. */
#include "dnsd/anchors.h"
#include "dnsd/hosts.h"
#include "dnsd/servers.h"

#include <criterion/criterion.h>

static struct arena a;

static void end(void)
{
    arena_fini(&a);
}

TestSuite(files, .fini = end);

Test(files, a_name_of_the_hosts_file_is_answered_from_it_alone)
{
    struct hosts h = HOSTS_INIT;
    struct msg_dns_reply reply;
    hosts_parse(&h, SPAN("# comment\n192.0.2.1\tMail.Example mail # other\n2001:db8::1 six\nnonsense six\n"));

    cr_assert(hosts_answer(&h, &a, SPAN("mail.example"), DNS_TYPE_A, &reply));
    cr_expect_eq(reply.verdict, (unsigned)DNS_OK);
    cr_assert_eq(reply.records.n, 1U);
    cr_expect(span_eq(reply.records.at[0].data, span_of("\300\0\2\1", 4)));
    cr_assert(hosts_answer(&h, &a, SPAN("mail"), DNS_TYPE_AAAA, &reply));
    cr_expect_eq(reply.verdict, (unsigned)DNS_NO_DATA);
    cr_assert(hosts_answer(&h, &a, SPAN("six"), DNS_TYPE_AAAA, &reply));
    cr_expect_eq(reply.verdict, (unsigned)DNS_OK);
    cr_assert(hosts_answer(&h, &a, SPAN("1.2.0.192.in-addr.arpa"), DNS_TYPE_PTR, &reply));
    cr_assert_geq(reply.records.n, 1U);
    cr_expect(span_eq_nocase(reply.records.at[0].name, SPAN("mail.example")));
    cr_expect_not(hosts_answer(&h, &a, SPAN("other"), DNS_TYPE_A, &reply));
    cr_expect_not(hosts_answer(&h, &a, SPAN("mail"), DNS_TYPE_MX, &reply));
    hosts_fini(&h);
}

Test(files, resolv_conf_names_servers_in_the_forms_that_are_in_use)
{
    struct resolv_conf conf = {0};

    resolv_conf_parse(&a, SPAN("; c\nsearch x\nnameserver 192.0.2.53\nnameserver ::1\nnameserver 127.0.0.1@5353\n"
                               "nameserver what\noptions ndots:2 use-vc\n"),
                      &conf);

    cr_assert_eq(conf.n, 3U);
    cr_expect_eq(conf.servers[0].port, 53U);
    cr_expect_not(conf.servers[0].loopback);
    cr_expect(conf.servers[1].loopback);
    cr_expect_eq(conf.servers[2].port, 5353U);
    cr_expect_eq(conf.wrong, 6U, "the line that is none");
    cr_expect(conf.use_tcp);
}

Test(files, resolv_conf_gives_no_more_servers_than_the_limit)
{
    struct resolv_conf conf = {0};
    struct buf text = BUF_INIT;
    for (int i = 0; i <= RESOLV_SERVERS_MAX; i++)
        buf_printf(&text, "nameserver 192.0.2.%d\n", i + 1);

    resolv_conf_parse(&a, buf_span(&text), &conf);

    cr_expect_eq(conf.n, (size_t)RESOLV_SERVERS_MAX);
    buf_fini(&text);
}

Test(files, trust_anchors_are_keys_and_their_digests)
{
    struct anchors *anchors = ARENA_NEW(&a, struct anchors);

    anchors_add(&a, SPAN("; root\n. IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n\n"
                         "example.test. 3600 IN DNSKEY 257 3 13 AAAA\n"
                         "example.test. IN A 192.0.2.1\n"),
                anchors);

    cr_expect_eq(anchors->n, 2U);
    cr_expect_eq(anchors->wrong, 5U);
    cr_expect(span_eq(anchors->owners[0], SPAN(".")));
}
