/* Messages between processes, each declared once.
 *
 * A message is a list of fields
 *
 *     #define RESOLVE_QUERY(F) \
 *       F(1, bytes, sender,    "envelope sender, external form; empty for the null sender") \
 *       F(2, num,   flags,     "RESOLVE_* bits")
 *     MESSAGE(0x0301, resolve_query, RESOLVE_QUERY)
 *
 * and from it come struct msg_resolve_query, MSG_resolve_query (its number),
 * msg_resolve_query_put(), _get() and _log(), and as field type of other messages
 * list_resolve_query (a list of them). Kinds of field:
 *
 *     num    uint64_t
 *     bytes  struct span; after decoding borrowed from the frame
 *     list_X struct { struct msg_X *at; size_t n; }; after decoding owned by the arena
 *
 * On the wire a field is its tag (1 octet), its length (4 octets, little endian)
 * and its octets; num has eight, zero and empty fields are left out. Unknown tags
 * are skipped, so processes of two generations can talk during a reload; a tag
 * keeps its meaning for ever. Every message is declared in a lib/wire/<name>.msg.h
 * and listed in lib/wire/all.h, from which the tests and fuzz seeds come. */
#ifndef WIRE_MESSAGE_H
#define WIRE_MESSAGE_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"

typedef uint64_t wire_num;
typedef struct span wire_bytes;

/* One field being decoded. */
struct wire_field {
    unsigned tag;
    struct span value;
};

/* Cuts the next field off *body. result: 1 a field, 0 the end, -1 malformed */
int wire_next_field(struct span *body, struct wire_field *field);

/* One field of each type: appends it, or decodes what stood in it; bytes are borrowed from the body.
 * result: false where the field does not hold one */
void wire_put_num(struct buf *out, unsigned tag, const wire_num *value);
void wire_put_bytes(struct buf *out, unsigned tag, const wire_bytes *value);
bool wire_get_num(struct arena *a, struct span field, wire_num *value);
bool wire_get_bytes(struct arena *a, struct span field, wire_bytes *value);
/* name=value with everything but printable ASCII escaped, cut at 200 octets. */
void wire_log_num(struct buf *out, const char *name, const wire_num *value);
void wire_log_bytes(struct buf *out, const char *name, const wire_bytes *value);

/* For the list of nested messages: begin returns where the length goes, end fills it in. */
size_t wire_begin(struct buf *out, unsigned tag);
void wire_end(struct buf *out, size_t mark);
/* Room for one more item of size bytes behind count items. result: the (moved) array */
void *wire_list_more(struct arena *a, void *items, size_t count, size_t size);

#define WIRE_MEMBER(tag, kind, name, doc) wire_##kind name;
#define WIRE_PUT(tag, kind, name, doc) wire_put_##kind(out, tag, &m->name);
#define WIRE_GET(tag, kind, name, doc)                                                             \
    case tag:                                                                                      \
        good = wire_get_##kind(a, field.value, &m->name);                                          \
        break;
#define WIRE_LOG(tag, kind, name, doc) wire_log_##kind(out, #name, &m->name);

#define MESSAGE(number, X, FIELDS)                                                               \
    enum { MSG_##X = (number) };                                                                 \
    struct msg_##X {                                                                             \
        FIELDS(WIRE_MEMBER)                                                                        \
    };                                                                                             \
    typedef struct {                                                                               \
        struct msg_##X *at;                                                                      \
        size_t n;                                                                                  \
    } wire_list_##X;                                                                             \
    /* Appends the encoded fields to out. */                                                       \
    static inline void msg_##X##_put(struct buf *out, const struct msg_##X *m)                 \
    {                                                                                              \
        (void)out, (void)m;                                                                        \
        FIELDS(WIRE_PUT)                                                                           \
    }                                                                                              \
    /* Decodes; bytes stay borrowed from body, lists are made in a. result: false: malformed */    \
    static inline bool msg_##X##_get(struct arena *a, struct span body, struct msg_##X *m)     \
    {                                                                                              \
        struct wire_field field;                                                                   \
        bool good = true;                                                                          \
        int more;                                                                                  \
        (void)a;                                                                                   \
        *m = (struct msg_##X){0};                                                                \
        while (good && (more = wire_next_field(&body, &field)) != 0) {                             \
            if (more < 0)                                                                          \
                return false;                                                                      \
            switch (field.tag) {                                                                   \
                FIELDS(WIRE_GET)                                                                   \
            default:                                                                               \
                break;                                                                             \
            }                                                                                      \
        }                                                                                          \
        return good;                                                                               \
    }                                                                                              \
    static inline void msg_##X##_log(struct buf *out, const struct msg_##X *m)                 \
    {                                                                                              \
        buf_puts(out, #X);                                                                       \
        (void)m;                                                                                   \
        FIELDS(WIRE_LOG)                                                                           \
    }                                                                                              \
    static inline void wire_put_list_##X(struct buf *out, unsigned field, const wire_list_##X *list) \
    {                                                                                              \
        for (size_t i = 0; i < list->n; i++) {                                                     \
            size_t mark = wire_begin(out, field);                                                  \
            msg_##X##_put(out, &list->at[i]);                                                    \
            wire_end(out, mark);                                                                   \
        }                                                                                          \
    }                                                                                              \
    static inline bool wire_get_list_##X(struct arena *a, struct span body, wire_list_##X *list) \
    {                                                                                              \
        list->at = wire_list_more(a, list->at, list->n, sizeof *list->at);                         \
        return msg_##X##_get(a, body, &list->at[list->n++]);                                     \
    }                                                                                              \
    static inline void wire_log_list_##X(struct buf *out, const char *name, const wire_list_##X *list) \
    {                                                                                              \
        buf_printf(out, " %s=[", name);                                                            \
        for (size_t i = 0; i < list->n; i++)                                                       \
            msg_##X##_log(out, &list->at[i]);                                                    \
        buf_putc(out, ']');                                                                        \
    }                                                                                              \
    struct wire_needs_semicolon_##X

#endif
