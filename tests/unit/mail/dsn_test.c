#include "lib/mail/dsn.h"

#include <criterion/criterion.h>

static struct arena a = ARENA_INIT;

Test(dsn_code, is_read_with_and_without_text)
{
    static const struct {
        const char *says, *in;
        size_t n;
        const char *code;
    } rows[] = {
        {"with text", "5.7.2 no", 5, "5.7.2"},
        {"alone", "5.7.2", 5, "5.7.2"},
        {"a line end behind", "2.0.0\r\n", 5, "2.0.0"},
        {"three digits", "4.123.999 x", 9, "4.123.999"},
        {"four digits", "4.1234.0 x", 0, ""},
        {"four in the detail", "4.1.1234", 0, ""},
        {"another class", "3.1.1 x", 0, ""},
        {"one digit missing", "5.7.", 0, ""},
        {"no detail", "5.7", 0, ""},
        {"text stuck to it", "5.7.2x", 0, ""},
        {"a class only", "5", 0, ""},
        {"nothing", "", 0, ""},
        {"a blank before", " 5.7.2", 0, ""},
        {"empty subject", "5..2", 0, ""},
        {"more parts", "5.7.2.1 x", 0, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct dsn_code code = DSN(9, 9, 9);
        struct buf out = BUF_INIT;
        cr_expect_eq(dsn_code_parse(span_text(rows[i].in), &code), rows[i].n, "%s", rows[i].says);
        dsn_code_put(&out, code);
        cr_expect_str_eq(buf_text(&out), rows[i].code, "%s", rows[i].says);
        buf_fini(&out);
    }
}

Test(dsn_code, reads_no_byte_behind_a_short_input)
{
    for (size_t n = 0; n < 5; n++) {
        char *exact = malloc(n + 1);
        memcpy(exact, "5.7.2", n);
        struct dsn_code code;
        cr_expect_eq(dsn_code_parse(span_of(exact, n), &code), (size_t)0);
        free(exact);
    }
}

Test(dsn_code, is_cut_off_its_text)
{
    struct span with = SPAN(" 5.7.2  go away "), without = SPAN(" go away ");

    struct dsn_code said = dsn_code_cut(&with, DSN(5, 0, 0)), assumed = dsn_code_cut(&without, DSN(4, 3, 0));

    cr_expect(said.class == 5 && said.subject == 7 && said.detail == 2);
    cr_expect(span_eq(with, SPAN("go away")));
    cr_expect(assumed.class == 4 && assumed.subject == 3);
    cr_expect(span_eq(without, SPAN("go away")));
}

Test(verdict, follows_the_reply_and_never_a_code_that_contradicts)
{
    static const struct {
        const char *says;
        unsigned smtp_code;
        const char *text;
        enum verdict_class class;
        const char *code, *rest;
    } rows[] = {
        {"accepted", 250, "2.0.0 queued", VERDICT_OK, "2.0.0", "queued"},
        {"refused", 550, "5.1.1 unknown", VERDICT_PERM, "5.1.1", "unknown"},
        {"refused without a code", 550, "unknown", VERDICT_PERM, "5.0.0", "unknown"},
        {"a code of another class", 450, "5.1.1 later", VERDICT_TEMP, "4.0.0", "5.1.1 later"},
        {"an odd reply", 354, "go on", VERDICT_TEMP, "4.0.0", "go on"},
        {"no reply", 0, "lost", VERDICT_TEMP, "4.0.0", "lost"},
        {"a code without text", 554, "5.7.2", VERDICT_PERM, "5.7.2", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct verdict v = verdict_of_reply(rows[i].smtp_code, span_text(rows[i].text));
        struct buf code = BUF_INIT;
        dsn_code_put(&code, v.dsn);
        cr_expect_eq(v.class, rows[i].class, "%s", rows[i].says);
        cr_expect_eq(v.smtp_code, rows[i].smtp_code, "%s", rows[i].says);
        cr_expect_str_eq(buf_text(&code), rows[i].code, "%s", rows[i].says);
        cr_expect(span_eq(v.text, span_text(rows[i].rest)), "%s", rows[i].says);
        buf_fini(&code);
    }
    cr_expect_eq(verdict_make(VERDICT_TEMP, DSN(5, 1, 1), SPAN("x")).dsn.class, 4);
}

Test(verdict, copies_cut_texts_at_their_limit)
{
    static char long_text[5000];
    memset(long_text, 'x', sizeof long_text);
    struct verdict at = verdict_make(VERDICT_PERM, DSN(5, 0, 0), span_of(long_text, 4096));
    struct verdict over = verdict_make(VERDICT_PERM, DSN(5, 0, 0), span_of(long_text, 4097));

    at = verdict_dup(&a, &at);
    over = verdict_dup(&a, &over);

    cr_expect_eq(at.text.n, (size_t)4096);
    cr_expect_eq(over.text.n, (size_t)4096);
    cr_expect_neq(at.text.p, long_text);
}

Test(dsn_notify, is_never_alone_or_a_list)
{
    static const struct {
        const char *in;
        unsigned want;
        const char *out;
    } good[] = {
        {"NEVER", DSN_NOTIFY_NEVER, "NEVER"},
        {"failure", DSN_NOTIFY_FAILURE, "FAILURE"},
        {"DELAY,Success", DSN_NOTIFY_SUCCESS | DSN_NOTIFY_DELAY, "SUCCESS,DELAY"},
        {"SUCCESS,FAILURE,DELAY", 7, "SUCCESS,FAILURE,DELAY"},
    };
    static const char *const bad[] = {"",       ",",           "NEVER,DELAY",    "DELAY,NEVER",
                                      "DELAY,", ",DELAY",      "DELAY,,FAILURE", "X",
                                      "DELAY ", "DELAY,DELAY", "NEVER,NEVER",    "DELAYED"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        unsigned notify = 0;
        struct buf out = BUF_INIT;
        cr_expect(dsn_notify_parse(span_text(good[i].in), &notify), "%s", good[i].in);
        cr_expect_eq(notify, good[i].want, "%s", good[i].in);
        dsn_notify_put(&out, notify);
        cr_expect_str_eq(buf_text(&out), good[i].out);
        buf_fini(&out);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        unsigned notify = 77;
        cr_expect(!dsn_notify_parse(span_text(bad[i]), &notify), "%s", bad[i]);
        cr_expect_eq(notify, 77u);
    }
}

Test(dsn_ret, is_full_or_hdrs)
{
    enum dsn_ret ret = DSN_RET_NONE;

    cr_expect(dsn_ret_parse(SPAN("full"), &ret) && ret == DSN_RET_FULL);
    cr_expect(dsn_ret_parse(SPAN("HDRS"), &ret) && ret == DSN_RET_HDRS);
    cr_expect(!dsn_ret_parse(SPAN(""), &ret) && !dsn_ret_parse(SPAN("FULLY"), &ret));
    cr_expect_eq(ret, DSN_RET_HDRS);
}

Test(dsn_envid, is_decoded_and_free_of_hidden_bytes)
{
    static const char *const bad[] = {"",    "a+00b", "a+0Ab", "a+0D+0Ab", "+7F",
                                      "+80", "+",     "+4",    "a=b",      "a b"};
    struct span envid;

    cr_expect(dsn_envid_parse(&a, SPAN("QQ+2B3+20x"), &envid));
    cr_expect(span_eq(envid, SPAN("QQ+3 x")));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect(!dsn_envid_parse(&a, span_text(bad[i]), &envid), "%s", bad[i]);
}

Test(dsn_envid, ends_at_a_hundred_bytes)
{
    char text[DSN_ENVID_MAX + 1];
    memset(text, 'x', sizeof text);
    struct span envid;

    cr_expect(dsn_envid_parse(&a, span_of(text, DSN_ENVID_MAX), &envid));
    cr_expect(!dsn_envid_parse(&a, span_of(text, DSN_ENVID_MAX + 1), &envid));
}

Test(dsn_orcpt, is_decoded_by_its_type)
{
    static const struct {
        const char *says, *in, *want;
    } rows[] = {
        {"plain", "rfc822;user@example.com", "rfc822;user@example.com"},
        {"xtext", "RFC822;a+2Bb@example.com", "rfc822;a+b@example.com"},
        {"UTF-8 type", "utf-8;j\\x{F6}rg@x", "utf-8;j\xc3\xb6rg@x"},
        {"UTF-8 type, plain", "UTF-8;j\xc3\xb6rg@x", "utf-8;j\xc3\xb6rg@x"},
        {"NUL", "rfc822;a+00b", NULL},
        {"CR LF", "rfc822;a+0D+0Ab", NULL},
        {"NUL in the UTF-8 form", "utf-8;a\\x{00}b", NULL},
        {"LF in the UTF-8 form", "utf-8;a\\x{0A}b", NULL},
        {"not ASCII in the other", "rfc822;a+E9", NULL},
        {"no address", "rfc822;", NULL},
        {"no type", ";a@b", NULL},
        {"no semicolon", "rfc822", NULL},
        {"another type", "x400;a", NULL},
        {"xtext in the UTF-8 form", "utf-8;a+2Bb", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct span orcpt = SPAN_NONE;
        cr_expect_eq(dsn_orcpt_parse(&a, span_text(rows[i].in), &orcpt), rows[i].want != NULL, "%s",
                     rows[i].says);
        cr_expect(span_eq(orcpt, span_text(rows[i].want)), "%s: %.*s", rows[i].says, SPAN_ARG(orcpt));
    }
}

Test(dsn_orcpt, goes_out_encoded_again)
{
    struct buf out = BUF_INIT;

    dsn_orcpt_put(&out, SPAN("rfc822;a+b c@x"), false);
    buf_putc(&out, ' ');
    dsn_orcpt_put(&out, SPAN("utf-8;j\xc3\xb6"), false);
    buf_putc(&out, ' ');
    dsn_orcpt_put(&out, SPAN("utf-8;j\xc3\xb6"), true);

    cr_expect_str_eq(buf_text(&out), "rfc822;a+2Bb+20c@x utf-8;j\\x{F6} utf-8;j\xc3\xb6");
    buf_fini(&out);
}

Test(dsn_orcpt, ends_at_five_hundred_bytes)
{
    char text[DSN_ORCPT_MAX + 1];
    memset(text, 'x', sizeof text);
    memcpy(text, "rfc822;", 7);
    struct span orcpt;

    cr_expect(dsn_orcpt_parse(&a, span_of(text, DSN_ORCPT_MAX), &orcpt));
    cr_expect(!dsn_orcpt_parse(&a, span_of(text, DSN_ORCPT_MAX + 1), &orcpt));
}
