#include "smtp/downgrade.h"

#include "lib/base/check.h"
#include "lib/mail/header.h"

#include <stdlib.h>

enum {
    QP_LINE_MAX = 76,     /* octets of an encoded line, its "=" included. RFC 2045 6.7 (5) */
    BOUNDARY_MAX = 200,   /* RFC 2046 5.1.1: 70 */
    CHARS_PER_BYTE = 3,   /* "=XX" */
};

enum where { IN_HEADER, IN_BODY };

enum form {
    FORM_PLAIN,  /* as it is */
    FORM_QUOTED, /* becomes quoted-printable */
    FORM_MASKED, /* eight-bit octets become "?" */
};

struct boundary {
    char text[BOUNDARY_MAX];
    size_t n;
};

struct downgrade {
    bool writing;           /* the second pass */
    enum where where;
    enum form form;         /* of the body */
    size_t part;            /* number of the part: one for each header section */
    bool *eight_bit;        /* owned; by part: it is a leaf with such octets */
    size_t parts;           /* allocated */
    struct boundary *stack; /* owned; of the multiparts around */
    size_t depth;
    struct buf head;        /* the header section so far */
    struct buf line;        /* the line so far */
    bool inside;            /* of a line longer than what is looked at */
    bool top;               /* this header section is the message's own */
    size_t column;          /* of the encoded line */
};

struct downgrade *downgrade_new(void)
{
    struct downgrade *d = calloc(1, sizeof *d);
    CHECK(d != NULL);
    d->stack = calloc(DOWNGRADE_DEPTH, sizeof *d->stack);
    CHECK(d->stack != NULL);
    d->top = true;
    return d;
}

void downgrade_free(struct downgrade **where)
{
    struct downgrade *d = *where;
    *where = NULL;
    if (!d)
        return;
    buf_fini(&d->head);
    buf_fini(&d->line);
    free(d->stack);
    free(d->eight_bit);
    free(d);
}

/* --- what a header section says ---------------------------------------------------- */

struct described {
    bool mime;             /* MIME-Version is there */
    bool multipart, message;
    bool encoded;          /* quoted-printable, base64, or what we do not know */
    bool has_encoding, has_type;
    struct boundary boundary;
};

/* The value of a parameter of Content-Type, without quotes. */
static void take_boundary(struct span value, struct boundary *b)
{
    bool quoted = false;
    size_t at = 0;
    b->n = 0;
    while (at < value.n) { /* to the next ";" outside of quotes */
        while (at < value.n && (quoted || value.p[at] != ';'))
            quoted ^= value.p[at++] == '"';
        struct span name = span_trim(span_slice(span_skip(value, at + 1), 0, span_find(span_skip(value, at + 1), '=')));
        at++;
        if (!span_eq_nocase(name, SPAN("boundary")))
            continue;
        struct span text = span_trim(span_skip(value, at + span_find(span_skip(value, at), '=') + 1));
        quoted = text.n && text.p[0] == '"';
        for (size_t i = quoted; i < text.n && b->n < BOUNDARY_MAX; i++) {
            if (quoted ? text.p[i] == '"' : text.p[i] == ';' || byte_is_space(span_at(text, i)))
                break;
            if (quoted && text.p[i] == '\\' && i + 1 < text.n)
                i++;
            b->text[b->n++] = text.p[i];
        }
        return;
    }
}

static void describe_type(struct span value, struct described *is)
{
    struct span type = span_trim(span_slice(value, 0, span_find(value, ';')));
    is->has_type = true;
    is->multipart = span_starts_nocase(type, SPAN("multipart/"));
    is->message = span_eq_nocase(type, SPAN("message/rfc822")) || span_eq_nocase(type, SPAN("message/global"));
    if (is->multipart)
        take_boundary(value, &is->boundary);
    is->multipart = is->multipart && is->boundary.n > 0;
}

static struct described describe(struct span head)
{
    struct described is = {0};
    struct header_scan scan;
    struct header h;
    struct buf value = BUF_INIT;
    header_scan_init(&scan, head, HEADER_SIZE_LIMIT);
    for (enum header_event e; (e = header_next(&scan, &h)) != HEADER_BODY;) {
        if (e != HEADER_FIELD)
            continue;
        buf_clear(&value);
        header_put_unfolded(&value, h.value);
        struct span text = span_trim(buf_span(&value));
        is.mime |= h.id == HEADER_MIME_VERSION;
        if (h.id == HEADER_CONTENT_TYPE && !is.has_type)
            describe_type(text, &is);
        if (h.id == HEADER_CONTENT_TRANSFER_ENCODING) {
            is.has_encoding = true;
            is.encoded = !span_eq_nocase(text, SPAN("7bit")) && !span_eq_nocase(text, SPAN("8bit")) &&
                         !span_eq_nocase(text, SPAN("binary"));
        }
    }
    buf_fini(&value);
    return is;
}

/* The section again, with another encoding. */
static void put_head(const struct downgrade *d, const struct described *is, const char *encoding, struct buf *out)
{
    struct header_scan scan;
    struct header h;
    header_scan_init(&scan, buf_span(&d->head), DOWNGRADE_HEAD_MAX);
    while (header_next(&scan, &h) != HEADER_BODY) {
        if (h.id == HEADER_CONTENT_TRANSFER_ENCODING)
            continue;
        buf_put(out, h.raw);
        buf_putc(out, '\n');
    }
    if (d->top && !is->mime)
        buf_puts(out, "MIME-Version: 1.0\n");
    if (!is->has_type && d->top)
        buf_puts(out, "Content-Type: text/plain; charset=unknown-8bit\n");
    buf_printf(out, "Content-Transfer-Encoding: %s\n", encoding);
}

/* --- bodies ------------------------------------------------------------------------------ */

static void note_eight_bit(struct downgrade *d, struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (span_at(s, i) >= 0x80) {
            d->eight_bit[d->part] = true;
            return;
        }
}

static void put_masked(struct span s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++)
        buf_putc(out, span_at(s, i) < 0x80 ? s.p[i] : '?');
}

/* A piece of a line. last: the line ends behind it */
static void put_quoted(struct downgrade *d, struct span s, bool last, struct buf *out)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = span_at(s, i);
        bool at_end = i + 1 == s.n; /* of what is known of the line: a blank must not end it */
        bool plain = c == ' ' || c == '\t' ? !at_end : byte_is_print(c) && c != '=';
        size_t width = plain ? 1 : CHARS_PER_BYTE;
        if (d->column + width > QP_LINE_MAX - 1) {
            buf_puts(out, "=\n");
            d->column = 0;
        }
        if (plain) {
            buf_putc(out, (char)c);
        } else {
            buf_putc(out, '=');
            buf_putc(out, digits[c >> 4]);
            buf_putc(out, digits[c & 15]);
        }
        d->column += width;
    }
    if (last) {
        buf_putc(out, '\n');
        d->column = 0;
    }
}

static void take_body(struct downgrade *d, struct span s, bool last, struct buf *out)
{
    if (!d->writing) {
        if (d->form != FORM_MASKED)
            note_eight_bit(d, s);
        return;
    }
    if (d->form == FORM_QUOTED) {
        put_quoted(d, s, last, out);
        return;
    }
    if (d->form == FORM_MASKED)
        put_masked(s, out);
    else
        buf_put(out, s);
    if (last)
        buf_putc(out, '\n');
}

/* --- parts ----------------------------------------------------------------------------------- */

static void begin_header(struct downgrade *d)
{
    d->where = IN_HEADER;
    buf_clear(&d->head);
    d->part++;
    if (d->part >= d->parts) {
        size_t parts = d->parts ? d->parts * 2 : 16;
        d->eight_bit = realloc(d->eight_bit, parts * sizeof *d->eight_bit);
        CHECK(d->eight_bit != NULL);
        for (size_t i = d->parts; i < parts; i++)
            d->eight_bit[i] = false;
        d->parts = parts;
    }
}

/* The header section has ended: what follows is treated as it says. */
static void end_header(struct downgrade *d, bool blank, struct buf *out)
{
    struct described is = describe(buf_span(&d->head));
    bool composed = (is.multipart && d->depth < DOWNGRADE_DEPTH) || is.message;
    bool marked = d->writing && d->eight_bit[d->part];
    d->where = IN_BODY;
    d->form = is.multipart || is.encoded ? FORM_MASKED : marked && !is.message ? FORM_QUOTED : FORM_PLAIN;
    if (is.encoded)
        composed = false;
    if (d->writing) {
        if (d->form == FORM_QUOTED)
            put_head(d, &is, "quoted-printable", out);
        else if (composed && is.has_encoding)
            put_head(d, &is, "7bit", out);
        else
            buf_put(out, buf_span(&d->head));
        if (blank || d->form == FORM_QUOTED)
            buf_putc(out, '\n');
    }
    d->top = false;
    d->column = 0;
    if (composed && is.multipart)
        d->stack[d->depth++] = is.boundary;
    if (composed && is.message)
        begin_header(d);
}

/* The innermost multipart whose boundary the line is. result: depth where none is */
static size_t find_boundary(const struct downgrade *d, struct span line, bool *closing)
{
    if (!span_starts(line, SPAN("--")))
        return d->depth;
    line = span_skip(line, 2);
    for (size_t i = d->depth; i-- > 0;) {
        const struct boundary *b = &d->stack[i];
        if (!span_starts(line, span_of(b->text, b->n)))
            continue;
        struct span rest = span_trim(span_skip(line, b->n));
        *closing = span_starts(rest, SPAN("--"));
        if (rest.n == 0 || (*closing && rest.n == 2))
            return i;
    }
    return d->depth;
}

static void take_boundary_line(struct downgrade *d, size_t level, bool closing, struct span line, struct buf *out)
{
    if (d->where == IN_HEADER)
        end_header(d, false, out);
    if (d->writing && d->column > 0)
        buf_puts(out, "=\n");
    d->column = 0;
    if (d->writing) {
        buf_put(out, line);
        buf_putc(out, '\n');
    }
    d->depth = closing ? level : level + 1;
    d->where = IN_BODY;
    d->form = FORM_MASKED;
    if (!closing)
        begin_header(d);
}

/* Whether a line can stand in a header section. */
static bool is_header_line(const struct downgrade *d, struct span line)
{
    size_t colon = span_find(line, ':');
    if (line.n && (line.p[0] == ' ' || line.p[0] == '\t'))
        return d->head.len > 0;
    if (d->top && d->head.len == 0 && span_starts(line, SPAN("From ")))
        return true;
    for (size_t i = 0; i < colon; i++)
        if (byte_is_space(span_at(line, i)) && span_trim(span_slice(line, i, colon)).n)
            return false;
    return colon > 0 && colon < line.n;
}

static void take_line(struct downgrade *d, struct span line, bool first, bool last, struct buf *out)
{
    bool closing = false;
    size_t level = first && last ? find_boundary(d, line, &closing) : d->depth;
    if (level < d->depth) {
        take_boundary_line(d, level, closing, line, out);
        return;
    }
    if (d->where == IN_HEADER && line.n == 0 && first) {
        end_header(d, true, out);
        return;
    }
    if (d->where == IN_HEADER && first && (!is_header_line(d, line) || d->head.len > DOWNGRADE_HEAD_MAX))
        end_header(d, false, out);
    if (d->where == IN_BODY) {
        take_body(d, line, last, out);
        return;
    }
    buf_put(&d->head, line);
    if (last)
        buf_putc(&d->head, '\n');
}

/* --- text -------------------------------------------------------------------------------------- */

static void begin_text(struct downgrade *d)
{
    if (d->part == 0)
        begin_header(d);
}

void downgrade_put(struct downgrade *d, struct span octets, struct buf *out)
{
    begin_text(d);
    while (octets.n) {
        size_t room = DOWNGRADE_LINE_MAX - d->line.len, end = span_find(octets, '\n');
        size_t n = end < room ? end : room < octets.n ? room : octets.n;
        bool last = end <= room && end < octets.n;
        buf_put(&d->line, span_slice(octets, 0, n));
        octets = span_skip(octets, n + last);
        if (!last && d->line.len < DOWNGRADE_LINE_MAX)
            return;
        take_line(d, buf_span(&d->line), !d->inside, last, out);
        d->inside = !last;
        buf_clear(&d->line);
    }
}

void downgrade_end(struct downgrade *d, struct buf *out)
{
    begin_text(d);
    if (d->line.len || d->inside)
        take_line(d, buf_span(&d->line), !d->inside, true, out);
    if (d->where == IN_HEADER)
        end_header(d, false, out);
    buf_clear(&d->line);
    d->inside = false;
    d->depth = 0;
    d->part = 0;
    d->top = true;
    d->writing = true;
    d->form = FORM_PLAIN;
}
