#include "cli/sendmail/sendmail.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* A descriptor that gives these octets. */
static int input_of(struct span octets)
{
    int fd = memfd_create("input", MFD_CLOEXEC);
    cr_assert_eq(write(fd, octets.p, octets.n), (ssize_t)octets.n);
    cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

/* What becomes of a text, as a string. */
static const char *read_as(struct span octets, const struct text_rules *rules, enum text_result *result)
{
    static char text[1000];
    struct msg_drop none = {0};
    struct drop_writer w;
    struct input in = {.fd = input_of(octets)};
    int to = memfd_create("text", MFD_CLOEXEC);
    cr_assert(drop_write_begin(&w, to, &none));
    *result = text_read(&in, rules, &w);
    size_t n = (size_t)w.text;
    cr_assert_eq(drop_write_end(&w), 0);
    cr_assert_lt(n, sizeof text);
    cr_assert(drop_read_octets(to, text, n, DROP_HEADER));
    text[n] = 0;
    close(in.fd);
    close(to);
    input_fini(&in);
    return text;
}

Test(text_read, follows_the_rules_of_line_ends_and_dots)
{
    static const struct {
        const char *says, *in, *out;
        struct text_rules rules;
    } rows[] = {
        {"lines stay", "a\nb\n", "a\nb\n", {0}},
        {"the last line gets its end", "a\nb", "a\nb\n", {0}},
        {"nothing is nothing", "", "", {0}},
        {"CR LF becomes LF", "a\r\nb\r\n", "a\nb\n", {0}},
        {"a CR alone stays", "a\rb\n", "a\rb\n", {0}},
        {"one CR before the line's end goes, not two", "a\r\r\n", "a\r\n", {0}},
        {"a dot alone ends", "a\n.\nb\n", "a\n", {0}},
        {"also with CR LF", "a\r\n.\r\nb\r\n", "a\n", {0}},
        {"also as the last line", "a\n.", "a\n", {0}},
        {"a dot in a line does not", "a\n..\n. \n.b\n", "a\n..\n. \n.b\n", {0}},
        {"with -i it is text", "a\n.\nb\n", "a\n.\nb\n", {.ignore_dots = true}},
        {"an mbox line on top goes", "From me today\na\n", "a\n", {0}},
        {"all of them", ">From me\nFrom you\na\n", "a\n", {0}},
        {"not in the middle", "a\nFrom me\n", "a\nFrom me\n", {0}},
        {"a header is none", "From: me\n", "From: me\n", {0}},
        {"strict: CR LF in the first line counts for all", "a\r\nb\n\r\n", "a\nb\n\n", {.endings = ENDINGS_STRICT}},
        {"strict: LF in the first line keeps every CR", "a\nb\r\n", "a\nb\r\n", {.endings = ENDINGS_STRICT}},
        {"never: CR stays", "a\r\n", "a\r\n", {.endings = ENDINGS_NEVER}},
        {"never: a dot with CR does not end", "a\n.\r\nb\n", "a\n.\r\nb\n", {.endings = ENDINGS_NEVER}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        enum text_result result;
        const char *text = read_as(span_text(rows[i].in), &rows[i].rules, &result);
        cr_expect_eq(result, TEXT_OK, "%s", rows[i].says);
        cr_expect_str_eq(text, rows[i].out, "%s: got %s", rows[i].says, text);
    }
}

Test(text_read, holds_the_limit_at_the_number_and_beyond)
{
    struct text_rules rules = {.size_limit = 10};
    enum text_result result;

    read_as(SPAN("012345678\n"), &rules, &result);
    cr_expect_eq(result, TEXT_OK);
    read_as(SPAN("0123456789\n"), &rules, &result);
    cr_expect_eq(result, TEXT_TOO_BIG);
}

Test(text_read, tells_an_error_of_reading)
{
    struct msg_drop none = {0};
    struct drop_writer w;
    struct input in = {.fd = -1};
    int to = memfd_create("text", MFD_CLOEXEC);
    cr_assert(drop_write_begin(&w, to, &none));

    cr_expect_eq(text_read(&in, &(struct text_rules){0}, &w), TEXT_ERROR);

    cr_expect_neq(in.error, 0);
    drop_write_end(&w);
    input_fini(&in);
    close(to);
}

Test(input, gives_long_lines_in_pieces_that_join_to_the_same)
{
    const size_t n = 3 * PIECE_MAX + 5;
    char *octets = malloc(n);
    memset(octets, 'x', n);
    /* Line ends, CRs and dots around the edges of pieces. */
    static const size_t marks[] = {PIECE_MAX - 2, PIECE_MAX - 1, PIECE_MAX, PIECE_MAX + 1, 2 * PIECE_MAX};
    for (unsigned mask = 0; mask < 1u << 5; mask++) {
        for (int cr = 0; cr < 2; cr++) {
            for (size_t i = 0; i < 5; i++)
                octets[marks[i]] = mask & 1u << i ? (cr ? '\r' : '\n') : 'x';
            if (cr)
                octets[marks[2]] = '\n';
            struct input in = {.fd = input_of(span_of(octets, n))};
            struct buf joined = BUF_INIT;
            struct span piece;
            enum ending ending;
            while (input_next(&in, &piece, &ending)) {
                cr_assert_leq(piece.n, (size_t)2 * PIECE_MAX);
                buf_put(&joined, piece);
                if (ending == ENDING_LF || ending == ENDING_CRLF)
                    buf_puts(&joined, ending == ENDING_LF ? "\n" : "\r\n");
            }
            cr_expect(span_eq(buf_span(&joined), span_of(octets, n)), "mask %u", mask);
            buf_fini(&joined);
            input_fini(&in);
            close(in.fd);
        }
    }
    free(octets);
}
