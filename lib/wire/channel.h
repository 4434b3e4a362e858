/* A channel: one end of a UNIX stream socket pair between two of our processes.
 *
 * Master makes channels and hands them out; who is at the other end is known from
 * the channel itself, not from what it says. A frame is a header and a body of
 * tagged fields (message.h), and beside it up to CHANNEL_FDS_MAX descriptors. It is
 * a request (answered by one reply with the same id), a reply, or a notice (never
 * answered).
 *
 * Sending never waits: frames are gathered and leave in one write at the end of the
 * loop's step (docs/design/message-hop.md: the number of writes and wake-ups is what
 * a hop costs). A channel on which the other end sends malformed frames is closed,
 * as if the other end had gone: what another process says can end a channel, never a
 * process. */
#ifndef WIRE_CHANNEL_H
#define WIRE_CHANNEL_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/io/wait.h"

enum {
    CHANNEL_FDS_MAX = 8,
    CHANNEL_FRAME_MAX = 1 << 20,    /* octets of a body: a text of 64 KB with a thousand recipients; larger things
                                     * go by descriptor */
    CHANNEL_QUEUE_MAX = 64 << 20,   /* octets queued to a peer that does not read; beyond it the channel is closed */
};

struct channel;

/* A frame that arrived; valid during the callback only. */
struct frame {
    uint16_t type;     /* MSG_... */
    uint64_t id;       /* of a request: what the reply must carry; 0: a notice */
    struct span body;  /* encoded fields */
    int fds[CHANNEL_FDS_MAX]; /* closed after the callback; frame_take_fd() keeps one */
    unsigned nfds;
};

/* The i-th descriptor, now the caller's; -1 where there is none. */
int frame_take_fd(struct frame *f, unsigned i);
/* Closes those that nobody took: for a reply that channel_call() gave. */
void frame_close_fds(struct frame *f);

struct channel_handler {
    /* A request or a notice came in. The handler may wait for others, but not for an answer on c: nothing
     * is read from c before it returns. */
    void (*frame)(struct channel *c, struct frame *f, void *context);
    /* The other end has gone, or was closed for bad behaviour: every pending request has been
     * answered with NULL before. The handler closes c, now or later. May be NULL. */
    void (*closed)(struct channel *c, void *context);
};

/* Makes the two ends of a channel, close-on-exec. result: false with errno */
bool channel_pair(int fds[2]);

/* fd: one end of a channel_pair(), owned by the channel from now on, made non-blocking.
 * peer: a short name for logs ("cleanup/2"), copied. */
struct channel *channel_open(struct loop *l, int fd, const char *peer, const struct channel_handler *handler,
                             void *context);
/* Sends what is queued as far as that goes without waiting, closes. Pending requests are
 * answered with NULL. Nulls *c. May be called from any callback of the channel. */
void channel_close(struct channel **c);

/* What it was opened with: the name and the context, borrowed; and new ones of handler and context. */
const char *channel_peer(const struct channel *c);
void *channel_context(const struct channel *c);
void channel_set_context(struct channel *c, const struct channel_handler *handler, void *context);
/* Whether the other end has gone, or this one was given up: nothing can be sent. */
bool channel_is_closed(const struct channel *c);
/* Sends now what is gathered, as far as that goes without waiting; for those who do not run their loop. */
void channel_flush(struct channel *c);
/* Octets gathered and not yet taken by the kernel: for back-pressure. */
size_t channel_backlog(const struct channel *c);
/* Stops and resumes reading from the other end. */
void channel_pause(struct channel *c);
void channel_resume(struct channel *c);

/* A notice. fds stay the caller's (they are duplicated by the kernel or, while queued, by us).
 * result: false where the channel is closed (nothing is sent) */
bool channel_notify(struct channel *c, uint16_t type, struct span body, const int *fds, unsigned nfds);
/* The answer to a request that came with id. */
bool channel_reply(struct channel *c, uint64_t id, uint16_t type, struct span body, const int *fds, unsigned nfds);

/* A request; answer is called once, with the reply or with NULL where the channel was lost.
 * Never called inside channel_request().
 * result: the request's id, or 0 where the channel is closed (answer is not called) */
typedef void (*channel_answer)(struct frame *reply, void *context);
uint64_t channel_request(struct channel *c, uint16_t type, struct span body, const int *fds, unsigned nfds,
                         channel_answer answer, void *context);
/* The answer is no longer wanted. */
void channel_forget(struct channel *c, uint64_t id);

enum call_result {
    CALL_OK,
    CALL_LOST,      /* the other process went away: what was asked may or may not have been done */
    CALL_TIMEOUT,   /* the same */
    CALL_CANCELLED, /* this session is asked to end */
    CALL_MALFORMED, /* an answer of another type, or one that does not decode */
};
/* A request and the wait for its answer, for sessions and workers.
 * want:  type of the reply; reply: its body and descriptors, the body copied into a
 * waits: until the deadline */
enum call_result channel_call(struct channel *c, uint16_t type, struct span body, const int *fds, unsigned nfds,
                              mono_ms deadline, uint16_t want, struct arena *a, struct frame *reply);
/* The same for what must not be left in doubt: a session that is asked to end waits on for the answer.
 * result: never CALL_CANCELLED */
enum call_result channel_call_firm(struct channel *c, uint16_t type, struct span body, const int *fds, unsigned nfds,
                                   mono_ms deadline, uint16_t want, struct arena *a, struct frame *reply);

/* A call with declared messages: encodes *request, waits, decodes into *reply (struct msg_Y *). Descriptors
 * that come with the reply are closed. */
#define CHANNEL_CALL(c, a, deadline, X, request, Y, reply)                                          \
    channel_call_##X##_##Y((c), (a), (deadline), (request), (reply))
/* Declares that function; once per pair, in the .c file that calls. */
#define CHANNEL_CALL_DECLARE(X, Y) CHANNEL_CALL_DECLARE_BY(channel_call, X, Y)
/* The same, to be called by CHANNEL_CALL too, over channel_call_firm(). */
#define CHANNEL_CALL_FIRM_DECLARE(X, Y) CHANNEL_CALL_DECLARE_BY(channel_call_firm, X, Y)
#define CHANNEL_CALL_DECLARE_BY(call, X, Y)                                                         \
    static inline enum call_result channel_call_##X##_##Y(struct channel *c, struct arena *a,       \
                                                          mono_ms deadline, const struct msg_##X *request, \
                                                          struct msg_##Y *reply)                   \
    {                                                                                              \
        struct buf body = BUF_LIMITED(CHANNEL_FRAME_MAX);                                          \
        struct frame frame = {0};                                                                  \
        msg_##X##_put(&body, request);                                                             \
        enum call_result result =                                                                  \
            body.full ? CALL_MALFORMED                                                             \
                      : call(c, MSG_##X, buf_span(&body), NULL, 0, deadline, MSG_##Y, a, &frame);  \
        buf_fini(&body);                                                                           \
        frame_close_fds(&frame);                                                                   \
        if (result == CALL_OK && !msg_##Y##_get(a, frame.body, reply))                             \
            result = CALL_MALFORMED;                                                               \
        return result;                                                                             \
    }                                                                                              \
    struct channel_needs_semicolon_##X##_##Y

/* A table message -> handler; ends with type 0. */
struct message_handler {
    uint16_t type;
    void (*handle)(struct channel *c, struct frame *f, void *context);
};
/* result: false where the table has no row for the frame */
bool channel_dispatch(const struct message_handler *table, struct channel *c, struct frame *f, void *context);

#endif
