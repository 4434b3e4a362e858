/* What is to be tried when: a pure library over a clock that is passed in.
 *
 * Messages wait in a heap by the moment at which their next recipient is due. What is due
 * is given a route by the owner and becomes part of a job: the recipients of one message
 * for one destination of one transport. A destination serves its jobs in turn, a transport
 * its destinations, the schedule its transports, each one attempt at a time: a mailing to
 * ten thousand does not hold up a single letter, nor a slow destination the others.
 *
 * A destination has a window of concurrent attempts that grows by success and shrinks by
 * failure; when it has shrunk by failures alone it is dead for a while, and what is ready
 * for it is given back unsent (suspended).
 *
 * Times are microseconds; now_us never goes back. No call waits, reads a clock or logs. */
#ifndef QMGR_SCHEDULE_H
#define QMGR_SCHEDULE_H

#include "qmgr/message.h"

#define SCHEDULE_NEVER INT64_MAX

struct schedule_params {
    int64_t minimal_backoff_us, maximal_backoff_us;
    int64_t maximal_lifetime_us; /* of mail with a sender */
    int64_t bounce_lifetime_us;  /* of mail from the null sender */
    int64_t warn_us;             /* age at which the sender is told of the delay; 0: never */
    int64_t transport_retry_us;  /* how long an unavailable transport is left alone */
};

/* How strongly a delivery's end changes the window. */
struct feedback {
    double amount;
    enum {
        FEEDBACK_FIXED,
        FEEDBACK_BY_WINDOW,
        FEEDBACK_BY_ROOT
    } per; /* amount, over window, over its root */
};

struct transport_params {
    unsigned process_limit;     /* attempts of the transport at a time; 0: no limit */
    unsigned concurrency_limit; /* of one destination; 0: no limit */
    unsigned initial_concurrency;
    unsigned recipient_limit; /* of one attempt; 0: no limit; 1: every recipient is a destination */
    unsigned cohort_limit;    /* failures of whole windows until a destination is dead; 0: never */
    struct feedback positive, negative;
    int64_t rate_delay_us; /* pause between two attempts to one destination */
};

/* When a dead transport or a dead or blocked destination lives again. */
struct wake {
    struct heap_node node;
    struct transport *transport;     /* whose it is: */
    struct destination *destination; /* one of the two */
};

/* A delivery service. */
struct transport {
    struct text *name;
    struct transport_params params;
    struct map destinations;  /* key -> struct destination; owned */
    struct list turn;         /* destinations that may begin an attempt, or have some to give back */
    struct list node;         /* among the schedule's transports that have a turn; itself: not there */
    unsigned in_flight;       /* attempts that are under way */
    int64_t dead_until_us;    /* unavailable until then; 0: it works */
    struct text *dead_reason; /* encoded verdict, as recipient.verdict; owned */
    struct wake wake;
    void *own; /* the owner's */
};

/* A next hop of a transport, or one recipient where recipient_limit is 1. */
struct destination {
    struct transport *transport;
    struct text *key, *nexthop; /* owned */
    struct list jobs;           /* struct job, the next one first */
    struct list turn;           /* among its transport's; itself: not there */
    double window;              /* attempts that may be under way */
    double failed_cohorts;      /* failures since the last success, in windows */
    unsigned in_flight;
    int64_t blocked_until_us; /* by rate_delay; 0: not */
    int64_t dead_until_us;    /* 0: it lives */
    struct text *dead_reason; /* as above */
    struct wake wake;
};

/* An attempt: these recipients of one message, to one destination. The owner ends it. */
struct attempt {
    struct message *message;
    struct destination *destination;
    uint32_t first, count; /* recipients, chained by next; index + 1 */
    int64_t begun_us;
    /* Not to be made: its recipients are to be deferred with this verdict, as the destination or
     * transport is dead. NULL: it is to be made. Owned. */
    struct text *suspended;
    struct list node; /* the owner's */
    void *agent;      /* the owner's */
    uint64_t number;  /* the owner's */
};

struct schedule {
    struct schedule_params params;
    struct texts texts;
    struct map messages;      /* id -> struct message */
    struct map transports;    /* name -> struct transport; owned */
    struct list all;          /* messages, the oldest first */
    struct list walkers;      /* struct walker */
    struct heap retries;      /* messages by their next moment */
    struct heap wakes;        /* destinations and transports that live again */
    struct list turn;         /* transports that have something to do */
    struct message **settled; /* nothing of them is busy any more; owned array of borrowed messages */
    size_t settled_count, settled_cap;
    size_t count;     /* messages */
    size_t ready;     /* recipients in jobs */
    size_t in_flight; /* attempts */
};

void schedule_init(struct schedule *s, const struct schedule_params *params);
/* Frees all, messages included. */
void schedule_fini(struct schedule *s);

/* A message with count recipients and room for strings; to be filled, then schedule_add().
 * result: zeros but for the id, the lists and the pointers; owned by the caller until it is added */
struct message *message_new(const struct queue_id *id, uint32_t count, size_t strings);
/* Ends one that is in no schedule, or was taken out. Nulls *m. */
void message_free(struct schedule *s, struct message **m);

/* Takes it in; each recipient waits (until its until_us; 0: it is due), or is over.
 * result: false where there is one with this ID (m stays the caller's) */
bool schedule_add(struct schedule *s, struct message *m);
/* Takes it out; nothing of it may be busy. The caller's again. */
void schedule_remove(struct schedule *s, struct message *m);
/* result: borrowed, or NULL */
struct message *schedule_find(const struct schedule *s, struct span id);

/* --- the way to an attempt --- */

/* The next message of which some recipients are due: they are resolving now, and want schedule_ready()
 * or a verdict. Held messages and those with a notification under way are left out.
 * result: borrowed, or NULL */
struct message *schedule_due(struct schedule *s, int64_t now_us);
/* The same for one message that is at hand. result: how many recipients are resolving now */
uint32_t schedule_activate(struct schedule *s, struct message *m, int64_t now_us);
/* Gives a resolving recipient its route. user: may be empty. */
void schedule_ready(struct schedule *s, struct message *m, struct recipient *r, struct transport *t,
                    struct span nexthop, struct span user);
/* The next attempt that may begin. Recipients of messages that may not run any more wait again.
 * result: owned, until schedule_end(); NULL: there is none now */
struct attempt *schedule_next(struct schedule *s, int64_t now_us);

/* The attempt keeps its first recipients only; the others are ready again, first in their destination's turn.
 */
void schedule_shrink(struct schedule *s, struct attempt *a, uint32_t keep);

/* --- verdicts --- */

/* A busy recipient is to be tried again, at the moment that the message's age asks for.
 * verdict: encoded, as in recipient.verdict
 * result: that moment */
int64_t schedule_defer(struct schedule *s, struct message *m, struct recipient *r, struct span verdict,
                       int64_t now_us);
/* A busy or waiting recipient is over. */
void schedule_finish(struct schedule *s, struct message *m, struct recipient *r, enum recipient_state state,
                     struct span verdict);
/* What was owed for the recipient has been done. */
void schedule_settle_debt(struct schedule *s, struct message *m, struct recipient *r);
/* A busy recipient waits again, as if it had not been tried. */
void schedule_put_back(struct schedule *s, struct message *m, struct recipient *r, int64_t until_us);

enum outcome {
    OUTCOME_GOOD,    /* the destination took part: whatever the verdicts say of the recipients */
    OUTCOME_DEAD,    /* it could not be reached, or refused to speak */
    OUTCOME_NEUTRAL, /* says nothing about it */
};
/* The attempt is over; each of its recipients has had its verdict. Frees it, nulls *a.
 * reason: for OUTCOME_DEAD: encoded verdict that later mail to it gets */
void schedule_end(struct schedule *s, struct attempt **a, enum outcome outcome, struct span reason,
                  int64_t now_us);

/* A message of which nothing is busy any more: what became of its run is to be looked at. Told once for each
 * run. result: borrowed, or NULL */
struct message *schedule_take_settled(struct schedule *s);

/* --- ages --- */

/* When its last attempt counts as such: it is expired at the first deferral after that. */
int64_t schedule_expiry(const struct schedule *s, const struct message *m);
/* Whether the sender is to be told now that it is late. */
bool schedule_wants_warning(const struct schedule *s, const struct message *m, int64_t now_us);
/* The moment of a message's next attempt if it is deferred now. */
int64_t schedule_backoff(const struct schedule *s, const struct message *m, int64_t now_us);

/* --- the operator's wishes --- */

/* Its waiting recipients are due now. Nothing for a message on hold. */
void schedule_flush(struct schedule *s, struct message *m, int64_t now_us);
/* Its ready recipients wait again, due now. */
void schedule_withdraw(struct schedule *s, struct message *m, int64_t now_us);
/* Dead destinations and transports live again: of all, or of one transport. */
void schedule_revive(struct schedule *s, struct transport *t);
/* Its flags were changed by the owner: held, deleted, finished and notifying messages begin nothing new. */
void schedule_review(struct schedule *s, struct message *m);

/* --- transports and timers --- */

/* Made at the first call, with params of all zeros. result: borrowed for the life of the schedule */
struct transport *schedule_transport(struct schedule *s, struct span name);
/* Sets or changes; limits count from the next attempt on. */
void schedule_set_transport(struct schedule *s, struct transport *t, const struct transport_params *params);
/* Its agents cannot be had: what is ready for it is suspended with this reason (encoded verdict). */
void schedule_transport_dead(struct schedule *s, struct transport *t, struct span reason, int64_t now_us);
/* Destinations and transports whose time has come live again. To be called before schedule_next(). */
void schedule_wake(struct schedule *s, int64_t now_us);
/* When schedule_due() or schedule_wake() will next have something; SCHEDULE_NEVER */
int64_t schedule_next_moment(const struct schedule *s);

/* --- walking --- */

/* A place among all messages that stays good while messages come and go. */
struct walker {
    struct list node;  /* among the schedule's */
    struct list *next; /* where it stands: a message's all, or the head at the end */
};
/* Zeros are a walker that has ended. */
void walker_begin(struct walker *w, struct schedule *s);
/* result: the next message, or NULL at the end. walker_peek does not go on. */
struct message *walker_peek(const struct walker *w, const struct schedule *s);
struct message *walker_next(struct walker *w, struct schedule *s);
/* Harmless after the end. */
void walker_end(struct walker *w);

#endif
