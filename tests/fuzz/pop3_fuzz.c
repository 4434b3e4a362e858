/* POP3: command lines, messages of SASL PLAIN, and message text in pieces: what is sent
 * ends with the one line that holds a dot alone. The first byte cuts the pieces. */
/* links: pop3box */
#include "lib/base/check.h"
#include "lib/mail/pop3.h"
#include "lib/mail/sasl.h"
#include "pop3box/text.h"

static bool is_inside(struct span part, struct span whole)
{
    return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void parse(struct span line)
{
    struct pop3_line parsed;
    struct sasl_plain plain;
    if (pop3_line_parse(line, &parsed)) {
        CHECK(parsed.word.n > 0 && is_inside(parsed.word, line) && is_inside(parsed.rest, line));
        for (unsigned i = 0; i < parsed.n && i < POP3_ARGUMENTS_MAX; i++)
            CHECK(parsed.at[i].n > 0 && is_inside(parsed.at[i], parsed.rest) && span_find(parsed.at[i], ' ') == parsed.at[i].n);
        CHECK(pop3_message_number(parsed.at[0], 7) <= 7);
    }
    if (sasl_plain_parse(line, &plain)) {
        CHECK(is_inside(plain.user, line) && is_inside(plain.password, line) && is_inside(plain.authorize_as, line));
        CHECK(sasl_credentials_are_sound(plain.user, plain.password));
        CHECK(plain.authorize_as.n + plain.user.n + plain.password.n + 2 == line.n);
    }
}

static void convert(struct pop3_text t, struct span text, size_t step)
{
    struct buf out = BUF_INIT;
    for (size_t at = 0; at < text.n && !t.done; at += step) {
        struct span piece = span_slice(text, at, at + step);
        size_t n = pop3_text_put(&t, piece, buf_reserve(&out, pop3_text_room(piece.n)));
        CHECK(n <= pop3_text_room(piece.n));
        buf_grown(&out, n);
    }
    buf_grown(&out, pop3_text_end(&t, buf_reserve(&out, pop3_text_room(0))));
    struct span rest = buf_span(&out);
    while (rest.n) {
        size_t lf = span_find(rest, '\n');
        CHECK(lf > 0 && lf < rest.n && rest.p[lf - 1] == '\r');
        struct span line = span_slice(rest, 0, lf - 1);
        rest = span_skip(rest, lf + 1);
        CHECK(line.n == 0 || line.p[0] != '.' || rest.n == 0 || line.p[1] == '.');
        CHECK(rest.n > 0 || span_eq(line, SPAN(".")));
    }
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct span text = span_of(data + 1, size - 1);
    parse(text);
    convert(pop3_text_whole(), text, 1 + data[0] % 32u);
    convert(pop3_text_top(data[0] / 32u), text, 1 + data[0] % 32u);
    return 0;
}
