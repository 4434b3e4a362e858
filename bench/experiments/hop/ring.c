/* A ring in shared memory for each direction; the peer is woken only when it said that it sleeps. */
#define _GNU_SOURCE
#include "hop.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { RING = 4 << 20 };

struct ring {
    _Alignas(64) _Atomic uint64_t head; /* the writer's */
    _Alignas(64) _Atomic uint64_t tail; /* the reader's */
    _Alignas(64) _Atomic uint32_t asleep;
    _Alignas(64) char data[RING];
};

struct end {
    struct ring *in, *out;
    int my_event, peer_event, epoll;
    uint64_t head; /* written but not yet published */
    char *frame;   /* a frame is copied out before it is parsed: the peer can still write to the ring */
};

static void make_rings(struct end *end[2])
{
    struct ring *r[2] = {shared_alloc(sizeof *r[0]), shared_alloc(sizeof *r[1])};
    int event[2] = {eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};

    memset(r[0], 1, sizeof *r[0]); /* touch the pages outside the measurement */
    memset(r[1], 1, sizeof *r[1]);
    for (int i = 0; i < 2; i++) {
        r[i]->head = r[i]->tail = r[i]->asleep = 0;
        end[i] = calloc(1, sizeof *end[i]);
        *end[i] = (struct end){r[i], r[1 - i], event[i], event[1 - i], -1, 0, malloc(MAX_FRAME)};
    }
}

static void use_event(struct end *e)
{
    struct epoll_event ev = {.events =
                                 EPOLLIN | EPOLLET}; /* every write is an edge: the eventfd is never read */

    e->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (e->epoll < 0 || epoll_ctl(e->epoll, EPOLL_CTL_ADD, e->my_event, &ev) != 0)
        die("epoll");
}

static void use_nothing(struct end *e)
{
    (void)e;
}

static void wait_event(struct end *e)
{
    struct epoll_event ev;

    atomic_store(&e->in->asleep, 1);
    while (e->in->head == e->in->tail)
        if (epoll_wait(e->epoll, &ev, 1, -1) < 0)
            die("epoll_wait");
    atomic_store(&e->in->asleep, 0);
}

static long futex(_Atomic uint32_t *word, int op, uint32_t value)
{
    return syscall(SYS_futex, word, op, value, NULL, NULL, 0);
}

static void wait_futex(struct end *e)
{
    atomic_store(&e->in->asleep, 1);
    while (e->in->head == e->in->tail && e->in->asleep == 1)
        if (futex(&e->in->asleep, FUTEX_WAIT, 1) != 0 && errno != EAGAIN && errno != EINTR)
            die("futex wait");
    atomic_store(&e->in->asleep, 0);
}

/* Copy in or out of the ring, in two pieces where it wraps. */
static void copy_in(struct ring *r, uint64_t at, const void *from, size_t len)
{
    size_t start = at % RING, first = len < RING - start ? len : RING - start;

    memcpy(r->data + start, from, first);
    memcpy(r->data, (const char *)from + first, len - first);
}

static void copy_out(const struct ring *r, uint64_t at, void *to, size_t len)
{
    size_t start = at % RING, first = len < RING - start ? len : RING - start;

    memcpy(to, r->data + start, first);
    memcpy((char *)to + first, r->data, len - first);
}

static const char *next_frame(struct end *e, size_t *len)
{
    uint32_t size;
    uint64_t tail = atomic_load_explicit(&e->in->tail, memory_order_relaxed);

    if (atomic_load_explicit(&e->in->head, memory_order_acquire) == tail)
        return NULL;
    copy_out(e->in, tail, &size, sizeof size);
    if (size > MAX_FRAME)
        die("frame too long");
    copy_out(e->in, tail + sizeof size, e->frame, size);
    atomic_store_explicit(&e->in->tail, tail + sizeof size + size, memory_order_release);
    *len = size;
    return e->frame;
}

/* The ring has room for all that may be in flight, so it is never full here. */
static void send_frame(struct end *e, const char *frame, size_t len)
{
    uint32_t size = (uint32_t)len;

    if (e->head + sizeof size + len - e->out->tail > RING)
        die("ring full");
    copy_in(e->out, e->head, &size, sizeof size);
    copy_in(e->out, e->head + sizeof size, frame, len);
    e->head += sizeof size + len;
}

static void flush_event(struct end *e)
{
    uint64_t one = 1;

    if (e->out->head == e->head)
        return;
    atomic_store(&e->out->head, e->head);
    if (atomic_exchange(&e->out->asleep, 0) != 0 && write(e->peer_event, &one, sizeof one) != sizeof one)
        die("eventfd");
}

static void flush_futex(struct end *e)
{
    if (e->out->head == e->head)
        return;
    atomic_store(&e->out->head, e->head);
    if (atomic_exchange(&e->out->asleep, 0) != 0 && futex(&e->out->asleep, FUTEX_WAKE, INT_MAX) < 0)
        die("futex wake");
}

const struct transport ring_eventfd = {
    "ring, eventfd, epoll", make_rings, use_event, wait_event, next_frame, send_frame, flush_event};
const struct transport ring_futex = {"ring, futex", make_rings, use_nothing, wait_futex,
                                     next_frame,    send_frame, flush_futex};
