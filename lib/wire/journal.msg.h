/* What qmgr's journal records: one entry for each step of a message's progress.
 *
 * Entries of one message are to be applied in order; each says how things stand
 * after it, so applying one twice, or applying only the newer ones, does no harm. */
#ifndef WIRE_JOURNAL_MSG_H
#define WIRE_JOURNAL_MSG_H

#include "lib/wire/message.h"

/* The id is the first field: it can be told from a damaged entry (lib/queue/journal.h). */
#define JOURNAL_ENTRY(F)                                                                                     \
    F(1, bytes, id, "queue ID of the message")                                                               \
    F(2, num, event, "JOURNAL_*")                                                                            \
    F(3, num, recipient, "its number in the stored message; 0: the message as a whole")                      \
    F(4, num, until_us, "deferred: the next attempt is not before this moment (wall clock)")                 \
    F(5, bytes, dsn, "of the verdict: as in verdict, lib/wire/attempt.msg.h")                                \
    F(6, bytes, text, "of the verdict")                                                                      \
    F(7, bytes, relay, "of the verdict")                                                                     \
    F(8, bytes, remote_mta, "of the verdict")                                                                \
    F(9, bytes, diagnostic, "of the verdict")                                                                \
    F(10, bytes, action, "of the verdict")                                                                   \
    F(11, bytes, new_id, "notifying: the queue ID of the notification")                                      \
    F(12, num, kind, "notifying, notified: NOTIFY_*")                                                        \
    F(13, num, flags, "state: JOURNAL_IS_*")                                                                 \
    F(14, num, segment, "base: the oldest segment that is still needed")
MESSAGE(0x0c01, journal_entry, JOURNAL_ENTRY);

enum {
    JOURNAL_DONE = 1,       /* the recipient needs nothing more */
    JOURNAL_DELIVERED = 2,  /* delivered, and the sender asked to be told so: a notification is owed */
    JOURNAL_DEFERRED = 3,   /* not yet: verdict, until */
    JOURNAL_FAILED = 4,     /* failed for good: verdict; a notification is owed */
    JOURNAL_HELD = 5,       /* the message waits for an operator */
    JOURNAL_RELEASED = 6,   /* no longer */
    JOURNAL_DELETED = 8,    /* by an operator: nobody is told */
    JOURNAL_FINISHED = 9,   /* over: its stored form is being removed */
    JOURNAL_WARNED = 10,    /* the sender has been told of the delay */
    JOURNAL_BEGUN = 11,     /* the recipient is in the hands of an agent that cannot repeat itself unseen */
    JOURNAL_NOTIFYING = 12, /* a notification of this kind is being made, with this ID */
    JOURNAL_NOTIFIED = 13,  /* it is on stable storage: nothing of this kind is owed any more */
    JOURNAL_STATE = 14,     /* all that stands about the message is repeated: flags, then its recipients */
    JOURNAL_BASE = 15,      /* the journal's own: older segments are not needed */
};
enum { JOURNAL_IS_HELD = 1, JOURNAL_IS_WARNED = 2, JOURNAL_IS_FINISHED = 4 };

#endif
