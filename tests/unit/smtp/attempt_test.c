#include "tests/unit/smtp/world.h"

static struct world w; /* too large for a frame; each test is a process of its own */
static const struct line usual[] = {{NULL, NULL}};

Test(attempt, delivers_to_the_address_of_its_next_hop)
{
    static const struct server servers[] = {{"192.0.2.1", usual, NULL}, {NULL, NULL, NULL}};
    world_open(&w, "", false);
    w.servers = servers;
    w.m.nexthop = SPAN("[192.0.2.1]:2525");

    world_deliver(&w);

    WANT(&w, 0, 2, "2.0.0", "250 2.0.0 ok");
    cr_expect(span_eq(w.d.verdicts[0].relay, SPAN("192.0.2.1[192.0.2.1]:2525")), "%.*s",
              SPAN_ARG(w.d.verdicts[0].relay));
    cr_expect_str_eq(world_heard(&w, 0), "EHLO me.test\r\nMAIL FROM:<sender@example.test>\r\nRCPT TO:<user@remote.test>\r\n"
                                         "DATA\r\nSubject: hello\r\n\r\nHello.\r\n.\r\nQUIT\r\n");
    cr_expect(!w.d.unreachable);
    world_close(&w);
}

Test(attempt, goes_through_the_mail_exchangers_best_first)
{
    static const struct name names[] = {
        {"remote.test", DNS_TYPE_MX, "20 b.test"}, {"remote.test", DNS_TYPE_MX, "10 a.test"},
        {"a.test", DNS_TYPE_A, "192.0.2.1"},       {"b.test", DNS_TYPE_A, "192.0.2.2"},
        {NULL, 0, NULL}};
    static const struct server servers[] = {{"192.0.2.1", NULL, NULL}, {"192.0.2.2", usual, NULL}, {NULL, NULL, NULL}};
    world_open(&w, "", false);
    w.names = names;
    w.servers = servers;
    w.m.nexthop = SPAN("remote.test");

    world_deliver(&w);

    WANT(&w, 0, 2, "2.0.0", "ok");
    cr_expect(span_eq(w.d.verdicts[0].relay, SPAN("b.test[192.0.2.2]:25")));
    cr_expect_eq(w.connects, 2u);
    world_close(&w);
}

/* --- what each step's refusal leads to ------------------------------------------------ */

/* Two servers of one domain; the first says what a row wants. */
static const struct name two_names[] = {
    {"remote.test", DNS_TYPE_MX, "10 a.test"}, {"remote.test", DNS_TYPE_MX, "20 b.test"},
    {"a.test", DNS_TYPE_A, "192.0.2.1"},       {"b.test", DNS_TYPE_A, "192.0.2.2"},
    {NULL, 0, NULL}};

Test(attempt, goes_on_to_the_next_server_or_not_as_the_refusal_says)
{
    static const struct {
        const char *says;
        struct line lines[3];
        bool next;     /* the other server is tried */
        const char *dsn, *words; /* where not */
    } rows[] = {
        {"4xx greeting", {{"GREETING", "421 busy\r\n"}}, true, "", ""},
        {"5xx greeting", {{"GREETING", "554 5.7.1 go away\r\n"}}, true, "", ""},
        {"no greeting", {{"GREETING", NULL}}, true, "", ""},
        {"4xx EHLO and HELO", {{"EHLO", "450 no\r\n"}, {"HELO", "450 no\r\n"}}, true, "", ""},
        {"421 EHLO", {{"EHLO", "421 no\r\n"}}, true, "", ""},
        {"5xx EHLO and HELO", {{"EHLO", "500 what\r\n"}, {"HELO", "550 5.7.1 no\r\n"}}, false, "5.7.1",
         "host a.test[192.0.2.1] refused to talk to me: 550 5.7.1 no"},
        {"4xx MAIL", {{"MAIL", "451 4.3.0 later\r\n"}}, true, "", ""},
        {"5xx MAIL", {{"MAIL", "550 5.7.1 no\r\n"}}, false, "5.7.1",
         "host a.test[192.0.2.1] said: 550 5.7.1 no (in reply to MAIL FROM command)"},
        {"4xx RCPT", {{"RCPT", "450 4.2.0 grey\r\n"}}, true, "", ""},
        {"5xx RCPT", {{"RCPT", "550 5.1.1 who\r\n"}}, false, "5.1.1",
         "host a.test[192.0.2.1] said: 550 5.1.1 who (in reply to RCPT TO command)"},
        {"4xx DATA", {{"DATA", "451 later\r\n"}}, true, "", ""},
        {"5xx DATA", {{"DATA", "554 no\r\n"}}, false, "5.0.0", "554 no (in reply to DATA command)"},
        {"4xx end", {{".", "451 4.7.0 later\r\n"}}, true, "", ""},
        {"5xx end", {{".", "554 5.7.1 spam\r\n"}}, false, "5.7.1", "554 5.7.1 spam (in reply to end of DATA command)"},
        {"lost at MAIL", {{"MAIL", NULL}}, true, "", ""},
        {"lost at end", {{".", NULL}}, true, "", ""},
        {"nonsense", {{"MAIL", "ok\r\n"}}, true, "", ""},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int piped = 0; piped < 2; piped++) {
            const struct server servers[] = {{"192.0.2.1", rows[i].lines, piped ? NULL : "250-SIZE\r\n"},
                                             {"192.0.2.2", usual, NULL},
                                             {NULL, NULL, NULL}};
            world_open(&w, "", false);
            w.names = two_names;
            w.servers = servers;
            w.m.nexthop = SPAN("remote.test");

            world_deliver(&w);

            cr_expect_eq(w.npeers, rows[i].next ? 2u : 1u, "%s: %zu servers", rows[i].says, w.npeers);
            if (rows[i].next)
                WANT(&w, 0, 2, "2.0.0", "ok");
            else
                WANT(&w, 0, 5, rows[i].dsn, rows[i].words);
            world_close(&w);
        }
}

Test(attempt, defers_what_the_last_server_puts_off)
{
    static const struct {
        const char *says;
        struct line lines[3];
        const char *dsn, *words;
        bool unreachable;
    } rows[] = {
        {"greeting", {{"GREETING", "554 5.7.1 go away\r\n"}}, "4.7.1",
         "host 192.0.2.1[192.0.2.1] refused to talk to me: 554 5.7.1 go away", true},
        {"lost greeting", {{"GREETING", NULL}}, "4.4.2",
         "lost connection with 192.0.2.1[192.0.2.1] while receiving the initial server greeting", true},
        {"lost EHLO", {{"EHLO", NULL}}, "4.4.2", "while performing the EHLO handshake", true},
        {"lost HELO", {{"EHLO", "500 x\r\n"}, {"HELO", NULL}}, "4.4.2", "while performing the HELO handshake", true},
        {"MAIL", {{"MAIL", "451 4.3.0 later\r\n"}}, "4.3.0", "(in reply to MAIL FROM command)", false},
        {"lost MAIL", {{"MAIL", NULL}}, "4.4.2", "while sending MAIL FROM", true},
        {"RCPT", {{"RCPT", "450 4.2.0 grey\r\n"}}, "4.2.0", "(in reply to RCPT TO command)", false},
        {"lost RCPT", {{"RCPT", NULL}}, "4.4.2", "while sending RCPT TO", true},
        {"421 RCPT", {{"RCPT", "421 4.3.2 stop\r\n"}}, "4.3.2", "421 4.3.2 stop (in reply to RCPT TO command)", true},
        {"DATA", {{"DATA", "451 later\r\n"}}, "4.0.0", "(in reply to DATA command)", false},
        {"lost DATA", {{"DATA", NULL}}, "4.4.2", "while sending DATA command", true},
        {"DATA 250", {{"DATA", "250 ok\r\n"}}, "4.5.0", "an answer to something else", true},
        {"MAIL 354", {{"MAIL", "354 ok\r\n"}}, "4.5.0", "an answer to something else", true},
        {"end", {{".", "451 4.7.0 later\r\n"}}, "4.7.0", "(in reply to end of DATA command)", false},
        {"lost end", {{".", NULL}}, "4.4.2",
         "while sending end of data -- message may be sent more than once", true},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct server servers[] = {{"192.0.2.1", rows[i].lines, "250-SIZE\r\n"}, {NULL, NULL, NULL}};
        world_open(&w, "", false);
        w.servers = servers;

        world_deliver(&w);

        WANT(&w, 0, 4, rows[i].dsn, rows[i].words);
        cr_expect_eq(w.d.unreachable, rows[i].unreachable, "%s", rows[i].says);
        world_close(&w);
    }
}

Test(attempt, says_what_kept_it_from_connecting)
{
    static const struct server servers[] = {{"192.0.2.1", NULL, NULL}, {NULL, NULL, NULL}};
    world_open(&w, "", false);
    w.servers = servers;

    world_deliver(&w);

    WANT(&w, 0, 4, "4.4.1", "connect to 192.0.2.1[192.0.2.1]:25: Connection refused");
    cr_expect_eq(w.d.verdicts[0].relay.n, 0u);
    cr_expect(w.d.unreachable);
    world_close(&w);
}

/* --- limits ------------------------------------------------------------------------------- */

static const struct name many_names[] = {
    {"remote.test", DNS_TYPE_MX, "10 a.test"}, {"remote.test", DNS_TYPE_MX, "20 b.test"},
    {"remote.test", DNS_TYPE_MX, "30 c.test"}, {"a.test", DNS_TYPE_A, "192.0.2.1"},
    {"b.test", DNS_TYPE_A, "192.0.2.2"},       {"c.test", DNS_TYPE_A, "192.0.2.3"},
    {NULL, 0, NULL}};
static const struct line busy[] = {{"GREETING", "421 busy\r\n"}, {NULL, NULL}};

Test(attempt, counts_sessions_and_addresses)
{
    static const struct server talking[] = {{"192.0.2.1", busy, NULL}, {"192.0.2.2", busy, NULL},
                                            {"192.0.2.3", busy, NULL}, {NULL, NULL, NULL}};
    static const struct server silent[] = {{NULL, NULL, NULL}};
    static const struct {
        const char *settings;
        const struct server *servers;
        size_t connects;
    } rows[] = {
        {"smtp_mx_session_limit = 2", talking, 2},
        {"smtp_mx_session_limit = 3", talking, 3},
        {"smtp_mx_session_limit = 0", talking, 3},
        {"smtp_mx_session_limit = 1", silent, 3},
        {"smtp_mx_address_limit = 2", silent, 2},
        {"smtp_mx_address_limit = 1", silent, 1},
        {"smtp_mx_address_limit = 0", silent, 3},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        world_open(&w, rows[i].settings, false);
        w.names = many_names;
        w.servers = rows[i].servers;
        w.m.nexthop = SPAN("remote.test");

        world_deliver(&w);

        cr_expect_eq(w.connects, rows[i].connects, "%s: %zu", rows[i].settings, w.connects);
        cr_expect_eq(w.d.verdicts[0].class, 4u);
        world_close(&w);
    }
}

Test(attempt, goes_to_the_fallback_relay_at_the_end)
{
    static const struct server servers[] = {{"192.0.2.1", busy, NULL}, {"192.0.2.2", usual, NULL}, {NULL, NULL, NULL}};
    world_open(&w, "smtp_fallback_relay = [192.0.2.3] [192.0.2.2]:26", false);
    w.servers = servers;

    world_deliver(&w);

    WANT(&w, 0, 2, "2.0.0", "ok");
    cr_expect(span_eq(w.d.verdicts[0].relay, SPAN("192.0.2.2[192.0.2.2]:26")));
    cr_expect_eq(w.connects, 3u);
    world_close(&w);
}

Test(attempt, tries_each_of_several_next_hops)
{
    static const struct server servers[] = {{"192.0.2.2", usual, NULL}, {NULL, NULL, NULL}};
    world_open(&w, "", false);
    w.servers = servers;
    w.m.nexthop = SPAN("[192.0.2.1], [192.0.2.2]:26");

    world_deliver(&w);

    WANT(&w, 0, 2, "2.0.0", "ok");
    world_close(&w);
}

/* --- what is not found ----------------------------------------------------------------------- */

Test(attempt, returns_only_what_is_proven_not_to_be_there)
{
    static const struct name names[] = {
        {"null.test", DNS_TYPE_MX, "0 ."},
        {"wait.test", DNS_TYPE_MX, "!temporary"},
        {"bogus.test", DNS_TYPE_MX, "!bogus"},
        {"bare.test", DNS_TYPE_TXT, "!none"},
        {"half.test", DNS_TYPE_MX, "10 gone.test"},
        {"half.test", DNS_TYPE_MX, "20 later.test"},
        {"later.test", DNS_TYPE_A, "!temporary"},
        {"lost.test", DNS_TYPE_MX, "10 gone.test"},
        {"loop.test", DNS_TYPE_MX, "10 me.test"},
        {"loop.test", DNS_TYPE_MX, "20 other.test"},
        {"backup.test", DNS_TYPE_MX, "10 gone.test"},
        {"backup.test", DNS_TYPE_MX, "20 me.test"},
        {"me.test", DNS_TYPE_A, "192.0.2.99"},
        {"other.test", DNS_TYPE_A, "192.0.2.1"},
        {NULL, 0, NULL}};
    static const struct {
        const char *nexthop;
        unsigned class;
        const char *dsn, *words;
    } rows[] = {
        {"nothing.test", 5, "5.4.4", "Host or domain name not found. Name service error for name=nothing.test type=A: "
                                     "Host not found"},
        {"bare.test", 5, "5.4.4", "name=bare.test type=A: Host found but no data record of requested type"},
        {"null.test", 5, "5.1.10", "Domain null.test does not accept mail (nullMX)"},
        {"wait.test", 4, "4.4.3", "name=wait.test type=MX: Host not found, try again"},
        {"bogus.test", 4, "4.4.3", "name=bogus.test type=MX"},
        {"half.test", 4, "4.4.3", "name=later.test type=A"},
        {"lost.test", 5, "5.4.4", "name=gone.test type=A: Host not found"},
        {"loop.test", 5, "5.4.6", "mail for loop.test loops back to myself"},
        {"backup.test", 4, "4.4.4", "unable to find primary relay for backup.test"},
        {"[me.test]", 5, "5.4.6", "mail for me.test loops back to myself"},
        {"[nothing.test]", 5, "5.4.4", "name=nothing.test type=A: Host not found"},
        {"[broken", 4, "4.3.5", "mail system configuration error"},
        {"[192.0.2.1]:what", 4, "4.3.5", "mail system configuration error"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        world_open(&w, "", false);
        w.names = names;
        w.m.nexthop = span_text(rows[i].nexthop);

        world_deliver(&w);

        WANT(&w, 0, rows[i].class, rows[i].dsn, rows[i].words);
        cr_expect_eq(w.connects, 0u, "%s", rows[i].nexthop);
        world_close(&w);
    }
}

Test(attempt, waits_where_the_administrators_own_host_is_not_found)
{
    world_open(&w, "relayhost = gone.test", false);
    w.m.nexthop = SPAN("gone.test");

    world_deliver(&w);

    WANT(&w, 0, 4, "4.3.5", "Host not found");
    world_close(&w);
}

Test(attempt, stops_at_a_server_that_is_ourselves)
{
    static const struct name names[] = {
        {"remote.test", DNS_TYPE_MX, "10 a.test"}, {"a.test", DNS_TYPE_A, "192.0.2.1"}, {NULL, 0, NULL}};
    static const struct line greeting[] = {{"GREETING", "220 me.test ESMTP\r\n"}, {NULL, NULL}};
    static const struct line hello[] = {{"EHLO", "250 ME.test\r\n"}, {NULL, NULL}};
    for (int i = 0; i < 2; i++) {
        const struct server servers[] = {{"192.0.2.1", i ? hello : greeting, NULL}, {NULL, NULL, NULL}};
        world_open(&w, "", false);
        w.names = names;
        w.servers = servers;
        w.m.nexthop = SPAN("remote.test");

        world_deliver(&w);

        WANT(&w, 0, 5, "5.4.6", "mail for remote.test loops back to myself");
        world_close(&w);
    }
}

/* --- what must not go in clear -------------------------------------------------------------------- */

Test(attempt, waits_where_TLS_is_demanded)
{
    static const char *const settings[] = {
        "smtp_tls_security_level = encrypt", "smtp_tls_security_level = dane",   "smtp_tls_security_level = secure",
        "smtp_tls_security_level = verify",  "smtp_enforce_tls = yes",           "smtp_tls_wrappermode = yes",
        "smtp_tls_security_level = bogus",   "smtp_tls_policy_maps = inline:{ a=encrypt }"};
    static const struct server servers[] = {{"192.0.2.1", usual, NULL}, {NULL, NULL, NULL}};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        world_open(&w, settings[i], false);
        w.servers = servers;

        world_deliver(&w);

        WANT(&w, 0, 4, "4.7.5", "cannot do TLS yet");
        cr_expect_eq(w.connects, 0u, "%s", settings[i]);
        world_close(&w);
    }
}

Test(attempt, sends_where_TLS_is_optional)
{
    static const char *const settings[] = {"smtp_tls_security_level = none", "smtp_tls_security_level = may",
                                           "smtp_use_tls = yes"};
    static const struct server servers[] = {{"192.0.2.1", usual, NULL}, {NULL, NULL, NULL}};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        world_open(&w, settings[i], false);
        w.servers = servers;

        world_deliver(&w);

        WANT(&w, 0, 2, "2.0.0", "ok");
        world_close(&w);
    }
}

Test(attempt, waits_where_a_login_is_wanted_that_it_cannot_give)
{
    static const struct server servers[] = {{"192.0.2.1", usual, "250-AUTH PLAIN\r\n"}, {NULL, NULL, NULL}};
    world_open(&w, "smtp_sasl_auth_enable = yes", false);
    w.servers = servers;

    world_deliver(&w);

    WANT(&w, 0, 4, "4.7.0", "asks for a login");
    world_close(&w);
}
