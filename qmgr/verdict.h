/* Verdicts: what becomes of a recipient, of a message whose run is over, and the log lines that
 * tell it in Postfix's words. */
#ifndef QMGR_VERDICT_H
#define QMGR_VERDICT_H

#include "qmgr/inner.h"

/* Who came to a verdict, and when. */
struct judge {
    const struct log_source *source; /* for the line */
    int64_t begun_us;                /* when the recipient was handed to it */
};

/* A verdict about a busy recipient: journalled, and logged once that is durable. */
void verdict_apply(struct qmgr *q, struct message *m, struct recipient *r, const struct msg_verdict *v,
                   const struct judge *judge);
/* Qmgr's own verdict: v with relay none, logged as by Postfix's error service. */
void verdict_apply_own(struct qmgr *q, struct message *m, struct recipient *r, unsigned class,
                       struct span dsn, struct span text);

/* Decodes what a recipient holds. result: false where it holds none */
bool verdict_load(const struct text *stored, struct msg_verdict *v);
/* Encodes a verdict to be held: without number and times, its texts cut. */
void verdict_put_stored(struct buf *out, const struct msg_verdict *v);

/* The run is over and durable: the message is finished, expires, waits on, or its sender is told. */
void verdict_settled(struct qmgr *q, struct message *m);
/* Nothing more is to be done about it: its last entry is put, and it is removed after that. */
void verdict_finish_message(struct qmgr *q, struct message *m);

/* Appends the sender or a recipient as log lines show it (info_log_address_format). */
void verdict_put_address(const struct qmgr *q, struct buf *out, struct span address);
/* Appends a time as Postfix's delays are written: two significant digits, at most so many decimals. */
void verdict_put_delay(struct buf *out, int64_t us, unsigned decimals);

#endif
