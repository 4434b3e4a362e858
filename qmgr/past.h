/* What the journal tells at the start, until the messages that it tells of have been read.
 *
 * Damage in the journal puts the messages on hold of which it may have said more. */
#ifndef QMGR_PAST_H
#define QMGR_PAST_H

#include "qmgr/inner.h"

/* Where replayed entries go; made before the journal is opened. */
void past_begin(struct qmgr *q);
const struct journal_reader *past_reader(struct qmgr *q);
/* Gives a message that was read (not yet in the schedule) what the journal says of it.
 * result: true: it was put on hold because of damage; the journal is to be told so */
bool past_apply(struct qmgr *q, struct message *m);
/* Whether the journal says that it is over. */
bool past_is_finished(struct qmgr *q, const struct queue_id *id);
/* The journal speaks of this one from then on, where it does. */
void past_stand(struct qmgr *q, const struct queue_id *id, struct standing *s);
/* Everything has been read: what is left speaks of messages that are gone. */
void past_end(struct qmgr *q);

#endif
