/* What store.c, segments.c and scan.c share; for these three only. */
#ifndef QMGR_STORE_PARTS_H
#define QMGR_STORE_PARTS_H

#include "qmgr/store.h"

/* --- segments.c: segments, traces, tombs, cleanup processes --- */

struct span segment_key_span(const struct segment_key *key);
/* result: the segment of this place, or NULL */
struct segment *store_find_segment(const struct qmgr *q, const struct place *p);
/* The same; made where it is new. */
struct segment *store_know_segment(struct qmgr *q, const struct place *p);
/* Has it recycled if nothing in it is needed. */
void store_review_segment(struct qmgr *q, struct segment *s);
/* The same for all of a slot. */
void store_review_segments(struct qmgr *q, uint32_t slot);

void store_add_trace(struct list *where, const struct queue_id *id);
/* The stored forms that these stand for can never be read again. Empties the list. */
void store_traces_gone(struct qmgr *q, struct list *traces);
struct tomb *store_make_tomb(struct qmgr *q, const struct queue_id *id);
/* result: NULL: none */
struct tomb *store_find_tomb(const struct qmgr *q, const struct queue_id *id);
/* The message has a file now: its record in the log is only a copy. */
void store_move_to_file(struct qmgr *q, struct message *m);

/* result: NULL: none */
struct cleaner *store_cleaner_of(const struct qmgr *q, const struct channel *c);
struct cleaner *store_cleaner_of_slot(const struct qmgr *q, uint32_t slot);
/* Notices: as in a message_handler. */
void store_handle_intake(struct channel *channel, struct frame *f, void *context);
void store_handle_recycled(struct channel *channel, struct frame *f, void *context);

/* --- store.c: messages --- */

/* A message as its envelope says, not in the schedule yet. result: NULL: too large to be true */
struct message *store_message_from(struct qmgr *q, const struct queue_id *id,
                                   const struct msg_stored_envelope *e);
/* The message is in the schedule now; what its place means for the store. */
void store_count_in(struct qmgr *q, struct message *m);
/* A second record of a message that is known: it must not come to life when the first is gone. */
void store_count_copy(struct qmgr *q, const struct queue_id *id, const struct place *p);
/* Removes a file of a message that has a tomb. */
void store_remove_file(struct qmgr *q, const struct queue_id *id);

/* --- scan.c: reading the store --- */

/* Takes what a slot of the log and the queue's files hold and nobody has told of. */
void store_look_again(struct qmgr *q, uint32_t slot);
/* Ends the reading of files, wherever it is. */
void store_drop_files(struct qmgr *q);

#endif
