#include "lib/mail/domain.h"

#include <criterion/criterion.h>

Test(domain_name, is_taken_as_postfix_takes_it)
{
    static const struct {
        const char *in;
        bool good;
    } rows[] = {
        {"example.com", true}, {"a", true},          {"x_y.org", true},      {"1a.org", true},
        {"a.1", true},         {"a-b.org", true},    {"\xc3\xa9.org", true}, {"xn--9ca.org", true},
        {"", false},           {".", false},         {".a", false},          {"a.", false},
        {"a..b", false},       {"-a.org", false},    {"a-.org", false},      {"a.-b", false},
        {"1.2.3.4", false},    {"1.2.3", false},     {"123", false},         {"a b", false},
        {"a:25", false},       {"[1.2.3.4]", false}, {"a/b", false},         {"\xe9.org", false},
        {"a\x7f", false},      {"a@b", false},       {"a%b", false},         {"::1", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_eq(domain_name_valid(span_text(rows[i].in)), rows[i].good, "%s", rows[i].in);
    cr_expect(!domain_name_valid(SPAN("a\0b")));
}

Test(domain_name, labels_end_at_63_and_names_at_255_bytes)
{
    char name[257];
    memset(name, 'a', sizeof name);

    cr_expect(domain_name_valid(span_of(name, 63)));
    cr_expect(!domain_name_valid(span_of(name, 64)));
    for (size_t i = 60; i < sizeof name; i += 60)
        name[i] = '.';
    cr_expect(domain_name_valid(span_of(name, 255)));
    cr_expect(!domain_name_valid(span_of(name, 256)));
}

Test(domain_literal, needs_its_brackets_and_the_prefix_of_ipv6)
{
    static const struct {
        const char *in;
        unsigned n;
    } rows[] = {
        {"[192.0.2.1]", 4},
        {"[IPv6:::1]", 16},
        {"[ipv6:2001:db8::1]", 16},
        {"[::1]", 0},
        {"[IPv6:192.0.2.1]", 0},
        {"192.0.2.1", 0},
        {"[192.0.2.1", 0},
        {"[192.0.2.1]x", 0},
        {"[]", 0},
        {"[", 0},
        {"", 0},
        {"[1.2.3]", 0},
        {"[1.2.3.4.5]", 0},
        {"[256.1.1.1]", 0},
        {"[IPv6:]", 0},
        {"[[1.2.3.4]]", 0},
        {"[ 1.2.3.4]", 0},
        {"[1.2.3.4]:25", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ip ip = {.n = 0};
        cr_expect_eq(domain_literal_parse(span_text(rows[i].in), &ip), rows[i].n > 0, "%s", rows[i].in);
        cr_expect_eq(ip.n, rows[i].n, "%s", rows[i].in);
    }
}
