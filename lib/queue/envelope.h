/* A stored message: the one form it has on the disk, in the intake log and in files.
 *
 *     header    64 octets, below
 *     envelope  stored_envelope (lib/wire/envelope.msg.h)
 *     hash      8 octets: XXH3-64 of header and envelope
 *     text      the message with LF line ends
 *     zeros     up to a multiple of 8
 *     END       16 octets: its magic, zeros, and XXH3-64 of all octets before the hash itself
 *
 * All numbers are little endian. A record is written once and never changed. Both hashes
 * are seeded: a record in a log segment with that segment's secret number, so that no octets
 * inside a message can ever pass for a record; a record in a file of its own with 0.
 *
 * What is read from the disk is believed only after its hash fits; no length is used
 * before it was compared with what there is. Any process may call these; none waits. */
#ifndef QUEUE_ENVELOPE_H
#define QUEUE_ENVELOPE_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/queue/id.h"
#include "lib/wire/envelope.msg.h"

enum {
    STORED_ALIGN = 8,            /* a record's length is a multiple */
    STORED_HEADER = 64,          /* octets */
    STORED_HASH = 8,             /* octets behind the envelope */
    STORED_END = 16,             /* octets at the end */
    STORED_MIN = STORED_HEADER + STORED_HASH + STORED_END,
    STORED_ENVELOPE_MAX = 8 << 20, /* octets of an envelope */
};
#define STORED_LENGTH_MAX (UINT64_C(1) << 40) /* octets of a record */

/* What ties a record to where it stands. Zeros for a file of its own. */
struct stored_bond {
    uint64_t generation; /* of the log segment: that of an older use is no record any more */
    uint64_t seed;       /* of the hashes */
};

/* A record that was read. */
struct stored {
    struct queue_id id;
    struct msg_stored_envelope envelope; /* its spans are borrowed from the octets that were read */
    uint64_t text_offset; /* octets from the record's beginning */
    uint64_t text_size;   /* octets */
    uint64_t length;      /* octets of the whole record */
};

/* Encodes an envelope as it goes into a record and into the notice arrived. */
void stored_put_envelope(struct buf *out, const struct msg_stored_envelope *e);

/* A whole record's length. */
uint64_t stored_length(size_t envelope, uint64_t text);

/* Appends header, envelope and hash; the text and stored_put_end() follow.
 * envelope: from stored_put_envelope(), at most STORED_ENVELOPE_MAX octets (checked); text_size: octets to come */
void stored_put_head(struct buf *out, const struct stored_bond *bond, const struct queue_id *id,
                     struct span envelope, uint64_t text_size);
/* Appends zeros and END to what is the whole record so far, from out's first octet at from. */
void stored_put_end(struct buf *out, size_t from, const struct stored_bond *bond);
/* All at once, behind what is in out. */
void stored_put(struct buf *out, const struct stored_bond *bond, const struct queue_id *id, struct span envelope,
                struct span text);

/* Where the parts of a record lie, as its header says. */
struct stored_plan {
    uint64_t length;      /* of the whole record */
    uint64_t text_offset; /* octets of the head: header, envelope and hash */
    uint64_t text_size;
};
/* Reads a header alone: only to know how much to read on; nothing in it is proven.
 * header: STORED_HEADER octets or more; limit: the most octets a record can have here
 * result: false where this is no header, or one of another bond (why: one phrase; may be NULL) */
bool stored_get_plan(struct span header, const struct stored_bond *bond, uint64_t limit, struct stored_plan *plan,
                     struct buf *why);

/* Reads and proves a head: header, envelope and hash. The text is not looked at.
 * head: text_offset octets or more; limit: as above
 * result: false where it is damaged (why: one phrase; may be NULL) */
bool stored_get_head(struct arena *a, struct span head, const struct stored_bond *bond, uint64_t limit,
                     struct stored *s, struct buf *why);

/* The same for a whole record, text and END included.
 * record: length octets exactly, or more (what follows is not looked at) */
bool stored_get(struct arena *a, struct span record, const struct stored_bond *bond, struct stored *s,
                struct buf *why);

/* For records that do not fit in memory: a running hash over their octets, head included. */
struct stored_hash;
struct stored_hash *stored_hash_new(const struct stored_bond *bond);
void stored_hash_put(struct stored_hash *h, struct span octets);
/* Zeros and END behind the text. The hash is used up. */
void stored_hash_end(struct stored_hash *h, struct buf *out);
/* The same for a record that is read: octets from the end of the text to the end of the record.
 * The hash is used up. result: false where they are not what they must be */
bool stored_hash_fits(struct stored_hash *h, struct span octets);
void stored_hash_free(struct stored_hash **h);

#endif
