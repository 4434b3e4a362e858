#include "lib/maildir/name.h"

#include <xxhash.h>

/* Cuts "S=123" fields; those that are unknown are skipped. */
static void parse_fields(struct span fields, struct maildir_name *name)
{
    struct span field;
    while (span_next_token(&fields, SPAN(","), &field)) {
        if (field.n < 2 || field.p[1] != '=')
            continue;
        if (field.p[0] == 'S')
            name->has_size = span_to_u64(span_skip(field, 2), INT64_MAX, &name->size);
        if (field.p[0] == 'W')
            name->has_virtual_size = span_to_u64(span_skip(field, 2), INT64_MAX, &name->virtual_size);
    }
}

/* Where the first ",X=" begins. */
static size_t unique_length(struct span base)
{
    for (size_t i = 0; i + 2 < base.n; i++)
        if (base.p[i] == ',' && byte_is_alpha(span_at(base, i + 1)) && base.p[i + 2] == '=')
            return i;
    return base.n;
}

bool maildir_name_parse(struct span file, struct maildir_name *name)
{
    *name = (struct maildir_name){0};
    if (file.n == 0 || file.n > MAILDIR_NAME_MAX || file.p[0] == '.')
        return false;
    for (size_t i = 0; i < file.n; i++)
        if (span_at(file, i) < 0x20 || file.p[i] == '/' || file.p[i] == 0x7f)
            return false;
    size_t colon = span_find(file, ':');
    struct span info = span_skip(file, colon + 1);
    name->base = span_slice(file, 0, colon);
    name->unique = span_slice(file, 0, unique_length(name->base));
    if (span_starts(info, SPAN("2,")))
        name->flags = span_skip(info, 2);
    size_t digits = 0;
    while (digits < file.n && byte_is_digit(span_at(file, digits)))
        digits++;
    uint64_t seconds = 0;
    if (span_to_u64(span_slice(file, 0, digits), INT64_MAX, &seconds))
        name->seconds = (int64_t)seconds;
    parse_fields(span_skip(name->base, name->unique.n), name);
    return name->unique.n > 0;
}

static void put_safe(struct buf *out, struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = span_at(s, i);
        if (c <= 0x20 || c >= 0x7f || c == '/' || c == ':' || c == ',' || c == '\\')
            buf_printf(out, "\\%03o", c);
        else
            buf_putc(out, (char)c);
    }
}

void maildir_name_put_unique(struct buf *out, const struct maildir_label *label)
{
    buf_printf(out, "%lld.", (long long)label->seconds);
    put_safe(out, label->queue_id);
    buf_putc(out, '.');
    put_safe(out, label->recipient);
    buf_putc(out, '.');
    put_safe(out, span_slice(label->host, 0, MAILDIR_HOST_MAX));
}

void maildir_name_put_sizes(struct buf *out, uint64_t size, uint64_t virtual_size)
{
    buf_printf(out, ",S=%llu,W=%llu", (unsigned long long)size, (unsigned long long)virtual_size);
}

static bool is_uidl(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (span_at(s, i) < 0x21 || span_at(s, i) > 0x7e)
            return false;
    return s.n > 0 && s.n <= MAILDIR_UIDL_MAX;
}

void maildir_name_put_uidl(struct buf *out, struct span unique)
{
    if (is_uidl(unique)) {
        buf_put(out, unique);
        return;
    }
    XXH128_hash_t hash = XXH3_128bits(unique.p, unique.n);
    buf_printf(out, "%016llx%016llx", (unsigned long long)hash.high64, (unsigned long long)hash.low64);
}

int maildir_name_cmp(const struct maildir_name *a, const struct maildir_name *b)
{
    if (a->seconds != b->seconds)
        return a->seconds < b->seconds ? -1 : 1;
    return span_cmp(a->unique, b->unique);
}
