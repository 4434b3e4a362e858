/* Replies as values: a handler returns one, the session sends it.
 *
 * Declared replies stand in replies.def; what a table, cleanup or a policy says is
 * made into one by reply_make(). None of these waits. */
#ifndef SMTPD_REPLY_H
#define SMTPD_REPLY_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"

enum reply_id {
#define REPLY(name, code, dsn, text) REPLY_##name,
#include "smtpd/replies.def"
#undef REPLY
    REPLY_COUNT
};

struct reply {
    unsigned code;    /* three digits; 0: nothing is to be sent (it was, or the connection is lost) */
    struct span dsn;  /* enhanced status code, or empty */
    struct span text; /* without line ends; lives as long as the call arena */
    bool sent;        /* the handler has written it itself */
    bool excused;     /* no error of the client's: not counted against smtpd_hard_error_limit */
};

enum { REPLY_LINE_MAX = 512 }; /* octets with CRLF; RFC 5321 4.5.3.1.5 */

/* A declared reply. host, what: the values of {host} and {what}; texts are made in a. */
struct reply reply_declared(struct arena *a, enum reply_id id, struct span host, struct span what);
/* A reply in others' words: the class digits are made to agree with code, control
 * characters become '?', an empty text becomes "Ok" or "Error". */
struct reply reply_make(struct arena *a, unsigned code, struct span dsn, struct span text);
#define REPLY_NONE ((struct reply){0})

/* Appends the line(s) as they go over the wire, long texts folded into several. */
void reply_put(struct buf *out, const struct reply *r);

/* The reply's words in a log line: "550 5.1.1 <x>: ...". */
void reply_put_log(struct buf *out, const struct reply *r);

static inline bool reply_is_error(const struct reply *r)
{
    return r->code >= 400;
}

#endif
