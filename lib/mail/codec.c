#include "lib/mail/codec.h"
#include "lib/base/check.h"

static const char base64_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char hex_upper[] = "0123456789ABCDEF";

void codec_base64_put(struct buf *out, struct span in)
{
    CHECK(in.n <= SIZE_MAX / 4);
    char *to = in.n ? buf_reserve(out, codec_base64_size(in.n)) : NULL;
    if (!to)
        return;
    for (size_t i = 0; i < in.n; i += 3) {
        size_t left = in.n - i;
        uint32_t bits = (uint32_t)span_at(in, i) << 16;
        bits |= left > 1 ? (uint32_t)span_at(in, i + 1) << 8 : 0;
        bits |= left > 2 ? (uint32_t)span_at(in, i + 2) : 0;
        *to++ = base64_letters[bits >> 18];
        *to++ = base64_letters[bits >> 12 & 63];
        *to++ = left > 1 ? base64_letters[bits >> 6 & 63] : '=';
        *to++ = left > 2 ? base64_letters[bits & 63] : '=';
    }
    buf_grown(out, codec_base64_size(in.n));
}

/* result: 0..63, or -1 */
static int base64_value(unsigned char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (byte_is_digit(c))
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four letters, of which the last pad ones are padding. result: the 24 bits, or -1 */
static int32_t base64_quad(struct span in, size_t at, size_t pad)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < 4; i++) {
        int value = i < 4 - pad ? base64_value(span_at(in, at + i)) : 0;
        if (value < 0)
            return -1;
        bits = bits << 6 | (uint32_t)value;
    }
    if ((pad == 1 && (bits & 0xff) != 0) || (pad == 2 && (bits & 0xffff) != 0))
        return -1;
    return (int32_t)bits;
}

bool codec_base64_get(struct buf *out, struct span in)
{
    size_t start = out->len, pad = 0;
    if (in.n % 4 != 0)
        return false;
    if (in.n > 0 && in.p[in.n - 1] == '=')
        pad = in.p[in.n - 2] == '=' ? 2 : 1;
    for (size_t i = 0; i < in.n; i += 4) {
        size_t missing = i + 4 == in.n ? pad : 0;
        int32_t bits = base64_quad(in, i, missing);
        if (bits < 0) {
            buf_truncate(out, start);
            return false;
        }
        char bytes[3] = {(char)(bits >> 16), (char)(bits >> 8 & 0xff), (char)(bits & 0xff)};
        buf_put(out, span_of(bytes, 3 - missing));
    }
    return true;
}

void codec_hex_put(struct buf *out, struct span in)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < in.n; i++) {
        char pair[2] = {digits[span_at(in, i) >> 4], digits[span_at(in, i) & 15]};
        buf_put(out, span_of(pair, 2));
    }
}

static int hex_value(unsigned char c)
{
    if (byte_is_digit(c))
        return c - '0';
    c = byte_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that two digits at i stand for. result: 0..255, or -1 */
static int hex_byte(struct span in, size_t i)
{
    if (in.n < 2 || i > in.n - 2)
        return -1;
    int high = hex_value(span_at(in, i)), low = hex_value(span_at(in, i + 1));
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

bool codec_hex_get(struct buf *out, struct span in)
{
    size_t start = out->len;
    for (size_t i = 0; i < in.n; i += 2) {
        int byte = hex_byte(in, i);
        if (byte < 0) {
            buf_truncate(out, start);
            return false;
        }
        buf_putc(out, (char)byte);
    }
    return true;
}

/* Whether xtext carries the byte as it is: xchar of RFC 3461 4. */
static bool is_xchar(unsigned char c)
{
    return c > ' ' && c < 0x7f && c != '+' && c != '=';
}

void codec_xtext_put(struct buf *out, struct span in)
{
    for (size_t i = 0; i < in.n; i++) {
        unsigned char c = span_at(in, i);
        char coded[3] = {'+', hex_upper[c >> 4], hex_upper[c & 15]};
        if (is_xchar(c))
            buf_putc(out, (char)c);
        else
            buf_put(out, span_of(coded, 3));
    }
}

bool codec_xtext_get(struct buf *out, struct span in)
{
    size_t start = out->len;
    for (size_t i = 0; i < in.n; i++) {
        unsigned char c = span_at(in, i);
        int byte = c == '+' ? hex_byte(in, i + 1) : is_xchar(c) ? c : -1;
        if (byte < 0) {
            buf_truncate(out, start);
            return false;
        }
        buf_putc(out, (char)byte);
        i += c == '+' ? 2 : 0;
    }
    return true;
}

void codec_utf8_xtext_put(struct buf *out, struct span in, bool plain)
{
    while (in.n > 0) {
        int32_t point = codec_utf8_next(&in);
        CHECK(point >= 0);
        if (point < 0x80 && is_xchar((unsigned char)point) && point != '\\')
            buf_putc(out, (char)point);
        else if (point >= 0x80 && plain)
            codec_utf8_put(out, point);
        else
            buf_printf(out, "\\x{%02X}", (unsigned)point);
    }
}

/* The code point of "\x{HEX}" at the start of *in, which is cut off.
 * result: -1: malformed, or a form that RFC 6533 3 does not allow */
static int32_t embedded_point(struct span *in)
{
    int32_t point = 0;
    size_t i = 3;
    if (!span_starts_nocase(*in, SPAN("\\x{")))
        return -1;
    for (; i < in->n && hex_value(span_at(*in, i)) >= 0 && i < 9; i++)
        point = point << 4 | hex_value(span_at(*in, i));
    if (i < 5 || i >= in->n || in->p[i] != '}')
        return -1;
    if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
        return -1;
    if (point < 0x80 && is_xchar((unsigned char)point) && point != '\\')
        return -1;
    *in = span_skip(*in, i + 1);
    return point;
}

bool codec_utf8_xtext_get(struct buf *out, struct span in)
{
    size_t start = out->len;
    while (in.n > 0) {
        bool plain = is_xchar(span_at(in, 0)) || span_at(in, 0) >= 0x80;
        int32_t point = in.p[0] == '\\' ? embedded_point(&in) : plain ? codec_utf8_next(&in) : -1;
        if (point < 0) {
            buf_truncate(out, start);
            return false;
        }
        codec_utf8_put(out, point);
    }
    return true;
}

/* Bytes of the character that c begins, and the bits that c has of it.
 * result: 0: begins none */
static size_t utf8_length(unsigned char c, int32_t *bits)
{
    if (c < 0x80) {
        *bits = c;
        return 1;
    }
    if (c < 0xc2 || c > 0xf4)
        return 0;
    *bits = c < 0xe0 ? c & 0x1f : c < 0xf0 ? c & 0x0f : c & 0x07;
    return c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

int32_t codec_utf8_next(struct span *s)
{
    static const int32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    int32_t point = 0;
    size_t n = utf8_length(span_at(*s, 0), &point);
    if (n == 0 || n > s->n)
        return -1;
    for (size_t i = 1; i < n; i++) {
        if ((span_at(*s, i) & 0xc0) != 0x80)
            return -1;
        point = point << 6 | (span_at(*s, i) & 0x3f);
    }
    if (point < least[n] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
        return -1;
    *s = span_skip(*s, n);
    return point;
}

bool codec_utf8_valid(struct span s)
{
    while (s.n > 0)
        if (codec_utf8_next(&s) < 0)
            return false;
    return true;
}

void codec_utf8_put(struct buf *out, int32_t point)
{
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    CHECK(point >= 0 && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff));
    size_t n = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    char bytes[4];
    for (size_t i = n - 1; i > 0; i--, point >>= 6)
        bytes[i] = (char)(0x80 | (point & 0x3f));
    bytes[0] = (char)(lead[n] | point);
    buf_put(out, span_of(bytes, n));
}

bool codec_is_ascii(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (span_at(s, i) >= 0x80)
            return false;
    return true;
}
