/* A span: borrowed bytes, a pointer and a length, passed by value.
 *
 * Never terminated, may hold NUL; whoever made it says how long the bytes live.
 * Everything that parses bytes from outside takes spans, so that a NUL in the
 * middle or a missing terminator can do no harm.
 *
 * Any process may call these; none of them waits, allocates or fails. */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const char *p; /* first byte; may be NULL where n is 0 */
    size_t n;      /* bytes */
};

/* A span over a string literal (or a char array's literal initialiser). */
#define SPAN(literal) ((struct span){(literal), sizeof(literal) - 1})
/* The same as a constant initialiser, for static tables. */
#define SPAN_INIT(literal) {(literal), sizeof(literal) - 1}
#define SPAN_NONE ((struct span){NULL, 0})

/* The two arguments of a "%.*s" conversion. */
#define SPAN_ARG(s) (int)(s).n, (s).p ? (s).p : ""

static inline struct span span_of(const void *p, size_t n)
{
    return (struct span){(const char *)p, n};
}

/* text: a terminated string of our own, or NULL, which gives the empty span. */
struct span span_text(const char *text);

/* The bytes from..to-1; both are cut to what there is. */
static inline struct span span_slice(struct span s, size_t from, size_t to)
{
    if (to > s.n)
        to = s.n;
    if (from > to)
        from = to;
    return (struct span){s.p ? s.p + from : NULL, to - from};
}

/* All but the first n bytes. */
static inline struct span span_skip(struct span s, size_t n)
{
    return span_slice(s, n, s.n);
}

static inline unsigned char span_at(struct span s, size_t i)
{
    return (unsigned char)s.p[i];
}

/* result: the index of the first byte c, or s.n */
size_t span_find(struct span s, char c);
/* result: the index of the last byte c, or s.n */
size_t span_rfind(struct span s, char c);

/* Whether both hold the same bytes. */
bool span_eq(struct span a, struct span b);
/* The same, where ASCII letters count alike in either case. */
bool span_eq_nocase(struct span a, struct span b);
/* result: <0, 0, >0 as memcmp over the shorter length, then by length */
int span_cmp(struct span a, struct span b);
bool span_starts(struct span s, struct span prefix);
bool span_starts_nocase(struct span s, struct span prefix);
bool span_ends_nocase(struct span s, struct span suffix);
/* Whether s holds one of the bytes of set. */
bool span_has_any(struct span s, struct span set);

/* Without the spaces, tabs, CRs and LFs at either end. */
struct span span_trim(struct span s);

/* Cuts the next part off *s, up to a byte of separators; empty parts are skipped.
 * part:   set to the part, borrowed from *s
 * result: false when nothing is left */
bool span_next_token(struct span *s, struct span separators, struct span *part);

/* A decimal number and nothing else.
 * result: false for no digit, another byte, or a value over max (value untouched) */
bool span_to_u64(struct span s, uint64_t max, uint64_t *value);

/* Locale-free ASCII classes. */
static inline bool byte_is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}
static inline bool byte_is_alpha(unsigned char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}
static inline bool byte_is_alnum(unsigned char c)
{
    return byte_is_digit(c) || byte_is_alpha(c);
}
static inline bool byte_is_space(unsigned char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}
static inline bool byte_is_print(unsigned char c)
{
    return c >= 0x20 && c < 0x7f;
}
static inline unsigned char byte_lower(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
}

#endif
