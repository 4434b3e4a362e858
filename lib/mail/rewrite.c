#include "lib/mail/rewrite.h"
#include "lib/mail/address.h"

bool rewrite_put_route(const struct rewrite_config *config, struct span address, struct buf *out)
{
    size_t bang = span_find(address, '!'), percent = span_rfind(address, '%');
    if (config->swap_bangpath && bang < address.n) {
        buf_put(out, span_skip(address, bang + 1));
        buf_putc(out, '@');
        buf_put(out, span_slice(address, 0, bang));
        return true;
    }
    if (!config->allow_percent_hack || percent == address.n)
        return false;
    buf_put(out, span_slice(address, 0, percent));
    buf_putc(out, '@');
    buf_put(out, span_skip(address, percent + 1));
    return true;
}

/* Gives an address without "@" a domain, if it can. */
static void put_with_domain(const struct rewrite_config *config, struct span origin, struct span address,
                            struct buf *out)
{
    if (!address_needs_quotes(address) && rewrite_put_route(config, address, out))
        return;
    buf_put(out, address);
    if (!config->append_at_myorigin || origin.n == 0)
        return;
    buf_putc(out, '@');
    buf_put(out, origin);
}

/* Completes the domain at the end of out, or cuts its trailing dot. start: of the address in out */
static void complete_domain(const struct rewrite_config *config, struct span mydomain, size_t start,
                            struct buf *out)
{
    struct span domain = address_domain(span_skip(buf_span(out), start));
    if (domain.n == 0)
        return;
    if (config->append_dot_mydomain && mydomain.n > 0 && domain.p[0] != '[' &&
        span_find(domain, '.') == domain.n) {
        buf_putc(out, '.');
        buf_put(out, mydomain);
    } else if (domain.n > 1 && domain.p[domain.n - 1] == '.' && domain.p[domain.n - 2] != '.') {
        buf_truncate(out, out->len - 1);
    }
}

bool rewrite_address(const struct rewrite_config *config, enum rewrite_context context, struct span address,
                     struct buf *out)
{
    bool local = context == REWRITE_LOCAL;
    size_t start = out->len;
    if (address.n == 0 || span_eq(address, SPAN("@")))
        return address.n > 0;
    if (span_find(address, '@') < address.n)
        buf_put(out, address);
    else
        put_with_domain(config, local ? config->myorigin : config->remote_header_rewrite_domain, address,
                        out);
    complete_domain(config, local ? config->mydomain : config->remote_header_rewrite_domain, start, out);
    return !span_eq(span_skip(buf_span(out), start), address);
}
