#include "smtpd/reply.h"

static const struct {
    unsigned code;
    const char *dsn, *text;
} declared[] = {
#define REPLY(name, code, dsn, text) [REPLY_##name] = {code, dsn, text},
#include "smtpd/replies.def"
#undef REPLY
};

static void put_printable(struct buf *out, struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = span_at(s, i);
        buf_putc(out, c < 0x20 || c == 0x7f ? '?' : (char)c);
    }
}

/* Puts the text with {host} and {what} filled in. */
static void fill(struct buf *out, struct span text, struct span host, struct span what)
{
    while (text.n) {
        size_t open = span_find(text, '{');
        put_printable(out, span_slice(text, 0, open));
        text = span_skip(text, open);
        if (span_starts(text, SPAN("{host}")))
            put_printable(out, host);
        else if (span_starts(text, SPAN("{what}")))
            put_printable(out, what);
        text = span_skip(text, 6);
    }
}

struct reply reply_declared(struct arena *a, enum reply_id id, struct span host, struct span what)
{
    struct buf text = BUF_INIT;
    fill(&text, span_text(declared[id].text), host, what);
    struct reply r = {
        .code = declared[id].code, .dsn = span_text(declared[id].dsn), .text = arena_dup(a, buf_span(&text))};
    buf_fini(&text);
    return r;
}

/* "x.y.z" of at most three digits each. */
static bool dsn_is_sound(struct span dsn)
{
    struct span part;
    size_t parts = 0, length = 0;
    for (struct span left = dsn; span_next_token(&left, SPAN("."), &part); parts++) {
        uint64_t n;
        length += part.n;
        if (!span_to_u64(part, 999, &n))
            return false;
    }
    return parts == 3 && length + 2 == dsn.n;
}

struct reply reply_make(struct arena *a, unsigned code, struct span dsn, struct span text)
{
    struct buf words = BUF_INIT;
    if (code < 200 || code > 599)
        code = 451;
    put_printable(&words, text.n ? text : code < 400 ? SPAN("Ok") : SPAN("Error"));
    struct reply r = {.code = code, .text = arena_dup(a, buf_span(&words))};
    char digit = (char)('0' + code / 100);
    r.dsn = dsn_is_sound(dsn) ? arena_dup(a, dsn) : arena_dup(a, SPAN("0.0.0"));
    /* The first digits of both codes agree, whoever wrote them: RFC 2034 4. */
    if (digit == '3')
        r.dsn = SPAN_NONE;
    else if (r.dsn.p[0] != digit) {
        const char *fixed = arena_printf(a, "%c%.*s", digit, SPAN_ARG(span_skip(r.dsn, 1)));
        r.dsn = span_text(fixed);
    }
    buf_fini(&words);
    return r;
}

void reply_put(struct buf *out, const struct reply *r)
{
    /* Code, separator, enhanced code, blank and CRLF leave this much for text. */
    const size_t room = REPLY_LINE_MAX - 4 - r->dsn.n - 1 - 2;
    struct span left = r->text;
    do {
        struct span piece = span_slice(left, 0, room);
        if (piece.n < left.n) {
            size_t blank = span_rfind(piece, ' ');
            if (blank > 0 && blank < piece.n)
                piece.n = blank;
        }
        left = span_skip(left, piece.n);
        while (left.n && left.p[0] == ' ')
            left = span_skip(left, 1);
        buf_printf(out, "%03u%c", r->code, left.n ? '-' : ' ');
        if (r->dsn.n)
            buf_printf(out, "%.*s ", SPAN_ARG(r->dsn));
        buf_put(out, piece);
        buf_puts(out, "\r\n");
    } while (left.n);
}

void reply_put_log(struct buf *out, const struct reply *r)
{
    buf_printf(out, "%03u ", r->code);
    if (r->dsn.n)
        buf_printf(out, "%.*s ", SPAN_ARG(r->dsn));
    buf_put(out, r->text);
}
