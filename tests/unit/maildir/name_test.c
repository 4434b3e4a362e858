#include "lib/maildir/name.h"

#include <criterion/criterion.h>

Test(maildir_name, takes_names_apart)
{
    static const struct {
        const char *says, *file, *unique, *base, *flags;
        int64_t seconds;
        uint64_t size, virtual_size;
    } rows[] = {
        {"one of ours", "17.4WF.1.mail,S=23,W=25:2,S", "17.4WF.1.mail", "17.4WF.1.mail,S=23,W=25", "S", 17, 23, 25},
        {"no flags yet", "17.4WF.1.mail,S=23,W=25", "17.4WF.1.mail", "17.4WF.1.mail,S=23,W=25", "", 17, 23, 25},
        {"Dovecot's", "1719.M1P2.h,S=9,W=10:2,FS", "1719.M1P2.h", "1719.M1P2.h,S=9,W=10", "FS", 1719, 9, 10},
        {"qmail's", "1719.123.host", "1719.123.host", "1719.123.host", "", 1719, 0, 0},
        {"a size alone", "1.a,S=5:2,", "1.a", "1.a,S=5", "", 1, 5, 0},
        {"an unknown field first", "1.a,X=q,S=5,W=6", "1.a", "1.a,X=q,S=5,W=6", "", 1, 5, 6},
        {"a comma that begins no field", "1.a,b,S=5", "1.a,b", "1.a,b,S=5", "", 1, 5, 0},
        {"no number", "hello", "hello", "hello", "", 0, 0, 0},
        {"a number too large", "99999999999999999999.a", "99999999999999999999.a", "99999999999999999999.a", "", 0, 0, 0},
        {"a size that is none", "1.a,S=5x,W=-1", "1.a", "1.a,S=5x,W=-1", "", 1, 0, 0},
        {"another version of flags", "1.a:1,S", "1.a", "1.a", "", 1, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct maildir_name n;

        bool good = maildir_name_parse(span_text(rows[i].file), &n);

        cr_expect(good, "%s", rows[i].says);
        cr_expect(span_eq(n.unique, span_text(rows[i].unique)), "%s: unique %.*s", rows[i].says, SPAN_ARG(n.unique));
        cr_expect(span_eq(n.base, span_text(rows[i].base)), "%s: base %.*s", rows[i].says, SPAN_ARG(n.base));
        cr_expect(span_eq(n.flags, span_text(rows[i].flags)), "%s: flags %.*s", rows[i].says, SPAN_ARG(n.flags));
        cr_expect_eq(n.seconds, rows[i].seconds, "%s", rows[i].says);
        cr_expect_eq(n.size, rows[i].size, "%s", rows[i].says);
        cr_expect_eq(n.virtual_size, rows[i].virtual_size, "%s", rows[i].says);
        cr_expect_eq(n.has_size, rows[i].size != 0, "%s", rows[i].says);
        cr_expect_eq(n.has_virtual_size, rows[i].virtual_size != 0, "%s", rows[i].says);
    }
}

Test(maildir_name, takes_255_octets_and_refuses_256)
{
    char name[256];
    struct maildir_name n;
    memset(name, 'a', sizeof name);

    cr_expect(maildir_name_parse(span_of(name, 255), &n));
    cr_expect_not(maildir_name_parse(span_of(name, 256), &n));
}

Test(maildir_name, refuses_what_names_no_message)
{
    static const struct span rows[] = {SPAN_INIT(""),     SPAN_INIT("."),    SPAN_INIT(".hidden"), SPAN_INIT("a/b"),
                                       SPAN_INIT("a\nb"), SPAN_INIT("a\0b"), SPAN_INIT(":2,S"),    SPAN_INIT("a\x7f")};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct maildir_name n;

        cr_expect_not(maildir_name_parse(rows[i], &n), "row %zu", i);
    }
}

Test(maildir_name, makes_names_that_come_apart_again)
{
    struct buf text = BUF_INIT;
    struct maildir_name n;
    struct maildir_label label = {
        .seconds = 1719, .queue_id = SPAN("4W"), .recipient = SPAN("2"), .host = SPAN("a/b:c,d e")};

    maildir_name_put_unique(&text, &label);
    maildir_name_put_sizes(&text, 10, 12);

    cr_expect_str_eq(buf_text(&text), "1719.4W.2.a\\057b\\072c\\054d\\040e,S=10,W=12");
    cr_assert(maildir_name_parse(buf_span(&text), &n));
    cr_expect_eq(n.size, 10);
    cr_expect_eq(n.virtual_size, 12);
    buf_fini(&text);
}

Test(maildir_name, cuts_a_long_host)
{
    char host[MAILDIR_HOST_MAX + 1];
    memset(host, 'h', sizeof host);
    struct maildir_label label = {.seconds = 1, .queue_id = SPAN("q"), .recipient = SPAN("r")};
    struct buf at = BUF_INIT, beyond = BUF_INIT;

    label.host = span_of(host, MAILDIR_HOST_MAX);
    maildir_name_put_unique(&at, &label);
    label.host = span_of(host, MAILDIR_HOST_MAX + 1);
    maildir_name_put_unique(&beyond, &label);

    cr_expect_eq(at.len, 6 + MAILDIR_HOST_MAX);
    cr_expect_eq(beyond.len, at.len);
    buf_fini(&at);
    buf_fini(&beyond);
}

Test(maildir_name, gives_unique_ids_of_1_to_70_printable_octets)
{
    char long_name[MAILDIR_UIDL_MAX + 1];
    struct buf at = BUF_INIT, beyond = BUF_INIT, odd = BUF_INIT;
    memset(long_name, 'x', sizeof long_name);

    maildir_name_put_uidl(&at, span_of(long_name, MAILDIR_UIDL_MAX));
    maildir_name_put_uidl(&beyond, span_of(long_name, MAILDIR_UIDL_MAX + 1));
    maildir_name_put_uidl(&odd, SPAN("with space"));

    cr_expect(span_eq(buf_span(&at), span_of(long_name, MAILDIR_UIDL_MAX)));
    cr_expect_eq(beyond.len, 32);
    cr_expect_eq(odd.len, 32);
    cr_expect_not(span_eq(buf_span(&odd), buf_span(&beyond)));
    buf_fini(&at);
    buf_fini(&beyond);
    buf_fini(&odd);
}
