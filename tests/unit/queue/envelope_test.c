#include "lib/queue/envelope.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const struct stored_bond bond = {.generation = 77, .seed = 0x1234567890abcdef};

/* A record with everything in it, about 400 octets. */
static void put_sample(struct buf *out, const struct stored_bond *b, struct span text)
{
    struct queue_id id = queue_id_make(INT64_C(1700000000123456), 51);
    struct msg_recipient recipients[] = {
        {.address = SPAN("anna@example.org"), .original = SPAN("Anna@example.org"), .orcpt = SPAN("rfc822;a@b"),
         .notify = 3, .number = 1, .transport = SPAN("local"), .nexthop = SPAN("example.org"), .user = SPAN("u")},
        {.address = SPAN("bert@example.com"), .number = 2},
    };
    struct msg_stored_envelope e = {
        .id = queue_id_span(&id), .sender = SPAN("carla@example.net"), .recipients = {recipients, 2}, .flags = 1,
        .arrival_us = UINT64_C(1700000000123456), .text_size = text.n, .ret = SPAN("HDRS"), .envid = SPAN("QQ314"),
        .client_name = SPAN("localhost"), .client_address = SPAN("127.0.0.1"), .helo = SPAN("h"),
        .protocol = SPAN("ESMTP"), .login = SPAN("carla"), .login_method = SPAN("PLAIN"), .encoding = 8};
    struct buf envelope = BUF_INIT;
    stored_put_envelope(&envelope, &e);
    stored_put(out, b, &id, buf_span(&envelope), text);
    buf_fini(&envelope);
}

static struct buf sample(struct span text)
{
    struct buf out = BUF_INIT;
    put_sample(&out, &bond, text);
    return out;
}

Test(stored, reads_back_what_it_wrote)
{
    struct buf record = sample(SPAN("Subject: x\n\nbody\n"));
    struct arena a = ARENA_INIT;
    struct stored s;

    cr_assert(stored_get(&a, buf_span(&record), &bond, &s, NULL));

    cr_expect_str_eq(s.id.text, "4SVLCh0sf8z0010");
    cr_expect_eq(s.length, record.len);
    cr_expect_eq(s.length % STORED_ALIGN, 0);
    cr_expect(span_eq(span_of(record.data + s.text_offset, (size_t)s.text_size), SPAN("Subject: x\n\nbody\n")));
    cr_expect(span_eq(s.envelope.sender, SPAN("carla@example.net")));
    cr_assert_eq(s.envelope.recipients.n, 2);
    cr_expect(span_eq(s.envelope.recipients.at[0].original, SPAN("Anna@example.org")));
    cr_expect(span_eq(s.envelope.recipients.at[1].address, SPAN("bert@example.com")));
    cr_expect_eq(s.envelope.encoding, 8);
    arena_fini(&a);
    buf_fini(&record);
}

Test(stored, forgets_the_routing_of_the_moment_of_storing)
{
    struct buf record = sample(SPAN("x"));
    struct arena a = ARENA_INIT;
    struct stored s;

    cr_assert(stored_get(&a, buf_span(&record), &bond, &s, NULL));

    cr_expect_eq(s.envelope.recipients.at[0].transport.n, 0);
    cr_expect_eq(s.envelope.recipients.at[0].nexthop.n, 0);
    cr_expect_eq(s.envelope.recipients.at[0].user.n, 0);
    arena_fini(&a);
    buf_fini(&record);
}

Test(stored, holds_texts_of_every_length_around_the_alignment)
{
    static const char text[40] = "0123456789012345678901234567890123456789";

    for (size_t n = 0; n <= sizeof text; n++) {
        struct buf record = sample(span_of(text, n));
        struct arena a = ARENA_INIT;
        struct stored s;

        cr_assert(stored_get(&a, buf_span(&record), &bond, &s, NULL), "%zu octets", n);
        cr_expect_eq(s.text_size, n);
        cr_expect_eq(s.length, record.len);
        arena_fini(&a);
        buf_fini(&record);
    }
}

Test(stored, refuses_a_record_torn_at_any_octet)
{
    struct buf record = sample(SPAN("Subject: x\n\nbody\n"));

    for (size_t n = 0; n < record.len; n++) {
        struct buf torn = BUF_INIT, why = BUF_INIT;
        struct arena a = ARENA_INIT;
        struct stored s;

        buf_put(&torn, span_of(record.data, n));
        cr_expect(!stored_get(&a, buf_span(&torn), &bond, &s, &why), "torn at %zu", n);
        cr_expect_gt(why.len, 0, "torn at %zu: no reason", n);
        arena_fini(&a);
        buf_fini(&torn);
        buf_fini(&why);
    }
    buf_fini(&record);
}

Test(stored, refuses_a_record_whose_end_is_still_zeros_or_old_octets)
{
    struct buf record = sample(SPAN("Subject: x\n\nbody\n"));

    for (int fill = 0; fill <= 0xff; fill += 0xff) {
        for (size_t n = 0; n < record.len; n++) {
            struct arena a = ARENA_INIT;
            struct stored s;
            struct buf torn = BUF_INIT;

            buf_put(&torn, buf_span(&record));
            memset(torn.data + n, fill, record.len - n);
            bool same = memcmp(torn.data, record.data, record.len) == 0;
            cr_expect_eq(stored_get(&a, buf_span(&torn), &bond, &s, NULL), same, "from %zu on %d", n, fill);
            arena_fini(&a);
            buf_fini(&torn);
        }
    }
    buf_fini(&record);
}

Test(stored, refuses_every_change_of_an_octet)
{
    struct buf record = sample(SPAN("Subject: x\n\nbody\n"));
    size_t variants = 0;

    for (size_t at = 0; at < record.len; at++) {
        char was = record.data[at];
        for (unsigned change = 1; change < 256; change++, variants++) {
            struct arena a = ARENA_INIT;
            struct stored s;

            record.data[at] = (char)(was ^ (char)change);
            cr_assert(!stored_get(&a, buf_span(&record), &bond, &s, NULL), "octet %zu changed by %02x", at, change);
            arena_fini(&a);
        }
        record.data[at] = was;
    }

    cr_expect_geq(variants, 10000);
    buf_fini(&record);
}

Test(stored, refuses_a_head_with_any_bit_turned)
{
    struct buf record = sample(SPAN("Subject: x\n\nbody\n"));
    struct arena a = ARENA_INIT;
    struct stored s;
    cr_assert(stored_get_head(&a, buf_span(&record), &bond, record.len, &s, NULL));
    size_t head = (size_t)s.text_offset;

    for (size_t bit = 0; bit < head * 8; bit++) {
        record.data[bit / 8] = (char)(record.data[bit / 8] ^ (char)(1 << (bit % 8)));
        cr_expect(!stored_get_head(&a, span_of(record.data, head), &bond, STORED_LENGTH_MAX, &s, NULL), "bit %zu", bit);
        record.data[bit / 8] = (char)(record.data[bit / 8] ^ (char)(1 << (bit % 8)));
    }
    arena_fini(&a);
    buf_fini(&record);
}

Test(stored, refuses_a_record_of_another_generation_or_seed)
{
    struct buf record = sample(SPAN("x"));
    struct stored_bond older = {.generation = 76, .seed = bond.seed}, other = {.generation = 77, .seed = 1};
    struct arena a = ARENA_INIT;
    struct stored s;

    cr_expect(!stored_get(&a, buf_span(&record), &older, &s, NULL));
    cr_expect(!stored_get(&a, buf_span(&record), &other, &s, NULL));
    arena_fini(&a);
    buf_fini(&record);
}

Test(stored, refuses_a_record_longer_than_the_limit)
{
    struct buf record = sample(SPAN("x"));
    struct stored_plan plan;

    cr_expect(stored_get_plan(buf_span(&record), &bond, record.len, &plan, NULL));
    cr_expect(!stored_get_plan(buf_span(&record), &bond, record.len - 1, &plan, NULL));
    buf_fini(&record);
}

/* A record with a good hash round an envelope that is wrong in itself. */
static bool reads_envelope(const struct msg_stored_envelope *e, struct span text)
{
    struct queue_id id = queue_id_make(INT64_C(1700000000123456), 51);
    struct buf envelope = BUF_INIT, record = BUF_INIT;
    struct arena a = ARENA_INIT;
    struct stored s;
    stored_put_envelope(&envelope, e);
    stored_put(&record, &bond, &id, buf_span(&envelope), text);
    bool good = stored_get(&a, buf_span(&record), &bond, &s, NULL);
    arena_fini(&a);
    buf_fini(&envelope);
    buf_fini(&record);
    return good;
}

Test(stored, refuses_an_envelope_that_disagrees_with_its_record)
{
    struct msg_recipient one[] = {{.address = SPAN("a@b"), .number = 1}};
    struct msg_recipient gap[] = {{.address = SPAN("a@b"), .number = 1}, {.address = SPAN("c@d"), .number = 3}};
    const struct msg_stored_envelope good = {.id = SPAN("4SVLCh0sf8z0010"), .recipients = {one, 1}, .text_size = 1};
    struct msg_stored_envelope e = good;

    cr_expect(reads_envelope(&e, SPAN("x")), "the good one");
    e.id = SPAN("4SVLCh0sf8z0011");
    cr_expect(!reads_envelope(&e, SPAN("x")), "another ID");
    e = good, e.text_size = 2;
    cr_expect(!reads_envelope(&e, SPAN("x")), "another size");
    e = good, e.recipients.n = 0;
    cr_expect(!reads_envelope(&e, SPAN("x")), "no recipient");
    e = good, e.recipients.at = gap, e.recipients.n = 2;
    cr_expect(!reads_envelope(&e, SPAN("x")), "a gap in the numbers");
}

Test(stored, running_hash_makes_the_same_record)
{
    static const char text[100] = "some text";

    for (size_t n = 0; n <= sizeof text; n += 7) {
        struct buf whole = sample(span_of(text, n)), pieces = BUF_INIT;
        struct arena a = ARENA_INIT;
        struct stored s;
        cr_assert(stored_get(&a, buf_span(&whole), &bond, &s, NULL));
        struct stored_hash *h = stored_hash_new(&bond), *check = stored_hash_new(&bond);
        size_t end_of_text = (size_t)(s.text_offset + s.text_size);

        stored_hash_put(h, span_of(whole.data, (size_t)s.text_offset));
        stored_hash_put(h, span_of(text, n));
        stored_hash_end(h, &pieces);

        cr_expect(span_eq(buf_span(&pieces), span_skip(buf_span(&whole), end_of_text)), "%zu", n);
        stored_hash_put(check, span_of(whole.data, end_of_text));
        cr_expect(stored_hash_fits(check, buf_span(&pieces)));
        stored_hash_free(&h);
        stored_hash_free(&check);
        arena_fini(&a);
        buf_fini(&whole);
        buf_fini(&pieces);
    }
}

Test(stored, running_hash_refuses_another_text)
{
    struct buf whole = sample(SPAN("some text"));
    struct arena a = ARENA_INIT;
    struct stored s;
    cr_assert(stored_get(&a, buf_span(&whole), &bond, &s, NULL));
    size_t end_of_text = (size_t)(s.text_offset + s.text_size);
    struct stored_hash *h = stored_hash_new(&bond);

    whole.data[s.text_offset] = 'S';
    stored_hash_put(h, span_of(whole.data, end_of_text));

    cr_expect(!stored_hash_fits(h, span_skip(buf_span(&whole), end_of_text)));
    stored_hash_free(&h);
    arena_fini(&a);
    buf_fini(&whole);
}
