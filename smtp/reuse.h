/* Connections kept for the next message to the same next hop.
 *
 * Within the process and for seconds only. On demand (smtp_connection_cache_on_demand) a connection is kept
 * where messages to the next hop follow one another: others are under way, or the one before ended
 * less than REUSE_RECENT_MS before this one began. Destinations of smtp_connection_cache_destinations
 * have theirs kept always.
 *
 * A connection that is taken has answered RSET, so nothing of the message before is left in it. */
#ifndef SMTP_REUSE_H
#define SMTP_REUSE_H

#include "smtp/smtp.h"

enum {
    REUSE_RECENT_MS = 2000,
    REUSE_IDLE_MAX = 1000, /* connections kept in all */
};

/* l: for the timers. result: owned by the caller */
struct reuse *reuse_new(struct smtp *smtp, struct loop *l);
/* Says QUIT to what is kept, without waiting for answers, and keeps nothing from now on. */
void reuse_close(struct reuse *r);
/* Nothing is under way (checked). Nulls *r. */
void reuse_free(struct reuse **r);

/* An attempt to a next hop begins; ends. hop: as in the attempt */
void reuse_begin(struct reuse *r, struct span hop);
void reuse_end(struct reuse *r, struct span hop);

/* A connection to the next hop that works; the caller's. NULL: there is none. waits for the answer to RSET */
struct session *reuse_take(struct reuse *r, struct span hop);
/* Keeps it if it may be, else ends it (session_end(), which may wait). Nulls *s. */
void reuse_put(struct reuse *r, struct session **s, struct span hop);

#endif
