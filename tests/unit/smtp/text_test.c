#include "smtp/text.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

/* The wire form of a text that comes in pieces of so many octets. */
static void convert(struct span text, size_t piece, uint64_t limit, bool dots, struct buf *out)
{
    struct wire_form w = {.dots = dots, .limit = limit};
    for (size_t at = 0; at < text.n; at += piece)
        wire_form_put(&w, span_slice(text, at, at + piece), out);
    wire_form_end(&w, out);
}

Test(text, has_one_wire_form_in_whatever_pieces_it_comes)
{
    static const struct {
        const char *says;
        struct span text, wire;
        uint64_t limit;
    } rows[] = {
        {"nothing", SPAN_INIT(""), SPAN_INIT(""), 998},
        {"a line", SPAN_INIT("a\n"), SPAN_INIT("a\r\n"), 998},
        {"a line without end", SPAN_INIT("a"), SPAN_INIT("a\r\n"), 998},
        {"empty lines", SPAN_INIT("\n\n"), SPAN_INIT("\r\n\r\n"), 998},
        {"a dot", SPAN_INIT(".\n"), SPAN_INIT("..\r\n"), 998},
        {"a dot without end", SPAN_INIT("."), SPAN_INIT("..\r\n"), 998},
        {"dots at the start only", SPAN_INIT(".a.\n..b\na.b\n"), SPAN_INIT("..a.\r\n...b\r\na.b\r\n"), 998},
        {"a bare CR", SPAN_INIT("a\rb\n"), SPAN_INIT("a b\r\n"), 998},
        {"a bare CR before the end", SPAN_INIT("a\r\n"), SPAN_INIT("a \r\n"), 998},
        {"CR dot CR", SPAN_INIT("\r.\r\n"), SPAN_INIT(" . \r\n"), 998},
        {"LF dot CR", SPAN_INIT("\n.\r\n"), SPAN_INIT("\r\n.. \r\n"), 998},
        {"a NUL", SPAN_INIT("a\0b\n"), SPAN_INIT("a\0b\r\n"), 998},
        {"a line at the limit", SPAN_INIT("12345\n"), SPAN_INIT("12345\r\n"), 5},
        {"a line over it", SPAN_INIT("123456\n"), SPAN_INIT("12345\r\n 6\r\n"), 5},
        {"a line far over it", SPAN_INIT("1234567890\n"), SPAN_INIT("12345\r\n 6789\r\n 0\r\n"), 5},
        {"a dot where a line is broken", SPAN_INIT("12345.\n"), SPAN_INIT("12345\r\n .\r\n"), 5},
        {"the least limit", SPAN_INIT("123\n"), SPAN_INIT("12\r\n 3\r\n"), 1},
        {"no limit", SPAN_INIT("1234567890\n"), SPAN_INIT("1234567890\r\n"), 0},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t piece = 1; piece < 12; piece++) {
            struct buf out = BUF_INIT;
            convert(rows[i].text, piece, rows[i].limit, true, &out);
            cr_expect(span_eq(buf_span(&out), rows[i].wire), "%s, by %zu: %s", rows[i].says, piece, buf_text(&out));
            buf_fini(&out);
        }
}

Test(text, has_no_bare_line_end_on_the_wire)
{
    static const char letters[] = "\r\n.a";
    for (unsigned n = 0; n < 4096; n++) {
        char text[6];
        struct buf out = BUF_INIT;
        for (unsigned i = 0; i < 6; i++)
            text[i] = letters[(n >> (2 * i)) & 3];

        convert(span_of(text, 6), 4, 998, true, &out);

        for (size_t i = 0; i < out.len; i++) {
            cr_expect(out.data[i] != '\n' || (i > 0 && out.data[i - 1] == '\r'), "LF in %u", n);
            cr_expect(out.data[i] != '\r' || (i + 1 < out.len && out.data[i + 1] == '\n'), "CR in %u", n);
        }
        cr_expect(!memmem(out.data, out.len, "\r\n.\r\n", 5), "the end of data in %u", n);
        cr_expect(!(out.len > 2 && memcmp(out.data, ".\r\n", 3) == 0), "the end of data at the start of %u", n);
        buf_fini(&out);
    }
}

Test(text, is_not_stuffed_for_bdat)
{
    struct buf out = BUF_INIT;

    convert(SPAN(".\n..a\n"), 3, 998, false, &out);

    cr_expect_str_eq(buf_text(&out), ".\r\n..a\r\n");
    buf_fini(&out);
}

static int file_with(struct span content)
{
    int fd = memfd_create("text", MFD_CLOEXEC);
    cr_assert(fd >= 0 && write(fd, content.p, content.n) == (ssize_t)content.n);
    return fd;
}

Test(text, is_described_alike_from_memory_and_from_a_file)
{
    static const struct {
        const char *says;
        struct span text;
        struct text_facts facts;
    } rows[] = {
        {"empty", SPAN_INIT(""), {0, false, false}},
        {"plain", SPAN_INIT("A: b\n\nc\n"), {11, false, false}},
        {"no end", SPAN_INIT("A: b\n\nc"), {11, false, false}},
        {"eight bits in the body", SPAN_INIT("A: b\n\n\xc3\xa4\n"), {12, true, false}},
        {"eight bits in the header", SPAN_INIT("A: \xc3\xa4\n\nb\n"), {12, true, true}},
        {"no body", SPAN_INIT("A: \xc3\xa4\n"), {7, true, true}},
        {"no header", SPAN_INIT("\n\xc3\xa4\n"), {6, true, false}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct text inner = {.inner = rows[i].text, .fd = -1, .size = rows[i].text.n};
        struct buf content = BUF_INIT;
        struct text_facts facts;
        buf_puts(&content, "head");
        buf_put(&content, rows[i].text);
        struct text file = {.fd = file_with(buf_span(&content)), .offset = 4, .size = rows[i].text.n};

        cr_assert(text_scan(&inner, &facts));
        cr_expect_eq(facts.wire_size, rows[i].facts.wire_size, "%s", rows[i].says);
        cr_expect_eq(facts.eight_bit, rows[i].facts.eight_bit, "%s", rows[i].says);
        cr_expect_eq(facts.eight_bit_header, rows[i].facts.eight_bit_header, "%s", rows[i].says);
        cr_assert(text_scan(&file, &facts));
        cr_expect_eq(facts.wire_size, rows[i].facts.wire_size, "%s, in a file", rows[i].says);
        cr_expect_eq(facts.eight_bit_header, rows[i].facts.eight_bit_header, "%s, in a file", rows[i].says);
        close(file.fd);
        buf_fini(&content);
    }
}

Test(text, may_have_another_head_than_what_is_stored)
{
    struct span stored = SPAN("Old: head\n\nbody\n"), whole = SPAN("New: and longer\n\nbody\n");
    int fd = file_with(stored);
    for (int i = 0; i < 2; i++) {
        struct text t = {.inner = stored, .fd = i ? fd : -1, .head = SPAN("New: and longer\n"), .replaced = 10,
                         .size = whole.n};
        struct buf room = BUF_INIT, got = BUF_INIT;
        struct span chunk;
        for (uint64_t at = 0; text_read(&t, at, &room, &chunk) && chunk.n; at += chunk.n)
            buf_put(&got, chunk);
        cr_expect(span_eq(buf_span(&got), whole), "%s", buf_text(&got));
        buf_fini(&room);
        buf_fini(&got);
    }
    close(fd);
}

Test(text, finds_the_header_end_at_the_edge_of_a_chunk)
{
    for (int shift = -2; shift <= 2; shift++) {
        struct buf content = BUF_INIT;
        struct text_facts facts;
        for (int i = 0; i < TEXT_CHUNK + shift; i++)
            buf_putc(&content, 'x');
        buf_puts(&content, "\n\n\xc3\xa4\n");
        struct text t = {.inner = buf_span(&content), .fd = -1, .size = content.len};

        cr_assert(text_scan(&t, &facts));

        cr_expect(facts.eight_bit && !facts.eight_bit_header, "%d", shift);
        buf_fini(&content);
    }
}

Test(text, that_is_shorter_than_it_should_be_is_an_error)
{
    struct text t = {.fd = file_with(SPAN("abc")), .size = 4};
    struct text_facts facts;

    cr_expect(!text_scan(&t, &facts));
    cr_expect_eq(errno, ENODATA);
    close(t.fd);
}
