/* The lookups that are under way, and who waits for them.
 *
 * Callers with the same question share one lookup. Each waits until a deadline of its own at most; a lookup goes on
 * without anybody who waits, because libunbound does too, and counts. Nothing here waits. */
#ifndef DNSD_LOOKUPS_H
#define DNSD_LOOKUPS_H

#include "dnsd/answer.h"
#include "lib/io/loop.h"

struct lookups;
struct lookup;

/* How many lookups some callers may have begun together. */
struct share {
    size_t used, most;
};

/* Somebody who asks. Owned by whoever serves it. */
struct asker {
    struct list waiters; /* its questions */
    struct share *share; /* borrowed; goes on to be there */
    void *context;       /* for the reply function */
};

enum { WAITERS_EACH = 16 /* callers that may wait, for each lookup that may be under way */ };

struct lookups_config {
    struct loop *loop;
    size_t limit; /* lookups under way at a time */
    struct answer_limits answers;
    /* Begins one; the answer comes by lookups_answered(), never inside. name: terminated. result: false with why */
    bool (*ask)(void *context, const char *name, unsigned type, struct lookup *lookup, struct buf *why);
    /* Tells one caller; id is that of its question. */
    void (*reply)(void *context, struct asker *to, uint64_t id, const struct msg_dns_reply *reply);
    void *context;
};

struct lookups *lookups_new(const struct lookups_config *config);
void lookups_free(struct lookups **l);
/* New limits; for those under way nothing changes. */
void lookups_set_limits(struct lookups *l, size_t limit, struct answer_limits answers);
/* The sources have changed: what is under way is not shared with those who ask from now on. */
void lookups_renew(struct lookups *l);

void asker_init(struct asker *a, struct share *share, void *context);
/* Nobody waits for its answers any more. */
void asker_forget(struct asker *a);

/* name: a good one in lower case, without a final dot; wait_ms: how long the caller waits.
 * The reply may come inside. */
void lookups_ask(struct lookups *l, struct asker *by, uint64_t id, struct span name, unsigned type, int64_t wait_ms);

/* What was found, for all who wait; ends the lookup. */
void lookups_answered(struct lookup *lookup, const struct raw_answer *raw);

/* Lookups under way; callers that wait. */
size_t lookups_count(const struct lookups *l);
size_t lookups_waiting(const struct lookups *l);

#endif
