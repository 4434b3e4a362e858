#include "smtp/generic.h"

#include "lib/mail/addrlist.h"
#include "lib/mail/header.h"
#include "lib/mail/mailmap.h"

#include <errno.h>
#include <string.h>

enum { HEAD_MAX = 1024 * 1024 /* octets of a header section whose addresses are replaced */ };

struct generic {
    struct maps *maps;
    struct mailmap_config lookup;
    const struct params_main *main;
    bool propagate;
};

/* What generic(5) calls a local address: its local part alone is a key too. Tables in mydestination are not asked. */
static enum table_result is_local(const void *context, struct span domain, struct buf *why)
{
    const struct params_main *main = context;
    (void)why;
    if (span_eq_nocase(domain, main->myorigin))
        return TABLE_FOUND;
    for (size_t i = 0; i < main->mydestination.n; i++)
        if (span_eq_nocase(domain, main->mydestination.at[i]))
            return TABLE_FOUND;
    return TABLE_NOT_FOUND;
}

struct generic *generic_open(struct arena *a, struct tables *tables, const struct params_main *main,
                             const struct params_smtp *mine)
{
    if (mine->smtp_generic_maps.n == 0)
        return NULL;
    struct generic *g = ARENA_NEW(a, struct generic);
    g->maps = maps_open(tables, SPAN("smtp_generic_maps"), mine->smtp_generic_maps.text, TABLE_FOLD);
    g->main = main;
    g->propagate = (main->propagate_unmatched_extensions & (1u << PARAM_extension_map_generic)) != 0;
    g->lookup = (struct mailmap_config){.recipient_delimiter = main->recipient_delimiter,
                                        .owner_request_special = main->owner_request_special,
                                        .rewrite = {.append_at_myorigin = main->append_at_myorigin,
                                                    .append_dot_mydomain = main->append_dot_mydomain,
                                                    .swap_bangpath = main->swap_bangpath,
                                                    .allow_percent_hack = main->allow_percent_hack,
                                                    .myorigin = main->myorigin,
                                                    .mydomain = main->mydomain},
                                        .is_local = is_local,
                                        .local_context = main};
    return g;
}

void generic_close(struct generic **g)
{
    if (*g)
        maps_close(&(*g)->maps);
    *g = NULL;
}

struct applying {
    const struct generic *g;
    struct arena *a;
    struct buf *why;
};

/* result: 1 replaced, 0 not, -1 with why */
static int map_address(struct applying *x, struct span *address)
{
    struct mailmap_list list;
    if (address->n == 0)
        return 0;
    switch (mailmap_map(&x->g->lookup, x->g->maps, *address, x->g->propagate, x->a, &list, x->why)) {
    case TABLE_FOUND:
        *address = list.at[0];
        return 1;
    case TABLE_NOT_FOUND:
        return 0;
    case TABLE_TEMP:
        break;
    }
    return -1;
}

static int map_in_header(struct span address, struct buf *replacement, void *context)
{
    int mapped = map_address(context, &address);
    if (mapped > 0)
        buf_put(replacement, address);
    return mapped;
}

/* --- the envelope ---------------------------------------------------------------- */

static bool map_envelope(struct applying *x, struct msg_attempt *m)
{
    if (map_address(x, &m->sender) < 0)
        return false;
    for (size_t i = 0; i < m->recipients.n; i++) {
        struct msg_recipient *r = &m->recipients.at[i];
        struct span address = r->user.n ? r->user : r->address;
        int mapped = map_address(x, &address);
        if (mapped < 0)
            return false;
        if (mapped > 0)
            r->user = address;
    }
    return true;
}

/* --- headers ------------------------------------------------------------------------ */

static bool put_header(struct applying *x, const struct header *h, struct buf *out)
{
    struct buf value = BUF_INIT;
    unsigned flags = header_info_get(h->id)->flags;
    int changed = 0;
    if (flags & (HEADER_HAS_SENDER | HEADER_HAS_RECIPIENTS))
        changed = addrlist_rewrite(&value, h->value, 0, map_in_header, x);
    if (changed > 0) {
        buf_put(out, span_slice(h->raw, 0, (size_t)(h->value.p - h->raw.p)));
        buf_put(out, buf_span(&value));
    } else {
        buf_put(out, h->raw);
    }
    buf_putc(out, '\n');
    buf_fini(&value);
    return changed >= 0;
}

/* The header section as it stands at the beginning of the text. A longer one is cut, and then left alone. */
static bool read_head(const struct text *t, struct buf *head, struct buf *why)
{
    struct buf room = BUF_INIT;
    struct span chunk;
    bool good;
    while ((good = text_read(t, head->len, &room, &chunk)) && chunk.n && head->len < HEAD_MAX &&
           !memmem(buf_text(head), head->len, "\n\n", 2))
        buf_put(head, chunk);
    if (!good)
        buf_printf(why, "reading the message: %s", strerror(errno));
    buf_fini(&room);
    return good;
}

static bool map_headers(struct applying *x, struct text *t)
{
    struct buf head = BUF_INIT, out = BUF_INIT;
    struct header_scan scan;
    struct header h;
    bool good = read_head(t, &head, x->why), cut = false;
    header_scan_init(&scan, buf_span(&head), HEAD_MAX);
    for (enum header_event e; good && (e = header_next(&scan, &h)) != HEADER_BODY;) {
        cut |= h.cut;
        if (e == HEADER_FIELD)
            good = put_header(x, &h, &out);
        else
            buf_printf(&out, "%.*s\n", SPAN_ARG(h.raw));
    }
    buf_putc(&out, '\n');
    /* What was not seen whole stays as it is. */
    bool whole = head.len == t->size || memmem(head.data, head.len, "\n\n", 2);
    if (good && whole && !cut) {
        t->head = arena_dup(x->a, buf_span(&out));
        t->replaced = scan.at;
        t->size = t->size - scan.at + t->head.n;
    }
    buf_fini(&head);
    buf_fini(&out);
    return good;
}

bool generic_apply(const struct generic *g, struct delivery *d, struct buf *why)
{
    struct applying x = {g, d->arena, why};
    return map_envelope(&x, d->m) && map_headers(&x, &d->text);
}
