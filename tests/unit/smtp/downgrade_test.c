#include "smtp/downgrade.h"

#include <criterion/criterion.h>

static void convert(struct span text, size_t piece, struct buf *out)
{
    struct downgrade *d = downgrade_new();
    for (int pass = 0; pass < 2; pass++) {
        struct buf *to = pass ? out : NULL;
        for (size_t at = 0; at < text.n; at += piece)
            downgrade_put(d, span_slice(text, at, at + piece), to);
        downgrade_end(d, to);
    }
    downgrade_free(&d);
}

Test(downgrade, encodes_parts_with_eight_bit_octets_and_no_others)
{
    static const struct {
        const char *says, *text, *want;
    } rows[] = {
        {"a MIME text", "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n\xc3\xa4 = a\n",
         "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n=C3=A4 =3D a\n"},
        {"no MIME", "Subject: x\n\n\xe4\n",
         "Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=unknown-8bit\n"
         "Content-Transfer-Encoding: quoted-printable\n\n=E4\n"},
        {"one of two parts",
         "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"a b\"\nContent-Transfer-Encoding: 8bit\n\npre\xe4\n--a b\n\n"
         "plain = text\n--a b\nContent-Type: text/html\n\n\xe4\n--a b--\npost\n",
         "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"a b\"\nContent-Transfer-Encoding: 7bit\n\npre?\n--a b\n\n"
         "plain = text\n--a b\nContent-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n=E4\n--a b--\npost\n"},
        {"multiparts in one another",
         "MIME-Version: 1.0\nContent-Type: multipart/mixed;\n\tboundary=out\n\n--out\nContent-Type: multipart/alternative; boundary=in\n\n"
         "--in\n\n\xe4\n--in--\n--out\n\nb\n--out--\n",
         "MIME-Version: 1.0\nContent-Type: multipart/mixed;\n\tboundary=out\n\n--out\nContent-Type: multipart/alternative; boundary=in\n\n"
         "--in\nContent-Transfer-Encoding: quoted-printable\n\n=E4\n--in--\n--out\n\nb\n--out--\n"},
        {"a multipart that is not closed",
         "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=out\n\n--out\nContent-Type: multipart/mixed; boundary=in\n\n"
         "--in\n\n\xe4\n--out\n\nb\n--out--\n",
         "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=out\n\n--out\nContent-Type: multipart/mixed; boundary=in\n\n"
         "--in\nContent-Transfer-Encoding: quoted-printable\n\n=E4\n--out\n\nb\n--out--\n"},
        {"a message in the message",
         "MIME-Version: 1.0\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\nSubject: in\nContent-Type: text/plain\n\n\xe4\n",
         "MIME-Version: 1.0\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 7bit\n\nSubject: in\nContent-Type: text/plain\n"
         "Content-Transfer-Encoding: quoted-printable\n\n=E4\n"},
        {"a part that is encoded already", "MIME-Version: 1.0\nContent-Transfer-Encoding: base64\n\nYQ==\xe4\n",
         "MIME-Version: 1.0\nContent-Transfer-Encoding: base64\n\nYQ==?\n"},
        {"headers only", "Subject: \xe4\n", "Subject: \xe4\n"},
        {"a blank at the end of a line", "MIME-Version: 1.0\nContent-Type: text/plain\n\n\xe4 \n\t\na b\n",
         "MIME-Version: 1.0\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n=E4=20\n=09\na b\n"},
        {"a CR", "MIME-Version: 1.0\nContent-Type: text/plain\n\n\xe4\r\n",
         "MIME-Version: 1.0\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n=E4=0D\n"},
        {"a part without a header section",
         "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\xe4 no header\n--b--\n",
         "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Transfer-Encoding: quoted-printable\n\n"
         "=E4 no header\n--b--\n"},
        {"a last line without end", "MIME-Version: 1.0\nContent-Type: text/plain\n\n\xe4",
         "MIME-Version: 1.0\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n=E4\n"},
        {"a boundary that only begins alike",
         "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n--bb\n\xe4\n--b--\n",
         "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Transfer-Encoding: quoted-printable\n\n"
         "--bb\n=E4\n--b--\n"},
        {"a boundary with escapes and further parameters",
         "MIME-Version: 1.0\nContent-Type: multipart/mixed; x=\"a;boundary=no\"; boundary=\"b\\\"c\"; y=z\n\n--b\"c\n\n\xe4\n--b\"c--\n",
         "MIME-Version: 1.0\nContent-Type: multipart/mixed; x=\"a;boundary=no\"; boundary=\"b\\\"c\"; y=z\n\n--b\"c\n"
         "Content-Transfer-Encoding: quoted-printable\n\n=E4\n--b\"c--\n"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t piece = 1; piece < 300; piece += 37) {
            struct buf out = BUF_INIT;
            convert(span_text(rows[i].text), piece, &out);
            cr_expect_str_eq(buf_text(&out), rows[i].want, "%s, by %zu:\n%s", rows[i].says, piece, buf_text(&out));
            buf_fini(&out);
        }
}

/* Decodes quoted-printable. */
static void decode(struct span s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        uint64_t unused;
        (void)unused;
        if (s.p[i] != '=') {
            buf_putc(out, s.p[i]);
        } else if (s.p[i + 1] == '\n') {
            i++;
        } else {
            char digits[3] = {s.p[i + 1], s.p[i + 2], 0};
            buf_putc(out, (char)strtol(digits, NULL, 16));
            i += 2;
        }
    }
}

Test(downgrade, keeps_every_octet_and_short_lines)
{
    struct buf text = BUF_INIT, out = BUF_INIT, back = BUF_INIT;
    const char *head = "MIME-Version: 1.0\nContent-Type: text/plain\n";
    buf_printf(&text, "%s\n", head);
    size_t body = text.len;
    unsigned seed = 7;
    for (int i = 0; i < 100000; i++) {
        seed = seed * 1103515245 + 12345;
        buf_putc(&text, seed >> 16 & 63 ? (char)(seed >> 20) : '\n');
    }
    for (int i = 0; i < 3 * DOWNGRADE_LINE_MAX; i++)
        buf_putc(&text, ' ');
    buf_putc(&text, '\n');

    convert(buf_span(&text), 1000, &out);

    struct span encoded = span_skip(buf_span(&out), strlen(head) + strlen("Content-Transfer-Encoding: quoted-printable\n\n"));
    decode(encoded, &back);
    cr_expect(span_eq(buf_span(&back), span_skip(buf_span(&text), body)), "%zu octets, were %zu", back.len, text.len - body);
    for (size_t at = 0; at < encoded.n;) {
        size_t n = span_find(span_skip(encoded, at), '\n');
        cr_assert_leq(n, 76u);
        cr_assert(n == 0 || (encoded.p[at + n - 1] != ' ' && encoded.p[at + n - 1] != '\t'));
        at += n + 1;
    }
    for (size_t i = 0; i < out.len; i++)
        cr_assert((unsigned char)out.data[i] < 0x80);
    buf_fini(&text);
    buf_fini(&out);
    buf_fini(&back);
}

Test(downgrade, goes_so_deep)
{
    for (int depth = DOWNGRADE_DEPTH; depth <= DOWNGRADE_DEPTH + 1; depth++) {
        struct buf text = BUF_INIT, out = BUF_INIT;
        buf_puts(&text, "MIME-Version: 1.0\n");
        for (int i = 0; i < depth; i++)
            buf_printf(&text, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i);
        buf_puts(&text, "\n\xe4\n");

        convert(buf_span(&text), 100, &out);

        cr_expect_eq(strstr(buf_text(&out), "\n=E4\n") != NULL, depth == DOWNGRADE_DEPTH, "%d", depth);
        cr_expect_eq(strstr(buf_text(&out), "\n?\n") != NULL, depth > DOWNGRADE_DEPTH, "%d", depth);
        buf_fini(&text);
        buf_fini(&out);
    }
}
