#include "lib/mail/codec.h"

#include <criterion/criterion.h>

static struct buf out = BUF_INIT;

static bool put_is(struct span want)
{
    bool same = span_eq(buf_span(&out), want);
    buf_clear(&out);
    return same;
}

Test(base64, has_the_vectors_of_the_rfc)
{
    static const struct {
        const char *plain, *coded;
    } rows[] = {{"", ""},
                {"f", "Zg=="},
                {"fo", "Zm8="},
                {"foo", "Zm9v"},
                {"foob", "Zm9vYg=="},
                {"fooba", "Zm9vYmE="},
                {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        codec_base64_put(&out, span_text(rows[i].plain));
        cr_expect_eq(out.len, codec_base64_size(strlen(rows[i].plain)));
        cr_expect(put_is(span_text(rows[i].coded)), "%s", rows[i].plain);

        cr_expect(codec_base64_get(&out, span_text(rows[i].coded)));
        cr_expect(put_is(span_text(rows[i].plain)), "%s", rows[i].coded);
    }
}

Test(base64, gives_back_every_pair_and_triple_of_bytes)
{
    for (unsigned n = 0; n < 0x10000; n++) {
        unsigned char bytes[3] = {(unsigned char)(n >> 8), (unsigned char)n, (unsigned char)(n * 7)};
        for (size_t length = 1; length <= 3; length++) {
            struct buf coded = BUF_INIT;
            codec_base64_put(&coded, span_of(bytes, length));
            cr_assert(codec_base64_get(&out, buf_span(&coded)));
            cr_assert(put_is(span_of(bytes, length)), "%u/%zu", n, length);
            buf_fini(&coded);
        }
    }
}

Test(base64, refuses_what_is_not_the_one_coding_and_appends_nothing)
{
    static const char *const rows[] = {"Z",        "Zg",       "Zg=",  "Zg=a",  "Z===",
                                       "====",     "Zh==",     "Zm9=", "Zm 9v", "Zm9v\n",
                                       "Zg==Zg==", "Zm9v*AAA", "-_-_", "=",     "AA=A"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        buf_puts(&out, "x");
        cr_expect(!codec_base64_get(&out, span_text(rows[i])), "%s", rows[i]);
        cr_expect(put_is(SPAN("x")), "%s", rows[i]);
    }
    cr_expect(!codec_base64_get(&out, SPAN("Zg\0=")));
}

Test(base64, stops_at_the_limit_of_the_buffer)
{
    struct buf fits = BUF_LIMITED(8), short_by_one = BUF_LIMITED(7);

    codec_base64_put(&fits, SPAN("foobar"));
    codec_base64_put(&short_by_one, SPAN("foobar"));

    cr_expect(!fits.full && fits.len == 8);
    cr_expect(short_by_one.full && short_by_one.len == 0);
    buf_fini(&fits);
    buf_fini(&short_by_one);
}

Test(hex, gives_back_every_byte_and_refuses_the_rest)
{
    for (unsigned n = 0; n < 256; n++) {
        unsigned char byte = (unsigned char)n;
        struct buf coded = BUF_INIT;
        codec_hex_put(&coded, span_of(&byte, 1));
        cr_assert_eq(coded.len, codec_hex_size(1));
        cr_assert(codec_hex_get(&out, buf_span(&coded)));
        cr_assert(put_is(span_of(&byte, 1)), "%u", n);
        buf_fini(&coded);
    }
    cr_expect(codec_hex_get(&out, SPAN("dEaD")) && put_is(SPAN("\xde\xad")));
    cr_expect(!codec_hex_get(&out, SPAN("a")) && !codec_hex_get(&out, SPAN("abc")));
    cr_expect(!codec_hex_get(&out, SPAN("0g")) && !codec_hex_get(&out, SPAN("00 1")));
    cr_expect_eq(out.len, (size_t)0);
}

Test(xtext, gives_back_every_byte)
{
    char all[256];
    for (unsigned n = 0; n < 256; n++)
        all[n] = (char)n;
    struct buf coded = BUF_INIT;

    codec_xtext_put(&coded, span_of(all, sizeof all));

    for (size_t i = 0; i < coded.len; i++)
        cr_assert(coded.data[i] > ' ' && coded.data[i] < 0x7f);
    cr_assert(codec_xtext_get(&out, buf_span(&coded)));
    cr_expect(put_is(span_of(all, sizeof all)));
    codec_xtext_put(&out, SPAN("a+b=c d"));
    cr_expect(put_is(SPAN("a+2Bb+3Dc+20d")));
    buf_fini(&coded);
}

Test(xtext, refuses_unfinished_and_foreign_bytes)
{
    static const char *const rows[] = {"+",   "+2",  "a+",   "a+4",  "+2G",     "+G2",
                                       "a=b", "a b", "a\tb", "\x7f", "\xc3\xa9"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect(!codec_xtext_get(&out, span_text(rows[i])) && out.len == 0, "%s", rows[i]);
}

Test(utf8, takes_exactly_what_the_rfc_defines)
{
    static const struct {
        const char *says, *in;
        bool good;
    } rows[] = {
        {"ASCII", "abc\x7f", true},
        {"two bytes, least", "\xc2\x80", true},
        {"two bytes, overlong", "\xc1\xbf", false},
        {"NUL as two bytes", "\xc0\x80", false},
        {"three bytes, least", "\xe0\xa0\x80", true},
        {"three bytes, overlong", "\xe0\x9f\xbf", false},
        {"below the surrogates", "\xed\x9f\xbf", true},
        {"first surrogate", "\xed\xa0\x80", false},
        {"last surrogate", "\xed\xbf\xbf", false},
        {"above the surrogates", "\xee\x80\x80", true},
        {"four bytes, least", "\xf0\x90\x80\x80", true},
        {"four bytes, overlong", "\xf0\x8f\xbf\xbf", false},
        {"the last code point", "\xf4\x8f\xbf\xbf", true},
        {"one beyond", "\xf4\x90\x80\x80", false},
        {"five bytes", "\xf8\x88\x80\x80\x80", false},
        {"a lone continuation", "\x80", false},
        {"cut off", "a\xe2\x82", false},
        {"a letter inside", "\xe2\x82z", false},
        {"0xff", "\xff", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_eq(codec_utf8_valid(span_text(rows[i].in)), rows[i].good, "%s", rows[i].says);
}

Test(utf8, gives_back_every_code_point)
{
    for (int32_t point = 0; point <= 0x10ffff; point++) {
        if (point >= 0xd800 && point <= 0xdfff)
            continue;
        codec_utf8_put(&out, point);
        struct span s = buf_span(&out);
        cr_assert_eq(codec_utf8_next(&s), point);
        cr_assert_eq(s.n, (size_t)0);
        buf_clear(&out);
    }
}

Test(utf8_xtext, encodes_what_ascii_cannot_carry)
{
    codec_utf8_xtext_put(&out, SPAN("j\xc3\xb6+a=\\b"), false);
    cr_expect(put_is(SPAN("j\\x{F6}\\x{2B}a\\x{3D}\\x{5C}b")), "%s", buf_text(&out));
    codec_utf8_xtext_put(&out, SPAN("j\xc3\xb6+"), true);
    cr_expect(put_is(SPAN("j\xc3\xb6\\x{2B}")));

    cr_expect(codec_utf8_xtext_get(&out, SPAN("j\\x{F6}\\x{2B}\xc3\xa9\\x{1F600}")));
    cr_expect(put_is(SPAN("j\xc3\xb6+\xc3\xa9\xf0\x9f\x98\x80")));
}

Test(utf8_xtext, refuses_smuggled_and_malformed_forms)
{
    static const struct {
        const char *says, *in;
    } rows[] = {
        {"a plain letter encoded", "\\x{41}"},
        {"an @ encoded", "\\x{40}"},
        {"no digits", "\\x{}"},
        {"one digit", "\\x{A}"},
        {"a surrogate", "\\x{D800}"},
        {"beyond the last", "\\x{110000}"},
        {"very many digits", "\\x{0000000041}"},
        {"unfinished", "\\x{2B"},
        {"a bare backslash", "a\\b"},
        {"a plus", "a+2B"},
        {"an equals sign", "a=b"},
        {"a space", "a b"},
        {"bad UTF-8", "\xc3"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect(!codec_utf8_xtext_get(&out, span_text(rows[i].in)) && out.len == 0, "%s", rows[i].says);
}
