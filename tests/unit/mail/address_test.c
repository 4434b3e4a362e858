#include "lib/mail/address.h"

#include <criterion/criterion.h>

Test(address, is_quoted_outside_only_where_the_grammar_needs_it)
{
    static const struct {
        const char *says, *in, *want;
    } rows[] = {
        {"plain", "user@example.com", "user@example.com"},
        {"null address", "", ""},
        {"no domain", "user", "user"},
        {"no local part", "@example.com", "\"\"@example.com"},
        {"dots within", "first.last@x", "first.last@x"},
        {"dot first", ".user@x", "\".user\"@x"},
        {"dot last", "user.@x", "\"user.\"@x"},
        {"two dots", "a..b@x", "\"a..b\"@x"},
        {"space", "a b@x", "\"a b\"@x"},
        {"at sign in the local part", "user@dom@relay", "\"user@dom\"@relay"},
        {"quote and backslash", "a\"b\\c@x", "\"a\\\"b\\\\c\"@x"},
        {"every atext", "!#$%&'*+-/=?^_`{|}~@x", "!#$%&'*+-/=?^_`{|}~@x"},
        {"specials", "(),:;<>[]@x", "\"(),:;<>[]\"@x"},
        {"another alphabet", "j\xc3\xb6rg@x", "j\xc3\xb6rg@x"},
        {"domain literal", "a@[IPv6:::1]", "a@[IPv6:::1]"},
        {"empty domain", "a@", "a@"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out = BUF_INIT;
        address_put_external(&out, span_text(rows[i].in));
        cr_expect_str_eq(buf_text(&out), rows[i].want, "%s: %s", rows[i].says, buf_text(&out));
        buf_fini(&out);
    }
}

Test(address, splits_its_extension_as_postfix_does)
{
    static const struct {
        const char *says, *in, *delimiters, *user, *extension;
        char delimiter;
    } rows[] = {
        {"plain", "user+x@dom", "+", "user", "x", '+'},
        {"the first of several", "user+x+y@dom", "+", "user", "x+y", '+'},
        {"any of the set", "user-x+y@dom", "+-", "user", "x+y", '-'},
        {"no delimiters", "user+x@dom", "", "user+x", "", 0},
        {"none in the address", "user@dom", "+", "user", "", 0},
        {"an empty extension", "user+@dom", "+", "user", "", '+'},
        {"nothing before it", "+x+y@dom", "+", "+x+y", "", 0},
        {"in the domain only", "user@d+m", "+", "user", "", 0},
        {"postmaster", "PostMaster+x@dom", "+", "PostMaster", "x", '+'},
        {"mailer-daemon has a dash", "Mailer-Daemon@dom", "-", "Mailer-Daemon", "", 0},
        {"double-bounce too", "double-bounce@dom", "-", "double-bounce", "", 0},
        {"owner-list", "owner-list@dom", "-", "owner-list", "", 0},
        {"list-request", "list-request@dom", "-", "list-request", "", 0},
        {"nothing but -request", "-request@dom", "-", "-request", "", 0},
        {"owner- with another delimiter", "owner-list+x@dom", "+", "owner-list", "x", '+'},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct address_parts parts =
            address_split_extension(span_text(rows[i].in), span_text(rows[i].delimiters), true);
        cr_expect(span_eq(parts.user, span_text(rows[i].user)), "%s", rows[i].says);
        cr_expect(span_eq(parts.extension, span_text(rows[i].extension)), "%s", rows[i].says);
        cr_expect_eq(parts.delimiter, rows[i].delimiter, "%s", rows[i].says);
        cr_expect(parts.has_domain, "%s", rows[i].says);
    }
}

Test(address, owner_names_split_where_they_are_not_special)
{
    struct address_parts parts = address_split_extension(SPAN("owner-list"), SPAN("-"), false);

    cr_expect(span_eq(parts.user, SPAN("owner")));
    cr_expect(span_eq(parts.extension, SPAN("list")));
    cr_expect(!parts.has_domain);
}

Test(address, knows_its_domain_and_its_unclean_bytes)
{
    struct arena a = ARENA_INIT;

    cr_expect(span_eq(address_domain(SPAN("a@b@c")), SPAN("c")));
    cr_expect_eq(address_domain(SPAN("a")).n, (size_t)0);
    cr_expect_eq(address_domain(SPAN("a@")).n, (size_t)0);
    cr_expect(address_is_clean(SPAN("a b\xff@c")));
    cr_expect(!address_is_clean(SPAN("a\0b")) && !address_is_clean(SPAN("a\r")));
    cr_expect(!address_is_clean(SPAN("a\tb")) && !address_is_clean(SPAN("\x7f")));
    cr_expect(span_eq(address_dup_lower(&a, SPAN("ABZ@\xc3\x84[")), SPAN("abz@\xc3\x84[")));

    arena_fini(&a);
}
