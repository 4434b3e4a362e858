/* Progress: the journal, one sync for all of a loop's step, and what follows from it.
 *
 * Nothing that cannot be taken back happens before the entry that says so is durable:
 * it is queued by progress_after() and runs after the sync, in order. */
#ifndef QMGR_PROGRESS_H
#define QMGR_PROGRESS_H

#include "qmgr/inner.h"

/* Opens the journal and replays it into reader. */
bool progress_open(struct qmgr *q, const struct journal_reader *reader, struct journal_summary *summary,
                   struct buf *why);
void progress_close(struct qmgr *q);

/* An entry about a message; id is filled in. */
void progress_put(struct qmgr *q, struct message *m, struct msg_journal_entry *e);
/* The same about one of its recipients: event, and the recipient's verdict where there is one. */
void progress_put_recipient(struct qmgr *q, struct message *m, const struct recipient *r, unsigned event,
                            int64_t until_us);
/* The message's notification under way. */
void progress_put_notice(struct qmgr *q, struct message *m);
/* The journal says something of this from base on: to be repeated. */
void progress_stand(struct qmgr *q, struct standing *s, uint64_t base);
/* Nothing needs to be said of it any more. */
void progress_forget(struct standing *s);
/* Repeats all that stands about one message or tomb. */
void progress_repeat(struct qmgr *q, struct standing *s);

/* fn runs once all that was put so far is durable. */
void progress_after(struct qmgr *q, void (*fn)(struct qmgr *q, void *subject), void *subject);
/* A line that is logged then. source: NULL: qmgr's own; copied */
void progress_log(struct qmgr *q, const struct log_source *source, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A look at what has settled, at the next commit. */
void progress_commit_soon(struct qmgr *q);
/* No attempt may begin: the journal cannot be written. */
bool progress_is_broken(const struct qmgr *q);
/* The store has been read: old journal segments may go. */
void progress_may_work(struct qmgr *q);

#endif
