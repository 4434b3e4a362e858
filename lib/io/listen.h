/* Takes connections from a listening socket, by the loop.
 *
 * A few at a time, so that a flood does not hold up the sessions there are; where the system has
 * no descriptor left, listening rests for a second instead of spinning. Any process with a loop may
 * call these; none waits. */
#ifndef IO_LISTEN_H
#define IO_LISTEN_H

#include "lib/io/loop.h"

#include <sys/socket.h>

struct listener;

enum {
    LISTEN_BATCH = 16,        /* connections in one step */
    LISTEN_BACKOFF_MS = 1000, /* rest after EMFILE, ENFILE, ENOBUFS, ENOMEM */
};

/* A connection has come. fd: owned by the callee, non-blocking, closed on exec
 * peer: as the kernel gave it, borrowed (lib/io/addr.h makes text of it)
 * The callee may pause or free the listener. */
typedef void (*listener_fn)(struct listener *ls, int fd, const struct sockaddr_storage *peer, socklen_t peer_len,
                            void *context);
/* Accepting failed with error (an errno) and rests for LISTEN_BACKOFF_MS: something to be logged. */
typedef void (*listener_trouble_fn)(struct listener *ls, int error, void *context);

/* fd: a listening, non-blocking socket, borrowed: open until listener_free(). May be shared with other
 * processes: the kernel wakes not all of them. trouble may be NULL.
 * result: owned by the caller; NULL with errno where epoll refuses */
struct listener *listener_new(struct loop *l, int fd, listener_fn fn, listener_trouble_fn trouble, void *context);
/* Harmless for NULL. Nulls *ls. */
void listener_free(struct listener **ls);
/* Leaves connections in the backlog, or to other processes, until listener_resume(). Both harmless to repeat. */
void listener_pause(struct listener *ls);
void listener_resume(struct listener *ls);

#endif
