/* Rewriting and resolving: an answer always has a recipient in a valid domain, nothing
 * local is called remote, and resolving its recipient again gives the same answer: no
 * way is left by which the next look at an address would see another destination. The
 * first byte of the input switches the options. */
#include "lib/base/check.h"
#include "lib/mail/address.h"
#include "lib/mail/resolve.h"

static struct tables *tables;
static struct ip own;
static struct resolve_config config;

static struct matchlist *list(struct span value, enum matchlist_kind kind)
{
    return matchlist_open(tables, SPAN("fuzz"), value, kind, kind == MATCHLIST_DOMAIN ? MATCHLIST_PARENT : 0);
}

static void setup(void)
{
    static const struct table_hooks no_hooks;
    tables = tables_new(&table_files_by_path, &no_hooks);
    CHECK(ip_parse(SPAN("127.0.0.1"), &own));
    config = (struct resolve_config){
        .lookup = {.recipient_delimiter = SPAN("+"),
                   .rewrite = {.myorigin = SPAN("example.com"), .mydomain = SPAN("example.com")},
                   .is_local = resolve_is_local,
                   .local_context = &config},
        .myhostname = SPAN("mx.example.com"),
        .empty_address_recipient = SPAN("MAILER-DAEMON"),
        .mydestination = list(SPAN("mx.example.com, localhost, a"), MATCHLIST_STRING),
        .virtual_alias_domains = list(SPAN("va.org"), MATCHLIST_STRING),
        .virtual_mailbox_domains = list(SPAN("vm.org"), MATCHLIST_STRING),
        .relay_domains = list(SPAN("r.org"), MATCHLIST_DOMAIN),
        .own_addresses = &own,
        .own_address_count = 1,
        .local_transport = SPAN("local:mx.example.com"),
        .virtual_transport = SPAN("virtual"),
        .relay_transport = SPAN("relay"),
        .default_transport = SPAN("smtp"),
    };
    config.transport_maps =
        maps_open(tables, SPAN("fuzz"), SPAN("inline:{ {t.org=t:}, {.t.org=:n}, {u@x=error:} }"), TABLE_FOLD);
}

static void switch_options(unsigned bits)
{
    config.lookup.rewrite.swap_bangpath = !(bits & 1);
    config.lookup.rewrite.allow_percent_hack = !(bits & 2);
    config.resolve_dequoted_address = !(bits & 4);
    config.resolve_null_domain = bits & 8;
    config.resolve_numeric_domain = bits & 16;
    config.allow_min_user = bits & 32;
    config.lookup.rewrite.append_dot_mydomain = bits & 64;
    config.lookup.rewrite.append_at_myorigin = !(bits & 128);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = ARENA_INIT;
    struct buf why = BUF_INIT;
    struct resolve_answer answer, again;
    if (!tables)
        setup();
    if (size == 0)
        return 0;
    switch_options(data[0]);
    enum resolve_result result =
        resolve_address(&config, SPAN_NONE, span_of(data + 1, size - 1), &a, &answer, &why);
    CHECK(result != RESOLVE_TEMP);
    if (result == RESOLVE_OK) {
        struct span domain = address_domain(answer.recipient);
        struct ip ip;
        CHECK(answer.transport.n > 0 && answer.nexthop.n > 0);
        CHECK(domain_name_valid(domain) || domain_literal_parse(domain, &ip));
        CHECK((answer.class == RESOLVE_LOCAL) == (resolve_is_local(&config, domain, &why) == TABLE_FOUND));
        CHECK(resolve_address(&config, SPAN_NONE, answer.recipient, &a, &again, &why) == RESOLVE_OK);
        CHECK(span_eq(again.recipient, answer.recipient) && span_eq(again.transport, answer.transport));
        CHECK(again.class == answer.class && again.routed == answer.routed);
    }
    buf_fini(&why);
    arena_fini(&a);
    return 0;
}
