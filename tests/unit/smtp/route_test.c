#include "smtp/route.h"
#include "tests/unit/smtp/world.h"

static struct world w; /* too large for a frame; each test is a process of its own */

/* The addresses, in their order, each with its port: "192.0.2.1:25 [2001:db8::1]:25 " */
static struct span find(const char *nexthop, struct verdict *why)
{
    struct destination d;
    struct endpoint_list list;
    struct buf text = BUF_INIT, bad = BUF_INIT;
    cr_assert(destination_parse(span_text(nexthop), w.smtp.lmtp, 25, &d, &bad), "%s", buf_text(&bad));
    route_find(&w.smtp, &w.arena, &d, &list, why);
    for (size_t i = 0; i < list.n; i++) {
        addr_put_host_port(&text, &list.at[i].addr);
        buf_putc(&text, ' ');
    }
    struct span found = arena_dup(&w.arena, buf_span(&text));
    buf_fini(&text);
    buf_fini(&bad);
    return found;
}

static const struct name hosts[] = {
    {"equal.test", DNS_TYPE_MX, "10 a.test"},
    {"equal.test", DNS_TYPE_MX, "10 b.test"},
    {"equal.test", DNS_TYPE_MX, "20 c.test"},
    {"a.test", DNS_TYPE_A, "192.0.2.1"},
    {"b.test", DNS_TYPE_A, "192.0.2.2"},
    {"c.test", DNS_TYPE_A, "192.0.2.3"},
    {"both.test", DNS_TYPE_AAAA, "2001:db8::1"},
    {"both.test", DNS_TYPE_A, "192.0.2.1"},
    {"many.test", DNS_TYPE_MX, "10 six.test"},
    {"many.test", DNS_TYPE_MX, "20 four.test"},
    {"six.test", DNS_TYPE_AAAA, "2001:db8::1"},
    {"six.test", DNS_TYPE_AAAA, "2001:db8::2"},
    {"six.test", DNS_TYPE_AAAA, "2001:db8::3"},
    {"six.test", DNS_TYPE_AAAA, "2001:db8::4"},
    {"four.test", DNS_TYPE_A, "192.0.2.1"},
    {"four.test", DNS_TYPE_A, "192.0.2.2"},
    {"backup.test", DNS_TYPE_MX, "10 a.test"},
    {"backup.test", DNS_TYPE_MX, "20 me.test"},
    {"backup.test", DNS_TYPE_MX, "20 b.test"},
    {"backup.test", DNS_TYPE_MX, "30 c.test"},
    {"me.test", DNS_TYPE_A, "192.0.2.99"},
    {"_submission._tcp.srv.test", DNS_TYPE_SRV, "10 0 5870 a.test"},
    {"_submission._tcp.srv.test", DNS_TYPE_SRV, "20 0 5871 b.test"},
    {"srv.test", DNS_TYPE_MX, "10 c.test"},
    {"_submission._tcp.none.test", DNS_TYPE_SRV, "0 0 0 ."},
    {"_submission._tcp.later.test", DNS_TYPE_SRV, "!temporary"},
    {"later.test", DNS_TYPE_MX, "10 c.test"},
    {"plain.test", DNS_TYPE_MX, "10 c.test"},
    {NULL, 0, NULL}};

Test(route, finds_servers_in_their_order)
{
    static const struct {
        const char *settings, *nexthop, *found;
    } rows[] = {
        {"smtp_randomize_addresses = no", "equal.test", "192.0.2.1:25 192.0.2.2:25 192.0.2.3:25 "},
        {"", "[a.test]", "192.0.2.1:25 "},
        {"", "[a.test]:587", "192.0.2.1:587 "},
        {"", "a.test:submission", "192.0.2.1:587 "},
        {"", "a.test", "192.0.2.1:25 "},
        {"", "[192.0.2.7]:2525", "192.0.2.7:2525 "},
        {"", "192.0.2.7", "192.0.2.7:25 "},
        {"", "[IPv6:2001:db8::7]", "[2001:db8::7]:25 "},
        {"", "[2001:db8::7]:26", "[2001:db8::7]:26 "},
        {"", "backup.test", "192.0.2.1:25 "},
        {"smtp_address_preference = ipv4", "[both.test]", "192.0.2.1:25 [2001:db8::1]:25 "},
        {"smtp_address_preference = ipv6", "[both.test]", "[2001:db8::1]:25 192.0.2.1:25 "},
        {"smtp_randomize_addresses = no\nsmtp_mx_address_limit = 4", "many.test",
         "[2001:db8::1]:25 [2001:db8::2]:25 192.0.2.2:25 192.0.2.1:25 [2001:db8::4]:25 [2001:db8::3]:25 "},
        {"smtp_randomize_addresses = no\nsmtp_mx_address_limit = 4\nsmtp_balance_inet_protocols = no", "many.test",
         "[2001:db8::1]:25 [2001:db8::2]:25 [2001:db8::3]:25 [2001:db8::4]:25 192.0.2.1:25 192.0.2.2:25 "},
        {"disable_dns_lookups = yes", "a.test", "192.0.2.1:25 "},
        {"smtp_dns_support_level = disabled", "equal.test", ""},
        {"use_srv_lookup = submission", "srv.test:submission", "192.0.2.1:5870 192.0.2.2:5871 "},
        {"use_srv_lookup = submission", "srv.test", "192.0.2.3:25 "},
        {"use_srv_lookup = submission", "[srv.test]:submission", ""},
        {"use_srv_lookup = submission", "none.test:submission", ""},
        {"use_srv_lookup = submission", "later.test:submission", ""},
        {"use_srv_lookup = submission\nignore_srv_lookup_error = yes", "later.test:submission", "192.0.2.3:587 "},
        {"use_srv_lookup = submission", "plain.test:submission", ""},
        {"use_srv_lookup = submission\nallow_srv_lookup_fallback = yes", "plain.test:submission", "192.0.2.3:587 "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct verdict why;
        world_open(&w, rows[i].settings, false);
        w.names = hosts;

        struct span found = find(rows[i].nexthop, &why);

        cr_expect(span_eq(found, span_text(rows[i].found)), "%s %s: %.*s", rows[i].settings, rows[i].nexthop,
                  SPAN_ARG(found));
        cr_expect(found.n || why.text.n, "%s", rows[i].nexthop);
        world_close(&w);
    }
}

Test(route, asks_lmtp_for_no_exchangers)
{
    struct verdict why;
    world_open(&w, "", true);
    w.names = hosts;

    cr_expect(span_eq(find("a.test", &why), SPAN("192.0.2.1:25 ")));
    cr_expect_eq(find("equal.test", &why).n, 0u);
    world_close(&w);
}

Test(route, shuffles_equals_and_only_these)
{
    struct verdict why;
    unsigned first_a = 0;
    world_open(&w, "", false);
    w.names = hosts;

    for (int i = 0; i < 200; i++) {
        struct span found = find("equal.test", &why);
        bool a = span_eq(found, SPAN("192.0.2.1:25 192.0.2.2:25 192.0.2.3:25 "));
        cr_expect(a || span_eq(found, SPAN("192.0.2.2:25 192.0.2.1:25 192.0.2.3:25 ")), "%.*s", SPAN_ARG(found));
        first_a += a;
    }

    /* The chance that this fails for a fair coin is 2^-199. */
    cr_expect(first_a > 0 && first_a < 200, "%u of 200", first_a);
    world_close(&w);
}

Test(route, says_what_is_wrong_with_a_next_hop)
{
    static const struct {
        const char *text;
        bool lmtp;
    } rows[] = {{"", false},         {"[]", false},        {"[a", false},       {"[a]b", false},  {"[a]:", false},
                {":25", false},      {"a:", false},        {"a:0", false},      {"a:65536", false}, {"a:what", false},
                {"unix:", true},     {"unix:/x", false},   {"inet:", true},     {"inet:[a]:what", true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct destination d;
        struct buf why = BUF_INIT;
        cr_expect(!destination_parse(span_text(rows[i].text), rows[i].lmtp, 25, &d, &why), "%s", rows[i].text);
        cr_expect(why.len > 0, "%s", rows[i].text);
        buf_fini(&why);
    }
}

Test(route, reads_next_hops)
{
    static const struct {
        const char *text;
        bool lmtp;
        const char *host, *path;
        unsigned port;
        bool exact;
    } rows[] = {
        {"a.test", false, "a.test", "", 25, false},       {"a.test:26", false, "a.test", "", 26, false},
        {"[a.test]", false, "a.test", "", 25, true},      {"[a.test]:smtps", false, "a.test", "", 465, true},
        {"unix:/x/y", true, "", "/x/y", 25, false},       {"unix:private/x", true, "", "private/x", 25, false},
        {"inet:a.test", true, "a.test", "", 25, false},   {"inet:[a.test]:lmtp", true, "a.test", "", 24, true},
        {"2001:db8::1", false, "2001:db8::1", "", 25, true}, {"a:1", false, "a", "", 1, false},
        {"a:65535", false, "a", "", 65535, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct destination d;
        struct buf why = BUF_INIT;
        cr_assert(destination_parse(span_text(rows[i].text), rows[i].lmtp, 25, &d, &why), "%s: %s", rows[i].text,
                  buf_text(&why));
        cr_expect(span_eq(d.host, span_text(rows[i].host)), "%s", rows[i].text);
        cr_expect(span_eq(d.path, span_text(rows[i].path)), "%s", rows[i].text);
        cr_expect_eq(d.port, rows[i].port, "%s", rows[i].text);
        cr_expect_eq(d.exact, rows[i].exact, "%s", rows[i].text);
        buf_fini(&why);
    }
}
