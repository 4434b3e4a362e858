/* What only an attempt needs: the whole envelope and the text, kept in memory for a while.
 *
 * Fresh mail brings them along; other mail is read from where it is stored, and proven. A
 * bounded number of octets is kept, the rest is read again when it is needed. */
#ifndef QMGR_LOAD_H
#define QMGR_LOAD_H

#include "qmgr/inner.h"

enum {
    LOAD_OCTETS_MAX = 64 << 20, /* of envelopes and texts in memory */
    LOAD_COUNT_MAX = 4096,      /* messages; each may hold a descriptor */
};

struct loaded {
    struct list node; /* among the loads */
    struct message *message;
    struct arena arena; /* owns the envelope and the text */
    struct msg_stored_envelope envelope;
    struct span text; /* where fd is -1 */
    int fd;           /* owned; the stored file, the text from text_offset */
    uint64_t text_offset;
    size_t octets; /* that it counts for */
};

/* Keeps what came along with fresh mail: copies both. result: false: it does not fit, or is malformed */
bool load_keep(struct qmgr *q, struct message *m, struct span envelope, struct span text);
/* result: borrowed until the next load_get(); NULL with why: the stored form is damaged or gone; or it cannot
 * be read now: then *later is true. waits for the disk where it is not in memory */
struct loaded *load_get(struct qmgr *q, struct message *m, bool *later, struct buf *why);
/* Forgets what is in memory. Harmless where nothing is. */
void load_drop(struct qmgr *q, struct message *m);
/* The recipient of this index as the envelope has it. */
const struct msg_recipient *load_recipient(const struct loaded *l, uint32_t index);

#endif
