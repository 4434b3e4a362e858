#include "lib/wire/all.h"

#include <criterion/criterion.h>

/* Every message by its functions: decode and encode again, and log. */
#define FUNCTIONS(X)                                                                                \
    static bool X##_again(struct span body, struct buf *out)                                       \
    {                                                                                              \
        struct arena a = ARENA_INIT;                                                               \
        struct msg_##X m;                                                                          \
        bool good = msg_##X##_get(&a, body, &m);                                                   \
        if (good)                                                                                  \
            msg_##X##_put(out, &m);                                                                \
        arena_fini(&a);                                                                            \
        return good;                                                                               \
    }                                                                                              \
    static void X##_show(struct span body, struct buf *out)                                        \
    {                                                                                              \
        struct arena a = ARENA_INIT;                                                               \
        struct msg_##X m;                                                                          \
        if (msg_##X##_get(&a, body, &m))                                                           \
            msg_##X##_log(out, &m);                                                                \
        arena_fini(&a);                                                                            \
    }
ALL_MESSAGES(FUNCTIONS)

static const struct message {
    const char *name;
    unsigned number;
    bool (*again)(struct span body, struct buf *out);
    void (*show)(struct span body, struct buf *out);
} messages[] = {
#define ROW(X) {#X, MSG_##X, X##_again, X##_show},
    ALL_MESSAGES(ROW)};
enum { MESSAGES = sizeof messages / sizeof *messages, TAGS = 60, UNKNOWN = 250 };

/* Eight octets that are good as a number, as bytes, and as a nested message (with one unknown field). */
static const char versatile[8] = {(char)UNKNOWN, 3, 0, 0, 0, 'a', 'b', 'c'};

static void put_field(struct buf *out, unsigned tag, struct span value)
{
    char header[5] = {(char)tag, (char)(value.n & 0xff), (char)(value.n >> 8 & 0xff), (char)(value.n >> 16 & 0xff), 0};
    buf_put(out, span_of(header, sizeof header));
    buf_put(out, value);
}

enum kind { KIND_NONE, KIND_NUM, KIND_BYTES, KIND_LIST };

static bool takes(const struct message *m, unsigned tag, struct span value, struct buf *again)
{
    struct buf body = BUF_INIT;
    put_field(&body, tag, value);
    bool good = m->again(buf_span(&body), again);
    buf_fini(&body);
    return good;
}

/* What a tag means in a message, found out from outside. */
static enum kind kind_of(const struct message *m, unsigned tag)
{
    struct buf again = BUF_INIT, ignored = BUF_INIT;
    enum kind kind = KIND_NONE;
    cr_assert(takes(m, tag, span_of(versatile, 8), &again), "%s: tag %u", m->name, tag);
    if (again.len > 0)
        kind = !takes(m, tag, SPAN("\xff\xff\xff\xff\xff\xff\xff\xff"), &ignored) ? KIND_LIST
               : takes(m, tag, SPAN("abc"), &ignored)                               ? KIND_BYTES
                                                                                     : KIND_NUM;
    buf_fini(&again);
    buf_fini(&ignored);
    return kind;
}

/* A message with all of its fields; lists have two items with all of theirs. */
static void put_sample(const struct message *m, struct buf *out)
{
    struct buf item = BUF_INIT, full = BUF_INIT;
    for (unsigned tag = 1; tag <= TAGS; tag++)
        put_field(&item, tag, span_of(versatile, 8));
    for (unsigned tag = 1; tag <= TAGS; tag++) {
        enum kind kind = kind_of(m, tag);
        char number[8] = {(char)tag, 1, 2, 3, 4, 5, 6, (char)0x80};
        buf_clear(&full);
        buf_printf(&full, "bytes of %u", tag);
        if (kind == KIND_NUM)
            put_field(out, tag, span_of(number, 8));
        if (kind == KIND_BYTES)
            put_field(out, tag, buf_span(&full));
        if (kind == KIND_LIST) {
            put_field(out, tag, buf_span(&item));
            put_field(out, tag, buf_span(&item));
        }
    }
    buf_fini(&item);
    buf_fini(&full);
}

/* The same in our own coding: without the unknown fields of nested messages. */
static struct buf sample(const struct message *m)
{
    struct buf loose = BUF_INIT, exact = BUF_INIT;
    put_sample(m, &loose);
    cr_assert(m->again(buf_span(&loose), &exact), "%s", m->name);
    buf_fini(&loose);
    return exact;
}

Test(message, numbers_and_names_are_given_once)
{
    for (size_t i = 0; i < MESSAGES; i++) {
        cr_expect(messages[i].number > 0 && messages[i].number <= UINT16_MAX, "%s", messages[i].name);
        for (size_t j = 0; j < i; j++) {
            cr_expect_neq(messages[i].number, messages[j].number, "%s and %s", messages[i].name, messages[j].name);
            cr_expect_str_neq(messages[i].name, messages[j].name);
        }
    }
}

Test(message, has_at_least_one_field_or_is_known_to_have_none)
{
    for (size_t i = 0; i < MESSAGES; i++) {
        struct buf body = sample(&messages[i]);
        cr_expect_gt(body.len, 0, "%s", messages[i].name);
        buf_fini(&body);
    }
}

Test(message, decodes_to_what_was_encoded)
{
    for (size_t i = 0; i < MESSAGES; i++) {
        struct buf body = sample(&messages[i]), again = BUF_INIT;

        cr_assert(messages[i].again(buf_span(&body), &again), "%s", messages[i].name);

        cr_expect(span_eq(buf_span(&body), buf_span(&again)), "%s", messages[i].name);
        buf_fini(&body);
        buf_fini(&again);
    }
}

/* Whether the first n octets are whole fields. */
static bool is_boundary(struct span body, size_t n)
{
    size_t at = 0;
    while (at < n) {
        size_t length = span_at(body, at + 1) | (size_t)span_at(body, at + 2) << 8 | (size_t)span_at(body, at + 3) << 16;
        at += 5 + length;
    }
    return at == n;
}

Test(message, that_is_cut_anywhere_but_between_fields_is_refused)
{
    for (size_t i = 0; i < MESSAGES; i++) {
        struct buf body = sample(&messages[i]), again = BUF_INIT;
        for (size_t n = 0; n < body.len; n++) {
            bool good = messages[i].again(span_of(body.data, n), &again);
            cr_expect_eq(good, is_boundary(buf_span(&body), n), "%s cut to %zu of %zu", messages[i].name, n, body.len);
        }
        buf_fini(&body);
        buf_fini(&again);
    }
}

Test(message, with_a_nested_one_that_is_cut_is_refused)
{
    for (size_t i = 0; i < MESSAGES; i++) {
        for (unsigned tag = 1; tag <= TAGS; tag++) {
            struct buf ignored = BUF_INIT;
            if (kind_of(&messages[i], tag) == KIND_LIST) {
                for (size_t n = 1; n < 8; n++)
                    cr_expect(!takes(&messages[i], tag, span_of(versatile, n), &ignored), "%s.%u cut to %zu",
                              messages[i].name, tag, n);
            }
            buf_fini(&ignored);
        }
    }
}

Test(message, with_a_number_of_another_length_is_refused)
{
    for (size_t i = 0; i < MESSAGES; i++) {
        for (unsigned tag = 1; tag <= TAGS; tag++) {
            struct buf ignored = BUF_INIT;
            if (kind_of(&messages[i], tag) == KIND_NUM) {
                for (size_t n = 0; n <= 16; n++)
                    cr_expect_eq(takes(&messages[i], tag, span_of("0123456789abcdef", n), &ignored), n == 8, "%s.%u of %zu",
                                 messages[i].name, tag, n);
            }
            buf_fini(&ignored);
        }
    }
}

Test(message, skips_fields_that_it_does_not_know)
{
    for (size_t i = 0; i < MESSAGES; i++) {
        struct buf body = sample(&messages[i]), more = BUF_INIT, again = BUF_INIT;
        put_field(&more, 251, SPAN("of a later version"));
        buf_put(&more, buf_span(&body));
        put_field(&more, 255, SPAN_NONE);

        cr_assert(messages[i].again(buf_span(&more), &again), "%s", messages[i].name);

        cr_expect(span_eq(buf_span(&body), buf_span(&again)), "%s", messages[i].name);
        buf_fini(&body);
        buf_fini(&more);
        buf_fini(&again);
    }
}

Test(message, survives_every_octet_being_changed)
{
    for (size_t i = 0; i < MESSAGES; i++) {
        struct buf body = sample(&messages[i]);
        for (size_t at = 0; at < body.len; at++) {
            char was = body.data[at];
            for (unsigned change = 1; change < 256; change += 27) {
                struct buf again = BUF_INIT, twice = BUF_INIT;
                body.data[at] = (char)(was ^ (char)change);
                if (messages[i].again(buf_span(&body), &again)) {
                    cr_assert(messages[i].again(buf_span(&again), &twice), "%s octet %zu", messages[i].name, at);
                    cr_assert(span_eq(buf_span(&again), buf_span(&twice)), "%s octet %zu", messages[i].name, at);
                }
                buf_fini(&again);
                buf_fini(&twice);
            }
            body.data[at] = was;
        }
        buf_fini(&body);
    }
}

Test(message, shows_its_name_and_only_printable_octets_in_the_log)
{
    for (size_t i = 0; i < MESSAGES; i++) {
        struct buf body = BUF_INIT, line = BUF_INIT;
        for (unsigned tag = 1; tag <= TAGS; tag++) {
            if (kind_of(&messages[i], tag) == KIND_BYTES)
                put_field(&body, tag, SPAN("\n\x1b[31m\\\xc3\xa4"));
        }

        messages[i].show(buf_span(&body), &line);

        cr_expect(span_starts(buf_span(&line), span_text(messages[i].name)), "%s", buf_text(&line));
        for (size_t at = 0; at < line.len; at++)
            cr_expect(byte_is_print((unsigned char)line.data[at]), "%s: octet %zu", messages[i].name, at);
        buf_fini(&body);
        buf_fini(&line);
    }
}

Test(message, is_little_endian_without_empty_fields)
{
    struct msg_room_wanted m = {.size = 0x0102030405060708};
    struct msg_submitted empty = {.id = SPAN("x")};
    struct buf body = BUF_INIT;

    msg_room_wanted_put(&body, &m);
    cr_expect(span_eq(buf_span(&body), SPAN("\x01\x08\0\0\0\x08\x07\x06\x05\x04\x03\x02\x01")));
    buf_clear(&body);
    msg_submitted_put(&body, &empty);
    cr_expect(span_eq(buf_span(&body), SPAN("\x04\x01\0\0\0x")));
    buf_fini(&body);
}

Test(message, keeps_the_order_of_a_list_of_any_length)
{
    for (size_t n = 0; n <= 40; n++) {
        struct msg_recipient items[40];
        struct arena a = ARENA_INIT;
        struct buf body = BUF_INIT;
        struct msg_submit m = {.recipients = {items, n}}, got;
        for (size_t i = 0; i < n; i++)
            items[i] = (struct msg_recipient){.number = i + 1};

        msg_submit_put(&body, &m);
        cr_assert(msg_submit_get(&a, buf_span(&body), &got));

        cr_expect_eq(got.recipients.n, n);
        for (size_t i = 0; i < n; i++)
            cr_expect_eq(got.recipients.at[i].number, i + 1);
        buf_fini(&body);
        arena_fini(&a);
    }
}
