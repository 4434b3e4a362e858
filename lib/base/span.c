#include "lib/base/span.h"

struct span span_text(const char *text)
{
    return text ? (struct span){text, strlen(text)} : SPAN_NONE;
}

size_t span_find(struct span s, char c)
{
    const char *hit = s.n ? memchr(s.p, c, s.n) : NULL;
    return hit ? (size_t)(hit - s.p) : s.n;
}

size_t span_rfind(struct span s, char c)
{
    const char *hit = s.n ? memrchr(s.p, c, s.n) : NULL;
    return hit ? (size_t)(hit - s.p) : s.n;
}

bool span_eq(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool span_eq_nocase(struct span a, struct span b)
{
    return a.n == b.n && span_starts_nocase(a, b);
}

int span_cmp(struct span a, struct span b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;
    if (order != 0)
        return order;
    return (a.n > b.n) - (a.n < b.n);
}

bool span_starts(struct span s, struct span prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

bool span_starts_nocase(struct span s, struct span prefix)
{
    if (s.n < prefix.n)
        return false;
    for (size_t i = 0; i < prefix.n; i++)
        if (byte_lower(span_at(s, i)) != byte_lower(span_at(prefix, i)))
            return false;
    return true;
}

bool span_ends_nocase(struct span s, struct span suffix)
{
    return s.n >= suffix.n && span_starts_nocase(span_skip(s, s.n - suffix.n), suffix);
}

bool span_has_any(struct span s, struct span set)
{
    for (size_t i = 0; i < s.n; i++)
        if (span_find(set, s.p[i]) < set.n)
            return true;
    return false;
}

struct span span_trim(struct span s)
{
    while (s.n && byte_is_space(span_at(s, 0)))
        s = span_skip(s, 1);
    while (s.n && byte_is_space(span_at(s, s.n - 1)))
        s.n--;
    return s;
}

bool span_next_token(struct span *s, struct span separators, struct span *part)
{
    size_t from = 0, to;
    while (from < s->n && span_find(separators, s->p[from]) < separators.n)
        from++;
    if (from == s->n) {
        *s = span_skip(*s, from);
        return false;
    }
    for (to = from; to < s->n && span_find(separators, s->p[to]) == separators.n;)
        to++;
    *part = span_slice(*s, from, to);
    *s = span_skip(*s, to);
    return true;
}

bool span_to_u64(struct span s, uint64_t max, uint64_t *value)
{
    uint64_t sum = 0;
    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned digit = span_at(s, i) - (unsigned)'0';
        if (digit > 9 || digit > max || sum > (max - digit) / 10)
            return false;
        sum = sum * 10 + digit;
    }
    *value = sum;
    return true;
}
