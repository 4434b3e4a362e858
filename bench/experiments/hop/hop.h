/* A hop between two processes: one face for all transports. */
#ifndef EXPERIMENT_HOP_H
#define EXPERIMENT_HOP_H

#include "../common.h"

enum { MAX_FRAME = 64 * 1024, MAX_BURST = 32, REPLY = 64 };

/* One end of a channel; each transport keeps its own state behind it. */
struct end;

struct transport {
    const char *name;
    void (*make)(struct end *end[2]); /* before the fork */
    void (*use)(struct end *e);       /* after the fork, in the process that owns this end */
    void (*wait)(struct end *e);      /* return when a frame may be there */
    const char *(*next)(struct end *e, size_t *len); /* NULL when none is there; valid until the next call */
    void (*send)(struct end *e, const char *frame, size_t len);
    void (*flush)(struct end *e); /* called once after each burst of sends */
};

extern const struct transport seqpacket_blocking, seqpacket_epoll, seqpacket_mmsg, stream_buffered,
    stream_both_directions;
extern const struct transport ring_eventfd, ring_futex;

#endif
