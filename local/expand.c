#include "lib/log/log.h"
#include "lib/mail/loop.h"
#include "local/local.h"

/* An address taken apart as delivery looks at it; lower case. */
struct local_address {
    struct span local, user, extension; /* extension with its delimiter */
};

static struct local_address take_apart(struct delivery *d, struct span address)
{
    struct span local, domain;
    struct arena *a = &d->attempt->arena;
    address_split(address, &local, &domain);
    local = address_dup_lower(a, local);
    struct address_parts parts = address_split_extension(local, d->local->main->recipient_delimiter,
                                                         d->local->main->owner_request_special);
    struct local_address taken = {.local = local, .user = parts.user};
    if (parts.delimiter)
        taken.extension = span_skip(local, parts.user.n);
    if (span_find(taken.extension, '/') < taken.extension.n) { /* it becomes part of a file name */
        log_warning("%.*s: address with illegal extension: %.*s", SPAN_ARG(d->attempt->m.id), SPAN_ARG(local));
        taken.extension = SPAN_NONE;
        taken.local = parts.user;
    }
    return taken;
}

static struct span join(struct arena *a, const char *before, struct span s)
{
    return span_text(arena_printf(a, "%s%.*s", before, SPAN_ARG(s)));
}

/* --- aliases -------------------------------------------------------------------------- */

/* Whether a name has an owner- companion. The sender of what a list sends on is its owner, so that
 * errors of members go there and not to whoever wrote. */
static void take_owner(struct delivery *d, struct place *place, struct span name)
{
    struct arena *a = &d->attempt->arena;
    struct span owner = join(a, "owner-", name);
    struct buf value = BUF_INIT, why = BUF_INIT;
    if (d->local->main->owner_request_special &&
        maps_find(d->local->aliases, owner, MAPS_ALL, &value, &why) == TABLE_FOUND) {
        struct span sender = d->local->mine->expand_owner_alias ? arena_dup(a, span_trim(buf_span(&value))) : owner;
        place->owner = place->sender = routing_rewrite(d->local->routing, a, sender);
        place->new_sender = true;
    } else if (d->local->mine->reset_owner_alias) {
        place->owner = SPAN_NONE;
    }
    buf_fini(&value);
    buf_fini(&why);
}

static void expand_alias(struct delivery *d, const struct place *from, struct span name, struct span value)
{
    struct arena *a = &d->attempt->arena;
    struct place place = *from;
    struct aliases_scan scan;
    struct aliases_item item;
    size_t n = 0;
    place.origin = FROM_ALIAS;
    place.alias = name;
    place.user = place.forwarding = SPAN_NONE;
    place.level++;
    d->expanded = true;
    take_owner(d, &place, name);
    aliases_init(&scan, arena_dup(a, value), ALIASES_VALUE);
    for (; aliases_next(&scan, a, &item); n++)
        delivery_add_step(d, &place, &item);
    if (n == 0) {
        log_warning("no recipient in alias lookup result for %.*s", SPAN_ARG(name));
        delivery_say(d, 4, "4.3.0", "alias database unavailable");
    }
}

/* result: whether the name is an alias, or it cannot be told (and that is noted) */
static bool try_alias(struct delivery *d, const struct place *place, struct span name)
{
    struct buf value = BUF_INIT, why = BUF_INIT;
    bool done = false;
    /* An alias that lists its own name means the user of that name. */
    if (!span_eq_nocase(place->alias, name)) {
        enum table_result result = maps_find(d->local->aliases, name, MAPS_ALL, &value, &why);
        done = result != TABLE_NOT_FOUND;
        if (result == TABLE_FOUND) {
            expand_alias(d, place, arena_dup(&d->attempt->arena, name), buf_span(&value));
        } else if (result == TABLE_TEMP) {
            log_warning("%s", buf_text(&why));
            delivery_say(d, 4, "4.3.0", "alias database unavailable");
        }
    }
    buf_fini(&value);
    buf_fini(&why);
    return done;
}

/* --- addresses ---------------------------------------------------------------------------- */

/* result: whether this must not go on, which is noted */
static bool is_stopped(struct delivery *d, const struct place *place, struct span address)
{
    struct arena *a = &d->attempt->arena;
    bool loops = loop_is_there(d->attempt->head, address);
    if (place->level > LOCAL_LEVEL_MAX)
        delivery_say(d, 5, "5.4.6", arena_printf(a, "alias database loop for %.*s", SPAN_ARG(address)));
    else if (loops)
        delivery_say(d, 5, "5.4.6", arena_printf(a, "mail forwarding loop for %.*s", SPAN_ARG(address)));
    return loops || place->level > LOCAL_LEVEL_MAX;
}

/* An address that we are to deliver ourselves. final: no alias and no .forward counts */
static void expand_local(struct delivery *d, const struct place *from, struct span address, bool final)
{
    struct place place = *from;
    struct local_address l = take_apart(d, address);
    if (is_stopped(d, from, address))
        return;
    if (!delivery_is_new(d, "%u%s%.*s", place.level, final ? "\\" : "@", SPAN_ARG(address)))
        return;
    if (l.user.n == 0) {
        delivery_say(d, 5, "5.1.3", arena_printf(&d->attempt->arena, "null username in \"%.*s\"", SPAN_ARG(address)));
        return;
    }
    if (!final) {
        place.unmatched = SPAN_NONE;
        if (try_alias(d, &place, l.local))
            return;
        if (d->local->main->propagate_unmatched_extensions & (1u << PARAM_extension_map_alias))
            place.unmatched = l.extension;
        if (l.extension.n && try_alias(d, &place, l.user))
            return;
        place.unmatched = l.extension;
        /* What a list or a .forward sends to another user becomes a message of its own, with its own
         * retries and notifications. */
        bool foreign = place.owner.n && !span_eq_nocase(place.owner, l.user);
        if (foreign || place.origin == FROM_INCLUDE) {
            deliver_forward(d, &place, address);
            return;
        }
    }
    deliver_user(d, &place, l.user, l.extension, final);
}

/* An address from an expansion: ours or somebody else's. */
static void expand_address(struct delivery *d, const struct place *place, const struct aliases_item *item)
{
    struct arena *a = &d->attempt->arena;
    struct span address = item->text, local, domain;
    struct resolve_answer answer;
    struct buf why = BUF_INIT;
    if (place->unmatched.n) {
        bool has_domain = address_split(address, &local, &domain);
        address = span_text(arena_printf(a, "%.*s%.*s%s%.*s", SPAN_ARG(local), SPAN_ARG(place->unmatched),
                                         has_domain ? "@" : "", SPAN_ARG(domain)));
    }
    address = routing_rewrite(d->local->routing, a, address);
    switch (resolve_address(&d->local->routing->resolve, place->sender, address, a, &answer, &why)) {
    case RESOLVE_OK:
        if (span_eq(answer.transport, proc_boot(d->local->proc)->service))
            expand_local(d, place, answer.recipient, item->final);
        else
            deliver_forward(d, place, address);
        break;
    case RESOLVE_TEMP:
        log_warning("%s", buf_text(&why));
        delivery_say(d, 4, "4.3.0", "address resolver failure");
        break;
    case RESOLVE_BAD:
        delivery_say(d, 5, "5.1.3", arena_printf(a, "bad address syntax: %.*s", SPAN_ARG(address)));
        break;
    }
    buf_fini(&why);
}

/* --- destinations ---------------------------------------------------------------------------- */

static bool allowed(unsigned sources, enum origin origin)
{
    static const unsigned bits[] = {[FROM_ENVELOPE] = 0,
                                    [FROM_ALIAS] = 1u << PARAM_alias_source_alias,
                                    [FROM_FORWARD] = 1u << PARAM_alias_source_forward,
                                    [FROM_INCLUDE] = 1u << PARAM_alias_source_include};
    return sources & bits[origin];
}

void expand_item(struct delivery *d, const struct place *place, const struct aliases_item *item)
{
    const struct params_local *mine = d->local->mine;
    switch (item->kind) {
    case ALIASES_ADDRESS:
        if (place->mailbox_next)
            deliver_mailbox(d, place, item->text, place->forwarding);
        else if (place->origin == FROM_ENVELOPE)
            expand_local(d, place, item->text, false);
        else
            expand_address(d, place, item);
        break;
    case ALIASES_COMMAND:
        if (allowed(mine->allow_mail_to_commands, place->origin))
            deliver_command(d, place, item->text);
        else
            delivery_say(d, 5, "5.7.1", "mail to command is restricted");
        break;
    case ALIASES_TO_FILE:
        if (allowed(mine->allow_mail_to_files, place->origin))
            deliver_file(d, place, item->text);
        else
            delivery_say(d, 5, "5.7.1", "mail to file is restricted");
        break;
    case ALIASES_INCLUDE:
        deliver_include(d, place, item->text);
        break;
    case ALIASES_BAD:
        log_warning("%.*s: bad destination \"%.*s\" in the expansion of %.*s", SPAN_ARG(d->attempt->m.id),
                    SPAN_ARG(item->text), SPAN_ARG(d->recipient->address));
        delivery_say(d, 4, "4.3.5", "mail system configuration error: bad destination in an alias or .forward");
        break;
    }
}

void expand_items(struct delivery *d, const struct place *place, const struct msg_forward_item *at, size_t n)
{
    struct arena *a = &d->attempt->arena;
    d->expanded |= n > 0;
    for (size_t i = 0; i < n; i++) {
        struct aliases_item item = {.kind = at[i].kind <= ALIASES_BAD ? (enum aliases_kind)at[i].kind : ALIASES_BAD,
                                    .text = arena_dup(a, at[i].text),
                                    .final = at[i].final != 0};
        delivery_add_step(d, place, &item);
    }
}

void expand_recipient(struct delivery *d)
{
    const struct msg_recipient *r = d->recipient;
    struct place place = {.origin = FROM_ENVELOPE, .sender = d->attempt->m.sender};
    struct aliases_item item = {.kind = ALIASES_ADDRESS, .text = r->user.n ? r->user : r->address};
    delivery_add_step(d, &place, &item);
}
