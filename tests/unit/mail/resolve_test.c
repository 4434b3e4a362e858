#include "lib/mail/address.h"
#include "lib/mail/resolve.h"

#include <criterion/criterion.h>

static struct tables *tables;
static struct ip own[2];
static struct resolve_config config;

static struct matchlist *lists[16];
static size_t list_count;

/* Open until teardown. */
static struct matchlist *list(const char *value, enum matchlist_kind kind)
{
    unsigned flags = kind == MATCHLIST_DOMAIN ? MATCHLIST_PARENT : 0;
    cr_assert_lt(list_count, sizeof lists / sizeof *lists);
    return lists[list_count++] = matchlist_open(tables, SPAN("test"), span_text(value), kind, flags);
}

static struct maps *opened[16];
static size_t opened_count;

/* Open until teardown. */
static struct maps *maps(const char *value)
{
    cr_assert_lt(opened_count, sizeof opened / sizeof *opened);
    return opened[opened_count++] = maps_open(tables, SPAN("test"), span_text(value), TABLE_FOLD);
}

static void setup(void)
{
    static const struct table_hooks no_hooks;
    tables = tables_new(&table_files_by_path, &no_hooks);
    ip_parse(SPAN("127.0.0.1"), &own[0]);
    ip_parse(SPAN("2001:db8::25"), &own[1]);
    config = (struct resolve_config){
        .lookup = {.recipient_delimiter = SPAN("+"),
                   .rewrite = {.append_at_myorigin = true,
                               .swap_bangpath = true,
                               .allow_percent_hack = true,
                               .myorigin = SPAN("example.com"),
                               .mydomain = SPAN("example.com")},
                   .is_local = resolve_is_local,
                   .local_context = &config},
        .myhostname = SPAN("mx.example.com"),
        .empty_address_recipient = SPAN("MAILER-DAEMON"),
        .resolve_dequoted_address = true,
        .show_user_unknown_table_name = true,
        .mydestination = list("mx.example.com, localhost, example.com", MATCHLIST_STRING),
        .virtual_alias_domains = list("va.org", MATCHLIST_STRING),
        .virtual_mailbox_domains = list("vm.org", MATCHLIST_STRING),
        .relay_domains = list("relay.org", MATCHLIST_DOMAIN),
        .own_addresses = own,
        .own_address_count = 2,
        .local_transport = SPAN("local:mx.example.com"),
        .virtual_transport = SPAN("virtual"),
        .relay_transport = SPAN("relay"),
        .default_transport = SPAN("smtp"),
        .null_sender_transport_key = SPAN("<>"),
        .null_sender_relayhost_key = SPAN("<>"),
    };
}

static void teardown(void)
{
    while (opened_count > 0)
        maps_close(&opened[--opened_count]);
    while (list_count > 0)
        matchlist_close(&lists[--list_count]);
    tables_free(&tables);
}

/* "transport|nexthop|recipient|class", " routed" behind it; or "BAD", "TEMP". */
static void check(const char *sender, const char *address, const char *want)
{
    static const char *const classes[] = {"local", "alias", "virtual", "relay", "default"};
    struct arena a = ARENA_INIT;
    struct buf why = BUF_INIT, got = BUF_INIT;
    struct resolve_answer answer;
    enum resolve_result result =
        resolve_address(&config, span_text(sender), span_text(address), &a, &answer, &why);
    if (result == RESOLVE_OK)
        buf_printf(&got, "%.*s|%.*s|%.*s|%s%s", SPAN_ARG(answer.transport), SPAN_ARG(answer.nexthop),
                   SPAN_ARG(answer.recipient), classes[answer.class], answer.routed ? " routed" : "");
    else
        buf_puts(&got, result == RESOLVE_BAD ? "BAD" : "TEMP");
    cr_expect_str_eq(buf_text(&got), want, "%s: %s %s", address, buf_text(&got), buf_text(&why));
    cr_expect_eq(why.len > 0, result == RESOLVE_TEMP, "%s: %s", address, buf_text(&why));
    buf_fini(&why);
    buf_fini(&got);
    arena_fini(&a);
}

/* What Debian's trivial-rewrite 3.7 answers to the ways in which mail is smuggled through a relay. */
Test(resolve, sees_through_every_way_of_hiding_a_destination, .init = setup, .fini = teardown)
{
    static const char *const rows[][2] = {
        {"user@example.com", "local|mx.example.com|user@example.com|local"},
        {"user@other.org", "smtp|other.org|user@other.org|default"},
        {"user%other.org@example.com", "smtp|other.org|user@other.org|default"},
        {"other.org!user@example.com", "smtp|other.org|user@other.org|default"},
        {"other.org!user", "smtp|other.org|user@other.org|default"},
        {"user%other.org", "smtp|other.org|user@other.org|default"},
        {"user@other.org@example.com", "smtp|other.org|user@other.org|default"},
        {"user@other.org@localhost@example.com", "smtp|other.org|user@other.org|default"},
        {"user%other.org%localhost@example.com", "smtp|other.org|user@other.org|default"},
        {"user%example.com@example.com", "local|mx.example.com|user@example.com|local"},
        {"user@example.com@example.com", "local|mx.example.com|user@example.com|local"},
        {"user%other.org@[127.0.0.1]", "smtp|other.org|user@other.org|default"},
        {"user@other.org@[IPv6:2001:db8::25]", "smtp|other.org|user@other.org|default"},
        {"user%[192.0.2.1]@example.com", "smtp|[192.0.2.1]|user@[192.0.2.1]|default"},
        {"user%other.org@example.com.", "smtp|other.org|user@other.org|default"},
        {"user%other.org.@example.com", "smtp|other.org|user@other.org|default"},
        {"a b%other.org@example.com", "smtp|other.org|a b@other.org|default"},
        {"x y@other.org@example.com", "smtp|other.org|x y@other.org|default"},
        {"user%dom@relay.org", "relay|relay.org|user%dom@relay.org|relay routed"},
        {"user@dom@relay.org", "relay|relay.org|user@dom@relay.org|relay routed"},
        {"dom!user@relay.org", "relay|relay.org|dom!user@relay.org|relay routed"},
        {"@other.org@relay.org", "relay|relay.org|@other.org@relay.org|relay routed"},
        {"%other.org@example.com", "smtp|other.org|@other.org|default"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check("", rows[i][0], rows[i][1]);
}

Test(resolve, respects_quotes_and_operators_as_configured, .init = setup, .fini = teardown)
{
    config.resolve_dequoted_address = false;
    check("", "user@other.org@example.com", "local|mx.example.com|user@other.org@example.com|local routed");
    check("", "a b%other.org@example.com", "local|mx.example.com|a b%other.org@example.com|local routed");
    check("", "user%other.org@example.com", "smtp|other.org|user@other.org|default");

    config.lookup.rewrite.allow_percent_hack = config.lookup.rewrite.swap_bangpath = false;
    check("", "user%other.org@example.com", "local|mx.example.com|user%other.org@example.com|local routed");
    check("", "other.org!user@example.com", "local|mx.example.com|other.org!user@example.com|local routed");
}

Test(resolve, completes_what_is_local_and_refuses_what_is_none, .init = setup, .fini = teardown)
{
    static const char *const rows[][2] = {
        {"", "local|mx.example.com|MAILER-DAEMON@mx.example.com|local"},
        {"user", "local|mx.example.com|user@mx.example.com|local"},
        {"@example.com", "local|mx.example.com|MAILER-DAEMON@example.com|local"},
        {"@other.org", "smtp|other.org|@other.org|default"},
        {"user@EXAMPLE.com", "local|mx.example.com|user@EXAMPLE.com|local"},
        {"user@example.com.", "local|mx.example.com|user@example.com|local"},
        {"user@other.org.", "smtp|other.org|user@other.org|default"},
        {"user@[127.0.0.1]", "local|mx.example.com|user@[127.0.0.1]|local"},
        {"user@[IPv6:2001:DB8:0::25]", "local|mx.example.com|user@[IPv6:2001:DB8:0::25]|local"},
        {"user@[192.0.2.1]", "smtp|[192.0.2.1]|user@[192.0.2.1]|default"},
        {"a b@other.org", "smtp|other.org|a b@other.org|default"},
        {"user@", "BAD"},
        {"@", "BAD"},
        {"!", "BAD"},
        {"%", "BAD"},
        {"@@mx.example.com", "BAD"},
        {"user@other.org..", "BAD"},
        {"user@.", "BAD"},
        {"user@192.0.2.1", "BAD"},
        {"user@[::1]", "BAD"},
        {"user@[bad", "BAD"},
        {"user@[1.2.3.4]x", "BAD"},
        {"user@[1.2.3.4]:25", "BAD"},
        {"user@x:25", "BAD"},
        {"user@exa mple.com", "BAD"},
        {"user@-bad.org", "BAD"},
        {"user@a..b", "BAD"},
        {"-user@example.com", "BAD"},
        {"-user@other.org", "BAD"},
        {"user%@example.com", "BAD"},
        {"!user@example.com", "BAD"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check("", rows[i][0], rows[i][1]);
}

Test(resolve, takes_odd_forms_where_it_is_told_to, .init = setup, .fini = teardown)
{
    config.allow_min_user = config.resolve_null_domain = config.resolve_numeric_domain = true;

    check("", "-user@example.com", "local|mx.example.com|-user@example.com|local");
    check("", "user@", "local|mx.example.com|user@mx.example.com|local");
    check("", "user@other.org@@", "smtp|other.org|user@other.org|default");
    check("", "user@192.0.2.1", "smtp|[192.0.2.1]|user@[192.0.2.1]|default");
    check("", "user@127.0.0.1", "local|mx.example.com|user@[127.0.0.1]|local");
}

Test(resolve, chooses_by_the_class_of_the_domain, .init = setup, .fini = teardown)
{
    check("", "u@va.org", "error|5.1.1 User unknown in virtual alias table|u@va.org|alias");
    check("", "u@vm.org", "virtual|vm.org|u@vm.org|virtual");
    check("", "u@relay.org", "relay|relay.org|u@relay.org|relay");
    check("", "u@sub.relay.org", "relay|sub.relay.org|u@sub.relay.org|relay");
    check("", "u@sub.vm.org", "smtp|sub.vm.org|u@sub.vm.org|default");

    config.relayhost = SPAN("[smart.host]");
    config.virtual_transport = SPAN("lmtp:unix:/run/lmtp");
    config.show_user_unknown_table_name = false;
    check("", "u@relay.org", "relay|[smart.host]|u@relay.org|relay");
    check("", "u@other.org", "smtp|[smart.host]|u@other.org|default");
    check("", "u@vm.org", "lmtp|unix:/run/lmtp|u@vm.org|virtual");
    check("", "u@example.com", "local|mx.example.com|u@example.com|local");
    check("", "u@va.org", "error|5.1.1 User unknown|u@va.org|alias");

    config.default_transport = SPAN("foo:bar");
    check("", "u@other.org", "foo|bar|u@other.org|default");
}

Test(resolve, transport_tables_override_all_but_virtual_aliases, .init = setup, .fini = teardown)
{
    config.relayhost = SPAN("[smart.host]");
    config.transport_maps = maps(
        "inline:{ {t.org=slow:}, {.t.org=fast:[x]:25}, {user@other.org=:[nexthop]}, {a@host=error},"
        "{b@host=error:5.1.2 no}, {u@other.org=uu:}, {relay.org=:}, {example.com=ex:}, {b@other.org=retry:},"
        "{va.org=x:} }");

    check("", "z@t.org", "slow|t.org|z@t.org|default");
    check("", "z@sub.t.org", "fast|[x]:25|z@sub.t.org|default");
    check("", "z@a.sub.T.org", "fast|[x]:25|z@a.sub.T.org|default");
    check("", "user@other.org", "smtp|[nexthop]|user@other.org|default");
    check("", "a@host", "error|Address is undeliverable|a@host|default");
    check("", "b@host", "error|5.1.2 no|b@host|default");
    check("", "b@other.org", "retry|Address is undeliverable|b@other.org|default");
    check("", "u+ext@other.org", "uu|other.org|u+ext@other.org|default");
    check("", "z@relay.org", "relay|[smart.host]|z@relay.org|relay");
    check("", "z@example.com", "ex|example.com|z@example.com|local");
    check("", "z@va.org", "error|5.1.1 User unknown in virtual alias table|z@va.org|alias");
    check("", "z@none.org", "smtp|[smart.host]|z@none.org|default");
}

Test(resolve, transport_tables_have_a_last_resort_and_may_match_parents, .init = setup, .fini = teardown)
{
    config.transport_maps = maps("inline:{ {*=star:[h]}, {other.org=:} }");
    check("", "z@none.org", "star|[h]|z@none.org|default");
    check("", "z@other.org", "smtp|other.org|z@other.org|default");
    check("", "z@sub.other.org", "star|[h]|z@sub.other.org|default");

    config.transport_maps_match_parents = true;
    check("", "z@sub.other.org", "smtp|sub.other.org|z@sub.other.org|default");
}

Test(resolve, the_sender_chooses_transport_and_relay, .init = setup, .fini = teardown)
{
    config.relayhost = SPAN("rh");
    config.sender_dependent_relayhost_maps = maps("inline:{ {s1@x.org=[r1]}, {@x.org=dunno}, {<>=[null]} }");
    config.sender_dependent_default_transport_maps =
        maps("inline:{ {s2@x.org=tt:nn}, {<>=DUNNO}, {@y.org=yy}, {local=ll} }");

    check("s1@x.org", "u@other.org", "smtp|[r1]|u@other.org|default");
    check("s1+e@x.org", "u@other.org", "smtp|[r1]|u@other.org|default");
    check("s3@x.org", "u@other.org", "smtp|rh|u@other.org|default");
    check("", "u@other.org", "smtp|[null]|u@other.org|default");
    check("s2@x.org", "u@other.org", "tt|nn|u@other.org|default");
    check("s2@x.org", "u@relay.org", "relay|rh|u@relay.org|relay");
    check("z@y.org", "u@other.org", "yy|rh|u@other.org|default");
    check("local@example.com", "u@other.org", "ll|rh|u@other.org|default");
    check("s1@x.org", "u@example.com", "local|mx.example.com|u@example.com|local");
}

Test(resolve, those_who_moved_are_bounced, .init = setup, .fini = teardown)
{
    config.relocated_maps = maps("inline:{ {user@other.org=elsewhere@x}, {@host=gone}, {a=moved@y} }");

    check("", "user@other.org", "error|5.1.6 User has moved to elsewhere@x|user@other.org|default");
    check("", "z@host", "error|5.1.6 User has moved to gone|z@host|default");
    check("", "a@example.com", "error|5.1.6 User has moved to moved@y|a@example.com|local");
    check("", "a@other.org", "smtp|other.org|a@other.org|default");
}

Test(resolve, a_table_that_fails_makes_nothing_permanent, .init = setup, .fini = teardown)
{
    static struct resolve_config usual;
    usual = config;

    config.transport_maps = maps("fail:x");
    check("", "u@other.org", "TEMP");
    config = usual;
    config.relocated_maps = maps("fail:x");
    check("", "u@example.com", "TEMP");
    config = usual;
    config.sender_dependent_relayhost_maps = maps("fail:x");
    check("", "u@other.org", "TEMP");
    config = usual;
    config.sender_dependent_default_transport_maps = maps("fail:x");
    check("", "u@other.org", "TEMP");
    check("", "u@relay.org", "relay|relay.org|u@relay.org|relay");
    config = usual;
    config.mydestination = list("fail:x", MATCHLIST_STRING);
    check("", "u@other.org", "TEMP");
    config = usual;
    config.virtual_alias_domains = list("fail:x", MATCHLIST_STRING);
    check("", "u@other.org", "TEMP");
    check("", "u@example.com", "local|mx.example.com|u@example.com|local");
    config = usual;
    config.virtual_mailbox_domains = list("fail:x", MATCHLIST_STRING);
    check("", "u@other.org", "TEMP");
    config = usual;
    config.relay_domains = list("fail:x", MATCHLIST_DOMAIN);
    check("", "u@other.org", "TEMP");
    config = usual;
    config.default_transport = SPAN("");
    check("", "u@other.org", "TEMP");
}

Test(resolve, many_operators_take_bounded_time, .init = setup, .fini = teardown, .timeout = 20)
{
    struct buf text = BUF_INIT;
    buf_puts(&text, "u%other.org");
    for (int i = 0; i < 1000; i++)
        buf_puts(&text, "%localhost");
    for (int i = 0; i < 1000; i++)
        buf_puts(&text, "@localhost");

    check("", buf_text(&text), "smtp|other.org|u@other.org|default");
    buf_fini(&text);
}
