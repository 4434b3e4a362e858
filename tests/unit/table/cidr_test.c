#include "lib/table/cidr.h"
#include "tests/unit/table/files.h"

Test(cidr, parses_networks_and_says_what_is_wrong)
{
    static const struct {
        const char *in, *net, *fault;
        unsigned bits;
    } rows[] = {
        {"1.2.3.4", "1.2.3.4", NULL, 32},
        {"10.0.0.0/8", "10.0.0.0", NULL, 8},
        {"0.0.0.0/0", "0.0.0.0", NULL, 0},
        {"1.2.3.4/32", "1.2.3.4", NULL, 32},
        {"::1", "::1", NULL, 128},
        {"2001:db8::/32", "2001:db8::", NULL, 32},
        {"[::1]", "::1", NULL, 128},
        {"[::1]/128", "::1", NULL, 128},
        {"[::1/128]", "::1", NULL, 128},
        {"[1.2.3.0]/24", "1.2.3.0", NULL, 24},
        {"::/0", "::", NULL, 0},
        {"1.2.3.4/33", NULL, "bad mask length in \"1.2.3.4/33\"", 0},
        {"::/129", NULL, "bad mask length in \"::/129\"", 0},
        {"1.2.3.4/", NULL, "bad mask value in \"1.2.3.4/\"", 0},
        {"1.2.3.4/-1", NULL, "bad mask value in \"1.2.3.4/-1\"", 0},
        {"1.2.3.4/255.0.0.0", NULL, "bad mask value in \"1.2.3.4/255.0.0.0\"", 0},
        {"10.0.0.1/8", NULL,
         "non-null host address bits in \"10.0.0.1/8\", perhaps you should use \"10.0.0.0/8\" instead", 0},
        {"[2001:db8::1]/32", NULL,
         "non-null host address bits in \"[2001:db8::1]/32\", perhaps you should use \"[2001:db8::]/32\" instead", 0},
        {"1.2.3", NULL, "bad address pattern: \"1.2.3\"", 0},
        {"01.2.3.4", NULL, "bad address pattern: \"01.2.3.4\"", 0},
        {"fe80::1%eth0", NULL, "bad address pattern: \"fe80::1%eth0\"", 0},
        {"[::1", NULL, "bad address pattern: \"[::1\"", 0},
        {"[::1]x", NULL, "bad address pattern: \"[::1]x\"", 0},
        {"", NULL, "bad address pattern: \"\"", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf why = BUF_INIT, text = BUF_INIT;
        struct cidr c = {0};

        bool good = cidr_parse(span_text(rows[i].in), &c, &why);

        cr_expect_eq(good, rows[i].net != NULL, "%s", rows[i].in);
        cr_expect_str_eq(buf_text(&why), rows[i].fault ? rows[i].fault : "", "%s", rows[i].in);
        if (good)
            ip_put(&text, &c.net);
        cr_expect_str_eq(buf_text(&text), rows[i].net ? rows[i].net : "", "%s", rows[i].in);
        cr_expect_eq(c.bits, rows[i].bits, "%s", rows[i].in);
        buf_fini(&why);
        buf_fini(&text);
    }
}

static bool has(const char *net, const char *address)
{
    struct buf why = BUF_INIT;
    struct cidr c;
    struct ip ip;
    cr_assert(cidr_parse(span_text(net), &c, &why), "%s", buf_text(&why));
    cr_assert(ip_parse(span_text(address), &ip), "%s", address);
    return cidr_has(&c, &ip);
}

Test(cidr, matches_at_every_prefix_length)
{
    /* The address that differs in bit n alone is outside for every longer prefix. */
    for (unsigned bits = 0; bits <= 32; bits++) {
        for (unsigned flip = 0; flip < 32; flip++) {
            struct cidr c = {.net = {.n = 4}, .bits = (unsigned char)bits};
            struct ip ip = {.n = 4};
            ip.bytes[flip / 8] = (unsigned char)(0x80 >> flip % 8);
            cr_expect_eq(cidr_has(&c, &ip), flip >= bits, "bit %u of /%u", flip, bits);
        }
    }
    cr_expect(has("2001:db8::/33", "2001:db8:7fff::1"));
    cr_expect_not(has("2001:db8::/33", "2001:db8:8000::1"));
    cr_expect(has("::/0", "::1"));
    cr_expect_not(has("::/0", "0.0.0.0"));
    cr_expect_not(has("0.0.0.0/0", "::"));
}

Test(cidr, takes_a_mapped_address_for_what_it_stands_for)
{
    struct ip ip, want;
    cr_assert(ip_parse(SPAN("::ffff:10.1.2.3"), &ip) && ip_parse(SPAN("10.1.2.3"), &want));
    struct ip got = ip_unmapped(ip);
    cr_expect(ip_eq(&got, &want));
    cr_assert(ip_parse(SPAN("::10.1.2.3"), &ip));
    got = ip_unmapped(ip);
    cr_expect(ip_eq(&got, &ip));
}

Test(cidr, refuses_what_is_no_address)
{
    static const char *const rows[] = {"", "1", "1.2.3.4.5", "256.1.1.1", "1.2.3.4 ", "g::", ":::", "1::2::3", "host"};
    struct ip ip;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_not(ip_parse(span_text(rows[i]), &ip), "%s", rows[i]);
    cr_expect_not(ip_parse(span_of("1.2.3.4\0", 8), &ip));
}

Test(cidr, table_tries_networks_in_order_with_if_and_not)
{
    struct tables *ts = start();
    put_text("c",
             "10.0.0.1/8 a\n10.0.0.0/33 b\n10.0.0.0/8 c\nIf 192.168.0.0/16\n192.168.1.1 d\nif !192.168.2.0/24\n"
             "0.0.0.0/0 other\nendif\nendif\n! 1.0.0.0/8 e\nfe80::/10 f\nx y\n10.1.1.1\nif bad\n1.2.3.4 never\nENDIF\n"
             "if 1.2.3.0/24\n1.2.3.4 zz\n");
    struct table *t = table_open(ts, span_text(in_dir("cidr:", "c")), TABLE_FOLD);

    cr_expect_not(table_is_fixed(t));
    EXPECT_FIND(t, "10.1.1.1", "c");
    EXPECT_FIND(t, "::ffff:10.1.1.1", "c");
    EXPECT_FIND(t, "192.168.1.1", "d");
    EXPECT_FIND(t, "192.168.3.1", "other");
    EXPECT_FIND(t, "192.168.2.1", "e");
    EXPECT_FIND(t, "fe80::1", "e");
    EXPECT_FIND(t, "1.2.3.4", "zz");
    EXPECT_FIND(t, "1.2.4.4", NULL);
    EXPECT_FIND(t, "host.example", NULL);
    static const char *const warnings[] = {
        "line 1: non-null host address bits in \"10.0.0.1/8\", perhaps you should use \"10.0.0.0/8\" instead: skipping",
        "/c, line 2: bad mask length in \"10.0.0.0/33\": skipping this rule", "line 12: bad address pattern: \"x\"",
        "line 13: no lookup result: skipping this rule", "line 14: bad address pattern: \"bad\"",
        "line 17: IF has no matching ENDIF",
    };
    for (size_t i = 0; i < sizeof warnings / sizeof *warnings; i++)
        cr_expect_not_null(strstr(buf_text(&warned), warnings[i]), "%s in %s", warnings[i], buf_text(&warned));
    table_close(&t);
    stop(ts);
}
