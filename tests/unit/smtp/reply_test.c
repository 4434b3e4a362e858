#include "smtp/reply.h"

#include <criterion/criterion.h>

/* Feeds lines separated by "|" until the reply is done or bad. */
static enum reply_result feed(struct reply *r, const char *lines)
{
    struct span rest = span_text(lines);
    enum reply_result result = REPLY_MORE;
    while (result == REPLY_MORE && rest.n) {
        size_t end = span_find(rest, '|');
        result = reply_take(r, span_slice(rest, 0, end), 0);
        rest = span_skip(rest, end + 1);
    }
    return result;
}

static bool reads_as(const struct reply *r, const char *text)
{
    struct buf line = BUF_INIT;
    reply_put(&line, r);
    bool same = span_eq(buf_span(&line), span_text(text));
    buf_fini(&line);
    return same;
}

Test(reply, takes_what_is_one)
{
    static const struct {
        const char *lines;
        unsigned code;
        struct dsn_code dsn;
        const char *reads;
    } rows[] = {
        {"250 ok", 250, {2, 0, 0}, "250 ok"},
        {"250", 250, {2, 0, 0}, "250"},
        {"250 ", 250, {2, 0, 0}, "250"},
        {"250 2.1.5 fine", 250, {2, 1, 5}, "250 2.1.5 fine"},
        {"550 2.1.5 no", 550, {5, 0, 0}, "550 2.1.5 no"},
        {"550 5.1.1", 550, {5, 1, 1}, "550 5.1.1"},
        {"550 5.1.1no", 550, {5, 0, 0}, "550 5.1.1no"},
        {"354 3.0.0 go on", 354, {0, 0, 0}, "354 3.0.0 go on"},
        {"250-a|250-b|250 c", 250, {2, 0, 0}, "250-a 250-b 250 c"},
        {"550-5.7.1 not|550 5.7.2 you", 550, {5, 7, 1}, "550-5.7.1 not 550 5.7.2 you"},
        {"550-not|550 5.7.2 you", 550, {5, 7, 2}, "550-not 550 5.7.2 you"},
        {"450-a|451 b", 451, {4, 0, 0}, "450-a 451 b"},
        {"250-|250", 250, {2, 0, 0}, "250- 250"},
        {"250\ttab", 250, {2, 0, 0}, "250 tab"},
        {"299 odd", 299, {2, 0, 0}, "299 odd"},
        {"599 odd", 599, {5, 0, 0}, "599 odd"},
    };
    struct reply r = REPLY_INIT;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        reply_begin(&r);
        cr_expect_eq(feed(&r, rows[i].lines), REPLY_DONE, "%s", rows[i].lines);
        cr_expect_eq(r.code, rows[i].code, "%s", rows[i].lines);
        cr_expect_eq(reply_class(&r), rows[i].code / 100, "%s", rows[i].lines);
        cr_expect(memcmp(&r.dsn, &rows[i].dsn, sizeof r.dsn) == 0, "%s", rows[i].lines);
        cr_expect(reads_as(&r, rows[i].reads), "%s", rows[i].lines);
    }

    reply_fini(&r);
}

Test(reply, says_what_is_wrong_with_what_is_none)
{
    static const struct {
        const char *lines;
        enum reply_fault fault;
    } rows[] = {
        {"ok", REPLY_NO_CODE},         {" 250 ok", REPLY_NO_CODE},    {"25 ok", REPLY_NO_CODE},
        {"2500 ok", REPLY_NO_CODE},    {"250ok", REPLY_NO_CODE},      {"250_ok", REPLY_NO_CODE},
        {"-250 ok", REPLY_NO_CODE},    {"+250 ok", REPLY_NO_CODE},    {"2x0 ok", REPLY_NO_CODE},
        {"150 ok", REPLY_BAD_CODE},    {"000 ok", REPLY_BAD_CODE},    {"600 ok", REPLY_BAD_CODE},
        {"999 ok", REPLY_BAD_CODE},    {"199 ok", REPLY_BAD_CODE},    {"250-a|550 b", REPLY_MIXED},
        {"550-a|250 b", REPLY_MIXED},  {"250-a|b", REPLY_NO_CODE},    {"354-a|250 b", REPLY_MIXED},
        {"HTTP/1.1 200 OK", REPLY_NO_CODE}, {"* OK IMAP", REPLY_NO_CODE}, {"+OK POP3", REPLY_NO_CODE},
    };
    struct reply r = REPLY_INIT;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        reply_begin(&r);
        cr_expect_eq(feed(&r, rows[i].lines), REPLY_BAD, "%s", rows[i].lines);
        cr_expect_eq(r.fault, rows[i].fault, "%s", rows[i].lines);
        cr_expect_eq(reply_class(&r), 0u, "%s", rows[i].lines);
        cr_expect(reply_fault_text(r.fault)[0] != 0);
    }

    reply_fini(&r);
}

Test(reply, takes_no_empty_line_for_a_reply)
{
    struct reply r = REPLY_INIT;

    cr_expect_eq(reply_take(&r, SPAN_NONE, 0), REPLY_BAD);
    cr_expect_eq(reply_take(&r, SPAN("250 ok"), 0), REPLY_BAD, "a bad reply stays bad");

    reply_fini(&r);
}

Test(reply, ends_at_so_many_lines)
{
    struct reply r = REPLY_INIT;

    for (int i = 1; i < REPLY_LINES_MAX; i++)
        cr_assert_eq(reply_take(&r, SPAN("250-x"), 0), REPLY_MORE);
    cr_expect_eq(reply_take(&r, SPAN("250 x"), 0), REPLY_DONE);
    reply_begin(&r);
    for (int i = 0; i < REPLY_LINES_MAX; i++)
        cr_assert_eq(reply_take(&r, SPAN("250-x"), 0), REPLY_MORE);
    cr_expect_eq(reply_take(&r, SPAN("250 x"), 0), REPLY_BAD);
    cr_expect_eq(r.fault, REPLY_TOO_MANY);

    reply_fini(&r);
}

Test(reply, ends_at_so_many_octets_the_dropped_ones_included)
{
    struct reply r = REPLY_INIT;

    cr_expect_eq(reply_take(&r, SPAN("250 x"), REPLY_OCTETS_MAX - 5), REPLY_DONE);
    reply_begin(&r);
    cr_expect_eq(reply_take(&r, SPAN("250 x"), REPLY_OCTETS_MAX - 4), REPLY_BAD);
    cr_expect_eq(r.fault, REPLY_TOO_LARGE);

    reply_fini(&r);
}

Test(reply, keeps_so_much_of_a_line)
{
    struct reply r = REPLY_INIT;
    static char line[REPLY_LINE_MAX + 10];
    memset(line, 'x', sizeof line);
    memcpy(line, "550 ", 4);

    cr_expect_eq(reply_take(&r, span_of(line, sizeof line), 0), REPLY_DONE);
    cr_expect_eq(r.text.len, (size_t)REPLY_LINE_MAX);

    reply_fini(&r);
}

Test(reply, shows_no_control_characters)
{
    struct reply r = REPLY_INIT;

    cr_expect_eq(reply_take(&r, SPAN("550 a\0b\rc\033[1m\177"), 0), REPLY_DONE);
    cr_expect(reads_as(&r, "550 a?b?c?[1m?"));

    reply_fini(&r);
}
