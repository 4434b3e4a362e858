/* DNS messages, read with every length checked. RFC 1035 4.
 *
 * Pure; no call waits. */
#ifndef DNSD_PACKET_H
#define DNSD_PACKET_H

#include "lib/base/buf.h"

enum { DNAME_MAX = 255 /* octets with the lengths of labels and the root; RFC 1035 2.3.4 */ };

/* A name as on the wire, without compression: labels, each behind its length, and the root. */
struct dname {
    unsigned char octets[DNAME_MAX];
    size_t n;
};

/* A place in a message. After an error it is bad, and each further read gives zeros. */
struct cursor {
    struct span packet; /* borrowed: the whole message, for names that point back into it */
    size_t at, end;     /* the next octet, and the end of what may be read */
    bool bad;
};

struct header {
    uint16_t flags;
    uint16_t questions, answers;
};

/* One resource record; its data is read by the cursor. */
struct rr {
    struct dname owner;
    uint16_t type, class;
    uint32_t ttl; /* seconds; 0 where the highest bit is set, RFC 2181 8 */
    struct cursor data;
};

/* Goes behind the header and the question. result: false: no message with one question */
bool packet_begin(struct span packet, struct cursor *c, struct header *h);
/* The next record. result: false: it is broken; c is bad */
bool packet_next(struct cursor *c, struct rr *rr);

uint16_t cursor_u16(struct cursor *c);
uint32_t cursor_u32(struct cursor *c);
/* n octets, borrowed; empty where there are not so many. */
struct span cursor_octets(struct cursor *c, size_t n);
/* A name; compression pointers may lead backwards only. result: false: it is broken; c is bad */
bool cursor_name(struct cursor *c, struct dname *name);

/* From text without a final dot; "" and "." are the root. result: false: no name (labels of 1 to 63 octets, 255 in all) */
bool dname_parse(struct span text, struct dname *name);
/* The same name; letters count alike in either case. */
bool dname_eq(const struct dname *a, const struct dname *b);
/* Appends the text, without a final dot; the root is ".".
 * slash: whether "/" is allowed (RFC 2317 has it in aliases of reverse names)
 * result: false, nothing appended: it holds other than letters, digits, "-" and "_", and is not fit to be
 * looked up or logged */
bool dname_put(struct buf *out, const struct dname *name, bool slash);

#endif
