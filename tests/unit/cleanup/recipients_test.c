#include "cleanup/recipients.h"

#include <criterion/criterion.h>

/* A whole configuration, from the text of a main.cf. */
static struct arena arena;
static struct settings settings;
static struct tables *tables;
static struct params_main params;
static struct params_rewrite rewrite;
static struct recipients_config config;
static struct recipients r;

static struct routing *routing;
static struct maps *opened[20]; /* to be closed */
static size_t opened_count;

static struct maps *maps(const char *name, const char *value)
{
    cr_assert_lt(opened_count, sizeof opened / sizeof *opened);
    opened[opened_count] = maps_open(tables, span_text(name), span_text(value), TABLE_FOLD);
    return opened[opened_count++];
}

/* What stood there stays open until the end. */
static void change(struct maps **m, const char *name, const char *value)
{
    *m = maps(name, value);
}

static void setup(void)
{
    struct param_errors errors = {0};
    struct buf why = BUF_INIT;
    static const char main_cf[] = "myhostname = mail.example.test\nmydestination = $myhostname, example.test\n"
                                  "virtual_mailbox_domains = box.test\nrecipient_delimiter = +\n"
                                  "append_dot_mydomain = no\n";
    cr_assert(settings_parse(&settings, span_text(main_cf), SPAN("main.cf"), &errors));
    cr_assert(params_main_load(&arena, &settings, &params, &errors));
    cr_assert(params_rewrite_load(&arena, &settings, &rewrite, &errors));
    tables = tables_new(&table_files_by_path, &(struct table_hooks){0});
    routing = routing_open(&arena, &settings, &params, &rewrite, tables, &why);
    config = (struct recipients_config){
        .routing = routing,
        .virtual_alias_maps = maps("virtual_alias_maps", ""),
        .canonical_maps = maps("canonical_maps", ""),
        .sender_canonical_maps = maps("sender_canonical_maps", ""),
        .recipient_canonical_maps = maps("recipient_canonical_maps", ""),
        .sender_bcc_maps = maps("sender_bcc_maps", ""),
        .recipient_bcc_maps = maps("recipient_bcc_maps", ""),
        .canonical_classes = ~0u,
        .sender_canonical_classes = ~0u,
        .recipient_canonical_classes = ~0u,
        .limits = {.addresses = 10, .depth = 10, .bytes = 1000},
        .duplicate_limit = 1000,
        .keep_original = true,
        .propagate_canonical = true,
        .propagate_virtual = true,
    };
    cr_assert_not_null(config.routing, "%s", buf_text(&why));
    buf_fini(&why);
    param_errors_fini(&errors);
    recipients_init(&r, &config, &arena);
}

static void teardown(void)
{
    struct resolve_config *c = &routing->resolve;
    struct matchlist **lists[] = {&c->mydestination, &c->virtual_alias_domains, &c->virtual_mailbox_domains,
                                  &c->relay_domains};
    struct maps **more[] = {&c->transport_maps, &c->relocated_maps, &c->sender_dependent_default_transport_maps,
                            &c->sender_dependent_relayhost_maps};
    for (size_t i = 0; i < 4; i++) {
        matchlist_close(lists[i]);
        maps_close(more[i]);
    }
    while (opened_count > 0)
        maps_close(&opened[--opened_count]);
    recipients_fini(&r);
    tables_free(&tables);
    settings_fini(&settings);
    arena_fini(&arena);
}

TestSuite(recipients, .init = setup, .fini = teardown);

static enum recipients_result add(const char *address)
{
    return recipients_add(&r, &(struct msg_recipient){.address = span_text(address), .original = span_text(address)});
}

/* All that there is as "address(transport:nexthop) ..." */
static const char *finish(void)
{
    struct buf all = BUF_INIT;
    cr_assert_eq(recipients_finish(&r), RECIPIENTS_OK);
    for (size_t i = 0; i < r.n; i++) {
        cr_expect_eq(r.at[i].number, i + 1);
        buf_printf(&all, "%s%.*s(%.*s)", i ? " " : "", SPAN_ARG(r.at[i].address), SPAN_ARG(r.at[i].transport));
    }
    const char *text = arena_text(&arena, buf_span(&all));
    buf_fini(&all);
    return text;
}

Test(recipients, get_their_standard_form_and_their_route)
{
    add("anna");
    add("bert@box.test");
    add("carl@elsewhere.test");

    cr_expect_str_eq(finish(), "anna@mail.example.test(local) bert@box.test(virtual) carl@elsewhere.test(smtp)");
    cr_expect(span_eq(r.at[0].original, SPAN("anna")));
}

Test(recipients, are_mapped_by_canonical_tables_before_aliases)
{
    change(&config.recipient_canonical_maps, "recipient_canonical_maps", "inline:{ old@example.test=new@example.test }");
    change(&config.virtual_alias_maps, "virtual_alias_maps", "inline:{ {new@example.test = a@box.test, b@box.test} }");

    add("old@example.test");

    cr_expect_str_eq(finish(), "a@box.test(virtual) b@box.test(virtual)");
    cr_expect(span_eq(r.at[1].original, SPAN("old@example.test")));
}

Test(recipients, lose_their_original_where_it_is_not_wanted)
{
    config.keep_original = false;
    change(&config.virtual_alias_maps, "virtual_alias_maps", "inline:{ x@example.test=y@example.test }");

    add("x@example.test");
    add("y@example.test");

    cr_expect_str_eq(finish(), "y@example.test(local)", "then both are the same");
    cr_expect(span_eq(r.at[0].original, SPAN("y@example.test")));
}

Test(recipients, that_came_before_with_the_same_original_are_dropped)
{
    change(&config.virtual_alias_maps, "virtual_alias_maps", "inline:{ {all@example.test = a@box.test, b@box.test, a@box.test} }");

    add("all@example.test");
    add("all@example.test");
    add("a@box.test");

    cr_expect_str_eq(finish(), "a@box.test(virtual) b@box.test(virtual) a@box.test(virtual)");
}

Test(recipients, are_all_kept_beyond_the_limit_of_the_duplicate_filter)
{
    config.duplicate_limit = 1;

    add("a@box.test");
    add("a@box.test");
    add("b@box.test");
    add("b@box.test");

    cr_expect_str_eq(finish(), "a@box.test(virtual) b@box.test(virtual) b@box.test(virtual)");
}

Test(recipients, keep_their_extension_through_an_alias)
{
    change(&config.virtual_alias_maps, "virtual_alias_maps", "inline:{ info@example.test=anna@box.test }");

    add("info+sales@example.test");

    cr_expect_str_eq(finish(), "anna+sales@box.test(virtual)");
}

Test(recipients, up_to_the_expansion_limit_are_taken)
{
    change(&config.virtual_alias_maps, "virtual_alias_maps", "inline:{ {three@example.test = a@b.c, d@e.f, g@h.i} }");

    config.limits.addresses = 3;
    cr_expect_eq(add("three@example.test"), RECIPIENTS_OK);
    config.limits.addresses = 2;
    cr_expect_eq(add("three@example.test"), RECIPIENTS_TEMP);
    cr_expect_gt(r.why.len, 0);
}

Test(recipients, of_a_table_that_does_not_work_are_told_to_come_later)
{
    change(&config.virtual_alias_maps, "virtual_alias_maps", "fail:broken");

    cr_expect_eq(add("x@example.test"), RECIPIENTS_TEMP);
    cr_expect_gt(r.why.len, 0);
}

Test(recipients, have_blind_copies_only_where_asked)
{
    config.always_bcc = SPAN("archive@box.test");
    change(&config.sender_bcc_maps, "sender_bcc_maps", "inline:{ s@example.test=sent@box.test }");
    change(&config.recipient_bcc_maps, "recipient_bcc_maps", "inline:{ @box.test=copy@box.test }");
    cr_assert_eq(recipients_set_sender(&r, SPAN("s@example.test")), RECIPIENTS_OK);

    add("a@box.test");
    cr_expect_str_eq(finish(), "a@box.test(virtual)");
    r.copy = true;

    cr_expect_str_eq(finish(), "a@box.test(virtual) archive@box.test(virtual) sent@box.test(virtual) copy@box.test(virtual)");
}

Test(recipients, of_nobody_have_no_copies)
{
    config.always_bcc = SPAN("archive@box.test");
    r.copy = true;

    cr_expect_str_eq(finish(), "");
}

Test(recipients, sender_is_mapped_and_the_null_sender_is_not)
{
    change(&config.sender_canonical_maps, "sender_canonical_maps", "inline:{ s@example.test=public@example.test }");

    cr_assert_eq(recipients_set_sender(&r, SPAN("s@example.test")), RECIPIENTS_OK);
    cr_expect(span_eq(r.sender, SPAN("public@example.test")));
    cr_assert_eq(recipients_set_sender(&r, SPAN_NONE), RECIPIENTS_OK);
    cr_expect_eq(r.sender.n, 0);
    config.sender_canonical_classes = 0;
    cr_assert_eq(recipients_set_sender(&r, SPAN("s@example.test")), RECIPIENTS_OK);
    cr_expect(span_eq(r.sender, SPAN("s@example.test")), "its class is not named");
}

Test(recipients, header_addresses_follow_their_classes)
{
    struct buf out = BUF_INIT;
    change(&config.canonical_maps, "canonical_maps", "inline:{ a@example.test=b@example.test }");

    cr_expect_eq(recipients_rewrite_header(SPAN("a@example.test"), REWRITE_LOCAL, true, &out, &r), 1);
    cr_expect_str_eq(buf_text(&out), "b@example.test");
    config.canonical_classes = 1u << PARAM_address_class_header_recipient;
    cr_expect_eq(recipients_rewrite_header(SPAN("a@example.test"), REWRITE_LOCAL, true, &out, &r), 0);
    buf_clear(&out);
    cr_expect_eq(recipients_rewrite_header(SPAN("anna"), REWRITE_LOCAL, true, &out, &r), 1);
    cr_expect_str_eq(buf_text(&out), "anna@mail.example.test");
    buf_fini(&out);
}

Test(recipients, of_masqueraded_domains_lose_their_host)
{
    static struct span domains[] = {SPAN_INIT("!keep.corp.test"), SPAN_INIT("corp.test")}, exceptions[] = {SPAN_INIT("root")};
    static const struct {
        const char *says, *in, *want;
    } rows[] = {
        {"a subdomain", "a@host.corp.test", "a@corp.test"},
        {"a deeper one, in any case", "a@x.HOST.Corp.Test", "a@corp.test"},
        {"the domain itself", "a@corp.test", "a@corp.test"},
        {"a name that only ends alike", "a@mycorp.test", "a@mycorp.test"},
        {"an exempt domain", "a@host.keep.corp.test", "a@host.keep.corp.test"},
        {"an exempt user", "root@host.corp.test", "root@host.corp.test"},
        {"another domain", "a@b.test", "a@b.test"},
    };
    config.masquerade_domains = domains;
    config.masquerade_domain_count = 2;
    config.masquerade_exceptions = exceptions;
    config.masquerade_exception_count = 1;
    config.masquerade_classes = 1u << PARAM_address_class_envelope_sender;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_assert_eq(recipients_set_sender(&r, span_text(rows[i].in)), RECIPIENTS_OK);
        cr_expect(span_eq(r.sender, span_text(rows[i].want)), "%s: %.*s", rows[i].says, SPAN_ARG(r.sender));
    }
    add("b@host.corp.test");
    cr_expect_str_eq(finish(), "b@host.corp.test(smtp)", "its class is not named");
}
