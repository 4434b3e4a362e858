#include "lib/param/facts.h"
#include "lib/param/param.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct settings parsed(const char *text)
{
    struct settings s = SETTINGS_INIT;
    cr_assert(settings_parse(&s, span_text(text), SPAN("main.cf"), NULL));
    return s;
}

Test(specs, every_name_is_declared_once_and_every_row_is_whole)
{
    for (size_t i = 0; i < param_spec_count(); i++) {
        const struct param_spec *spec = param_spec_at(i);
        cr_expect_eq(param_spec_find(spec->name), spec, "%s is declared twice", spec->name.p);
        cr_expect_gt(strlen(spec->doc), (size_t)10, "%s has no doc", spec->name.p);
        cr_expect_eq(spec->doc[strlen(spec->doc) - 1], '.', "%s: doc is made of sentences", spec->name.p);
        cr_expect_leq(spec->min, spec->max, "%s: min is over max", spec->name.p);
        cr_expect_not_null(spec->since, "%s", spec->name.p);
        for (const char *c = spec->doc; *c; c++)
            cr_expect(*c == '\n' || byte_is_print((unsigned char)*c), "%s: doc is plain text", spec->name.p);
    }
    cr_expect_geq(param_spec_count(), (size_t)940);
    cr_expect_null(param_spec_find(SPAN("no_such_parameter")));
}

/* Without a unit in its default a bare number would silently mean seconds. */
Test(specs, every_default_of_a_time_ends_with_a_unit_or_is_a_reference)
{
    for (size_t i = 0; i < param_spec_count(); i++) {
        const struct param_spec *spec = param_spec_at(i);
        if (spec->kind != PARAM_KIND_TIME)
            continue;
        struct span initial = span_text(spec->initial);
        cr_expect(value_time_unit(initial.p[initial.n - 1]) || initial.p[0] == '$', "%s", spec->name.p);
    }
}

Test(specs, every_default_passes_its_own_check)
{
    static const char *const levels[] = {"0", "1", "2", "3.6", "3.11"};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        struct settings s = SETTINGS_INIT;
        struct param_errors e = PARAM_ERRORS_INIT;
        settings_set(&s, SPAN("compatibility_level"), span_text(levels[i]), SETTING_FILE,
                     (struct param_place){0});

        cr_expect(param_check_all(&s, &e));

        for (size_t k = 0; k < e.count; k++)
            cr_expect_fail("level %s: %s", levels[i], e.at[k]->text.p);
        param_errors_fini(&e);
        settings_fini(&s);
    }
}

Test(specs, every_default_of_a_transport_parameter_passes_its_check)
{
    struct arena a = ARENA_INIT;
    struct settings s = SETTINGS_INIT;
    struct params_transport p;
    struct param_errors e = PARAM_ERRORS_INIT;

    cr_expect(params_transport_load(&a, &s, SPAN("slow"), &p, &e));

    cr_expect_eq(e.count, (size_t)0);
    cr_expect_eq(p.destination_concurrency_limit, 20U);
    cr_expect_eq(p.destination_recipient_limit, 50U);
    cr_expect_eq(p.time_limit, 1000);
    arena_fini(&a);
}

Test(params, load_typed_values)
{
    struct arena a = ARENA_INIT;
    struct settings s =
        parsed("smtpd_timeout = 10m\nsmtpd_recipient_limit = 7\nsmtpd_helo_required = YES\n"
               "smtpd_banner = $myhostname hello\nmyhostname = mx.example.com\n"
               "smtpd_recipient_restrictions = permit_mynetworks, check_policy_service { inet:a, b=c }\n"
               "smtpd_forbid_bare_newline = Normalize\nnotify_classes = bounce 2bounce\n"
               "access_map_reject_code = 521\nsmtpd_reject_footer = $recipient\n"
               "message_size_limit = 20000000000\n");
    struct params_smtpd p;
    struct params_main main;
    struct param_errors e = PARAM_ERRORS_INIT;

    cr_assert(params_smtpd_load(&a, &s, &p, &e));
    cr_assert(params_main_load(&a, &s, &main, &e));

    cr_expect_eq(p.smtpd_timeout, 600);
    cr_expect_eq(p.smtpd_recipient_limit, 7U);
    cr_expect(p.smtpd_helo_required);
    cr_expect_str_eq(p.smtpd_banner.p, "mx.example.com hello");
    cr_expect_eq(p.smtpd_recipient_restrictions.n, (size_t)3);
    cr_expect_str_eq(p.smtpd_recipient_restrictions.at[2].p, "{ inet:a, b=c }");
    cr_expect_eq(p.smtpd_forbid_bare_newline, PARAM_bare_newline_normalize);
    cr_expect_eq(p.access_map_reject_code, 521U);
    cr_expect_str_eq(p.smtpd_reject_footer.p, "$recipient");
    cr_expect_eq(main.notify_classes, 1U << PARAM_notify_class_bounce | 1U << PARAM_notify_class_twobounce);
    cr_expect_eq(main.message_size_limit, 20000000000U);
    cr_expect_str_eq(main.mydomain.p, "example.com");
    cr_expect_eq(e.count, (size_t)0);
    arena_fini(&a);
    settings_fini(&s);
}

Test(params, a_number_without_unit_has_that_of_the_default)
{
    struct arena a = ARENA_INIT;
    struct settings s = parsed("maximal_queue_lifetime = 2\nsmtpd_timeout = 7\ndelay_warning_time = 4\n");
    struct params_qmgr qmgr;
    struct params_smtpd smtpd;
    struct params_main main;

    params_main_load(&a, &s, &main, NULL);
    params_qmgr_load(&a, &s, &qmgr, NULL);
    params_smtpd_load(&a, &s, &smtpd, NULL);

    cr_expect_eq(qmgr.maximal_queue_lifetime, 2 * 86400);
    cr_expect_eq(smtpd.smtpd_timeout, 7);
    cr_expect_eq(main.delay_warning_time, 4 * 3600);
    arena_fini(&a);
    settings_fini(&s);
}

Test(params, a_wrong_value_is_named_with_its_place_and_the_default_stands)
{
    static const struct {
        const char *line, *message;
    } rows[] = {
        {"smtpd_timeout = soon",
         "main.cf:2: smtpd_timeout: \"soon\" is no time: write a whole number and one of s, m, h, d, w"},
        {"smtpd_timeout = 0", "main.cf:2: smtpd_timeout: 0s is too small: use at least 1s"},
        {"smtpd_recipient_limit = many", "main.cf:2: smtpd_recipient_limit: \"many\" is no whole number"},
        {"smtpd_recipient_limit = 0", "main.cf:2: smtpd_recipient_limit: 0 is too small: use at least 1"},
        {"smtpd_recipient_limit = 2147483648",
         "main.cf:2: smtpd_recipient_limit: 2147483648 is too large: use at most 2147483647"},
        {"smtpd_helo_required = maybe", "main.cf:2: smtpd_helo_required: \"maybe\" is neither yes nor no"},
        {"smtpd_forbid_bare_newline = perhaps",
         "main.cf:2: smtpd_forbid_bare_newline: \"perhaps\" is none of: no, yes, normalize, reject, note"},
        {"smtpd_banner =", "main.cf:2: smtpd_banner: it is empty, and must not be"},
        {"smtpd_banner = ${x", "main.cf:2: smtpd_banner: a closing bracket is missing at \"{x\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[200];
        snprintf(text, sizeof text, "# one\n%s\n", rows[i].line);
        struct arena a = ARENA_INIT;
        struct settings s = parsed(text);
        struct params_smtpd p;
        struct param_errors e = PARAM_ERRORS_INIT;
        cr_expect(!params_smtpd_load(&a, &s, &p, &e), "%s", rows[i].line);
        cr_assert_eq(e.count, (size_t)1, "%s", rows[i].line);
        cr_expect_str_eq(e.at[0]->text.p, rows[i].message);
        cr_expect_eq(e.at[0]->severity, PARAM_ERROR);
        cr_expect_eq(p.smtpd_timeout, 300);
        cr_expect_eq(p.smtpd_recipient_limit, 1000U);
        param_errors_fini(&e);
        arena_fini(&a);
        settings_fini(&s);
    }
}

Test(params, a_reply_code_has_three_digits_of_the_right_kind)
{
    static const struct {
        const char *in;
        bool good;
    } rows[] = {{"200", true}, {"599", true}, {"199", false}, {"600", false}, {"55", false}, {"5.7", false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct settings s = SETTINGS_INIT;
        struct buf why = BUF_INIT;
        cr_expect_eq(param_check_value(&s, SPAN("access_map_reject_code"), span_text(rows[i].in), &why),
                     rows[i].good, "%s", rows[i].in);
        buf_fini(&why);
    }
}

Test(params, a_wrong_value_that_has_no_effect_is_a_warning)
{
    struct arena a = ARENA_INIT;
    struct settings s = parsed("qmqpd_timeout = soon\n");
    struct params_misc p;
    struct param_errors e = PARAM_ERRORS_INIT;

    cr_expect(params_misc_load(&a, &s, &p, &e));

    cr_assert_eq(e.count, (size_t)1);
    cr_expect_eq(e.at[0]->severity, PARAM_WARNING);
    param_errors_fini(&e);
    arena_fini(&a);
    settings_fini(&s);
}

Test(params, follow_the_compatibility_level)
{
    static const struct {
        const char *level, *style, *relay;
        bool utf8, dot;
    } rows[] = {
        {"0", "subnet", "localhost", false, true},
        {"1", "subnet", "localhost", true, false},
        {"2", "host", "", true, false},
        {"3.6", "host", "", true, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[100];
        snprintf(text, sizeof text, "compatibility_level = %s\nmydestination = localhost\n", rows[i].level);
        struct arena a = ARENA_INIT;
        struct settings s = parsed(text);
        struct params_main p;
        cr_assert(params_main_load(&a, &s, &p, NULL));
        cr_expect_eq(p.smtputf8_enable, rows[i].utf8, "%s", rows[i].level);
        cr_expect_eq(p.append_dot_mydomain, rows[i].dot, "%s", rows[i].level);
        cr_expect_str_eq(p.relay_domains.text.p, rows[i].relay, "%s", rows[i].level);
        cr_expect_eq(p.mynetworks_style == PARAM_mynetworks_style_host, rows[i].style[0] == 'h');
        arena_fini(&a);
        settings_fini(&s);
    }
}

Test(params, names_of_the_host_are_computed)
{
    static const struct {
        const char *says, *host, *text, *myhostname, *mydomain;
    } rows[] = {
        {"nothing known", NULL, "", "localhost.localdomain", "localdomain"},
        {"a full name", "mx.example.com", "", "mx.example.com", "example.com"},
        {"a short name", "mx", "", "mx.localdomain", "localdomain"},
        {"a short name with a domain", "mx", "mydomain = b.org\n", "mx.b.org", "b.org"},
        {"set by hand", "mx", "myhostname = a.b.org\n", "a.b.org", "b.org"},
        {"set by hand without a dot", "mx", "myhostname = a\n", "a", "localdomain"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena a = ARENA_INIT;
        struct settings s = parsed(rows[i].text);
        struct params_main p;
        if (rows[i].host)
            settings_set_fact(&s, FACT_HOSTNAME, span_text(rows[i].host));
        cr_assert(params_main_load(&a, &s, &p, NULL), "%s", rows[i].says);
        cr_expect_str_eq(p.myhostname.p, rows[i].myhostname, "%s", rows[i].says);
        cr_expect_str_eq(p.mydomain.p, rows[i].mydomain, "%s", rows[i].says);
        arena_fini(&a);
        settings_fini(&s);
    }
}

Test(params, names_that_need_each_other_end_without_harm)
{
    struct arena a = ARENA_INIT;
    struct settings s = parsed("mydomain = $myhostname\n");
    struct params_main p;
    settings_set_fact(&s, FACT_HOSTNAME, SPAN("mx"));

    params_main_load(&a, &s, &p, NULL);

    cr_expect_not_null(p.myhostname.p);
    arena_fini(&a);
    settings_fini(&s);
}

Test(params, own_networks_follow_style_interfaces_and_protocols)
{
    static const char interfaces[] =
        "127.0.0.1/8 192.0.2.2/24 [::1]/128 [fd00::2]/64 [fe80::fc:ff:fe00:1]/64";
    static const struct {
        const char *says, *text, *want;
    } rows[] = {
        {"host", "mynetworks_style = host\n",
         "127.0.0.1/32 192.0.2.2/32 [::1]/128 [fd00::2]/128 [fe80::fc:ff:fe00:1]/128"},
        {"subnet", "mynetworks_style = subnet\n",
         "127.0.0.0/8 192.0.2.0/24 [::1]/128 [fd00::]/64 [fe80::]/64"},
        {"class", "mynetworks_style = class\n", "127.0.0.0/8 192.0.2.0/24 [::1]/128 [fd00::]/64 [fe80::]/64"},
        {"loopback only", "inet_interfaces = loopback-only\n", "127.0.0.0/8 [::1]/128"},
        {"one address", "inet_interfaces = 192.0.2.2\n", "192.0.2.0/24"},
        {"one IPv6 address", "inet_interfaces = fd00::2\n", "[fd00::]/64"},
        {"IPv4 only", "inet_protocols = ipv4\n", "127.0.0.0/8 192.0.2.0/24"},
        {"set by hand", "mynetworks = 10.0.0.0/8\n", "10.0.0.0/8"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena a = ARENA_INIT;
        struct settings s = parsed(rows[i].text);
        struct params_main p;
        settings_set_fact(&s, FACT_INTERFACES, SPAN(interfaces));
        cr_assert(params_main_load(&a, &s, &p, NULL), "%s", rows[i].says);
        cr_expect_str_eq(p.mynetworks.text.p, rows[i].want, "%s", rows[i].says);
        arena_fini(&a);
        settings_fini(&s);
    }
}

Test(params, without_facts_only_localhost_is_trusted)
{
    struct arena a = ARENA_INIT;
    struct settings s = SETTINGS_INIT;
    struct params_main p;

    params_main_load(&a, &s, &p, NULL);

    cr_expect_str_eq(p.mynetworks.text.p, "127.0.0.0/8 [::1]/128");
    arena_fini(&a);
}

Test(params, the_lmtp_client_has_the_values_of_lmtp)
{
    struct arena a = ARENA_INIT;
    struct settings s = parsed("smtp_helo_timeout = 1s\nlmtp_lhlo_timeout = 2s\nlmtp_data_init_timeout = 3s\n"
                               "smtp_always_send_ehlo = no\n");
    struct params_smtp smtp, lmtp;

    cr_assert(params_smtp_load(&a, &s, &smtp, NULL));
    cr_assert(params_smtp_load_lmtp(&a, &s, &lmtp, NULL));

    cr_expect_eq(smtp.smtp_helo_timeout, 1);
    cr_expect_eq(lmtp.smtp_helo_timeout, 2);
    cr_expect_eq(smtp.smtp_data_init_timeout, 120);
    cr_expect_eq(lmtp.smtp_data_init_timeout, 3);
    cr_expect_str_eq(smtp.smtp_tcp_port.p, "smtp");
    cr_expect_str_eq(lmtp.smtp_tcp_port.p, "24");
    cr_expect(!lmtp.smtp_always_send_ehlo, "what has no twin is that of smtp");
    arena_fini(&a);
    settings_fini(&s);
}

Test(params, a_transport_has_its_own_values_or_the_general_ones)
{
    struct arena a = ARENA_INIT;
    struct settings s =
        parsed("default_destination_concurrency_limit = 9\nslow_destination_concurrency_limit = 1\n"
               "slow_destination_rate_delay = 2m\n");
    struct params_transport slow, fast, local;

    cr_assert(params_transport_load(&a, &s, SPAN("slow"), &slow, NULL));
    cr_assert(params_transport_load(&a, &s, SPAN("fast"), &fast, NULL));
    cr_assert(params_transport_load(&a, &s, SPAN("local"), &local, NULL));

    cr_expect_eq(slow.destination_concurrency_limit, 1U);
    cr_expect_eq(slow.destination_rate_delay, 120);
    cr_expect_eq(fast.destination_concurrency_limit, 9U);
    cr_expect_eq(local.destination_concurrency_limit, 2U);
    cr_expect_eq(local.destination_recipient_limit, 1U);
    arena_fini(&a);
    settings_fini(&s);
}

Test(params, a_wrong_value_of_a_transport_is_named_in_full)
{
    struct arena a = ARENA_INIT;
    struct settings s = parsed("slow_destination_concurrency_limit = few\n");
    struct params_transport p;
    struct param_errors e = PARAM_ERRORS_INIT;

    cr_expect(!params_transport_load(&a, &s, SPAN("slow"), &p, &e));

    cr_expect_str_eq(e.at[0]->text.p,
                     "main.cf:1: slow_destination_concurrency_limit: \"few\" is no whole number");
    cr_expect_eq(p.destination_concurrency_limit, 20U);
    param_errors_fini(&e);
    arena_fini(&a);
    settings_fini(&s);
}

Test(params, what_is_not_supported_yet_is_reported_and_not_fatal)
{
    struct settings s = parsed("fast_flush_purge_time = 1d\nfast_flush_refresh_time = 12h\n");
    struct param_errors e = PARAM_ERRORS_INIT;

    cr_expect(param_check_all(&s, &e));

    cr_assert_eq(e.count, (size_t)1, "only the one that differs from its default");
    cr_expect_str_eq(
        e.at[0]->text.p,
        "main.cf:1: fast_flush_purge_time: this is known but not supported yet, and has no effect");
    param_errors_fini(&e);
    settings_fini(&s);
}

Test(params, any_name_can_be_expanded)
{
    struct arena a = ARENA_INIT;
    struct settings s = parsed("mine = <$relayhost>\nrelayhost = [a.b]\n");
    struct buf why = BUF_INIT;
    struct span value;

    cr_expect(param_expand_name(&a, &s, SPAN("mine"), &value, &why));
    cr_expect_str_eq(value.p, "<[a.b]>");
    cr_expect(param_expand_name(&a, &s, SPAN("smtpd_timeout"), &value, &why));
    cr_expect_str_eq(value.p, "300s");
    cr_expect(param_expand_name(&a, &s, SPAN("slow_destination_recipient_limit"), &value, &why));
    cr_expect_str_eq(value.p, "50");
    cr_expect(!param_expand_name(&a, &s, SPAN("no_such_name"), &value, &why));
    arena_fini(&a);
    settings_fini(&s);
    buf_fini(&why);
}
