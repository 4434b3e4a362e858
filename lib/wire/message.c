#include "lib/wire/message.h"
#include "lib/base/check.h"

#include <endian.h>

enum { FIELD_HEADER = 5, LOG_MOST = 200 };

static void put_header(struct buf *out, unsigned tag, size_t length)
{
    char header[FIELD_HEADER];
    uint32_t n = htole32((uint32_t)length);
    CHECK(tag > 0 && tag < 256 && length <= UINT32_MAX);
    header[0] = (char)tag;
    memcpy(header + 1, &n, sizeof n);
    buf_put(out, span_of(header, sizeof header));
}

int wire_next_field(struct span *body, struct wire_field *field)
{
    uint32_t n;
    if (body->n == 0)
        return 0;
    if (body->n < FIELD_HEADER)
        return -1;
    memcpy(&n, body->p + 1, sizeof n);
    n = le32toh(n);
    if (n > body->n - FIELD_HEADER)
        return -1;
    field->tag = span_at(*body, 0);
    field->value = span_of(body->p + FIELD_HEADER, n);
    *body = span_skip(*body, FIELD_HEADER + (size_t)n);
    return 1;
}

void wire_put_num(struct buf *out, unsigned tag, const wire_num *value)
{
    if (*value == 0)
        return;
    uint64_t little = htole64(*value);
    put_header(out, tag, sizeof little);
    buf_put(out, span_of(&little, sizeof little));
}

void wire_put_bytes(struct buf *out, unsigned tag, const wire_bytes *value)
{
    if (value->n == 0)
        return;
    put_header(out, tag, value->n);
    buf_put(out, *value);
}

bool wire_get_num(struct arena *a, struct span field, wire_num *value)
{
    (void)a;
    if (field.n != sizeof *value)
        return false;
    memcpy(value, field.p, sizeof *value);
    *value = le64toh(*value);
    return true;
}

bool wire_get_bytes(struct arena *a, struct span field, wire_bytes *value)
{
    (void)a;
    *value = field;
    return true;
}

void wire_log_num(struct buf *out, const char *name, const wire_num *value)
{
    if (*value)
        buf_printf(out, " %s=%llu", name, (unsigned long long)*value);
}

void wire_log_bytes(struct buf *out, const char *name, const wire_bytes *value)
{
    if (value->n == 0)
        return;
    buf_printf(out, " %s=<", name);
    for (size_t i = 0; i < value->n && i < LOG_MOST; i++) {
        unsigned char c = span_at(*value, i);
        if (byte_is_print(c) && c != '\\')
            buf_putc(out, (char)c);
        else
            buf_printf(out, "\\x%02x", c);
    }
    buf_puts(out, value->n > LOG_MOST ? "...>" : ">");
}

size_t wire_begin(struct buf *out, unsigned tag)
{
    put_header(out, tag, 0);
    return out->len;
}

void wire_end(struct buf *out, size_t mark)
{
    if (out->full || mark < FIELD_HEADER)
        return;
    uint32_t n = htole32((uint32_t)(out->len - mark));
    memcpy(out->data + mark - sizeof n, &n, sizeof n);
}

void *wire_list_more(struct arena *a, void *items, size_t count, size_t size)
{
    /* The array grows where count reaches a power of two (or zero). */
    if ((count & (count - 1)) != 0)
        return items;
    char *more = arena_calloc(a, count ? count * 2 : 1, size);
    if (count)
        memcpy(more, items, count * size);
    return more;
}
