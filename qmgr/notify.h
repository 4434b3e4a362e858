/* Notifications to senders: qmgr asks bounce, which makes them and hands them to cleanup.
 *
 * The ID that a notification is to have is drawn and journalled before bounce is asked: whatever
 * crashes, it is asked again for the same one, and a message of that ID is the proof that it
 * was made. */
#ifndef QMGR_NOTIFY_H
#define QMGR_NOTIFY_H

#include "qmgr/inner.h"

enum {
    NOTICE_RECIPIENTS_MAX = 500,   /* recipients in one notification; the others get one of their own */
    NOTICE_OCTETS_MAX = 512 * 1024, /* of what is said about them, so that a frame takes it */
    NOTICE_AGAIN_MIN_S = 5,        /* after a failure; doubled up to */
    NOTICE_AGAIN_MAX_S = 600,
};

/* A notification under way. */
struct notice {
    struct qmgr *q;
    struct message *message;
    struct queue_id new_id;
    unsigned kind; /* NOTIFY_* */
    uint32_t last; /* it tells of the recipients up to this number */
    unsigned failures;
    bool asked; /* a request is under way */
    struct timer again;
};

/* Tells the sender: of failures, successes or the delay. The message is paused meanwhile. */
void notify_begin(struct qmgr *q, struct message *m, unsigned kind);
/* Takes up one that the journal told of. */
void notify_resume(struct qmgr *q, struct message *m, unsigned kind, uint32_t last,
                   const struct queue_id *new_id);
/* A message has arrived or was found: where it is an awaited notification, it need not be made again. */
void notify_found(struct qmgr *q, const struct queue_id *id);
/* Ends what is under way, without a word. */
void notify_drop(struct qmgr *q, struct message *m);
/* Whether this is the address that our mail to postmasters comes from: what fails of it is told to nobody,
 * and what is sent to it is thrown away. */
bool notify_is_double_bounce(const struct qmgr *q, struct span address);
/* Whether a sender is to be told of a failure of this recipient at all. */
bool notify_is_owed(const struct qmgr *q, const struct message *m, const struct recipient *r, unsigned kind);

#endif
