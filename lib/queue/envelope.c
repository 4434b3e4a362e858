#include "lib/queue/envelope.h"
#include "lib/base/check.h"

#include <endian.h>
#include <stdlib.h>
#include <xxhash.h>

enum {
    STORED_MAGIC = 0x5270724d, /* "MrpR" */
    STORED_END_MAGIC = 0x4570724d, /* "MrpE" */
    STORED_VERSION = 1,
    STORED_TAIL_MAX = STORED_ALIGN - 1 + STORED_END,
};

/* The header as it lies on the disk, little endian. */
struct disk_header {
    uint32_t magic;
    uint16_t version;
    uint16_t reserved; /* zero */
    uint64_t generation;
    uint64_t length;
    uint64_t text_size;
    uint32_t envelope_size;
    uint32_t reserved2; /* zero */
    char id[QUEUE_ID_MAX + 1];
};
_Static_assert(sizeof(struct disk_header) == STORED_HEADER, "the header has no holes");

struct disk_end {
    uint32_t magic;
    uint32_t reserved; /* zero */
    uint64_t hash;
};
_Static_assert(sizeof(struct disk_end) == STORED_END, "END has no holes");
enum { END_HASHED = STORED_END - 8 }; /* octets of END that the hash covers */

struct stored_hash {
    XXH3_state_t *state; /* owned */
    uint64_t length; /* octets put */
};

static size_t padding(uint64_t length)
{
    return (size_t)(-length & (STORED_ALIGN - 1));
}

uint64_t stored_length(size_t envelope, uint64_t text)
{
    uint64_t length = STORED_HEADER + (uint64_t)envelope + STORED_HASH + text;
    return length + padding(length) + STORED_END;
}

static void put_u64(struct buf *out, uint64_t value)
{
    uint64_t little = htole64(value);
    buf_put(out, span_of(&little, sizeof little));
}

static uint64_t get_u64(const char *at)
{
    uint64_t little;
    memcpy(&little, at, sizeof little);
    return le64toh(little);
}

static uint64_t hash(struct span octets, const struct stored_bond *bond)
{
    return XXH3_64bits_withSeed(octets.p, octets.n, bond->seed);
}

void stored_put_envelope(struct buf *out, const struct msg_stored_envelope *e)
{
    msg_stored_envelope_put(out, e);
}

void stored_put_head(struct buf *out, const struct stored_bond *bond, const struct queue_id *id,
                     struct span envelope, uint64_t text_size)
{
    size_t from = out->len;
    CHECK(envelope.n <= STORED_ENVELOPE_MAX && text_size < STORED_LENGTH_MAX);
    struct disk_header header = {
        .magic = htole32(STORED_MAGIC),
        .version = htole16(STORED_VERSION),
        .generation = htole64(bond->generation),
        .length = htole64(stored_length(envelope.n, text_size)),
        .text_size = htole64(text_size),
        .envelope_size = htole32((uint32_t)envelope.n),
    };
    memcpy(header.id, id->text, sizeof header.id);
    buf_put(out, span_of(&header, sizeof header));
    buf_put(out, envelope);
    if (!out->full)
        put_u64(out, hash(span_skip(buf_span(out), from), bond));
}

/* Zeros up to the alignment and the part of END before its hash. */
static void put_tail(struct buf *out, uint64_t length)
{
    struct disk_end end = {.magic = htole32(STORED_END_MAGIC)};
    static const char zeros[STORED_ALIGN];
    buf_put(out, span_of(zeros, padding(length)));
    buf_put(out, span_of(&end, END_HASHED));
}

void stored_put_end(struct buf *out, size_t from, const struct stored_bond *bond)
{
    put_tail(out, out->len - from);
    if (!out->full)
        put_u64(out, hash(span_skip(buf_span(out), from), bond));
}

void stored_put(struct buf *out, const struct stored_bond *bond, const struct queue_id *id, struct span envelope,
                struct span text)
{
    size_t from = out->len;
    stored_put_head(out, bond, id, envelope, text.n);
    buf_put(out, text);
    stored_put_end(out, from, bond);
}

/* --- reading ------------------------------------------------------------------ */

static bool damaged(struct buf *why, const char *what)
{
    if (why)
        buf_puts(why, what);
    return false;
}

bool stored_get_plan(struct span header, const struct stored_bond *bond, uint64_t limit, struct stored_plan *plan,
                     struct buf *why)
{
    struct disk_header h;
    if (header.n < sizeof h)
        return damaged(why, "shorter than a header");
    memcpy(&h, header.p, sizeof h);
    if (le32toh(h.magic) != STORED_MAGIC)
        return damaged(why, "no message header");
    if (le16toh(h.version) != STORED_VERSION || h.reserved != 0 || h.reserved2 != 0)
        return damaged(why, "a message header of an unknown version");
    if (le64toh(h.generation) != bond->generation)
        return damaged(why, "a message of an earlier use of the segment");
    uint64_t text = le64toh(h.text_size);
    uint32_t envelope = le32toh(h.envelope_size);
    if (limit > STORED_LENGTH_MAX)
        limit = STORED_LENGTH_MAX;
    if (envelope > STORED_ENVELOPE_MAX || text > limit)
        return damaged(why, "a length beyond all limits");
    plan->length = stored_length(envelope, text);
    plan->text_offset = STORED_HEADER + (uint64_t)envelope + STORED_HASH;
    plan->text_size = text;
    if (plan->length > limit)
        return damaged(why, "longer than what there is");
    if (plan->length != le64toh(h.length))
        return damaged(why, "lengths that do not add up");
    return true;
}

/* The envelope says the same as the header, and its recipients are numbered 1, 2, 3 ... */
static bool envelope_agrees(const struct stored *s, struct buf *why)
{
    const struct msg_stored_envelope *e = &s->envelope;
    if (!span_eq(e->id, queue_id_span(&s->id)) || e->text_size != s->text_size)
        return damaged(why, "an envelope of another message");
    if (e->recipients.n == 0)
        return damaged(why, "an envelope without recipients");
    for (size_t i = 0; i < e->recipients.n; i++) {
        if (e->recipients.at[i].number != i + 1)
            return damaged(why, "recipients that are not numbered in order");
    }
    return true;
}

bool stored_get_head(struct arena *a, struct span head, const struct stored_bond *bond, uint64_t limit,
                     struct stored *s, struct buf *why)
{
    struct stored_plan plan;
    struct disk_header h;
    if (!stored_get_plan(head, bond, limit, &plan, why))
        return false;
    if (head.n < plan.text_offset)
        return damaged(why, "an envelope that is cut off");
    size_t hashed = (size_t)plan.text_offset - STORED_HASH;
    if (get_u64(head.p + hashed) != hash(span_slice(head, 0, hashed), bond))
        return damaged(why, "an envelope that does not fit its checksum");
    memcpy(&h, head.p, sizeof h);
    *s = (struct stored){.text_offset = plan.text_offset, .text_size = plan.text_size, .length = plan.length};
    if (!queue_id_parse(span_of(h.id, strnlen(h.id, sizeof h.id)), &s->id))
        return damaged(why, "no queue ID");
    if (!msg_stored_envelope_get(a, span_slice(head, STORED_HEADER, hashed), &s->envelope))
        return damaged(why, "an envelope that does not decode");
    if (!envelope_agrees(s, why))
        return false;
    for (size_t i = 0; i < s->envelope.recipients.n; i++) {
        struct msg_recipient *r = &s->envelope.recipients.at[i];
        r->transport = r->nexthop = r->user = SPAN_NONE; /* the routing of then may be wrong now */
    }
    return true;
}

bool stored_get(struct arena *a, struct span record, const struct stored_bond *bond, struct stored *s,
                struct buf *why)
{
    struct stored_plan plan;
    struct disk_end end;
    if (!stored_get_plan(record, bond, record.n, &plan, why))
        return false;
    size_t length = (size_t)plan.length;
    memcpy(&end, record.p + length - sizeof end, sizeof end);
    if (le32toh(end.magic) != STORED_END_MAGIC || end.reserved != 0)
        return damaged(why, "no END");
    if (le64toh(end.hash) != hash(span_slice(record, 0, length - sizeof end.hash), bond))
        return damaged(why, "a message that does not fit its checksum");
    return stored_get_head(a, record, bond, record.n, s, why);
}

/* --- a running hash ----------------------------------------------------------- */

struct stored_hash *stored_hash_new(const struct stored_bond *bond)
{
    struct stored_hash *h = calloc(1, sizeof *h);
    CHECK(h != NULL);
    h->state = XXH3_createState();
    CHECK(h->state != NULL);
    XXH3_64bits_reset_withSeed(h->state, bond->seed);
    return h;
}

void stored_hash_put(struct stored_hash *h, struct span octets)
{
    if (octets.n)
        XXH3_64bits_update(h->state, octets.p, octets.n);
    h->length += octets.n;
}

void stored_hash_end(struct stored_hash *h, struct buf *out)
{
    size_t from = out->len;
    put_tail(out, h->length);
    stored_hash_put(h, span_skip(buf_span(out), from));
    put_u64(out, XXH3_64bits_digest(h->state));
}

bool stored_hash_fits(struct stored_hash *h, struct span octets)
{
    struct buf tail = BUF_LIMITED(STORED_TAIL_MAX);
    stored_hash_end(h, &tail);
    bool fits = span_eq(buf_span(&tail), octets);
    buf_fini(&tail);
    return fits;
}

void stored_hash_free(struct stored_hash **h)
{
    if (!*h)
        return;
    XXH3_freeState((*h)->state);
    free(*h);
    *h = NULL;
}
