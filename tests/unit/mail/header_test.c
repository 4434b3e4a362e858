#include "lib/base/clock.h"
#include "lib/mail/header.h"

#include <criterion/criterion.h>

static struct buf out = BUF_INIT;

/* All events of a text as one line: "F[name|value]" "M[line]" "B[rest of the text]", "!" for a missing blank
 * line. */
static const char *describe(struct span text, size_t limit)
{
    struct header_scan scan;
    struct header header;
    enum header_event event;
    buf_clear(&out);
    header_scan_init(&scan, text, limit);
    while ((event = header_next(&scan, &header)) != HEADER_BODY) {
        if (event == HEADER_FIELD) {
            buf_printf(&out, "F[%.*s|", SPAN_ARG(header.name));
            header_put_unfolded(&out, header.value);
            buf_puts(&out, header.cut ? "]cut " : "] ");
        } else {
            buf_printf(&out, "M[%.*s] ", SPAN_ARG(header.raw));
        }
    }
    cr_assert_eq(header_next(&scan, &header), HEADER_BODY);
    buf_printf(&out, "B[%.*s]%s", SPAN_ARG(span_skip(text, scan.at)), scan.blank_missing ? "!" : "");
    return buf_text(&out);
}

Test(header_scan, cuts_headers_and_finds_the_body)
{
    static const struct {
        const char *says, *in, *want;
    } rows[] = {
        {"two headers", "From: a\r\nTo: b\r\n\r\nbody\r\n", "F[From|a] F[To|b] B[body\r\n]"},
        {"LF alone", "From: a\nTo: b\n\nbody\n", "F[From|a] F[To|b] B[body\n]"},
        {"folded", "Subject: one\r\n two\r\n\tthree\r\n\r\n", "F[Subject|one two\tthree] B[]"},
        {"a fold of blanks only", "A: x\r\n \r\n y\r\n\r\nb", "F[A|x  y] B[b]"},
        {"nothing", "", "B[]"},
        {"only a blank line", "\r\nbody", "B[body]"},
        {"no body", "A: x\r\n", "F[A|x] B[]"},
        {"no line end", "A: x", "F[A|x] B[]"},
        {"no header", "hello\r\nA: x\r\n", "B[hello\r\nA: x\r\n]!"},
        {"a body without a blank line", "A: x\r\nhello\r\n", "F[A|x] B[hello\r\n]!"},
        {"a continuation first", " A: x\r\nB: y\r\n", "B[ A: x\r\nB: y\r\n]!"},
        {"blanks before the colon", "A \t: x\r\n\r\n", "F[A|x] B[]"},
        {"no blank behind it", "A:x\r\n\r\n", "F[A|x] B[]"},
        {"empty value", "A:\r\nB:  \r\n\r\n", "F[A|] F[B|] B[]"},
        {"value in the fold", "A:\r\n x\r\n\r\n", "F[A|x] B[]"},
        {"colon first", ": x\r\n", "B[: x\r\n]!"},
        {"a blank in the name", "A b: x\r\n", "B[A b: x\r\n]!"},
        {"a control byte in the name", "A\x01: x\r\n", "B[A\x01: x\r\n]!"},
        {"a byte over 127 in the name", "A\xe9: x\r\n", "B[A\xe9: x\r\n]!"},
        {"a mailbox line", "From me Mon\r\n>From you\r\nA: x\r\n\r\n",
         "M[From me Mon] M[>From you] F[A|x] B[]"},
        {"a mailbox line later", "A: x\r\nFrom me\r\n", "F[A|x] B[From me\r\n]!"},
        {"a colon in the value", "A: x: y\r\n\r\n", "F[A|x: y] B[]"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *got = describe(span_text(rows[i].in), HEADER_SIZE_LIMIT);
        cr_expect_str_eq(got, rows[i].want, "%s: %s", rows[i].says, got);
    }
}

Test(header_scan, a_nul_hides_nothing)
{
    cr_expect_str_eq(describe(SPAN("A\0: x\r\n"), 100), "B[A]!", "a name with NUL is no header");

    struct header_scan scan;
    struct header header;
    header_scan_init(&scan, SPAN("A: x\0y\r\nB: z\r\n\r\n"), 100);
    cr_assert_eq(header_next(&scan, &header), HEADER_FIELD);
    cr_expect(span_eq(header.value, SPAN("x\0y")));
    cr_assert_eq(header_next(&scan, &header), HEADER_FIELD);
    cr_expect(span_eq(header.value, SPAN("z")));
}

Test(header_scan, drops_continuation_lines_that_begin_behind_the_limit)
{
    /* "A: 12345\n" has 9 bytes, each further line 4. */
    struct span text = SPAN("A: 12345\n ab\n cd\n ef\nB: x\n\n");

    cr_expect_str_eq(describe(text, 14), "F[A|12345 ab cd]cut F[B|x] B[]");
    cr_expect_str_eq(describe(text, 13), "F[A|12345 ab]cut F[B|x] B[]");
    cr_expect_str_eq(describe(text, 17), "F[A|12345 ab cd]cut F[B|x] B[]");
    cr_expect_str_eq(describe(text, 18), "F[A|12345 ab cd ef] F[B|x] B[]");
}

Test(header_scan, cuts_a_line_that_is_too_long_by_more_than_the_slack)
{
    struct buf text = BUF_INIT;
    struct header_scan scan;
    struct header header;
    for (int over = 0; over <= 1; over++) {
        buf_clear(&text);
        buf_puts(&text, "A: ");
        for (size_t i = 3; i < 100 + HEADER_LINE_SLACK + (size_t)over; i++)
            buf_putc(&text, 'x');
        buf_puts(&text, "\r\nB: y\r\n\r\n");
        header_scan_init(&scan, buf_span(&text), 100);
        cr_expect_eq(header_next(&scan, &header), HEADER_FIELD);
        cr_expect_eq(header.cut, over == 1);
        cr_expect_eq(header.raw.n, over ? (size_t)100 : (size_t)100 + HEADER_LINE_SLACK);
        cr_expect_eq(header_next(&scan, &header), HEADER_FIELD);
        cr_expect(span_eq(header.name, SPAN("B")));
    }
    buf_fini(&text);
}

/* Milliseconds to scan a folded header and a section of short ones, together n bytes. */
static int64_t scan_time(size_t n)
{
    struct buf text = (struct buf){.max = n + 100};
    while (text.len < n / 2)
        buf_puts(&text, text.len ? " a, b, c\r\n" : "To: x,\r\n");
    while (text.len < n)
        buf_puts(&text, "X: y\r\n");
    mono_ms start = clock_mono();
    struct header_scan scan;
    struct header header;
    header_scan_init(&scan, buf_span(&text), HEADER_SIZE_LIMIT);
    while (header_next(&scan, &header) != HEADER_BODY)
        continue;
    buf_fini(&text);
    return clock_mono() - start;
}

Test(header_scan, takes_linear_time, .timeout = 60)
{
    int64_t small = scan_time((size_t)1 << 20), large = scan_time((size_t)16 << 20);

    cr_expect_lt(large, (small + 20) * 16 * 4, "%ld ms for 1 MiB, %ld ms for 16", (long)small, (long)large);
}

Test(header_table, knows_names_in_any_case)
{
    for (unsigned id = HEADER_OTHER + 1; id < HEADER_IDS; id++) {
        struct span name = header_info_get((enum header_id)id)->name;
        char upper[64];
        for (size_t i = 0; i < name.n; i++)
            upper[i] = (char)(byte_is_alpha(span_at(name, i)) ? name.p[i] & ~0x20 : name.p[i]);
        cr_expect_eq(header_id_of(span_of(upper, name.n)), id, "%.*s", SPAN_ARG(name));
    }
    cr_expect_eq(header_id_of(SPAN("X-Other")), HEADER_OTHER);
    cr_expect_eq(header_id_of(SPAN("")), HEADER_OTHER);
    cr_expect_eq(header_id_of(SPAN("To\0")), HEADER_OTHER);
}

Test(header_table, drops_what_postfix_drops)
{
    for (unsigned id = 0; id < HEADER_IDS; id++) {
        bool dropped = id == HEADER_BCC || id == HEADER_RESENT_BCC || id == HEADER_CONTENT_LENGTH ||
                       id == HEADER_RETURN_PATH;
        cr_expect_eq((header_info_get((enum header_id)id)->flags & HEADER_IS_DROPPED) != 0, dropped, "%u",
                     id);
    }
}

Test(header_put, folds_at_blanks_within_78_bytes)
{
    buf_clear(&out);

    cr_expect(header_put(
        &out, HEADER_LF, SPAN("Subject"),
        SPAN("aaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb ccccccccccccccc dddd")));

    cr_expect_str_eq(
        buf_text(&out),
        "Subject: aaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n ccccccccccccccc dddd\n");
}

Test(header_put, lines_are_at_most_78_bytes_where_blanks_allow_and_unfold_to_the_same)
{
    struct buf value = BUF_INIT, again = BUF_INIT;
    for (size_t word = 1; word < 70; word++) {
        buf_clear(&value);
        for (size_t i = 0; i < 600; i++)
            buf_putc(&value, i % (word + 1) == word ? ' ' : 'x');
        struct span trimmed = span_trim(buf_span(&value));
        buf_clear(&out);
        cr_assert(header_put(&out, HEADER_CRLF, SPAN("X"), trimmed));
        struct header_scan scan;
        struct header header;
        header_scan_init(&scan, buf_span(&out), HEADER_SIZE_LIMIT);
        cr_assert_eq(header_next(&scan, &header), HEADER_FIELD);
        cr_assert_eq(scan.at, out.len, "one header");
        buf_clear(&again);
        header_put_unfolded(&again, header.value);
        cr_assert(span_eq(buf_span(&again), trimmed), "word %zu", word);
        for (struct span rest = buf_span(&out); rest.n > 0; rest = span_skip(rest, span_find(rest, '\n') + 1))
            cr_assert_leq(span_find(rest, '\r'), (size_t)78, "word %zu", word);
    }
    buf_fini(&value);
    buf_fini(&again);
}

Test(header_put, breaks_no_word_and_makes_no_empty_line)
{
    char word[200];
    memset(word, 'x', sizeof word);
    struct buf value = BUF_INIT;
    buf_put(&value, span_of(word, sizeof word));
    buf_puts(&value, "                                                                                  y");
    buf_clear(&out);

    cr_expect(header_put(&out, HEADER_LF, SPAN("X"), buf_span(&value)));

    struct span text = buf_span(&out), first = span_slice(text, 0, span_find(text, '\n'));
    cr_expect_eq(first.n, sizeof word + 3);
    cr_expect_eq(span_find(span_skip(text, first.n + 1), '\n'), text.n - first.n - 2);
    buf_fini(&value);
}

Test(header_put, refuses_what_would_begin_another_header)
{
    static const struct {
        const char *says;
        struct span name, value;
    } rows[] = {
        {"CRLF", SPAN_INIT("Subject"), SPAN_INIT("x\r\nBcc: me")},
        {"LF", SPAN_INIT("Subject"), SPAN_INIT("x\nBcc: me")},
        {"CR", SPAN_INIT("Subject"), SPAN_INIT("x\rBcc: me")},
        {"a fold", SPAN_INIT("Subject"), SPAN_INIT("x\r\n y")},
        {"NUL", SPAN_INIT("Subject"), SPAN_INIT("x\0y")},
        {"empty name", SPAN_INIT(""), SPAN_INIT("x")},
        {"colon in the name", SPAN_INIT("A: b"), SPAN_INIT("x")},
        {"blank in the name", SPAN_INIT("A b"), SPAN_INIT("x")},
        {"LF in the name", SPAN_INIT("A\nB"), SPAN_INIT("x")},
        {"other alphabet in the name", SPAN_INIT("\xc3\xa9"), SPAN_INIT("x")},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        buf_clear(&out);
        cr_expect(!header_put(&out, HEADER_LF, rows[i].name, rows[i].value), "%s", rows[i].says);
        cr_expect_eq(out.len, (size_t)0, "%s", rows[i].says);
    }
}

Test(header_put_folded, keeps_folds_with_our_line_end)
{
    buf_clear(&out);

    cr_expect(header_put_folded(&out, HEADER_CRLF, SPAN("Received"), SPAN("from a\n\tby b\r\n\tfor c")));
    cr_expect(header_put_folded(&out, HEADER_LF, SPAN("X"), SPAN("")));

    cr_expect_str_eq(buf_text(&out), "Received: from a\r\n\tby b\r\n\tfor c\r\nX:\n");
}

Test(header_put_folded, refuses_a_line_end_that_is_no_fold)
{
    static const struct {
        const char *says;
        struct span value;
    } rows[] = {
        {"no blank behind", SPAN_INIT("a\nb")},      {"an empty line", SPAN_INIT("a\n\n b")},
        {"a line of blanks", SPAN_INIT("a\n \n b")}, {"a bare CR", SPAN_INIT("a\rb")},
        {"CR CR LF", SPAN_INIT("a\r\r\n b")},        {"NUL", SPAN_INIT("a\0b")},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        buf_clear(&out);
        cr_expect(!header_put_folded(&out, HEADER_LF, SPAN("X"), rows[i].value), "%s", rows[i].says);
        cr_expect_eq(out.len, (size_t)0, "%s", rows[i].says);
    }
}
