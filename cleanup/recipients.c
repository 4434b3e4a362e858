#include "cleanup/recipients.h"
#include "lib/log/log.h"
#include "lib/mail/address.h"

void recipients_init(struct recipients *r, const struct recipients_config *config, struct arena *a)
{
    *r = (struct recipients){.config = config, .arena = a, .expand = true};
}

void recipients_fini(struct recipients *r)
{
    map_fini(&r->seen);
    buf_fini(&r->why);
}

/* --- one address --------------------------------------------------------------------- */

static struct span standard_form(struct recipients *r, enum rewrite_context where, struct span address)
{
    struct buf form = BUF_INIT;
    (void)rewrite_address(&r->config->routing->resolve.lookup.rewrite, where, address, &form);
    struct span kept = arena_dup(r->arena, buf_span(&form));
    buf_fini(&form);
    return kept;
}

/* One kind of canonical tables. result: false: not now (r->why) */
static bool map_by(struct recipients *r, struct maps *maps, struct span title, struct span *address)
{
    const struct routing *routing = r->config->routing;
    struct span mapped;
    if (maps_is_empty(maps))
        return true;
    buf_clear(&r->why);
    if (mailmap_canonical(&routing->resolve.lookup, maps, title, *address, r->config->propagate_canonical, r->arena,
                          &mapped, &r->why) == TABLE_TEMP)
        return false;
    *address = mapped;
    return true;
}

/* Replaces a subdomain of a masquerade domain by that domain: host.example.com by example.com. The first
 * domain that fits decides; "!" before it means that its subdomains stay. */
static struct span masquerade(struct recipients *r, struct span address)
{
    const struct recipients_config *config = r->config;
    struct span user, domain;
    if (!address_split(address, &user, &domain))
        return address;
    for (size_t i = 0; i < config->masquerade_exception_count; i++) {
        if (span_eq_nocase(config->masquerade_exceptions[i], user))
            return address;
    }
    for (size_t i = 0; i < config->masquerade_domain_count; i++) {
        struct span parent = config->masquerade_domains[i];
        bool stays = parent.n && parent.p[0] == '!';
        if (stays)
            parent = span_skip(parent, 1);
        if (parent.n == 0 || !span_ends_nocase(domain, parent))
            continue;
        if (domain.n == parent.n)
            return address;
        if (domain.p[domain.n - parent.n - 1] == '.')
            return stays ? address : span_text(arena_printf(r->arena, "%.*s@%.*s", SPAN_ARG(user), SPAN_ARG(parent)));
    }
    return address;
}

/* The canonical tables for one class of address, then masquerading. result: false: not now (r->why) */
static bool map_canonical(struct recipients *r, enum param_address_class class, struct span *address)
{
    const struct recipients_config *config = r->config;
    bool is_sender = class == PARAM_address_class_envelope_sender || class == PARAM_address_class_header_sender;
    unsigned bit = 1u << class;
    if (is_sender && (config->sender_canonical_classes & bit) &&
        !map_by(r, config->sender_canonical_maps, SPAN("sender_canonical_maps"), address))
        return false;
    if (!is_sender && (config->recipient_canonical_classes & bit) &&
        !map_by(r, config->recipient_canonical_maps, SPAN("recipient_canonical_maps"), address))
        return false;
    if ((config->canonical_classes & bit) && !map_by(r, config->canonical_maps, SPAN("canonical_maps"), address))
        return false;
    if (config->masquerade_classes & bit)
        *address = masquerade(r, *address);
    return true;
}

int recipients_rewrite_header(struct span address, enum rewrite_context where, bool is_sender, struct buf *replacement,
                              struct recipients *r)
{
    struct span form = standard_form(r, where, address);
    if (!map_canonical(r, is_sender ? PARAM_address_class_header_sender : PARAM_address_class_header_recipient, &form))
        return -1;
    if (span_eq(form, address))
        return 0;
    buf_put(replacement, form);
    return 1;
}

enum recipients_result recipients_set_sender(struct recipients *r, struct span sender)
{
    r->sender = sender;
    if (sender.n == 0)
        return RECIPIENTS_OK;
    r->sender = standard_form(r, REWRITE_LOCAL, sender);
    return map_canonical(r, PARAM_address_class_envelope_sender, &r->sender) ? RECIPIENTS_OK : RECIPIENTS_TEMP;
}

/* --- the list -------------------------------------------------------------------------- */

/* Whether this recipient came before: the same address with the same original and the same wishes. */
static bool is_duplicate(struct recipients *r, const struct msg_recipient *one)
{
    struct buf key = BUF_INIT;
    buf_printf(&key, "%u\n", (unsigned)one->notify);
    buf_put(&key, one->orcpt);
    buf_putc(&key, '\n');
    buf_put(&key, one->original);
    buf_putc(&key, '\n');
    buf_put(&key, one->address);
    bool known = map_get(&r->seen, buf_span(&key)) != NULL;
    if (!known && (r->config->duplicate_limit == 0 || r->seen.count < r->config->duplicate_limit)) {
        struct span kept = arena_dup(r->arena, buf_span(&key));
        map_set(&r->seen, kept, r);
    }
    buf_fini(&key);
    return known;
}

static enum recipients_result push(struct recipients *r, const struct msg_recipient *one)
{
    if (is_duplicate(r, one))
        return RECIPIENTS_OK;
    if (r->n >= RECIPIENTS_MAX)
        return RECIPIENTS_TOO_MANY;
    r->at = wire_list_more(r->arena, r->at, r->n, sizeof *r->at);
    r->at[r->n++] = *one;
    return RECIPIENTS_OK;
}

static enum recipients_result expand(struct recipients *r, const struct msg_recipient *one)
{
    const struct routing *routing = r->config->routing;
    struct mailmap_list list;
    struct msg_recipient each = *one;
    enum recipients_result result = RECIPIENTS_OK;
    if (!r->expand || maps_is_empty(r->config->virtual_alias_maps))
        return push(r, one);
    buf_clear(&r->why);
    if (mailmap_expand(&routing->resolve.lookup, r->config->virtual_alias_maps, SPAN("virtual_alias_maps"),
                       &r->config->limits, one->address, r->config->propagate_virtual, r->arena, &list,
                       &r->why) == TABLE_TEMP)
        return RECIPIENTS_TEMP;
    for (size_t i = 0; i < list.n && result == RECIPIENTS_OK; i++) {
        each.address = list.at[i];
        if (!r->config->keep_original)
            each.original = each.address;
        result = push(r, &each);
    }
    return result;
}

enum recipients_result recipients_add(struct recipients *r, const struct msg_recipient *received)
{
    struct msg_recipient one = *received;
    one.transport = one.nexthop = one.user = SPAN_NONE;
    one.address = standard_form(r, REWRITE_LOCAL, received->address);
    if (!map_canonical(r, PARAM_address_class_envelope_recipient, &one.address))
        return RECIPIENTS_TEMP;
    if (!r->config->keep_original)
        one.original = one.address;
    else if (one.original.n == 0)
        one.original = received->address;
    return expand(r, &one);
}

/* A blind copy to every address in the value of a table or parameter. */
static enum recipients_result add_copy(struct recipients *r, struct span address)
{
    return recipients_add(r, &(struct msg_recipient){.address = arena_dup(r->arena, address)});
}

static enum recipients_result copy_by(struct recipients *r, struct maps *maps, struct span address)
{
    struct buf value = BUF_INIT;
    enum recipients_result result = RECIPIENTS_OK;
    buf_clear(&r->why);
    enum table_result found = mailmap_find(&r->config->routing->resolve.lookup, maps, MAILMAP_DEFAULT, address, &value,
                                           NULL, &r->why);
    if (found == TABLE_TEMP)
        result = RECIPIENTS_TEMP;
    if (found == TABLE_FOUND)
        result = add_copy(r, span_trim(buf_span(&value)));
    buf_fini(&value);
    return result;
}

static enum recipients_result add_copies(struct recipients *r)
{
    const struct recipients_config *config = r->config;
    enum recipients_result result = RECIPIENTS_OK;
    size_t n = r->n;
    if (config->always_bcc.n)
        result = add_copy(r, config->always_bcc);
    if (result == RECIPIENTS_OK && r->sender.n && !maps_is_empty(config->sender_bcc_maps))
        result = copy_by(r, config->sender_bcc_maps, r->sender);
    if (maps_is_empty(config->recipient_bcc_maps))
        return result;
    for (size_t i = 0; i < n && result == RECIPIENTS_OK; i++)
        result = copy_by(r, config->recipient_bcc_maps, r->at[i].original.n ? r->at[i].original : r->at[i].address);
    return result;
}

enum recipients_result recipients_finish(struct recipients *r)
{
    enum recipients_result result = r->copy && r->n ? add_copies(r) : RECIPIENTS_OK;
    for (size_t i = 0; i < r->n && result == RECIPIENTS_OK; i++) {
        struct buf why = BUF_INIT;
        r->at[i].number = i + 1;
        if (!route_recipient(r->config->routing, r->sender, &r->at[i], r->arena, &why))
            log_warning("%s", buf_text(&why));
        buf_fini(&why);
    }
    return result;
}
