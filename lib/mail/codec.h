/* Codings of bytes as text: base64, hexadecimal, the xtext of delivery status
 * notifications, and UTF-8.
 *
 * Encoders append to a buffer; how much they append at most is stated, so a
 * caller with a limit knows beforehand. Decoders append nothing unless the whole
 * input is well formed. Any process may call these; none waits. */
#ifndef MAIL_CODEC_H
#define MAIL_CODEC_H

#include "lib/base/buf.h"

/* Bytes that n bytes take in each coding; n is at most SIZE_MAX / 4. */
static inline size_t codec_base64_size(size_t n)
{
    return (n + 2) / 3 * 4;
}
static inline size_t codec_hex_size(size_t n)
{
    return n * 2;
}

/* Base64 with padding and without line breaks: exactly codec_base64_size(in.n)
 * bytes. RFC 4648 4 */
void codec_base64_put(struct buf *out, struct span in);
/* The reverse: at most in.n / 4 * 3 bytes. Padding is required; blanks, other
 * letters and bits set behind the end are refused, so that every value has one
 * coding only.
 * result: false for malformed input (nothing appended). RFC 4648 4, 3.5 */
bool codec_base64_get(struct buf *out, struct span in);

/* Two lower case digits for a byte. */
void codec_hex_put(struct buf *out, struct span in);
/* The reverse, digits in either case. result: false for malformed input (nothing appended) */
bool codec_hex_get(struct buf *out, struct span in);

/* xtext: printable ASCII but "+", "=" and the space as it is, all else "+XX"; at
 * most 3 * in.n bytes. RFC 3461 4 */
void codec_xtext_put(struct buf *out, struct span in);
/* The reverse: at most in.n bytes, which may be any, NUL included: who takes them
 * on checks them (lib/mail/dsn.h does).
 * result: false for malformed input (nothing appended) */
bool codec_xtext_get(struct buf *out, struct span in);

/* The utf-8-addr-xtext of RFC 6533 3: xtext characters but the backslash as they
 * are, everything else as "\x{HEX}"; at most 6 * in.n bytes.
 * plain: characters over 127 stay as they are (utf-8-addr-unitext), which only
 *        SMTPUTF8 can carry
 * in:    valid UTF-8 (CHECK) */
void codec_utf8_xtext_put(struct buf *out, struct span in, bool plain);
/* The reverse; unencoded UTF-8 is taken as it is (utf-8-addr-unitext).
 * result: false for malformed input, a code point that UTF-8 does not have, or
 * one that xtext carries unencoded (nothing appended) */
bool codec_utf8_xtext_get(struct buf *out, struct span in);

/* Whether all of s is UTF-8: no overlong form, no surrogate, nothing over
 * U+10FFFF. RFC 3629 4 */
bool codec_utf8_valid(struct span s);
/* Cuts one character off *s, which is not empty.
 * result: its code point, or -1 where *s does not start with one (*s untouched) */
int32_t codec_utf8_next(struct span *s);
/* Appends the one to four bytes of a code point, which is one of UTF-8's (CHECK). */
void codec_utf8_put(struct buf *out, int32_t point);

/* Whether all bytes are below 128. */
bool codec_is_ascii(struct span s);

#endif
