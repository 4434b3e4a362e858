#include "lib/mail/routing.h"
#include "lib/param/facts.h"

struct opening {
    struct arena *arena;
    const struct params_main *main;
    struct tables *tables;
    struct buf *why; /* the first error; empty: none so far */
};

bool routing_list_names(const struct param_list *list, const char *parameter)
{
    for (size_t i = 0; i < list->n; i++)
        if (span_eq_nocase(list->at[i], span_text(parameter)))
            return true;
    return false;
}

static struct matchlist *open_domains(struct opening *o, const char *parameter, struct span value,
                                      enum matchlist_kind kind)
{
    bool parents = routing_list_names(&o->main->parent_domain_matches_subdomains, parameter);
    struct matchlist *l =
        matchlist_open(o->tables, span_text(parameter), value, kind, parents ? MATCHLIST_PARENT : 0);
    const char *error = matchlist_error(l);
    if (error && o->why->len == 0)
        buf_puts(o->why, error);
    return l;
}

static struct maps *open_maps(struct opening *o, const char *parameter, struct span value)
{
    return maps_open(o->tables, span_text(parameter), value, TABLE_FOLD);
}

/* "192.0.2.1/24" or "[2001:db8::1]/64", as in FACT_INTERFACES, or a bare address of a list. */
static bool parse_interface(struct span text, struct ip *ip)
{
    text = span_slice(text, 0, span_find(text, '/'));
    if (text.n > 2 && text.p[0] == '[' && text.p[text.n - 1] == ']')
        text = span_slice(text, 1, text.n - 1);
    return ip_parse(text, ip);
}

static void add_addresses(struct ip *at, size_t *count, struct span list)
{
    struct span item;
    while (span_next_token(&list, SPAN(" \t\r\n,"), &item))
        if (parse_interface(item, &at[*count]))
            ++*count;
}

const struct ip *routing_own_addresses(struct arena *a, const struct settings *settings,
                                       const struct params_main *main, size_t *count)
{
    const struct setting *fact = settings_get(settings, SPAN(FACT_INTERFACES));
    struct span found = fact ? fact->value : SPAN_NONE;
    struct span named = main->inet_interfaces.text;
    size_t most = found.n + named.n + main->proxy_interfaces.text.n + 2;
    struct ip *at = arena_calloc(a, most / 2 + 2, sizeof *at);
    *count = 0;
    add_addresses(at, count, named);
    if (span_eq_nocase(named, SPAN("all")))
        add_addresses(at, count, found);
    if (span_eq_nocase(named, SPAN("loopback-only")) || span_eq_nocase(named, SPAN("localhost")))
        add_addresses(at, count, SPAN("127.0.0.1 [::1]"));
    add_addresses(at, count, main->proxy_interfaces.text);
    return at;
}

static void fill_rewrite(const struct params_main *main, struct rewrite_config *rewrite)
{
    *rewrite = (struct rewrite_config){
        .append_at_myorigin = main->append_at_myorigin,
        .append_dot_mydomain = main->append_dot_mydomain,
        .swap_bangpath = main->swap_bangpath,
        .allow_percent_hack = main->allow_percent_hack,
        .myorigin = main->myorigin,
        .mydomain = main->mydomain,
        .remote_header_rewrite_domain = main->remote_header_rewrite_domain,
    };
}

static void fill_resolve(struct resolve_config *resolve, const struct params_main *main,
                         const struct params_rewrite *rewrite)
{
    fill_rewrite(main, &resolve->lookup.rewrite);
    resolve->lookup.recipient_delimiter = main->recipient_delimiter;
    resolve->lookup.owner_request_special = main->owner_request_special;
    resolve->lookup.is_local = resolve_is_local;
    resolve->lookup.local_context = resolve;
    resolve->myhostname = main->myhostname;
    resolve->empty_address_recipient = main->empty_address_recipient;
    resolve->resolve_dequoted_address = main->resolve_dequoted_address;
    resolve->resolve_null_domain = rewrite->resolve_null_domain;
    resolve->resolve_numeric_domain = rewrite->resolve_numeric_domain;
    resolve->allow_min_user = main->allow_min_user;
    resolve->show_user_unknown_table_name = main->show_user_unknown_table_name;
    resolve->transport_maps_match_parents =
        routing_list_names(&main->parent_domain_matches_subdomains, "transport_maps");
    resolve->local_transport = main->local_transport;
    resolve->virtual_transport = main->virtual_transport;
    resolve->relay_transport = main->relay_transport;
    resolve->default_transport = main->default_transport;
    resolve->relayhost = main->relayhost;
    resolve->null_sender_transport_key = rewrite->empty_address_default_transport_maps_lookup_key;
    resolve->null_sender_relayhost_key = rewrite->empty_address_relayhost_maps_lookup_key;
}

struct routing *routing_open(struct arena *a, const struct settings *settings, const struct params_main *main,
                             const struct params_rewrite *rewrite, struct tables *tables, struct buf *why)
{
    struct opening o = {a, main, tables, why};
    struct routing *r = ARENA_NEW(a, struct routing);
    struct resolve_config *resolve = &r->resolve;
    buf_clear(why);
    fill_resolve(resolve, main, rewrite);
    resolve->mydestination = open_domains(&o, "mydestination", main->mydestination.text, MATCHLIST_STRING);
    resolve->virtual_alias_domains =
        open_domains(&o, "virtual_alias_domains", main->virtual_alias_domains.text, MATCHLIST_STRING);
    resolve->virtual_mailbox_domains =
        open_domains(&o, "virtual_mailbox_domains", main->virtual_mailbox_domains.text, MATCHLIST_STRING);
    resolve->relay_domains = open_domains(&o, "relay_domains", main->relay_domains.text, MATCHLIST_DOMAIN);
    resolve->transport_maps = open_maps(&o, "transport_maps", main->transport_maps.text);
    resolve->relocated_maps = open_maps(&o, "relocated_maps", main->relocated_maps.text);
    resolve->sender_dependent_default_transport_maps = open_maps(
        &o, "sender_dependent_default_transport_maps", rewrite->sender_dependent_default_transport_maps.text);
    resolve->sender_dependent_relayhost_maps =
        open_maps(&o, "sender_dependent_relayhost_maps", rewrite->sender_dependent_relayhost_maps.text);
    resolve->own_addresses = routing_own_addresses(a, settings, main, &resolve->own_address_count);
    return why->len ? NULL : r;
}

struct span routing_rewrite(const struct routing *r, struct arena *a, struct span address)
{
    struct buf out = BUF_INIT;
    rewrite_address(&r->resolve.lookup.rewrite, REWRITE_LOCAL, address, &out);
    struct span rewritten = arena_dup(a, buf_span(&out));
    buf_fini(&out);
    return rewritten;
}
