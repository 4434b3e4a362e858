#include "lib/mail/recipient.h"
#include "lib/base/arena.h"
#include "lib/param/expand.h"

#include <stddef.h>

/* Under which name each member is asked for. */
static const struct {
    struct span name;
    size_t offset;
} table[] = {
    {SPAN_INIT("user"), offsetof(struct recipient_names, user)},
    {SPAN_INIT("extension"), offsetof(struct recipient_names, extension)},
    {SPAN_INIT("recipient_delimiter"), offsetof(struct recipient_names, delimiter)},
    {SPAN_INIT("local"), offsetof(struct recipient_names, local)},
    {SPAN_INIT("domain"), offsetof(struct recipient_names, domain)},
    {SPAN_INIT("recipient"), offsetof(struct recipient_names, recipient)},
    {SPAN_INIT("home"), offsetof(struct recipient_names, home)},
    {SPAN_INIT("shell"), offsetof(struct recipient_names, shell)},
    {SPAN_INIT("sender"), offsetof(struct recipient_names, sender)},
    {SPAN_INIT("client_hostname"), offsetof(struct recipient_names, client_name)},
    {SPAN_INIT("client_address"), offsetof(struct recipient_names, client_address)},
    {SPAN_INIT("client_helo"), offsetof(struct recipient_names, client_helo)},
    {SPAN_INIT("client_protocol"), offsetof(struct recipient_names, client_protocol)},
    {SPAN_INIT("sasl_username"), offsetof(struct recipient_names, sasl_username)},
    {SPAN_INIT("sasl_method"), offsetof(struct recipient_names, sasl_method)},
};

/* One expansion. */
struct names {
    const struct recipient_names *of;
    struct span filter;
    struct arena arena; /* filtered values */
    unsigned seen;
};

void recipient_put_filtered(struct buf *out, struct span value, struct span filter)
{
    for (size_t i = 0; i < value.n; i++)
        buf_putc(out, span_find(filter, value.p[i]) < filter.n ? value.p[i] : '_');
}

static struct span value_of(const struct recipient_names *of, struct span name)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (span_eq(name, table[i].name)) {
            struct span value;
            memcpy(&value, (const char *)of + table[i].offset, sizeof value);
            return value;
        }
    return SPAN_NONE;
}

static bool lookup(void *context, struct span name, struct span *value)
{
    struct names *n = context;
    *value = value_of(n->of, name);
    if (value->n == 0)
        n->seen |= RECIPIENT_SAW_NOTHING;
    else if (span_eq(name, SPAN("extension")))
        n->seen |= RECIPIENT_SAW_EXTENSION;
    if (n->filter.n) {
        struct buf filtered = BUF_INIT;
        recipient_put_filtered(&filtered, *value, n->filter);
        *value = arena_dup(&n->arena, buf_span(&filtered));
        buf_fini(&filtered);
    }
    return value->n > 0;
}

bool recipient_expand(struct buf *out, struct span text, const struct recipient_names *names, struct span filter,
                      unsigned *seen, struct buf *why)
{
    struct names n = {.of = names, .filter = filter};
    const struct expand_source source = {.lookup = lookup, .context = &n};
    bool good = expand_text(out, text, &source, why);
    if (seen)
        *seen = n.seen;
    arena_fini(&n.arena);
    return good;
}
