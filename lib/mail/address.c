#include "lib/mail/address.h"

bool address_split(struct span address, struct span *local, struct span *domain)
{
    size_t at = span_rfind(address, '@');
    *local = span_slice(address, 0, at);
    *domain = span_skip(address, at < address.n ? at + 1 : at);
    return at < address.n;
}

struct span address_domain(struct span address)
{
    struct span local, domain;
    address_split(address, &local, &domain);
    return domain;
}

/* Letters, digits and what else atext has; other alphabets too (RFC 6531 3.3). */
static bool is_atext(unsigned char c)
{
    return byte_is_alnum(c) || c >= 0x80 || (c != 0 && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/* RFC 5321 4.1.2 Dot-string */
static bool is_dot_string(struct span s)
{
    bool atom_begun = false;
    for (size_t i = 0; i < s.n; i++) {
        bool dot = s.p[i] == '.';
        if (dot ? !atom_begun : !is_atext(span_at(s, i)))
            return false;
        atom_begun = !dot;
    }
    return atom_begun;
}

bool address_needs_quotes(struct span local)
{
    return !is_dot_string(local);
}

static void put_quoted(struct buf *out, struct span local)
{
    buf_putc(out, '"');
    for (size_t i = 0; i < local.n; i++) {
        if (local.p[i] == '"' || local.p[i] == '\\')
            buf_putc(out, '\\');
        buf_putc(out, local.p[i]);
    }
    buf_putc(out, '"');
}

void address_put_external(struct buf *out, struct span address)
{
    struct span local, domain;
    if (address.n == 0)
        return;
    bool has_domain = address_split(address, &local, &domain);
    if (is_dot_string(local))
        buf_put(out, local);
    else
        put_quoted(out, local);
    if (has_domain)
        buf_putc(out, '@');
    buf_put(out, domain);
}

bool address_is_clean(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (span_at(s, i) < ' ' || span_at(s, i) == 0x7f)
            return false;
    return true;
}

static bool is_never_split(struct span local, struct span delimiters, bool owner_request_special)
{
    if (span_eq_nocase(local, SPAN("postmaster")) || span_eq_nocase(local, SPAN("mailer-daemon")) ||
        span_eq_nocase(local, SPAN("double-bounce")))
        return true;
    if (!owner_request_special || span_find(delimiters, '-') == delimiters.n)
        return false;
    return span_starts_nocase(local, SPAN("owner-")) ||
           (local.n > strlen("-request") && span_ends_nocase(local, SPAN("-request")));
}

struct address_parts address_split_extension(struct span address, struct span delimiters,
                                             bool owner_request_special)
{
    struct address_parts parts = {0};
    parts.has_domain = address_split(address, &parts.user, &parts.domain);
    if (delimiters.n == 0 || is_never_split(parts.user, delimiters, owner_request_special))
        return parts;
    size_t i = 0;
    while (i < parts.user.n && span_find(delimiters, parts.user.p[i]) == delimiters.n)
        i++;
    if (i == 0 || i == parts.user.n)
        return parts;
    parts.delimiter = parts.user.p[i];
    parts.extension = span_skip(parts.user, i + 1);
    parts.user = span_slice(parts.user, 0, i);
    return parts;
}

struct span address_dup_lower(struct arena *a, struct span s)
{
    char *copy = arena_alloc(a, s.n + 1);
    for (size_t i = 0; i < s.n; i++)
        copy[i] = (char)byte_lower(span_at(s, i));
    return span_of(copy, s.n);
}
