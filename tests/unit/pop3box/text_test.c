#include "lib/base/buf.h"
#include "pop3box/text.h"

#include <criterion/criterion.h>

/* Converts text in pieces of step octets. */
static void convert(struct pop3_text t, const char *text, size_t step, struct buf *out)
{
    struct span rest = span_text(text);
    buf_clear(out);
    for (size_t at = 0; at < rest.n && !t.done; at += step) {
        struct span piece = span_slice(rest, at, at + step);
        char *to = buf_reserve(out, pop3_text_room(piece.n));
        buf_grown(out, pop3_text_put(&t, piece, to));
    }
    char *to = buf_reserve(out, pop3_text_room(0));
    buf_grown(out, pop3_text_end(&t, to));
}

Test(pop3_text, sends_whole_messages_in_any_pieces)
{
    static const struct {
        const char *says, *text, *want;
    } rows[] = {
        {"LF lines", "a\nbc\n", "a\r\nbc\r\n.\r\n"},
        {"CRLF lines", "a\r\nbc\r\n", "a\r\nbc\r\n.\r\n"},
        {"dots", ".\n..\n.a\nb.\n", "..\r\n...\r\n..a\r\nb.\r\n.\r\n"},
        {"a last line without end", "a\n.", "a\r\n..\r\n.\r\n"},
        {"nothing", "", ".\r\n"},
        {"empty lines", "\n\n", "\r\n\r\n.\r\n"},
        {"a bare CR", "a\rb\n", "a\rb\r\n.\r\n"},
        {"a bare CR at the end", "a\r", "a\r\r\n.\r\n"},
        {"a CRLF line with a dot", ".\r\n", "..\r\n.\r\n"},
    };
    struct buf out = BUF_INIT;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t step = 1; step < 12; step++) {
            convert(pop3_text_whole(), rows[i].text, step, &out);

            cr_expect_str_eq(buf_text(&out), rows[i].want, "%s, by %zu", rows[i].says, step);
        }
    buf_fini(&out);
}

Test(pop3_text, sends_the_header_and_as_many_lines_as_asked)
{
    static const struct {
        const char *says, *text;
        uint64_t lines;
        const char *want;
    } rows[] = {
        {"no line", "H: a\n\nb\nc\n", 0, "H: a\r\n\r\n.\r\n"},
        {"one line", "H: a\n\nb\nc\n", 1, "H: a\r\n\r\nb\r\n.\r\n"},
        {"all lines", "H: a\n\nb\nc\n", 2, "H: a\r\n\r\nb\r\nc\r\n.\r\n"},
        {"more lines than there are", "H: a\n\nb\nc\n", 9, "H: a\r\n\r\nb\r\nc\r\n.\r\n"},
        {"CRLF lines", "H: a\r\n\r\nb\r\nc\r\n", 1, "H: a\r\n\r\nb\r\n.\r\n"},
        {"no body", "H: a\n", 5, "H: a\r\n.\r\n"},
        {"a header without end", "H: a", 5, "H: a\r\n.\r\n"},
        {"no header", "\nb\nc\n", 1, "\r\nb\r\n.\r\n"},
        {"empty lines in the body", "H: a\n\n\n\nb\n", 2, "H: a\r\n\r\n\r\n\r\n.\r\n"},
        {"dots in the body", "H: a\n\n.\n.b\n", 1, "H: a\r\n\r\n..\r\n.\r\n"},
        {"a line of one CR that is not empty", "H: a\n\r\r\n\nb\n", 0, "H: a\r\n\r\r\n\r\n.\r\n"},
    };
    struct buf out = BUF_INIT;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t step = 1; step < 20; step++) {
            convert(pop3_text_top(rows[i].lines), rows[i].text, step, &out);

            cr_expect_str_eq(buf_text(&out), rows[i].want, "%s, by %zu", rows[i].says, step);
        }
    buf_fini(&out);
}
