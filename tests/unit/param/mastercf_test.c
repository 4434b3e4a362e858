#include "lib/param/mastercf.h"

#include <criterion/criterion.h>

static struct mastercf parsed(struct arena *a, const char *text)
{
    struct mastercf cf;
    struct param_errors e = PARAM_ERRORS_INIT;
    bool good = mastercf_parse(a, span_text(text), SPAN("master.cf"), &cf, &e);
    cr_assert(good, "%s", e.count ? e.at[0]->text.p : "");
    param_errors_fini(&e);
    return cf;
}

Test(mastercf, reads_the_fields_and_their_defaults)
{
    struct arena a = ARENA_INIT;
    struct mastercf cf = parsed(&a, "# comment\n"
                                    "smtp inet n - y - - smtpd\n"
                                    "qmgr unix n - n 300 1 qmgr\n"
                                    "flush unix - - - 1000? 0 flush\n"
                                    "local unix - n n - - local\n"
                                    "postlog unix-dgram n - n - 1 postlogd\n"
                                    "x fifo y y y 60 100 spawn\n"
                                    "smtpd pass - - n - - smtpd\n");

    cr_assert_eq(cf.count, (size_t)7);
    const struct service *smtp = &cf.at[0], *qmgr = &cf.at[1], *flush = &cf.at[2], *local = &cf.at[3];
    cr_expect_str_eq(smtp->name.p, "smtp");
    cr_expect_str_eq(smtp->command.p, "smtpd");
    cr_expect_eq(smtp->type, SERVICE_INET);
    cr_expect(!smtp->is_private && smtp->unprivileged && smtp->chroot && smtp->maxproc_default);
    cr_expect_eq(smtp->place.line, 2U);
    cr_expect(!qmgr->is_private && !qmgr->wakeup_if_used && !qmgr->maxproc_default);
    cr_expect_eq(qmgr->wakeup, 300);
    cr_expect_eq(qmgr->maxproc, 1U);
    cr_expect(flush->is_private && flush->chroot_default && !flush->chroot && flush->wakeup_if_used);
    cr_expect_eq(flush->wakeup, 1000);
    cr_expect_eq(flush->maxproc, 0U);
    cr_expect(!flush->maxproc_default);
    cr_expect(!local->unprivileged && local->is_private);
    cr_expect_eq(cf.at[4].type, SERVICE_UNIX_DGRAM);
    cr_expect_eq(cf.at[5].type, SERVICE_FIFO);
    cr_expect_eq(cf.at[6].type, SERVICE_PASS);
    arena_fini(&a);
}

Test(mastercf, reads_arguments_options_and_groups)
{
    struct arena a = ARENA_INIT;
    struct mastercf cf = parsed(&a, "submission inet n - y - - smtpd\n"
                                    "  -o syslog_name=postfix/submission -v\n"
                                    "# between\n"
                                    "  -o { smtpd_client_restrictions = permit_mynetworks, reject }\n"
                                    "  -osmtpd_x=\n"
                                    "maildrop unix - n n - - pipe\n"
                                    "  flags=R user=vmail argv={ /bin/x y } {a b} -o not=mine\n");

    const struct service *s = &cf.at[0], *pipe = &cf.at[1];
    cr_assert_eq(s->option_count, (size_t)3);
    cr_expect_str_eq(s->options[0].name.p, "syslog_name");
    cr_expect_str_eq(s->options[0].value.p, "postfix/submission");
    cr_expect_str_eq(s->options[1].name.p, "smtpd_client_restrictions");
    cr_expect_str_eq(s->options[1].value.p, "permit_mynetworks, reject");
    cr_expect_str_eq(s->options[2].name.p, "smtpd_x");
    cr_expect_eq(s->options[2].value.n, (size_t)0);
    cr_expect_eq(s->arg_count, (size_t)6);
    cr_expect_eq(pipe->option_count, (size_t)0, "behind the first argument of pipe, -o is its own");
    cr_assert_eq(pipe->arg_count, (size_t)6);
    cr_expect_str_eq(pipe->args[2].p, "argv={ /bin/x y }");
    cr_expect_str_eq(pipe->args[3].p, "a b");
    arena_fini(&a);
}

Test(mastercf, names_the_line_the_field_and_the_remedy)
{
    static const struct {
        const char *says, *in, *want;
    } rows[] = {
        {"too few fields", "smtp inet n - y - -\n", "master.cf:1: this service has 7 of the 8 fields"},
        {"no such type", "smtp tcp n - y - - smtpd\n",
         "master.cf:1: service smtp: field 2 (type): \"tcp\": write inet, unix, fifo, pass or unix-dgram"},
        {"private", "a unix x - y - - b\n",
         "master.cf:1: service a: field 3 (private): \"x\": write y, n or -"},
        {"private on the network", "smtp inet y - y - - smtpd\n",
         "master.cf:1: service smtp: field 3 (private): \"y\": a service on the network cannot be private: "
         "write n"},
        {"unprivileged", "a unix - yes y - - b\n",
         "master.cf:1: service a: field 4 (unprivileged): \"yes\": write y, n or -"},
        {"chroot", "a unix - - ? - - b\n",
         "master.cf:1: service a: field 5 (chroot): \"?\": write y, n or -"},
        {"wakeup", "a unix - - n soon - b\n",
         "master.cf:1: service a: field 6 (wakeup): \"soon\": write a number"},
        {"process limit", "a unix - - n - 5? b\n",
         "master.cf:1: service a: field 7 (process_limit): \"5?\": write a number"},
        {"a path as command", "a unix - - n - - /bin/b\n",
         "master.cf:1: service a: field 8 (command): \"/bin/b\": write the name of a program"},
        {"a port that is none", "x:70000 inet n - n - - smtpd\n",
         "master.cf:1: service x:70000: field 1 (service): \"x:70000\": \"70000\" is no port"},
        {"an address without brackets", "::1:25 inet n - n - - smtpd\n",
         "master.cf:1: service ::1:25: field 1 (service): \"::1:25\": write an IPv6 address in brackets: "
         "[::1]:25"},
        {"a name outside the queue", "../x unix n - n - - b\n",
         "master.cf:1: service ../x: field 1 (service): \"../x\": "},
        {"an option without value", "a unix - - n - - b -o x\n",
         "master.cf:1: service a: argument \"x\": there is no '=': write it as \"name = value\""},
        {"an option with nothing behind it", "a unix - - n - - b -o\n",
         "master.cf:1: service a: argument \"-o\": name=value is missing"},
        {"an open group", "a unix - - n - - b {x y\n",
         "master.cf:1: service a: argument \"{x y\": a closing '}' is missing"},
        {"text behind a group", "a unix - - n - - b {x}y\n",
         "master.cf:1: service a: argument \"{x}y\": put whitespace behind the closing '}'"},
        {"a margin", " a unix - - n - - b\n", "master.cf:1: this line starts with whitespace"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena a = ARENA_INIT;
        struct mastercf cf;
        struct param_errors e = PARAM_ERRORS_INIT;
        cr_expect(!mastercf_parse(&a, span_text(rows[i].in), SPAN("master.cf"), &cf, &e), "%s", rows[i].says);
        cr_assert_eq(e.count, (size_t)1, "%s", rows[i].says);
        cr_expect(span_starts(e.at[0]->text, span_text(rows[i].want)), "%s: %s", rows[i].says,
                  e.at[0]->text.p);
        param_errors_fini(&e);
        arena_fini(&a);
    }
}

Test(mastercf, the_good_lines_of_a_bad_file_are_still_there)
{
    struct arena a = ARENA_INIT;
    struct mastercf cf;
    struct param_errors e = PARAM_ERRORS_INIT;

    cr_expect(
        !mastercf_parse(&a, SPAN("a unix x x x - - b\nok unix - - n - - c\n"), SPAN("master.cf"), &cf, &e));

    cr_expect_eq(e.fatal, (size_t)3, "all three fields are named");
    cr_expect_eq(cf.count, (size_t)1);
    cr_expect_not_null(mastercf_find(&cf, SPAN("ok"), SERVICE_UNIX));
    cr_expect_null(mastercf_find(&cf, SPAN("ok"), SERVICE_INET));
    param_errors_fini(&e);
    arena_fini(&a);
}

Test(mastercf, a_later_line_replaces_with_a_warning)
{
    struct arena a = ARENA_INIT;
    struct mastercf cf;
    struct param_errors e = PARAM_ERRORS_INIT;

    cr_expect(mastercf_parse(
        &a, SPAN("smtp inet n - y - - smtpd\nsmtp unix - - y - - smtp\nsmtp inet n - y - 5 smtpd\n"),
        SPAN("master.cf"), &cf, &e));

    cr_expect_eq(cf.count, (size_t)2);
    cr_expect_eq(cf.at[0].maxproc, 5U);
    cr_assert_eq(e.count, (size_t)1);
    cr_expect_str_eq(e.at[0]->text.p,
                     "master.cf:3: service smtp inet: replaces the one of line 1: remove one of the two");
    param_errors_fini(&e);
    arena_fini(&a);
}

Test(mastercf, options_reach_the_settings_of_the_service)
{
    struct arena a = ARENA_INIT;
    struct mastercf cf =
        parsed(&a, "relay unix - - n - - smtp -o syslog_name=postfix/$service_name -o relayhost=b\n");
    struct settings s = SETTINGS_INIT;
    settings_parse(&s, SPAN("relayhost = a\n"), SPAN("main.cf"), NULL);

    cr_assert(service_apply_options(&cf.at[0], &s, NULL));

    cr_expect_str_eq(settings_get(&s, SPAN("relayhost"))->value.p, "b");
    cr_expect_str_eq(settings_get(&s, SPAN("service_name"))->value.p, "relay");
    cr_expect_str_eq(settings_get(&s, SPAN("relayhost"))->file.p, "master.cf");
    settings_fini(&s);
    arena_fini(&a);
}

Test(listen_spec, knows_ports_and_addresses)
{
    static const struct {
        const char *in, *host;
        uint16_t port;
    } rows[] = {
        {"smtp", "", 25},          {"submission", "", 587},
        {"smtps", "", 465},        {"submissions", "", 465},
        {"pop3", "", 110},         {"pop3s", "", 995},
        {"imap", "", 143},         {"imaps", "", 993},
        {"2525", "", 2525},        {"127.0.0.1:10025", "127.0.0.1", 10025},
        {"[::1]:smtp", "::1", 25}, {"localhost:587", "localhost", 587},
        {":25", "", 25},           {"1", "", 1},
        {"65535", "", 65535},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct listen_spec listen;
        struct buf why = BUF_INIT;
        cr_assert(listen_spec_parse(span_text(rows[i].in), &listen, &why), "%s", rows[i].in);
        cr_expect_eq(listen.port, rows[i].port, "%s", rows[i].in);
        cr_expect(span_eq(listen.host, span_text(rows[i].host)), "%s", rows[i].in);
        buf_fini(&why);
    }
}

Test(listen_spec, refuses_what_is_no_port)
{
    static const char *const rows[] = {
        "", "0", "65536", "nosuch", "a:", "a:b", "::1:25", "[::1]25", "25x", "-1"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct listen_spec listen;
        struct buf why = BUF_INIT;
        cr_expect(!listen_spec_parse(span_text(rows[i]), &listen, &why), "%s", rows[i]);
        cr_expect_gt(why.len, (size_t)0, "%s", rows[i]);
        buf_fini(&why);
    }
}
