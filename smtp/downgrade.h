/* A message for a server without 8BITMIME: MIME parts with eight-bit octets become quoted-printable. RFC 6152 3, 2045.
 *
 * A part is changed only if it has such octets; what is composed of others (multipart, message/rfc822) is gone
 * through, to a depth of DOWNGRADE_DEPTH. A text that is no MIME message becomes one, of charset unknown-8bit (RFC
 * 1428). Octets that no coding can be put around (preambles, parts that are encoded already) become "?". Headers stay as
 * they are.
 *
 * Two passes over the text: the first finds which parts have eight-bit octets. Text with LF in, text with LF out.
 * Pure; no call waits. */
#ifndef SMTP_DOWNGRADE_H
#define SMTP_DOWNGRADE_H

#include "lib/base/buf.h"

enum {
    DOWNGRADE_DEPTH = 100,              /* multiparts in one another; beyond, octets become "?" */
    DOWNGRADE_HEAD_MAX = 256 * 1024,    /* octets of a header section; beyond, the rest counts as text */
    DOWNGRADE_LINE_MAX = 8 * 1024,      /* octets of a line that are looked at together */
};

struct downgrade;

struct downgrade *downgrade_new(void);
void downgrade_free(struct downgrade **d);

/* Takes the next octets of the text. out: NULL in the first pass */
void downgrade_put(struct downgrade *d, struct span octets, struct buf *out);
/* The end of the text; after that of the first pass the second one begins. */
void downgrade_end(struct downgrade *d, struct buf *out);

#endif
