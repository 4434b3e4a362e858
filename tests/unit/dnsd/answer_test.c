/* Answers of name servers, as packets, and what becomes of them. */
#include "dnsd/answer.h"

#include <criterion/criterion.h>
#include <string.h>

static struct arena a;
static struct msg_dns_reply reply;

static void end(void)
{
    arena_fini(&a);
}

TestSuite(answer, .fini = end);

static void put16(struct buf *p, unsigned n)
{
    buf_putc(p, (char)(n >> 8));
    buf_putc(p, (char)(n & 255));
}

/* Header and the question for a.test. */
static void begin(struct buf *p, unsigned rcode, unsigned type, unsigned answers)
{
    put16(p, 1);
    put16(p, 0x8180 | rcode);
    put16(p, 1);
    put16(p, answers);
    put16(p, 0);
    put16(p, 0);
    buf_put(p, span_of("\1a\4test", 8));
    put16(p, type);
    put16(p, 1);
}

/* A record of the name that was asked for. */
static void add(struct buf *p, unsigned type, unsigned ttl, struct span data)
{
    put16(p, 0xc00c);
    put16(p, type);
    put16(p, 1);
    put16(p, 0);
    put16(p, ttl);
    put16(p, (unsigned)data.n);
    buf_put(p, data);
}

static void decode(unsigned type, struct buf *p, bool secure)
{
    const struct answer_limits limits = {.max_ttl = 1000, .max_negative_ttl = 100};
    struct raw_answer raw = {.packet = buf_span(p), .secure = secure, .ttl = 60};
    answer_decode(&a, SPAN("a.test"), type, &raw, &limits, &reply);
}

Test(answer, sorts_exchangers_by_preference_and_bounds_their_ttl)
{
    struct buf p = BUF_INIT;
    begin(&p, 0, DNS_TYPE_MX, 2);
    add(&p, DNS_TYPE_MX, 5000, span_of("\0\24\1b\300\16", 6));
    add(&p, DNS_TYPE_MX, 300, span_of("\0\12\1c\300\16", 6));

    decode(DNS_TYPE_MX, &p, true);

    cr_assert_eq(reply.verdict, (unsigned)DNS_OK);
    cr_assert_eq(reply.records.n, 2U);
    cr_expect(span_eq(reply.records.at[0].name, SPAN("c.test")));
    cr_expect(span_eq(reply.records.at[1].name, SPAN("b.test")));
    cr_expect_eq(reply.records.at[1].preference, 20U);
    cr_expect_eq(reply.records.at[1].ttl, 1000U, "no longer than the limit");
    cr_expect(reply.flags & DNS_REPLY_SECURE);
    buf_fini(&p);
}

Test(answer, tells_the_kinds_of_nothing_apart)
{
    static const struct {
        const char *says;
        unsigned rcode;
        enum dns_verdict want;
    } rows[] = {
        {"the name is there, without such records", 0, DNS_NO_DATA},
        {"there is no such name", 3, DNS_NO_NAME},
        {"SERVFAIL", 2, DNS_TEMPORARY},
        {"REFUSED", 5, DNS_TEMPORARY},
        {"NOTIMP", 4, DNS_TEMPORARY},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf p = BUF_INIT;
        begin(&p, rows[i].rcode, DNS_TYPE_MX, 0);

        decode(DNS_TYPE_MX, &p, false);

        cr_expect_eq(reply.verdict, (unsigned)rows[i].want, "%s", rows[i].says);
        cr_expect_eq(reply.flags, 0U, "%s: not secure", rows[i].says);
        buf_fini(&p);
    }
}

Test(answer, says_nothing_of_a_packet_that_is_cut_anywhere)
{
    struct buf p = BUF_INIT;
    begin(&p, 0, DNS_TYPE_A, 1);
    add(&p, DNS_TYPE_A, 60, span_of("\300\0\2\1", 4));
    const size_t whole = p.len;
    decode(DNS_TYPE_A, &p, false);
    cr_assert_eq(reply.verdict, (unsigned)DNS_OK);

    for (size_t n = 0; n < whole; n++) {
        struct buf cut = BUF_INIT;
        buf_put(&cut, span_of(p.data, n));
        decode(DNS_TYPE_A, &cut, false);
        cr_expect_eq(reply.verdict, (unsigned)DNS_MALFORMED, "after %zu octets", n);
        buf_fini(&cut);
    }
    buf_fini(&p);
}

Test(answer, drops_records_whose_names_cannot_be_used)
{
    struct buf p = BUF_INIT;
    begin(&p, 0, DNS_TYPE_MX, 2);
    add(&p, DNS_TYPE_MX, 60, span_of("\0\12\3b\nc\300\16", 8));
    add(&p, DNS_TYPE_MX, 60, span_of("\0\24\1d\300\16", 6));

    decode(DNS_TYPE_MX, &p, false);

    cr_assert_eq(reply.verdict, (unsigned)DNS_OK);
    cr_assert_eq(reply.records.n, 1U);
    cr_expect(span_eq(reply.records.at[0].name, SPAN("d.test")));
    buf_fini(&p);
}

Test(answer, is_malformed_where_no_record_can_be_used)
{
    struct buf p = BUF_INIT;
    begin(&p, 0, DNS_TYPE_A, 1);
    add(&p, DNS_TYPE_A, 60, span_of("\300\0\2", 3));

    decode(DNS_TYPE_A, &p, false);

    cr_expect_eq(reply.verdict, (unsigned)DNS_MALFORMED);
    buf_fini(&p);
}

Test(answer, keeps_a_hundred_exchangers_the_best_ones)
{
    struct buf p = BUF_INIT;
    enum { MANY = DNS_RECORDS_MAX + 1 };
    begin(&p, 0, DNS_TYPE_MX, MANY);
    for (unsigned i = 0; i < MANY; i++) {
        char data[6] = {0, (char)(MANY - i), 1, 'b', (char)0xc0, 14};
        add(&p, DNS_TYPE_MX, 60, span_of(data, sizeof data));
    }

    decode(DNS_TYPE_MX, &p, false);

    cr_assert_eq(reply.records.n, (size_t)DNS_RECORDS_MAX);
    cr_expect_eq(reply.records.at[0].preference, 1U);
    cr_expect_eq(reply.records.at[DNS_RECORDS_MAX - 1].preference, (unsigned)DNS_RECORDS_MAX);
    buf_fini(&p);
}

Test(answer, drops_the_root_beside_other_exchangers_and_keeps_it_alone)
{
    struct buf p = BUF_INIT;
    begin(&p, 0, DNS_TYPE_MX, 2);
    add(&p, DNS_TYPE_MX, 60, span_of("\0\0\0", 3));
    add(&p, DNS_TYPE_MX, 60, span_of("\0\24\1d\300\16", 6));
    decode(DNS_TYPE_MX, &p, false);
    cr_assert_eq(reply.records.n, 1U);
    cr_expect(span_eq(reply.records.at[0].name, SPAN("d.test")));
    buf_clear(&p);

    begin(&p, 0, DNS_TYPE_MX, 1);
    add(&p, DNS_TYPE_MX, 60, span_of("\0\0\0", 3));
    decode(DNS_TYPE_MX, &p, false);

    cr_assert_eq(reply.records.n, 1U);
    cr_expect(span_eq(reply.records.at[0].name, SPAN(".")));
    buf_fini(&p);
}

Test(answer, believes_no_answer_whose_signature_is_wrong)
{
    const struct answer_limits limits = {.max_ttl = 1000, .max_negative_ttl = 100};
    struct buf p = BUF_INIT;
    begin(&p, 0, DNS_TYPE_A, 1);
    add(&p, DNS_TYPE_A, 60, span_of("\300\0\2\1", 4));
    struct raw_answer raw = {.packet = buf_span(&p), .bogus = true, .why = SPAN("signature crypto failed")};

    answer_decode(&a, SPAN("a.test"), DNS_TYPE_A, &raw, &limits, &reply);

    cr_expect_eq(reply.verdict, (unsigned)DNS_BOGUS);
    cr_expect_eq(reply.records.n, 0U);
    cr_expect(span_eq(reply.why, SPAN("signature crypto failed")));
    buf_fini(&p);
}
