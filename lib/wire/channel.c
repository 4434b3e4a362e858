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
    READ_SIZE = 64 * 1024,    /* octets asked for in one read */
    READS_PER_STEP = 16,      /* then the others have a turn */
    WRITE_EARLY = 256 * 1024, /* octets gathered that do not wait for the end of the step */
    SOCKET_BUFFER = 1 << 20,
    FDS_WAITING_MAX = 64,     /* descriptors that came and whose frames have not been read yet */
};

struct frame_header {
    uint32_t body; /* octets that follow */
    uint16_t type;
    uint8_t flags; /* FRAME_IS_REPLY */
    uint8_t nfds;  /* descriptors that came with it */
    uint64_t id;
};

/* Descriptors that leave with the octets of one frame. */
struct riders {
    struct list node;
    size_t from, to; /* the frame's octets in out */
    int fds[CHANNEL_FDS_MAX]; /* our duplicates */
    unsigned nfds;
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
    struct buf out;       /* frames that wait to leave */
    struct list riders;   /* struct riders, in order */
    struct buf in;        /* octets of frames that are not whole yet */
    int in_fds[FDS_WAITING_MAX];
    unsigned in_nfds;
    bool blocked;         /* the socket took no more: wait for it to be writable */
    struct map pending;   /* id -> struct pending, owned */
    uint64_t last_id;
    bool paused, lost, closing;
    bool told;            /* the closed callback has run */
    int busy;             /* callbacks of this channel on the stack */
    struct deferred again; /* read on, or tell that it is lost */
    struct deferred send;  /* write what is gathered */
};

int frame_take_fd(struct frame *f, unsigned i)
{
    if (i >= f->nfds)
        return -1;
    int fd = f->fds[i];
    f->fds[i] = -1;
    return fd;
}

void frame_close_fds(struct frame *f)
{
    for (unsigned i = 0; i < f->nfds; i++)
        if (f->fds[i] >= 0)
            close(f->fds[i]);
    f->nfds = 0;
}

static void riders_free(struct riders *r)
{
    for (unsigned i = 0; i < r->nfds; i++)
        close(r->fds[i]);
    free(r);
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
    while ((node = list_shift(&c->riders)))
        riders_free(LIST_ENTRY(node, struct riders, node));
    for (unsigned i = 0; i < c->in_nfds; i++)
        close(c->in_fds[i]);
    loop_undefer(&c->again);
    loop_undefer(&c->send);
    buf_fini(&c->out);
    buf_fini(&c->in);
    map_fini(&c->pending);
    free(c->peer);
    c->magic = 0;
    free(c);
}

/* --- out --------------------------------------------------------------------- */

/* One write. result: octets taken, 0 would wait, -1 the other end has gone */
static ssize_t send_octets(int fd, struct span octets, const struct riders *r)
{
    struct iovec part = {.iov_len = octets.n};
    memcpy(&part.iov_base, &octets.p, sizeof octets.p); /* sendmsg does not write to it */
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int) * CHANNEL_FDS_MAX)];
    } control = {0};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    if (r) {
        m.msg_control = control.room;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * r->nfds);
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&m);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int) * r->nfds);
        memcpy(CMSG_DATA(cmsg), r->fds, sizeof(int) * r->nfds);
    }
    for (;;) {
        ssize_t n = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0)
            return n;
        if (errno == EINTR)
            continue;
        return errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS ? 0 : -1;
    }
}

static struct riders *first_riders(const struct channel *c)
{
    return list_empty(&c->riders) ? NULL : LIST_ENTRY(c->riders.next, struct riders, node);
}

/* Octets before a frame with descriptors go alone, and such a frame goes alone too, so that
 * the reader gets the descriptors with it. result: octets sent, 0 would wait, -1 gone */
static ssize_t send_some(struct channel *c, size_t done)
{
    struct span left = span_skip(buf_span(&c->out), done);
    struct riders *r = first_riders(c);
    if (r && r->from > done)
        left.n = r->from - done;
    else if (r)
        left.n = r->to - done;
    ssize_t n = send_octets(c->fd, left, r && r->from == done ? r : NULL);
    if (n > 0 && r && r->from == done) {
        list_remove(&r->node); /* they left with the first octet */
        riders_free(r);
    }
    return n;
}

void channel_flush(struct channel *c)
{
    size_t done = 0;
    while (!c->lost && !c->blocked && done < c->out.len) {
        ssize_t n = send_some(c, done);
        if (n < 0)
            channel_lose(c);
        if (n == 0) {
            c->blocked = true;
            watch_set_events(c->watch, LOOP_READ | LOOP_WRITE);
        }
        if (n > 0)
            done += (size_t)n;
    }
    LIST_EACH (node, after, &c->riders) {
        struct riders *r = LIST_ENTRY(node, struct riders, node);
        r->from -= done;
        r->to -= done;
    }
    buf_consume(&c->out, done);
    if (c->out.len == 0 && c->out.cap > READ_SIZE)
        buf_fini(&c->out);
}

static void send_deferred(struct deferred *d, void *context)
{
    (void)d;
    channel_flush(context);
}

/* result: false where descriptors have run out: the frame cannot be kept whole */
static bool add_riders(struct channel *c, size_t from, const int *fds, unsigned nfds)
{
    struct riders *r = calloc(1, sizeof *r);
    CHECK(r != NULL);
    r->from = from;
    r->to = c->out.len;
    for (unsigned i = 0; i < nfds; i++) {
        int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
        if (fd < 0) {
            riders_free(r);
            return false;
        }
        r->fds[r->nfds++] = fd;
    }
    list_push(&c->riders, &r->node);
    return true;
}

static bool channel_send(struct channel *c, struct frame_header header, struct span body, const int *fds,
                         unsigned nfds)
{
    CHECK_MAGIC(c, CHANNEL_MAGIC);
    CHECK(body.n <= CHANNEL_FRAME_MAX && nfds <= CHANNEL_FDS_MAX);
    if (c->fd < 0 || c->lost)
        return false;
    size_t from = c->out.len;
    header.body = (uint32_t)body.n;
    header.nfds = (uint8_t)nfds;
    buf_put(&c->out, span_of(&header, sizeof header));
    buf_put(&c->out, body);
    if (c->out.full || (nfds && !add_riders(c, from, fds, nfds))) {
        channel_lose(c);
        return false;
    }
    if (c->out.len > WRITE_EARLY)
        channel_flush(c);
    else
        loop_defer(c->loop, &c->send);
    return !c->lost;
}

/* --- in ---------------------------------------------------------------------- */

/* result: false: more descriptors than any frame has announced */
static bool collect_fds(struct channel *c, struct msghdr *m)
{
    bool good = !(m->msg_flags & MSG_CTRUNC);
    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(m); cmsg; cmsg = CMSG_NXTHDR(m, cmsg)) {
        if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof fd, sizeof fd);
            if (c->in_nfds < FDS_WAITING_MAX)
                c->in_fds[c->in_nfds++] = fd;
            else {
                close(fd);
                good = false;
            }
        }
    }
    return good;
}

/* One read. result: 1 octets came, 0 nothing there, -1 the end or not ours to understand */
static int receive_octets(struct channel *c)
{
    char *room = buf_reserve(&c->in, READ_SIZE);
    if (!room)
        return -1;
    struct iovec part = {room, READ_SIZE};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int) * CHANNEL_FDS_MAX)];
    } control;
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room,
                       .msg_controllen = sizeof control.room};
    ssize_t n;
    do
        n = recvmsg(c->fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n <= 0)
        return -1;
    buf_grown(&c->in, (size_t)n);
    return collect_fds(c, &m) ? 1 : -1;
}

/* Cuts a whole frame off left. result: 1 a frame, 0 not whole yet, -1 malformed */
static int next_frame(struct channel *c, struct span *left, struct frame_header *header, struct frame *f)
{
    if (left->n < sizeof *header)
        return 0;
    memcpy(header, left->p, sizeof *header);
    if (header->body > CHANNEL_FRAME_MAX || header->nfds > CHANNEL_FDS_MAX)
        return -1;
    if (left->n - sizeof *header < header->body)
        return 0;
    if (header->nfds > c->in_nfds)
        return -1;
    *f = (struct frame){.type = header->type, .id = header->id, .nfds = header->nfds};
    f->body = span_slice(*left, sizeof *header, sizeof *header + header->body);
    *left = span_skip(*left, sizeof *header + header->body);
    memcpy(f->fds, c->in_fds, sizeof(int) * f->nfds);
    c->in_nfds -= f->nfds;
    memmove(c->in_fds, c->in_fds + f->nfds, sizeof(int) * c->in_nfds);
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

static void deliver_frames(struct channel *c)
{
    struct span left = buf_span(&c->in);
    struct frame_header header;
    struct frame f;
    int got = 1;
    while (!c->closing && !c->paused && got > 0) {
        got = next_frame(c, &left, &header, &f);
        if (got > 0)
            deliver_frame(c, &header, &f);
    }
    if (got < 0)
        channel_lose(c);
    buf_consume(&c->in, c->in.len - left.n);
    if (c->in.len == 0)
        buf_fini(&c->in);
}

static void receive_frames(struct channel *c)
{
    /* A handler that runs the loop while it waits must not find its own frame overwritten. What is
     * there now is read when it returns. */
    if (c->busy)
        return;
    c->busy++;
    deliver_frames(c); /* what was left when the channel was paused */
    for (int i = 0; !c->closing && !c->paused && !c->lost; i++) {
        if (i == READS_PER_STEP) {
            loop_defer(c->loop, &c->again);
            break;
        }
        int got = receive_octets(c);
        if (got == 0)
            break;
        deliver_frames(c); /* also before the end: what came whole counts */
        if (got < 0)
            channel_lose(c);
    }
    c->busy--;
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
    struct channel *c = context;
    if ((events & LOOP_WRITE) && c->blocked) {
        c->blocked = false;
        watch_set_events(w, LOOP_READ);
        channel_flush(c);
    }
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

bool channel_pair(int fds[2])
{
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0;
}

struct channel *channel_open(struct loop *l, int fd, const char *peer, const struct channel_handler *handler,
                             void *context)
{
    struct channel *c = calloc(1, sizeof *c);
    int size = SOCKET_BUFFER;
    CHECK(c != NULL);
    *c = (struct channel){.magic = CHANNEL_MAGIC, .loop = l, .fd = fd, .handler = *handler, .context = context};
    c->again = (struct deferred){.fn = channel_again, .context = c, .rank = LOOP_RANK_RESUME};
    c->send = (struct deferred){.fn = send_deferred, .context = c, .rank = LOOP_RANK_SEND};
    c->out.max = CHANNEL_QUEUE_MAX;
    c->in.max = CHANNEL_FRAME_MAX + 4 * READ_SIZE;
    c->peer = strdup(peer);
    CHECK(c->peer != NULL);
    list_init(&c->riders);
    /* The kernel cuts the size to what it allows; root may ask for more. */
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        !(c->watch = loop_watch(l, fd, LOOP_READ, channel_event, c)))
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
    channel_flush(c);
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
    return c->out.len;
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
    return channel_send(c, (struct frame_header){.type = type}, body, fds, nfds);
}

bool channel_reply(struct channel *c, uint64_t id, uint16_t type, struct span body, const int *fds, unsigned nfds)
{
    return channel_send(c, (struct frame_header){.type = type, .flags = FRAME_IS_REPLY, .id = id}, body, fds, nfds);
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
    uint64_t id = p->id;
    /* Where it is lost now, the answer comes as NULL. */
    channel_send(c, (struct frame_header){.type = type, .id = id}, body, fds, nfds);
    return id;
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

typedef enum wait_result (*call_wait)(struct loop *l, struct note *n, mono_ms deadline);

static enum call_result call_by(call_wait wait, struct channel *c, uint16_t type, struct span body, const int *fds,
                                unsigned nfds, mono_ms deadline, uint16_t want, struct arena *a, struct frame *reply)
{
    struct call call = {.arena = a, .reply = reply};
    *reply = (struct frame){0};
    uint64_t id = channel_request(c, type, body, fds, nfds, call_answered, &call);
    if (id == 0)
        return CALL_LOST;
    enum wait_result waited = wait(c->loop, &call.done, deadline);
    if (!call.done.set) {
        channel_forget(c, id);
        return waited == WAIT_TIMEOUT ? CALL_TIMEOUT : CALL_CANCELLED;
    }
    if (call.lost)
        return CALL_LOST;
    if (reply->type != want) {
        frame_close_fds(reply);
        return CALL_MALFORMED;
    }
    return CALL_OK;
}

enum call_result channel_call(struct channel *c, uint16_t type, struct span body, const int *fds, unsigned nfds,
                              mono_ms deadline, uint16_t want, struct arena *a, struct frame *reply)
{
    return call_by(wait_note, c, type, body, fds, nfds, deadline, want, a, reply);
}

enum call_result channel_call_firm(struct channel *c, uint16_t type, struct span body, const int *fds, unsigned nfds,
                                   mono_ms deadline, uint16_t want, struct arena *a, struct frame *reply)
{
    return call_by(wait_note_firm, c, type, body, fds, nfds, deadline, want, a, reply);
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
