#include "smtp/reply.h"

#include "lib/base/check.h"

enum { CODE_DIGITS = 3 };

void reply_begin(struct reply *r)
{
    struct buf text = r->text;
    buf_clear(&text);
    *r = (struct reply){.text = text};
}

void reply_fini(struct reply *r)
{
    buf_fini(&r->text);
    *r = REPLY_INIT;
}

static enum reply_result bad(struct reply *r, enum reply_fault fault)
{
    r->fault = fault;
    return REPLY_BAD;
}

/* reply-code = %x32-35 2DIGIT; RFC 5321 4.2. Its second digit may be any: servers use 4, 6 to 9 too.
 * result: REPLY_SOUND with the code */
static enum reply_fault cut_code(struct span line, unsigned *code)
{
    unsigned value = 0;
    size_t digits = 0;
    while (digits < line.n && byte_is_digit(span_at(line, digits)) && digits <= CODE_DIGITS)
        value = value * 10 + (unsigned)(line.p[digits++] - '0');
    if (digits != CODE_DIGITS)
        return REPLY_NO_CODE;
    if (line.n > CODE_DIGITS && line.p[CODE_DIGITS] != ' ' && line.p[CODE_DIGITS] != '-' &&
        line.p[CODE_DIGITS] != '\t')
        return REPLY_NO_CODE;
    if (value < 200 || value > 599)
        return REPLY_BAD_CODE;
    *code = value;
    return REPLY_SOUND;
}

static void keep_line(struct reply *r, struct span line)
{
    while (line.n && byte_is_space(span_at(line, line.n - 1)))
        line.n--;
    if (r->lines > 1)
        buf_putc(&r->text, '\n');
    for (size_t i = 0; i < line.n; i++) {
        unsigned char c = span_at(line, i);
        buf_putc(&r->text, c == '\t' ? ' ' : byte_is_print(c) || c >= 0x80 ? (char)c : '?');
    }
}

/* The enhanced code of a line, where it agrees with the reply code. RFC 2034 4 */
static void take_dsn(struct reply *r, struct span line, unsigned code)
{
    struct dsn_code found;
    if (r->dsn.class || code / 100 == 3)
        return;
    if (dsn_code_parse(span_skip(line, CODE_DIGITS + 1), &found) && found.class == code / 100)
        r->dsn = found;
}

enum reply_result reply_take(struct reply *r, struct span line, size_t dropped)
{
    unsigned code = 0;
    CHECK(!r->done);
    if (r->fault)
        return REPLY_BAD;
    r->octets += line.n + dropped;
    if (r->octets > REPLY_OCTETS_MAX)
        return bad(r, REPLY_TOO_LARGE);
    if (++r->lines > REPLY_LINES_MAX)
        return bad(r, REPLY_TOO_MANY);
    line = span_slice(line, 0, REPLY_LINE_MAX);
    enum reply_fault fault = cut_code(line, &code);
    keep_line(r, line);
    if (fault)
        return bad(r, fault);
    if (r->code && code / 100 != r->code / 100)
        return bad(r, REPLY_MIXED);
    r->code = code;
    take_dsn(r, line, code);
    if (line.n > CODE_DIGITS && line.p[CODE_DIGITS] == '-')
        return REPLY_MORE;
    if (!r->dsn.class && code / 100 != 3)
        r->dsn = DSN((unsigned char)(code / 100), 0, 0);
    r->done = true;
    return REPLY_DONE;
}

unsigned reply_class(const struct reply *r)
{
    return r->done ? r->code / 100 : 0;
}

void reply_put(struct buf *out, const struct reply *r)
{
    struct span rest = buf_span(&r->text);
    for (bool more = true; more;) {
        size_t end = span_find(rest, '\n');
        more = end < rest.n;
        buf_put(out, span_slice(rest, 0, end));
        if (more)
            buf_putc(out, ' ');
        rest = span_skip(rest, end + 1);
    }
}

const char *reply_fault_text(enum reply_fault fault)
{
    static const char *const texts[] = {
        [REPLY_SOUND] = "no fault",
        [REPLY_NO_CODE] = "a line without reply code",
        [REPLY_BAD_CODE] = "a reply code out of range",
        [REPLY_MIXED] = "a reply with different codes",
        [REPLY_TOO_MANY] = "too many lines",
        [REPLY_TOO_LARGE] = "too much text",
    };
    return texts[fault];
}
