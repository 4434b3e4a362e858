#include "lib/mail/address.h"
#include "lib/mail/path.h"

#include <criterion/criterion.h>

static struct arena a = ARENA_INIT;

/* A row of a path that is taken (want) or refused (want NULL, result). */
struct row {
    const char *says, *in, *want;
    unsigned flags;
    enum path_result result;
};

static void check(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct path path;
        enum path_result result = path_parse(&a, span_text(rows[i].in), SPAN("TO:"), rows[i].flags, &path);
        cr_expect_eq(result, rows[i].result, "%s: result %d", rows[i].says, result);
        if (result == PATH_OK && rows[i].want)
            cr_expect(span_eq(path.address, span_text(rows[i].want)), "%s: <%.*s>", rows[i].says,
                      SPAN_ARG(path.address));
    }
}
#define CHECK_ROWS(rows) check(rows, sizeof rows / sizeof *rows)

Test(path, gives_the_internal_form)
{
    static const struct row rows[] = {
        {"plain", "TO:<user@example.com>", "user@example.com", PATH_STRICT, PATH_OK},
        {"prefix in lower case", "to:<user@example.com>", "user@example.com", PATH_STRICT, PATH_OK},
        {"null path", "TO:<>", "", PATH_STRICT, PATH_OK},
        {"postmaster alone", "TO:<Postmaster>", "Postmaster", PATH_STRICT, PATH_OK},
        {"quoted local part", "TO:<\"a b\"@c>", "a b@c", PATH_STRICT, PATH_OK},
        {"quoted without need", "TO:<\"ab\"@c>", "ab@c", PATH_STRICT, PATH_OK},
        {"quoted pairs", "TO:<\"a\\\"b\\\\c\"@d>", "a\"b\\c@d", PATH_STRICT, PATH_OK},
        {"a bracket in quotes", "TO:<\"a>b\"@c>", "a>b@c", PATH_STRICT, PATH_OK},
        {"a bracket behind a backslash", "TO:<a\\>b@c>", "a>b@c", PATH_STRICT, PATH_OK},
        {"address literal", "TO:<a@[192.0.2.1]>", "a@[192.0.2.1]", PATH_STRICT, PATH_OK},
        {"IPv6 literal", "TO:<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]", PATH_STRICT, PATH_OK},
        {"source route", "TO:<@a,@b:user@c>", "user@c", PATH_STRICT, PATH_OK},
        {"route with literal and dots", "TO:<@[192.0.2.1],@b.c.d:user@c>", "user@c", PATH_STRICT, PATH_OK},
        {"percent hack stays text", "TO:<user%dom@relay>", "user%dom@relay", PATH_STRICT, PATH_OK},
        {"bang path stays text", "TO:<a!b>", "a!b", PATH_STRICT, PATH_OK},
        {"quoted at sign", "TO:<\"user@dom\"@relay>", "user@dom@relay", PATH_STRICT, PATH_OK},
        {"two at signs", "TO:<user@dom@relay>", "user@dom@relay", PATH_STRICT, PATH_OK},
        {"trailing dot", "TO:<user@dom.>", "user@dom.", PATH_STRICT, PATH_OK},
        {"empty domain", "TO:<user@>", "user@", PATH_STRICT, PATH_OK},
        {"no local part", "TO:<@dom>", "@dom", PATH_STRICT, PATH_OK},
        {"odd dots", "TO:<.a..b.@c>", ".a..b.@c", PATH_STRICT, PATH_OK},
        {"a local part over 64 bytes",
         "TO:<aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@c>",
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@c", PATH_STRICT,
         PATH_OK},
    };
    CHECK_ROWS(rows);
}

Test(path, takes_loose_forms_only_where_they_are_allowed)
{
    static const struct row rows[] = {
        {"no brackets", "TO:user@c", "user@c", 0, PATH_OK},
        {"no brackets, strict", "TO:user@c", NULL, PATH_STRICT, PATH_BAD_SYNTAX},
        {"blank behind the colon", "TO: <user@c>", "user@c", 0, PATH_OK},
        {"blank behind the colon, strict", "TO: <user@c>", NULL, PATH_STRICT, PATH_BAD_SYNTAX},
        {"blanks inside", "TO:< user @ c >", "user@c", 0, PATH_OK},
        {"blank before, strict", "TO:< user@c>", NULL, PATH_STRICT, PATH_BAD_SYNTAX},
        {"blank after, strict", "TO:<user@c >", NULL, PATH_STRICT, PATH_BAD_SYNTAX},
        {"comment", "TO:<user(x)@c(y)>", "user@c", 0, PATH_OK},
        {"comment, strict", "TO:<user(x)@c>", NULL, PATH_STRICT, PATH_BAD_SYNTAX},
        {"two words", "TO:<a b@c>", "a b@c", 0, PATH_OK},
        {"two words apart by a comment", "TO:<a(x)b@c>", "a b@c", 0, PATH_OK},
        {"blanks around dots", "TO:<a . b@c . d>", "a.b@c.d", 0, PATH_OK},
        {"quoted and bare, naked", "TO:\"a b\"@c", "a b@c", 0, PATH_OK},
    };
    CHECK_ROWS(rows);
}

Test(path, refuses_what_others_read_differently)
{
    static const struct row rows[] = {
        {"no prefix", "FROM:<a@b>", NULL, 0, PATH_NO_PREFIX},
        {"nothing behind it", "TO:", NULL, 0, PATH_NO_PREFIX},
        {"blanks behind it", "TO:  ", NULL, 0, PATH_NO_PREFIX},
        {"no closing bracket", "TO:<a@b", NULL, 0, PATH_BAD_SYNTAX},
        {"no opening bracket", "TO:a@b>", NULL, 0, PATH_BAD_SYNTAX},
        {"brackets within", "TO:<<a@b>>", NULL, 0, PATH_BAD_SYNTAX},
        {"a second path", "TO:<a@b><c@d>", NULL, 0, PATH_BAD_SYNTAX},
        {"a list", "TO:<a@b,c@d>", NULL, 0, PATH_BAD_SYNTAX},
        {"a list without brackets", "TO:a@b,c@d", NULL, 0, PATH_BAD_SYNTAX},
        {"a group", "TO:<x:a@b;>", NULL, 0, PATH_BAD_SYNTAX},
        {"an unclosed quote", "TO:<\"a@b>", NULL, 0, PATH_BAD_SYNTAX},
        {"an unclosed literal", "TO:<a@[1.2.3.4>", NULL, 0, PATH_BAD_SYNTAX},
        {"an unclosed comment", "TO:<a@b(c>", NULL, 0, PATH_BAD_SYNTAX},
        {"a bracket left open by an escape", "TO:<a@b\\>", NULL, 0, PATH_BAD_SYNTAX},
        {"a literal with more behind it", "TO:<a@[1.2.3.4].b>", NULL, 0, PATH_BAD_SYNTAX},
        {"a literal and a port", "TO:<a@[1.2.3.4]:25>", NULL, 0, PATH_BAD_SYNTAX},
        {"CVE-2003-0540", "TO:<[1.2.3.4]:25>!@", NULL, 0, PATH_BAD_SYNTAX},
        {"CVE-2003-0540 in brackets", "TO:<[1.2.3.4]:25!@x>", NULL, 0, PATH_BAD_SYNTAX},
        {"a literal as local part", "TO:<[1.2.3.4]@x>", NULL, 0, PATH_BAD_SYNTAX},
        {"a quoted domain", "TO:<a@\"b\">", NULL, 0, PATH_BAD_SYNTAX},
        {"two words as domain", "TO:<a@b c>", NULL, 0, PATH_BAD_SYNTAX},
        {"a route to nowhere", "TO:<@a:>", NULL, 0, PATH_BAD_SYNTAX},
        {"a quoted nothing", "TO:<\"\">", NULL, 0, PATH_BAD_SYNTAX},
        {"a route that does not end", "TO:<@a,@b>", NULL, 0, PATH_BAD_SYNTAX},
        {"a quoted at sign and no domain", "TO:<\"user@dom\">", NULL, 0, PATH_BAD_SYNTAX},
        {"an escaped at sign and no domain", "TO:<user\\@dom>", NULL, 0, PATH_BAD_SYNTAX},
        {"an escaped at sign in the domain", "TO:<user@dom\\@x>", NULL, 0, PATH_BAD_SYNTAX},
        {"an escape in the domain", "TO:<user@d\\>om>", NULL, 0, PATH_BAD_SYNTAX},
        {"an escape in a literal", "TO:<user@[a\\]b]>", NULL, 0, PATH_BAD_SYNTAX},
        {"a quoted route", "TO:<@\"a\":b@c>", NULL, 0, PATH_BAD_SYNTAX},
        {"a parameter without a blank", "TO:<a@b>SIZE=1", NULL, 0, PATH_BAD_SYNTAX},
    };
    CHECK_ROWS(rows);
}

Test(path, refuses_control_characters_in_any_quoting)
{
    static const struct {
        const char *says;
        struct span in;
    } rows[] = {
        {"NUL", SPAN_INIT("TO:<a\0b@c>")},
        {"NUL in quotes", SPAN_INIT("TO:<\"a\0b\"@c>")},
        {"NUL behind a backslash", SPAN_INIT("TO:<\"a\\\0b\"@c>")},
        {"CR", SPAN_INIT("TO:<\"a\rb\"@c>")},
        {"LF behind a backslash", SPAN_INIT("TO:<\"a\\\nb\"@c>")},
        {"CRLF in a literal", SPAN_INIT("TO:<a@[1\r\n2]>")},
        {"TAB", SPAN_INIT("TO:<\"a\tb\"@c>")},
        {"DEL", SPAN_INIT("TO:<a\x7f@c>")},
        {"ESC", SPAN_INIT("TO:<a\x1b@c>")},
        {"in a route", SPAN_INIT("TO:<@a\0b:a@c>")},
        {"in a comment", SPAN_INIT("TO:<a@c(\r)>")},
        {"NUL in a parameter", SPAN_INIT("TO:<a@c> ENVID=a\0b")},
        {"LF in a parameter", SPAN_INIT("TO:<a@c> X=a\nRCPT")},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct path path;
        enum path_result result = path_parse(&a, rows[i].in, SPAN("TO:"), 0, &path);
        cr_expect_eq(result, PATH_BAD_BYTES, "%s: result %d", rows[i].says, result);
    }
}

Test(path, bytes_over_127_follow_smtputf8)
{
    static const struct row rows[] = {
        {"allowed of old", "TO:<j\xc3\xb6rg@x>", "j\xc3\xb6rg@x", 0, PATH_OK},
        {"Latin-1 of old", "TO:<j\xf6rg@x>", "j\xf6rg@x", 0, PATH_OK},
        {"strict without SMTPUTF8", "TO:<j\xc3\xb6rg@x>", NULL, PATH_REQUIRE_UTF8, PATH_NEEDS_SMTPUTF8},
        {"strict with it", "TO:<j\xc3\xb6rg@x>", "j\xc3\xb6rg@x", PATH_REQUIRE_UTF8 | PATH_SMTPUTF8, PATH_OK},
        {"strict with the parameter", "TO:<j\xc3\xb6rg@x> smtputf8", "j\xc3\xb6rg@x", PATH_REQUIRE_UTF8,
         PATH_OK},
        {"Latin-1 with it", "TO:<j\xf6rg@x>", NULL, PATH_SMTPUTF8, PATH_BAD_UTF8},
        {"in the domain", "TO:<a@\xf6.x> SMTPUTF8", NULL, 0, PATH_BAD_UTF8},
        {"overlong slash", "TO:<a\xc0\xaf@x>", NULL, PATH_SMTPUTF8, PATH_BAD_UTF8},
    };
    CHECK_ROWS(rows);
}

Test(path, cuts_its_parameters)
{
    struct path path;

    enum path_result result =
        path_parse(&a, SPAN("FROM:<\"a b\"@c>  SIZE=100 body=8BITMIME SMTPUTF8  AUTH=<> ENVID=a+3Db"),
                   SPAN("FROM:"), 0, &path);

    cr_assert_eq(result, PATH_OK);
    cr_expect(span_eq(path.original, SPAN("\"a b\"@c")));
    cr_expect(path.bracketed && !path.routed && path.ascii);
    cr_assert_eq(path.param_count, (size_t)5);
    cr_expect(span_eq(path_find_param(&path, SPAN("size"))->value, SPAN("100")));
    cr_expect(span_eq(path_find_param(&path, SPAN("BODY"))->value, SPAN("8BITMIME")));
    cr_expect(!path_find_param(&path, SPAN("SMTPUTF8"))->has_value);
    cr_expect(span_eq(path_find_param(&path, SPAN("AUTH"))->value, SPAN("<>")));
    cr_expect_null(path_find_param(&path, SPAN("RET")));
}

Test(path, refuses_malformed_parameters)
{
    static const struct row rows[] = {
        {"no name", "TO:<a@b> =1", NULL, 0, PATH_BAD_PARAM},
        {"no value", "TO:<a@b> SIZE=", NULL, 0, PATH_BAD_PARAM},
        {"a dash first", "TO:<a@b> -X=1", NULL, 0, PATH_BAD_PARAM},
        {"an odd byte", "TO:<a@b> X.Y=1", NULL, 0, PATH_BAD_PARAM},
        {"a comment behind", "TO:<a@b> (hello)", NULL, 0, PATH_BAD_PARAM},
        {"blanks only", "TO:<a@b>   ", "a@b", PATH_STRICT, PATH_OK},
    };
    CHECK_ROWS(rows);
}

Test(path, takes_a_hundred_parameters_and_no_more)
{
    struct path path;
    struct buf line = BUF_INIT;
    buf_puts(&line, "TO:<a@b>");
    for (int i = 0; i < PATH_PARAMS_MAX; i++)
        buf_printf(&line, " X%d", i);

    cr_expect_eq(path_parse(&a, buf_span(&line), SPAN("TO:"), 0, &path), PATH_OK);
    cr_expect_eq(path.param_count, (size_t)PATH_PARAMS_MAX);
    buf_puts(&line, " Y");
    cr_expect_eq(path_parse(&a, buf_span(&line), SPAN("TO:"), 0, &path), PATH_TOO_MANY);
    buf_fini(&line);
}

Test(path, the_external_form_reads_back_the_same)
{
    static const char *const rows[] = {
        "user@example.com", "a b@c", "a\"b\\c@d",   "user@dom@relay", "@dom",      ".a..b.@c",
        "a@[192.0.2.1]",    "-rf@x", "a>b,c;d:e@f", "j\xc3\xb6rg@x",  "postmaster"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf text = BUF_INIT;
        struct path path;
        buf_putc(&text, '<');
        address_put_external(&text, span_text(rows[i]));
        buf_putc(&text, '>');
        cr_expect_eq(path_parse_address(&a, buf_span(&text), PATH_STRICT, &path), PATH_OK, "%s", rows[i]);
        cr_expect(span_eq(path.address, span_text(rows[i])), "%s", rows[i]);
        buf_fini(&text);
    }
}
