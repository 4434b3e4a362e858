#include "dnsd/packet.h"

enum { HEADER_SIZE = 12, LABEL_MAX = 63, POINTER = 0xc0 };

static bool cursor_fail(struct cursor *c)
{
    c->bad = true;
    c->at = c->end;
    return false;
}

struct span cursor_octets(struct cursor *c, size_t n)
{
    if (c->bad || n > c->end - c->at) {
        cursor_fail(c);
        return SPAN_NONE;
    }
    struct span octets = span_slice(c->packet, c->at, c->at + n);
    c->at += n;
    return octets;
}

uint16_t cursor_u16(struct cursor *c)
{
    struct span s = cursor_octets(c, 2);
    return s.n ? (uint16_t)(span_at(s, 0) << 8 | span_at(s, 1)) : 0;
}

uint32_t cursor_u32(struct cursor *c)
{
    uint32_t high = cursor_u16(c);
    return high << 16 | cursor_u16(c);
}

/* --- names -------------------------------------------------------------------------- */

/* Appends one label with its length. */
static bool dname_add(struct dname *name, struct span label)
{
    if (label.n == 0 || label.n > LABEL_MAX || name->n + label.n + 2 > DNAME_MAX)
        return false;
    name->octets[name->n] = (unsigned char)label.n;
    memcpy(name->octets + name->n + 1, label.p, label.n);
    name->n += label.n + 1;
    return true;
}

static bool dname_end(struct dname *name)
{
    name->octets[name->n++] = 0;
    return true;
}

/* The labels up to a pointer or the root. result: 1 the root; 0 a pointer, whose goal is set; -1 broken */
static int take_labels(struct cursor *c, struct dname *name, size_t *goal)
{
    for (;;) {
        struct span length = cursor_octets(c, 1);
        if (length.n == 0)
            return -1;
        unsigned n = span_at(length, 0);
        if (n == 0)
            return 1;
        if ((n & POINTER) == POINTER) {
            struct span low = cursor_octets(c, 1);
            *goal = low.n ? (n & ~(unsigned)POINTER) << 8 | span_at(low, 0) : SIZE_MAX;
            return low.n ? 0 : -1;
        }
        struct span label = cursor_octets(c, n);
        if (n > LABEL_MAX || !dname_add(name, label))
            return -1;
    }
}

bool cursor_name(struct cursor *c, struct dname *name)
{
    struct cursor part = *c;
    bool jumped = false;
    name->n = 0;
    for (;;) {
        size_t from = part.at, goal = 0;
        int end = take_labels(&part, name, &goal);
        if (!jumped)
            c->at = part.at;
        if (end > 0)
            return dname_end(name);
        /* Each jump leads before where the part began: there are no loops. */
        if (end < 0 || goal >= from)
            return cursor_fail(c);
        part = (struct cursor){.packet = c->packet, .at = goal, .end = from};
        jumped = true;
    }
}

bool dname_parse(struct span text, struct dname *name)
{
    name->n = 0;
    if (text.n == 0 || span_eq(text, SPAN(".")))
        return dname_end(name);
    for (bool more = true; more;) {
        size_t dot = span_find(text, '.');
        if (!dname_add(name, span_slice(text, 0, dot)))
            return false;
        more = dot < text.n;
        text = span_skip(text, dot + 1);
    }
    return dname_end(name);
}

bool dname_eq(const struct dname *a, const struct dname *b)
{
    /* Lengths of labels are below 64, where no letter is. */
    return span_eq_nocase(span_of(a->octets, a->n), span_of(b->octets, b->n));
}

static bool is_fit(unsigned char c, bool slash)
{
    return byte_is_alnum(c) || c == '-' || c == '_' || (slash && c == '/');
}

bool dname_put(struct buf *out, const struct dname *name, bool slash)
{
    char text[DNAME_MAX];
    size_t n = 0;
    for (size_t at = 0; name->octets[at];) {
        size_t length = name->octets[at++];
        for (size_t end = at + length; at < end; at++) {
            if (!is_fit(name->octets[at], slash))
                return false;
            text[n++] = (char)name->octets[at];
        }
        text[n++] = '.';
    }
    buf_put(out, n ? span_of(text, n - 1) : SPAN("."));
    return true;
}

/* --- messages ------------------------------------------------------------------------- */

bool packet_begin(struct span packet, struct cursor *c, struct header *h)
{
    struct dname name;
    *c = (struct cursor){.packet = packet, .end = packet.n};
    (void)cursor_u16(c);
    h->flags = cursor_u16(c);
    h->questions = cursor_u16(c);
    h->answers = cursor_u16(c);
    (void)cursor_u32(c);
    if (c->bad || h->questions != 1 || !cursor_name(c, &name))
        return false;
    (void)cursor_u32(c);
    return !c->bad;
}

bool packet_next(struct cursor *c, struct rr *rr)
{
    if (!cursor_name(c, &rr->owner))
        return false;
    rr->type = cursor_u16(c);
    rr->class = cursor_u16(c);
    rr->ttl = cursor_u32(c);
    if (rr->ttl > INT32_MAX)
        rr->ttl = 0;
    size_t n = cursor_u16(c), from = c->at;
    (void)cursor_octets(c, n);
    rr->data = (struct cursor){.packet = c->packet, .at = from, .end = from + n, .bad = c->bad};
    return !c->bad;
}
