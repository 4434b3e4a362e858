/* The transports over AF_UNIX sockets. */
#define _GNU_SOURCE
#include "hop.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct end {
    int fd, epoll;
    bool had_one;                     /* blocking: one frame per wait */
    char *in, *out;                   /* one frame, MAX_BURST frames, or a stream buffer */
    size_t in_start, in_end, out_len; /* stream */
    unsigned got, given, queued;      /* mmsg */
    struct mmsghdr in_msg[MAX_BURST], out_msg[MAX_BURST];
    struct iovec in_iov[MAX_BURST], out_iov[MAX_BURST];
};

enum { ROOM = MAX_BURST * (MAX_FRAME + 8) };

static void make_pair(struct end *end[2], int type)
{
    int fd[2], size = 4 << 20; /* the kernel cuts it to what it allows */

    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fd) != 0)
        die("socketpair");
    for (int i = 0; i < 2; i++) {
        setsockopt(fd[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
        end[i] = calloc(1, sizeof *end[i]);
        end[i]->fd = fd[i];
        end[i]->in = malloc(ROOM);
        end[i]->out = malloc(ROOM);
    }
}

static void make_seqpacket(struct end *end[2])
{
    make_pair(end, SOCK_SEQPACKET);
}

static void make_stream(struct end *end[2])
{
    make_pair(end, SOCK_STREAM);
}

static void use_nothing(struct end *e)
{
    (void)e;
}

static void watch(struct end *e, uint32_t events)
{
    struct epoll_event ev = {.events = events | EPOLLET};

    e->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (e->epoll < 0 || epoll_ctl(e->epoll, EPOLL_CTL_ADD, e->fd, &ev) != 0)
        die("epoll");
}

static void use_epoll(struct end *e)
{
    watch(e, EPOLLIN);
}

/* As a network session waits; on AF_UNIX every frame that the peer reads is an edge of its own. */
static void use_both_directions(struct end *e)
{
    watch(e, EPOLLIN | EPOLLOUT);
}

static void use_mmsg(struct end *e)
{
    use_epoll(e);
    for (unsigned i = 0; i < MAX_BURST; i++) {
        e->in_iov[i] = (struct iovec){e->in + (size_t)i * MAX_FRAME, MAX_FRAME};
        e->in_msg[i].msg_hdr = (struct msghdr){.msg_iov = &e->in_iov[i], .msg_iovlen = 1};
        e->out_iov[i] = (struct iovec){e->out + (size_t)i * MAX_FRAME, 0};
        e->out_msg[i].msg_hdr = (struct msghdr){.msg_iov = &e->out_iov[i], .msg_iovlen = 1};
    }
}

static void wait_nothing(struct end *e)
{
    e->had_one = false;
}

static void wait_epoll(struct end *e)
{
    struct epoll_event ev;

    if (epoll_wait(e->epoll, &ev, 1, -1) < 0)
        die("epoll_wait");
}

static void until_writable(struct end *e)
{
    struct pollfd p = {.fd = e->fd, .events = POLLOUT};

    if (poll(&p, 1, -1) < 0)
        die("poll");
}

static const char *next_blocking(struct end *e, size_t *len)
{
    if (e->had_one)
        return NULL;
    ssize_t n = recv(e->fd, e->in, MAX_FRAME, 0);
    if (n <= 0)
        die("recv");
    e->had_one = true;
    *len = (size_t)n;
    return e->in;
}

static const char *next_epoll(struct end *e, size_t *len)
{
    ssize_t n = recv(e->fd, e->in, MAX_FRAME, MSG_DONTWAIT);

    if (n < 0 && errno == EAGAIN)
        return NULL;
    if (n <= 0)
        die("recv");
    *len = (size_t)n;
    return e->in;
}

/* The encoder writes the frame once, as it would into any buffer; then it leaves at once. */
static void send_frame(struct end *e, const char *frame, size_t len)
{
    memcpy(e->out, frame, len);
    while (send(e->fd, e->out, len, MSG_DONTWAIT) != (ssize_t)len) {
        if (errno != EAGAIN)
            die("send");
        until_writable(e);
    }
}

static const char *next_mmsg(struct end *e, size_t *len)
{
    if (e->given == e->got) {
        bool emptied = e->got > 0 && e->got < MAX_BURST;
        e->got = e->given = 0;
        if (emptied)
            return NULL; /* a burst that was not full: nothing more waits, the next edge will tell */
        int n = recvmmsg(e->fd, e->in_msg, MAX_BURST, MSG_DONTWAIT, NULL);
        if (n < 0 && errno == EAGAIN)
            return NULL;
        if (n <= 0)
            die("recvmmsg");
        e->got = (unsigned)n;
    }
    *len = e->in_msg[e->given].msg_len;
    return e->in + (size_t)e->given++ * MAX_FRAME;
}

static void flush_mmsg(struct end *e)
{
    for (unsigned sent = 0; sent < e->queued;) {
        int n = sendmmsg(e->fd, e->out_msg + sent, e->queued - sent, MSG_DONTWAIT);
        if (n > 0)
            sent += (unsigned)n;
        else if (errno == EAGAIN)
            until_writable(e);
        else
            die("sendmmsg");
    }
    e->queued = 0;
}

static void send_mmsg(struct end *e, const char *frame, size_t len)
{
    memcpy(e->out_iov[e->queued].iov_base, frame, len);
    e->out_iov[e->queued++].iov_len = len;
    if (e->queued == MAX_BURST)
        flush_mmsg(e);
}

static void flush_nothing(struct end *e)
{
    (void)e;
}

/* Give the next whole frame of the buffer, or NULL. */
static const char *parse(struct end *e, size_t *len)
{
    uint32_t frame;

    if (e->in_end - e->in_start < sizeof frame)
        return NULL;
    memcpy(&frame, e->in + e->in_start, sizeof frame);
    if (e->in_end - e->in_start < sizeof frame + frame)
        return NULL;
    const char *p = e->in + e->in_start + sizeof frame;
    e->in_start += sizeof frame + frame;
    *len = frame;
    return p;
}

static const char *next_stream(struct end *e, size_t *len)
{
    for (;;) {
        const char *frame = parse(e, len);
        if (frame != NULL)
            return frame;
        memmove(e->in, e->in + e->in_start, e->in_end - e->in_start);
        e->in_end -= e->in_start;
        e->in_start = 0;
        ssize_t n = recv(e->fd, e->in + e->in_end, 256 * 1024, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return NULL;
        if (n <= 0)
            die("recv");
        e->in_end += (size_t)n;
    }
}

static void flush_stream(struct end *e)
{
    for (size_t sent = 0; sent < e->out_len;) {
        ssize_t n = send(e->fd, e->out + sent, e->out_len - sent, MSG_DONTWAIT);
        if (n > 0)
            sent += (size_t)n;
        else if (errno == EAGAIN)
            until_writable(e);
        else
            die("send");
    }
    e->out_len = 0;
}

static void send_stream(struct end *e, const char *frame, size_t len)
{
    uint32_t head = (uint32_t)len;

    if (e->out_len + sizeof head + len > ROOM)
        flush_stream(e);
    memcpy(e->out + e->out_len, &head, sizeof head);
    memcpy(e->out + e->out_len + sizeof head, frame, len);
    e->out_len += sizeof head + len;
}

const struct transport seqpacket_blocking = {"seqpacket, blocking", make_seqpacket, use_nothing,
                                             wait_nothing,          next_blocking,  send_frame,
                                             flush_nothing};
const struct transport seqpacket_epoll = {"seqpacket, epoll", make_seqpacket, use_epoll,    wait_epoll,
                                          next_epoll,         send_frame,     flush_nothing};
const struct transport seqpacket_mmsg = {
    "seqpacket, epoll, mmsg", make_seqpacket, use_mmsg, wait_epoll, next_mmsg, send_mmsg, flush_mmsg};
const struct transport stream_buffered = {
    "stream, epoll, buffers", make_stream, use_epoll, wait_epoll, next_stream, send_stream, flush_stream};
const struct transport stream_both_directions = {"stream, epoll in+out",
                                                 make_stream,
                                                 use_both_directions,
                                                 wait_epoll,
                                                 next_stream,
                                                 send_stream,
                                                 flush_stream};
