#include "lib/dns/dns.h"

#include <criterion/criterion.h>

Test(dns_text, writes_the_name_of_an_address)
{
    const struct {
        const char *address, *name;
    } rows[] = {
        {"192.0.2.17", "17.2.0.192.in-addr.arpa"},
        {"2001:db8::1a", "a.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf name = BUF_INIT;
        struct addr address = {0};
        cr_assert(addr_parse(span_text(rows[i].address), 0, &address));

        cr_expect(dns_put_reverse_name(&name, &address));

        cr_expect_str_eq(buf_text(&name), rows[i].name);
        buf_fini(&name);
    }
    cr_expect_not(dns_put_reverse_name(&(struct buf){0}, &(struct addr){0}), "no address");
}

Test(dns_text, knows_types_by_name_and_number)
{
    const struct {
        const char *name;
        unsigned type;
    } rows[] = {{"mx", DNS_TYPE_MX}, {"AAAA", DNS_TYPE_AAAA}, {"TYPE65280", 65280}, {"type1", DNS_TYPE_A},
                {"TYPE65536", 0},    {"TYPE", 0},             {"", 0},              {"nonsense", 0}};
    char room[DNS_TYPE_TEXT];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_eq(dns_type_of(span_text(rows[i].name)), rows[i].type, "%s", rows[i].name);

    cr_expect_str_eq(dns_type_name(DNS_TYPE_TLSA, room), "TLSA");
    cr_expect_str_eq(dns_type_name(65280, room), "TYPE65280");
}

Test(dns_text, knows_a_domain_that_takes_no_mail)
{
    const struct dns_record nowhere = {.type = DNS_TYPE_MX, .name = SPAN_INIT(".")};
    const struct dns_record host = {.type = DNS_TYPE_MX, .name = SPAN_INIT("mail.test")};
    const struct dns_record service = {.type = DNS_TYPE_SRV, .name = SPAN_INIT(".")};
    cr_expect(dns_is_null_mx(&(struct dns_answer){.verdict = DNS_OK, .records = &nowhere, .count = 1}));
    cr_expect_not(dns_is_null_mx(&(struct dns_answer){.verdict = DNS_OK, .records = &host, .count = 1}));
    cr_expect_not(dns_is_null_mx(&(struct dns_answer){.verdict = DNS_OK, .records = &service, .count = 1}));
    cr_expect_not(dns_is_null_mx(&(struct dns_answer){.verdict = DNS_NO_DATA}));
}

Test(dns_text, makes_addresses_of_records)
{
    struct addr address;
    struct buf text = BUF_INIT;
    const struct dns_record four = {.type = DNS_TYPE_A, .data = SPAN_INIT("\xc0\x00\x02\x01")};
    const struct dns_record six = {.type = DNS_TYPE_AAAA, .data = SPAN_INIT("\x20\x01\r\xb8\0\0\0\0\0\0\0\0\0\0\0\1")};
    const struct dns_record cut = {.type = DNS_TYPE_A, .data = SPAN_INIT("\xc0\x00\x02")};

    cr_assert(dns_record_addr(&four, 25, &address));
    addr_put_host_port(&text, &address);
    cr_assert(dns_record_addr(&six, 587, &address));
    addr_put_host_port(&text, &address);

    cr_expect_str_eq(buf_text(&text), "192.0.2.1:25[2001:db8::1]:587");
    cr_expect_not(dns_record_addr(&cut, 25, &address));
    buf_fini(&text);
}

Test(dns_text, words_a_failure_as_postfix_does)
{
    const struct {
        struct dns_answer answer;
        const char *text;
    } rows[] = {
        {{.verdict = DNS_NO_NAME}, "Name service error for name=a.test type=MX: Host not found"},
        {{.verdict = DNS_NO_DATA},
         "Name service error for name=a.test type=MX: Host found but no data record of requested type"},
        {{.verdict = DNS_TEMPORARY, .why = SPAN_INIT("SERVFAIL")},
         "Name service error for name=a.test type=MX: Host not found, try again (SERVFAIL)"},
        {{.verdict = DNS_MALFORMED},
         "Name service error for name=a.test type=MX: Malformed or unexpected name server reply"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf text = BUF_INIT;

        dns_put_name_error(&text, SPAN("a.test"), DNS_TYPE_MX, &rows[i].answer);

        cr_expect_str_eq(buf_text(&text), rows[i].text);
        buf_fini(&text);
    }
}
