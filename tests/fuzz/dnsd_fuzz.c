/* links: dnsd */
/* What dnsd reads from outside: answers of name servers, the hosts file, resolv.conf, trust anchors, libunbound's log.
 * The first byte of the input selects the parser; for an answer the second one the type that was asked for. */
#include "dnsd/anchors.h"
#include "dnsd/answer.h"
#include "dnsd/hosts.h"
#include "dnsd/report.h"
#include "dnsd/servers.h"
#include "lib/base/check.h"

static const unsigned types[] = {DNS_TYPE_A,   DNS_TYPE_NS,   DNS_TYPE_CNAME, DNS_TYPE_PTR,  DNS_TYPE_MX,
                                 DNS_TYPE_TXT, DNS_TYPE_AAAA, DNS_TYPE_SRV,   DNS_TYPE_TLSA, 65280};

static void check_name(struct span name)
{
    CHECK(name.n > 0 && name.n <= DNS_NAME_MAX);
    for (size_t i = 0; i < name.n; i++)
        CHECK(name.p[i] > ' ' && name.p[i] < 127);
}

static void check_record(unsigned type, const struct msg_dns_reply_record *r)
{
    CHECK(r->type == type && r->data.n <= DNS_DATA_MAX);
    CHECK(type != DNS_TYPE_A || r->data.n == 4);
    CHECK(type != DNS_TYPE_AAAA || r->data.n == 16);
    CHECK(type != DNS_TYPE_TLSA || r->data.n >= 3);
    if (type == DNS_TYPE_MX || type == DNS_TYPE_SRV || type == DNS_TYPE_PTR || type == DNS_TYPE_NS || type == DNS_TYPE_CNAME)
        check_name(r->name);
}

static void try_answer(struct arena *a, struct span in)
{
    const struct answer_limits limits = {.max_ttl = 86400, .max_negative_ttl = 3600};
    unsigned type = types[in.n ? (unsigned char)in.p[0] % (sizeof types / sizeof *types) : 0];
    struct raw_answer raw = {.packet = span_skip(in, in.n ? 1 : 0), .ttl = UINT32_MAX};
    struct msg_dns_reply reply, again;
    struct buf body = BUF_INIT;
    answer_decode(a, SPAN("a.test"), type, &raw, &limits, &reply);
    CHECK(reply.verdict >= DNS_OK && reply.verdict <= DNS_MALFORMED);
    CHECK((reply.verdict == DNS_OK) == (reply.records.n > 0));
    CHECK(reply.records.n <= DNS_RECORDS_MAX && reply.aliases <= DNS_ALIASES_MAX + 1u && reply.ttl <= limits.max_ttl);
    check_name(reply.canonical);
    for (size_t i = 0; i < reply.records.n; i++)
        check_record(type, &reply.records.at[i]);
    msg_dns_reply_put(&body, &reply);
    CHECK(msg_dns_reply_get(a, buf_span(&body), &again));
    buf_fini(&body);
}

static void try_hosts(struct arena *a, struct span in)
{
    struct hosts h = HOSTS_INIT;
    struct msg_dns_reply reply;
    hosts_parse(&h, in);
    if (hosts_answer(&h, a, SPAN("a"), DNS_TYPE_A, &reply))
        CHECK((reply.verdict == DNS_OK) == (reply.records.n > 0));
    hosts_fini(&h);
}

static void try_report(struct span in)
{
    struct report r;
    struct buf out = BUF_INIT;
    if (report_parse(in, &r))
        report_put_reason(&out, r.reason);
    CHECK(out.len <= REASON_MAX);
    for (size_t i = 0; i < out.len; i++)
        CHECK(out.data[i] >= ' ' && out.data[i] < 127);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = ARENA_INIT;
    if (size == 0)
        return 0;
    struct span in = span_of(data + 1, size - 1);
    switch (data[0] % 5) {
    case 0:
        try_answer(&a, in);
        break;
    case 1:
        try_hosts(&a, in);
        break;
    case 2: {
        struct resolv_conf conf = {0};
        resolv_conf_parse(&a, in, &conf);
        CHECK(conf.n <= RESOLV_SERVERS_MAX);
        break;
    }
    case 3: {
        struct anchors *anchors = ARENA_NEW(&a, struct anchors);
        anchors_add(&a, in, anchors);
        CHECK(anchors->n <= ANCHORS_MAX);
        break;
    }
    default:
        try_report(in);
    }
    arena_fini(&a);
    return 0;
}
