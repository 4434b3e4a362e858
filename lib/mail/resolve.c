#include "lib/mail/resolve.h"
#include "lib/mail/address.h"

/* One resolution on its way. */
struct work {
    const struct resolve_config *config;
    struct arena *a;
    struct buf *why;
    struct span sender;
    struct buf text[2];   /* owned: address lies in one of them, its next form is made in the other */
    struct span address;  /* what is left of the address */
    struct span stripped; /* the local domain stripped last, in a */
    bool has_stripped;
    bool remote;        /* address ends in a domain that is not local */
    struct span domain; /* of the answer's recipient */
    struct resolve_answer *answer;
};

static enum table_result has_domain(struct matchlist *list, struct span domain, struct buf *why)
{
    return list ? matchlist_has(list, domain, why) : TABLE_NOT_FOUND;
}

enum table_result resolve_is_local(const void *context, struct span domain, struct buf *why)
{
    const struct resolve_config *config = context;
    struct ip ip;
    if (domain.n > 1 && domain.p[domain.n - 1] == '.')
        domain.n--;
    enum table_result result = has_domain(config->mydestination, domain, why);
    if (result != TABLE_NOT_FOUND || !domain_literal_parse(domain, &ip))
        return result;
    for (size_t i = 0; i < config->own_address_count; i++)
        if (ip_eq(&ip, &config->own_addresses[i]))
            return TABLE_FOUND;
    return TABLE_NOT_FOUND;
}

/* Without the trailing dot of the domain, and without a trailing "@" where that means
 * no domain (resolve_null_domain). */
static struct span without_tail(const struct resolve_config *config, struct span address)
{
    for (;;) {
        size_t n = address.n;
        bool dot = n >= 2 && address.p[n - 1] == '.' && address.p[n - 2] != '.' && address.p[n - 2] != '@' &&
                   span_find(address, '@') < n;
        bool at = config->resolve_null_domain && n > 0 && address.p[n - 1] == '@';
        if (!dot && !at)
            return address;
        address.n--;
    }
}

/* Follows the routing operator in a local part: appends what it leads to.
 * result: false where there is none, or where quotes hide it and are respected */
static bool put_next_route(const struct resolve_config *config, struct span local, struct buf *out)
{
    struct rewrite_config rewrite = config->lookup.rewrite;
    bool quoted = address_needs_quotes(local), found = true;
    struct buf route = BUF_INIT;
    if (quoted && !config->resolve_dequoted_address)
        return false;
    if (quoted && rewrite.allow_percent_hack && span_find(local, '%') < local.n)
        rewrite.swap_bangpath = false;
    if (span_find(local, '@') < local.n)
        buf_put(&route, local);
    else
        found = rewrite_put_route(&rewrite, local, &route);
    if (found && span_eq(buf_span(&route), SPAN("@")))
        buf_putc(out, '@'); /* leads nowhere: to be refused, not to become the null address */
    else if (found)
        rewrite_address(&config->lookup.rewrite, REWRITE_LOCAL, buf_span(&route), out);
    buf_fini(&route);
    return found;
}

static struct span join(struct arena *a, struct span local, const char *before, struct span domain,
                        const char *after)
{
    struct buf text = BUF_INIT;
    buf_put(&text, local);
    buf_puts(&text, before);
    buf_put(&text, domain);
    buf_puts(&text, after);
    struct span whole = arena_dup(a, buf_span(&text));
    buf_fini(&text);
    return whole;
}

/* user@192.0.2.1 as user@[192.0.2.1] where that is wanted (resolve_numeric_domain). */
static struct span with_brackets(struct work *w, struct span address)
{
    struct span user, domain;
    struct ip ip;
    if (!w->config->resolve_numeric_domain || !address_split(address, &user, &domain) ||
        !ip_parse(domain, &ip))
        return address;
    return join(w->a, user, ip.n == 16 ? "@[IPv6:" : "@[", domain, "]");
}

/* Strips local domains until a remote one or none is left. Each round takes an
 * operator away, so the rounds are fewer than the bytes of the address. */
static enum resolve_result follow_routes(struct work *w)
{
    enum table_result local = TABLE_FOUND;
    size_t free_one = 1;
    for (bool more = true; more; free_one = !free_one) {
        struct span user, domain;
        w->address = with_brackets(w, without_tail(w->config, w->address));
        if (address_split(w->address, &user, &domain)) {
            local = domain.n ? resolve_is_local(w->config, domain, w->why) : TABLE_FOUND;
            if (local != TABLE_FOUND)
                break;
            w->stripped = arena_dup(w->a, domain);
            w->has_stripped = true;
            w->address = user;
        }
        buf_clear(&w->text[free_one]);
        more = put_next_route(w->config, w->address, &w->text[free_one]);
        if (more)
            w->address = buf_span(&w->text[free_one]);
    }
    w->remote = local == TABLE_NOT_FOUND;
    return local == TABLE_TEMP ? RESOLVE_TEMP : RESOLVE_OK;
}

/* Gives the recipient its domain back, and checks it. */
static enum resolve_result complete_recipient(struct work *w)
{
    const struct resolve_config *config = w->config;
    struct span user = w->address, domain = w->has_stripped ? w->stripped : config->myhostname;
    struct ip ip;
    if (w->remote)
        address_split(w->address, &user, &domain);
    else if (user.n == 0)
        user = config->empty_address_recipient;
    w->answer->recipient = join(w->a, user, "@", domain, "");
    w->domain = address_domain(w->answer->recipient);
    bool literal = domain.n > 0 && domain.p[0] == '[';
    return (literal ? domain_literal_parse(domain, &ip) : domain_name_valid(domain)) ? RESOLVE_OK
                                                                                     : RESOLVE_BAD;
}

static bool is_routed(struct span recipient)
{
    for (size_t i = 0; i < recipient.n; i++)
        if (recipient.p[i] == '@' || recipient.p[i] == '%' || recipient.p[i] == '!')
            return i != span_rfind(recipient, '@');
    return false;
}

/* "name:nexthop" or "name" sets the transport, and the next hop where one is given. */
static void set_transport(struct work *w, struct span value)
{
    size_t colon = span_find(value, ':');
    w->answer->transport = arena_dup(w->a, span_slice(value, 0, colon));
    if (colon + 1 < value.n)
        w->answer->nexthop = arena_dup(w->a, span_skip(value, colon + 1));
}

/* Looks the sender up in a sender-dependent map.
 * value:  set to what stands there, in the arena; empty for "DUNNO" and where nothing is found
 * result: RESOLVE_OK or RESOLVE_TEMP */
static enum resolve_result find_by_sender(struct work *w, struct maps *maps, struct span null_key,
                                          const char *title, struct span *value)
{
    struct buf text = BUF_INIT;
    struct span key = w->sender.n ? w->sender : null_key;
    enum table_result result =
        mailmap_find(&w->config->lookup, maps, MAILMAP_DEFAULT, key, &text, NULL, w->why);
    *value = SPAN_NONE;
    if (result == TABLE_FOUND && text.len == 0) {
        buf_printf(w->why, "%s: empty value for %.*s", title, SPAN_ARG(key));
        result = TABLE_TEMP;
    } else if (result == TABLE_FOUND && !span_eq_nocase(buf_span(&text), SPAN("DUNNO"))) {
        *value = arena_dup(w->a, buf_span(&text));
    }
    buf_fini(&text);
    return result == TABLE_TEMP ? RESOLVE_TEMP : RESOLVE_OK;
}

/* A destination off this host: relay or default class; relayhost goes before the domain. */
static enum resolve_result choose_remote(struct work *w)
{
    const struct resolve_config *config = w->config;
    struct span transport = config->relay_transport, relay, by_sender;
    enum table_result relayed = has_domain(config->relay_domains, w->domain, w->why);
    if (relayed == TABLE_TEMP)
        return RESOLVE_TEMP;
    w->answer->class = relayed == TABLE_FOUND ? RESOLVE_RELAY : RESOLVE_DEFAULT;
    if (relayed == TABLE_NOT_FOUND) {
        if (find_by_sender(w, config->sender_dependent_default_transport_maps,
                           config->null_sender_transport_key, "sender_dependent_default_transport_maps",
                           &by_sender) != RESOLVE_OK)
            return RESOLVE_TEMP;
        transport = by_sender.n ? by_sender : config->default_transport;
    }
    if (find_by_sender(w, config->sender_dependent_relayhost_maps, config->null_sender_relayhost_key,
                       "sender_dependent_relayhost_maps", &relay) != RESOLVE_OK)
        return RESOLVE_TEMP;
    if (relay.n == 0)
        relay = config->relayhost;
    w->answer->nexthop = relay.n ? arena_dup(w->a, relay) : w->domain;
    set_transport(w, transport);
    return RESOLVE_OK;
}

/* Chooses by the class of the domain. */
static enum resolve_result choose_class(struct work *w)
{
    const struct resolve_config *config = w->config;
    enum table_result in;
    w->answer->nexthop = w->domain;
    if (!w->remote) {
        w->answer->class = RESOLVE_LOCAL;
        set_transport(w, config->local_transport);
        return RESOLVE_OK;
    }
    in = has_domain(config->virtual_alias_domains, w->domain, w->why);
    if (in == TABLE_FOUND) {
        w->answer->class = RESOLVE_VIRTUAL_ALIAS;
        w->answer->transport = SPAN("error");
        w->answer->nexthop = config->show_user_unknown_table_name
                                 ? SPAN("5.1.1 User unknown in virtual alias table")
                                 : SPAN("5.1.1 User unknown");
        return RESOLVE_OK;
    }
    if (in == TABLE_NOT_FOUND)
        in = has_domain(config->virtual_mailbox_domains, w->domain, w->why);
    if (in == TABLE_FOUND) {
        w->answer->class = RESOLVE_VIRTUAL_MAILBOX;
        set_transport(w, config->virtual_transport);
        return RESOLVE_OK;
    }
    return in == TABLE_TEMP ? RESOLVE_TEMP : choose_remote(w);
}

/* What a transport table says: "name:nexthop", where either may be missing. transport(5) */
static void apply_entry(struct work *w, struct span value)
{
    struct resolve_answer *answer = w->answer;
    size_t colon = span_find(value, ':');
    bool resets = colon > 0, has_nexthop = colon + 1 < value.n;
    if (resets) {
        answer->transport = arena_dup(w->a, span_slice(value, 0, colon));
        bool is_text = span_eq(answer->transport, SPAN("error")) || span_eq(answer->transport, SPAN("retry"));
        answer->nexthop = is_text ? SPAN("Address is undeliverable") : w->domain;
    }
    if (has_nexthop)
        answer->nexthop = arena_dup(w->a, span_skip(value, colon + 1));
}

static enum resolve_result apply_transport_maps(struct work *w)
{
    const struct resolve_config *config = w->config;
    struct buf value = BUF_INIT;
    unsigned keys = MAILMAP_TRANSPORT;
    if (!config->transport_maps || maps_is_empty(config->transport_maps) ||
        w->answer->class == RESOLVE_VIRTUAL_ALIAS)
        return RESOLVE_OK;
    if (config->transport_maps_match_parents)
        keys = (keys & ~(unsigned)MAILMAP_DOT_PARENTS) | MAILMAP_PARENTS;
    enum table_result result = mailmap_find(&config->lookup, config->transport_maps, keys,
                                            w->answer->recipient, &value, NULL, w->why);
    if (result == TABLE_NOT_FOUND)
        result = maps_find(config->transport_maps, SPAN("*"), MAPS_FIXED, &value, w->why);
    if (result == TABLE_FOUND)
        apply_entry(w, buf_span(&value));
    buf_fini(&value);
    return result == TABLE_TEMP ? RESOLVE_TEMP : RESOLVE_OK;
}

static enum resolve_result apply_relocated_maps(struct work *w)
{
    struct buf value = BUF_INIT;
    enum table_result result = mailmap_find(&w->config->lookup, w->config->relocated_maps, MAILMAP_DEFAULT,
                                            w->answer->recipient, &value, NULL, w->why);
    if (result == TABLE_FOUND) {
        w->answer->transport = SPAN("error");
        w->answer->nexthop = join(w->a, SPAN("5.1.6 User has moved to "), "", buf_span(&value), "");
    }
    buf_fini(&value);
    return result == TABLE_TEMP ? RESOLVE_TEMP : RESOLVE_OK;
}

/* All but the routes: recipient, class, and the tables that override. */
static enum resolve_result choose(struct work *w)
{
    struct resolve_answer *answer = w->answer;
    enum resolve_result result = complete_recipient(w);
    if (result != RESOLVE_OK)
        return result;
    answer->routed = is_routed(answer->recipient);
    result = choose_class(w);
    if (result == RESOLVE_OK && answer->transport.n == 0) {
        buf_printf(w->why, "null transport is not allowed for %.*s", SPAN_ARG(w->domain));
        result = RESOLVE_TEMP;
    }
    if (result == RESOLVE_OK)
        result = apply_transport_maps(w);
    if (result == RESOLVE_OK)
        result = apply_relocated_maps(w);
    if (result == RESOLVE_OK && !w->config->allow_min_user && answer->recipient.p[0] == '-')
        result = RESOLVE_BAD;
    return result;
}

enum resolve_result resolve_address(const struct resolve_config *config, struct span sender,
                                    struct span address, struct arena *a, struct resolve_answer *answer,
                                    struct buf *why)
{
    struct work w = {.config = config, .a = a, .why = why, .sender = sender, .answer = answer};
    buf_clear(why);
    *answer = (struct resolve_answer){.class = RESOLVE_DEFAULT};
    buf_put(&w.text[0], address);
    w.address = buf_span(&w.text[0]);
    enum resolve_result result = follow_routes(&w);
    if (result == RESOLVE_OK)
        result = choose(&w);
    buf_fini(&w.text[0]);
    buf_fini(&w.text[1]);
    return result;
}
