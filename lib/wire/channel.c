#include "lib/wire/channel.h"
#include "lib/base/check.h"
#include "lib/base/map.h"
#include "lib/wire/message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    CHANNEL_MAGIC = 0x63686e6c,
    FRAME_IS_REPLY = 1,
    FRAMES_PER_STEP = 64, /* then the others have a turn */
    SOCKET_BUFFER = 1 << 20,
};

struct frame_header {
    uint32_t body;  /* octets that follow: a frame cut anywhere is refused */
    uint16_t type;
    uint16_t flags; /* FRAME_IS_REPLY */
    uint64_t id;
};

/* A frame that the socket did not take. */
struct queued {
    struct list node;
    struct frame_header header;
    int fds[CHANNEL_FDS_MAX]; /* our duplicates */
    unsigned nfds;
    char body[];
};

struct pending {
    uint64_t id;
    channel_answer answer;
    void *context;
};

struct channel {
    uint32_t magic;
    struct loop *loop;
    int fd; /* -1: closed */
    struct watch *watch;
    struct channel_handler handler;
    void *context;
    char *peer;           /* owned */
    struct list queue;    /* struct queued */
    size_t backlog;       /* octets in queue */
    struct map pending;   /* id -> struct pending, owned */
    uint64_t last_id;
    bool paused, lost, closing;
    bool told;            /* the closed callback has run */
    int busy;             /* callbacks of this channel on the stack */
    struct deferred again; /* read on, or tell that it is lost */
};

int frame_take_fd(struct frame *f, unsigned i)
{
    if (i >= f->nfds)
        return -1;
    int fd = f->fds[i];
    f->fds[i] = -1;
    return fd;
}

static void frame_close_fds(const struct frame *f)
{
    for (unsigned i = 0; i < f->nfds; i++)
        if (f->fds[i] >= 0)
            close(f->fds[i]);
}

static void queued_free(struct queued *q)
{
    for (unsigned i = 0; i < q->nfds; i++)
        close(q->fds[i]);
    free(q);
}

static void channel_lose(struct channel *c)
{
    c->lost = true;
    loop_defer(c->loop, &c->again);
}

static struct pending *pending_take(struct channel *c, uint64_t id)
{
    return map_remove(&c->pending, span_of(&id, sizeof id));
}

static void answer_all_with_nothing(struct channel *c)
{
    for (;;) {
        size_t at = 0;
        struct pending *p = map_next(&c->pending, &at);
        if (!p)
            break;
        map_remove(&c->pending, span_of(&p->id, sizeof p->id));
        p->answer(NULL, p->context);
        free(p);
    }
}

static void channel_free(struct channel *c)
{
    struct list *node;
    while ((node = list_shift(&c->queue)))
        queued_free(LIST_ENTRY(node, struct queued, node));
    loop_undefer(&c->again);
    map_fini(&c->pending);
    free(c->peer);
    c->magic = 0;
    free(c);
}

/* One packet out. result: 1 sent, 0 would wait, -1 the other end has gone */
static int send_packet(int fd, const struct frame_header *header, struct span body, const int *fds, unsigned nfds)
{
    struct frame_header copy = *header;
    struct iovec parts[2] = {{&copy, sizeof copy}, {NULL, body.n}};
    memcpy(&parts[1].iov_base, &body.p, sizeof body.p); /* sendmsg does not write to it */
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int) * CHANNEL_FDS_MAX)];
    } control = {0};
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};
    if (nfds) {
        m.msg_control = control.room;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&m);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
        memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * nfds);
    }
    for (;;) {
        if (sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
            return 1;
        if (errno == EINTR)
            continue;
        return errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS ? 0 : -1;
    }
}

static void queue_frame(struct channel *c, const struct frame_header *header, struct span body, const int *fds,
                        unsigned nfds)
{
    struct queued *q = malloc(sizeof *q + body.n);
    CHECK(q != NULL);
    q->header = *header;
    q->nfds = 0;
    if (body.n)
        memcpy(q->body, body.p, body.n);
    for (unsigned i = 0; i < nfds; i++) {
        int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
        if (fd < 0) { /* out of descriptors: the frame cannot be kept whole */
            queued_free(q);
            channel_lose(c);
            return;
        }
        q->fds[q->nfds++] = fd;
    }
    list_push(&c->queue, &q->node);
    c->backlog += body.n;
    if (c->backlog > CHANNEL_QUEUE_MAX)
        channel_lose(c);
}

static bool channel_send(struct channel *c, const struct frame_header *header, struct span body, const int *fds,
                         unsigned nfds)
{
    CHECK_MAGIC(c, CHANNEL_MAGIC);
    CHECK(body.n <= CHANNEL_FRAME_MAX && nfds <= CHANNEL_FDS_MAX);
    if (c->fd < 0 || c->lost)
        return false;
    int sent = list_empty(&c->queue) ? send_packet(c->fd, header, body, fds, nfds) : 0;
    if (sent == 0)
        queue_frame(c, header, body, fds, nfds);
    if (sent < 0)
        channel_lose(c);
    return sent >= 0;
}

static void send_queued(struct channel *c)
{
    struct list *node;
    while (!c->lost && (node = c->queue.next) != &c->queue) {
        struct queued *q = LIST_ENTRY(node, struct queued, node);
        int sent = send_packet(c->fd, &q->header, span_of(q->body, q->header.body), q->fds, q->nfds);
        if (sent == 0)
            return;
        if (sent < 0) {
            channel_lose(c);
            return;
        }
        list_remove(node);
        c->backlog -= q->header.body;
        queued_free(q);
    }
}

static void collect_fds(struct msghdr *m, struct frame *f)
{
    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(m); cmsg; cmsg = CMSG_NXTHDR(m, cmsg)) {
        if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n && f->nfds < CHANNEL_FDS_MAX; i++)
            memcpy(&f->fds[f->nfds++], CMSG_DATA(cmsg) + i * sizeof(int), sizeof(int));
    }
}

/* One packet in. result: 1 a frame, 0 nothing there, -1 the end or not ours to understand */
static int receive_packet(struct channel *c, char *room, size_t size, struct frame_header *header, struct frame *f)
{
    struct iovec parts[2] = {{header, sizeof *header}, {room, size}};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int) * CHANNEL_FDS_MAX)];
    } control;
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2, .msg_control = control.room,
                       .msg_controllen = sizeof control.room};
    ssize_t n;
    do
        n = recvmsg(c->fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return 0;
    *f = (struct frame){0};
    if (n > 0)
        collect_fds(&m, f);
    if (n < (ssize_t)sizeof *header || (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
        header->body != (size_t)n - sizeof *header) {
        frame_close_fds(f);
        return -1;
    }
    f->type = header->type;
    f->id = header->id;
    f->body = span_of(room, header->body);
    return 1;
}

static void deliver_frame(struct channel *c, const struct frame_header *header, struct frame *f)
{
    if (header->flags & FRAME_IS_REPLY) {
        struct pending *p = pending_take(c, f->id);
        if (p) {
            p->answer(f, p->context);
            free(p);
        }
    } else {
        c->handler.frame(c, f, c->context);
    }
    frame_close_fds(f);
}

static void receive_frames(struct channel *c)
{
    char *room = malloc(CHANNEL_FRAME_MAX);
    CHECK(room != NULL);
    c->busy++;
    for (int i = 0; !c->closing && !c->paused && !c->lost; i++) {
        struct frame_header header;
        struct frame f;
        if (i == FRAMES_PER_STEP) {
            loop_defer(c->loop, &c->again);
            break;
        }
        int got = receive_packet(c, room, CHANNEL_FRAME_MAX, &header, &f);
        if (got < 0)
            channel_lose(c);
        if (got <= 0)
            break;
        deliver_frame(c, &header, &f);
    }
    c->busy--;
    free(room);
}

/* After callbacks: what a callback asked for (closing), or the news that the other end has gone. */
static void channel_settle(struct channel *c)
{
    if (c->busy)
        return;
    if (c->lost && !c->told && !c->closing) {
        c->told = true;
        c->busy++;
        loop_unwatch(&c->watch);
        answer_all_with_nothing(c);
        if (c->handler.closed && !c->closing)
            c->handler.closed(c, c->context);
        c->busy--;
    }
    if (c->closing)
        channel_free(c);
}

static void channel_event(struct watch *w, unsigned events, void *context)
{
    (void)w;
    struct channel *c = context;
    if (events & LOOP_WRITE)
        send_queued(c);
    if (events & LOOP_READ)
        receive_frames(c);
    channel_settle(c);
}

static void channel_again(struct deferred *d, void *context)
{
    (void)d;
    struct channel *c = context;
    if (!c->lost)
        receive_frames(c);
    channel_settle(c);
}

struct channel *channel_open(struct loop *l, int fd, const char *peer, const struct channel_handler *handler,
                             void *context)
{
    struct channel *c = calloc(1, sizeof *c);
    int size = SOCKET_BUFFER;
    CHECK(c != NULL);
    *c = (struct channel){.magic = CHANNEL_MAGIC, .loop = l, .fd = fd, .handler = *handler, .context = context,
                          .peer = strdup(peer), .again = {.fn = channel_again, .context = c, .rank = LOOP_RANK_RESUME}};
    CHECK(c->peer != NULL);
    list_init(&c->queue);
    /* The kernel cuts the size to what it allows; root may ask for more. */
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        !(c->watch = loop_watch(l, fd, LOOP_READ | LOOP_WRITE, channel_event, c)))
        channel_lose(c);
    return c;
}

void channel_close(struct channel **cp)
{
    struct channel *c = *cp;
    *cp = NULL;
    if (!c)
        return;
    CHECK_MAGIC(c, CHANNEL_MAGIC);
    if (c->closing)
        return;
    if (!c->lost)
        send_queued(c);
    c->closing = true;
    loop_unwatch(&c->watch);
    close(c->fd);
    c->fd = -1;
    c->busy++;
    answer_all_with_nothing(c);
    c->busy--;
    channel_settle(c);
}

const char *channel_peer(const struct channel *c)
{
    return c->peer;
}

void *channel_context(const struct channel *c)
{
    return c->context;
}

void channel_set_context(struct channel *c, const struct channel_handler *handler, void *context)
{
    c->handler = *handler;
    c->context = context;
}

bool channel_is_closed(const struct channel *c)
{
    return c->fd < 0 || c->lost;
}

size_t channel_backlog(const struct channel *c)
{
    return c->backlog;
}

void channel_pause(struct channel *c)
{
    c->paused = true;
}

void channel_resume(struct channel *c)
{
    c->paused = false;
    loop_defer(c->loop, &c->again);
}

bool channel_notify(struct channel *c, uint16_t type, struct span body, const int *fds, unsigned nfds)
{
    struct frame_header header = {.body = (uint32_t)body.n, .type = type};
    return channel_send(c, &header, body, fds, nfds);
}

bool channel_reply(struct channel *c, uint64_t id, uint16_t type, struct span body, const int *fds, unsigned nfds)
{
    struct frame_header header = {.body = (uint32_t)body.n, .type = type, .flags = FRAME_IS_REPLY, .id = id};
    return channel_send(c, &header, body, fds, nfds);
}

uint64_t channel_request(struct channel *c, uint16_t type, struct span body, const int *fds, unsigned nfds,
                         channel_answer answer, void *context)
{
    if (channel_is_closed(c))
        return 0;
    struct pending *p = malloc(sizeof *p);
    CHECK(p != NULL);
    *p = (struct pending){++c->last_id, answer, context};
    map_set(&c->pending, span_of(&p->id, sizeof p->id), p);
    struct frame_header header = {.body = (uint32_t)body.n, .type = type, .id = p->id};
    channel_send(c, &header, body, fds, nfds); /* where it is lost now, the answer comes as NULL */
    return p->id;
}

void channel_forget(struct channel *c, uint64_t id)
{
    free(pending_take(c, id));
}

/* --- calls ------------------------------------------------------------------ */

struct call {
    struct note done;
    struct arena *arena;
    struct frame *reply;
    bool lost;
};

static void call_answered(struct frame *reply, void *context)
{
    struct call *call = context;
    call->lost = reply == NULL;
    if (reply) {
        *call->reply = *reply;
        call->reply->body = arena_dup(call->arena, reply->body);
        reply->nfds = 0; /* they are the caller's now */
    }
    note_set(&call->done);
}

enum call_result channel_call(struct channel *c, uint16_t type, struct span body, const int *fds, unsigned nfds,
                              mono_ms deadline, uint16_t want, struct arena *a, struct frame *reply)
{
    struct call call = {.arena = a, .reply = reply};
    *reply = (struct frame){0};
    uint64_t id = channel_request(c, type, body, fds, nfds, call_answered, &call);
    if (id == 0)
        return CALL_LOST;
    enum wait_result waited = wait_note(c->loop, &call.done, deadline);
    if (!call.done.set) {
        channel_forget(c, id);
        return waited == WAIT_TIMEOUT ? CALL_TIMEOUT : CALL_CANCELLED;
    }
    if (call.lost)
        return CALL_LOST;
    if (reply->type != want) {
        frame_close_fds(reply);
        reply->nfds = 0;
        return CALL_MALFORMED;
    }
    return CALL_OK;
}

bool channel_dispatch(const struct message_handler *table, struct channel *c, struct frame *f, void *context)
{
    for (; table->type; table++)
        if (table->type == f->type) {
            table->handle(c, f, context);
            return true;
        }
    return false;
}
