#include "smtpd/recipients.h"
#include "lib/mail/routing.h"

struct recipients {
    struct routing *routing;
    struct maps *local, *virtual_alias, *virtual_mailbox, *relay;
    struct maps *canonical, *recipient_canonical;
};

struct recipients *recipients_new(struct arena *a, const struct settings *settings, const struct params_main *main,
                                  const struct params_rewrite *rewrite, struct tables *tables, struct buf *why)
{
    struct recipients *r = ARENA_NEW(a, struct recipients);
    const struct {
        const char *parameter;
        struct span value;
        struct maps **maps;
    } lists[] = {
        {"local_recipient_maps", main->local_recipient_maps.text, &r->local},
        {"virtual_alias_maps", main->virtual_alias_maps.text, &r->virtual_alias},
        {"virtual_mailbox_maps", main->virtual_mailbox_maps.text, &r->virtual_mailbox},
        {"relay_recipient_maps", main->relay_recipient_maps.text, &r->relay},
        {"canonical_maps", main->canonical_maps.text, &r->canonical},
        {"recipient_canonical_maps", main->recipient_canonical_maps.text, &r->recipient_canonical},
    };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        *lists[i].maps = maps_open(tables, span_text(lists[i].parameter), lists[i].value, TABLE_FOLD);
    r->routing = routing_open(a, settings, main, rewrite, tables, why);
    return r->routing ? r : NULL;
}

struct span recipients_canonical(struct recipients *r, struct arena *a, struct span address)
{
    return routing_rewrite(r->routing, a, address);
}

static enum resolve_result resolve(const struct recipients *r, struct arena *a, struct span address,
                                   struct resolve_answer *answer, struct buf *why)
{
    return resolve_address(&r->routing->resolve, SPAN_NONE, address, a, answer, why);
}

enum recipients_class recipients_class_of(struct recipients *r, struct arena *a, struct span address, struct buf *why)
{
    struct resolve_answer answer;
    switch (resolve(r, a, address, &answer, why)) {
    case RESOLVE_TEMP:
        return CLASS_TEMP;
    case RESOLVE_BAD:
        return CLASS_OTHER;
    case RESOLVE_OK:
        break;
    }
    /* An address that the next server may send on is relaying, whoever that server is. */
    return answer.class == RESOLVE_DEFAULT || answer.routed ? CLASS_OTHER : CLASS_OURS;
}

/* One look into maps by all forms of the address. */
static enum table_result look(const struct recipients *r, struct maps *maps, struct span address, struct buf *why)
{
    struct buf value = BUF_INIT;
    enum table_result found =
        mailmap_find(&r->routing->resolve.lookup, maps, MAILMAP_DEFAULT, address, &value, NULL, why);
    buf_fini(&value);
    return found;
}

/* Whether one of the maps knows the address. result: absent where none does */
static enum recipients_result look_in(const struct recipients *r, struct span address, enum recipients_result absent,
                                      struct maps *const *maps, size_t n, struct buf *why)
{
    for (size_t i = 0; i < n; i++) {
        enum table_result found = look(r, maps[i], address, why);
        if (found != TABLE_NOT_FOUND)
            return found == TABLE_FOUND ? RECIPIENT_EXISTS : RECIPIENT_TEMP;
    }
    return absent;
}

enum recipients_result recipients_find(struct recipients *r, struct arena *a, struct span address, struct buf *why)
{
    struct resolve_answer answer;
    struct maps *maps[] = {r->canonical, r->recipient_canonical, r->virtual_alias, NULL};
    enum recipients_result absent = RECIPIENT_EXISTS;
    switch (resolve(r, a, address, &answer, why)) {
    case RESOLVE_TEMP:
        return RECIPIENT_TEMP;
    case RESOLVE_BAD:
        return RECIPIENT_EXISTS; /* refused for its domain, not for its user */
    case RESOLVE_OK:
        break;
    }
    bool fails = span_eq(answer.transport, SPAN("error"));
    if (answer.class != RESOLVE_VIRTUAL_ALIAS && (fails || span_eq(answer.transport, SPAN("retry")))) {
        buf_put(why, answer.nexthop);
        return fails ? RECIPIENT_TO_ERROR : RECIPIENT_TO_RETRY;
    }
    switch (answer.class) {
    case RESOLVE_LOCAL:
        maps[3] = r->local;
        absent = maps_is_empty(r->local) ? RECIPIENT_EXISTS : RECIPIENT_NO_LOCAL;
        break;
    case RESOLVE_VIRTUAL_ALIAS:
        maps[3] = r->virtual_alias;
        absent = RECIPIENT_NO_ALIAS;
        break;
    case RESOLVE_VIRTUAL_MAILBOX:
        maps[3] = r->virtual_mailbox;
        absent = maps_is_empty(r->virtual_mailbox) ? RECIPIENT_EXISTS : RECIPIENT_NO_MAILBOX;
        break;
    case RESOLVE_RELAY:
        maps[3] = r->relay;
        absent = maps_is_empty(r->relay) ? RECIPIENT_EXISTS : RECIPIENT_NO_RELAY;
        break;
    case RESOLVE_DEFAULT:
        return RECIPIENT_EXISTS;
    }
    if (absent == RECIPIENT_EXISTS)
        return absent;
    return look_in(r, answer.recipient, absent, maps, sizeof maps / sizeof *maps, why);
}
