#include "lib/io/loop.h"
#include "lib/base/check.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum {
    LOOP_BATCH = 256,       /* events fetched at once */
    LOOP_SIGNALS_MAX = 64,  /* read from the signal descriptor at once */
    LOOP_SIGNAL_COUNT = 65, /* signal numbers are 1..64 */
};

struct watch {
    struct loop *loop;
    int fd;           /* borrowed */
    unsigned events;  /* enum loop_event that are of interest */
    bool level;       /* level-triggered */
    bool added;       /* epoll knows it */
    bool ended;       /* an event for it may still be in the batch: it must not run */
    watch_fn fn;
    void *context;
    struct watch *next_ended; /* in loop->ended */
};

struct loop_signal {
    void (*fn)(int signo, void *context);
    void *context;
};

struct loop {
    int epoll; /* owned */
    bool stopping;
    unsigned depth;        /* steps being run: more than 1 only in a blocking process */
    size_t watches;        /* not ended, without the signals' */
    struct watch *ended;   /* owned; freed when no step runs that may hold an event of theirs */
    struct heap timers;    /* of struct timer.node, by moment */
    struct list deferred[LOOP_RANKS];
    mono_ms now;
    int64_t lag_ms;
    int fetched, next;     /* batch[next..fetched-1] is not yet handled; nested steps share it */
    struct epoll_event batch[LOOP_BATCH];
    int signal_fd;         /* owned; -1 while no signal is watched */
    struct watch *signal_watch;
    sigset_t signals;
    struct loop_signal on_signal[LOOP_SIGNAL_COUNT];
};

struct loop *loop_new(void)
{
    struct loop *l = calloc(1, sizeof *l);
    CHECK(l != NULL);
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    CHECK(l->epoll >= 0);
    l->signal_fd = -1;
    sigemptyset(&l->signals);
    for (int rank = 0; rank < LOOP_RANKS; rank++)
        list_init(&l->deferred[rank]);
    l->now = clock_mono();
    return l;
}

/* Frees the ended watches; no event of theirs is in the batch any more. */
static void loop_bury(struct loop *l)
{
    while (l->ended) {
        struct watch *w = l->ended;
        l->ended = w->next_ended;
        free(w);
    }
}

void loop_free(struct loop **where)
{
    struct loop *l = *where;
    if (!l)
        return;
    *where = NULL;
    CHECK(l->depth == 0);
    if (l->signal_watch) {
        loop_unwatch(&l->signal_watch);
        l->watches++; /* it was never counted */
        close(l->signal_fd);
    }
    CHECK(l->watches == 0);
    loop_bury(l);
    while (heap_top(&l->timers))
        heap_remove(&l->timers, heap_top(&l->timers));
    for (int rank = 0; rank < LOOP_RANKS; rank++) {
        for (struct list *node; (node = list_shift(&l->deferred[rank]));)
            *node = (struct list){0};
    }
    heap_fini(&l->timers);
    close(l->epoll);
    free(l);
}

/* --- watches --------------------------------------------------------------- */

static unsigned watch_epoll_events(const struct watch *w)
{
    unsigned events = 0;
    if (w->events & LOOP_READ)
        events |= EPOLLIN | EPOLLRDHUP;
    if (w->events & LOOP_WRITE)
        events |= EPOLLOUT;
    if (!w->level)
        events |= (unsigned)EPOLLET;
    else if (w->events & LOOP_EXCLUSIVE)
        events = (events & (EPOLLIN | EPOLLOUT)) | EPOLLEXCLUSIVE; /* all that epoll allows beside it */
    return events;
}

/* Tells epoll what is of interest now. A watch for nothing is taken out: epoll would go
 * on reporting errors. result: 0, or -1 with errno */
static int watch_register(struct watch *w)
{
    bool wanted = (w->events & (LOOP_READ | LOOP_WRITE)) != 0;
    int op = EPOLL_CTL_MOD;
    if (!w->added) {
        if (!wanted)
            return 0;
        op = EPOLL_CTL_ADD;
    } else if (!wanted) {
        op = EPOLL_CTL_DEL;
    }
    struct epoll_event event = {.events = watch_epoll_events(w), .data.ptr = w};
    if (epoll_ctl(w->loop->epoll, op, w->fd, &event) != 0)
        return -1;
    w->added = wanted;
    return 0;
}

static struct watch *watch_new(struct loop *l, int fd, unsigned events, bool level, watch_fn fn, void *context)
{
    struct watch *w = calloc(1, sizeof *w);
    CHECK(w != NULL);
    *w = (struct watch){.loop = l, .fd = fd, .events = events, .level = level, .fn = fn, .context = context};
    if (watch_register(w) != 0) {
        free(w);
        return NULL;
    }
    l->watches++;
    return w;
}

struct watch *loop_watch(struct loop *l, int fd, unsigned events, watch_fn fn, void *context)
{
    return watch_new(l, fd, events, false, fn, context);
}

struct watch *loop_watch_level(struct loop *l, int fd, unsigned events, watch_fn fn, void *context)
{
    return watch_new(l, fd, events, true, fn, context);
}

void watch_set_events(struct watch *w, unsigned events)
{
    CHECK(!w->ended);
    if (w->events == events)
        return;
    if (w->added && ((events | w->events) & LOOP_EXCLUSIVE)) {
        w->events = 0; /* with EPOLLEXCLUSIVE a modification is refused */
        CHECK(watch_register(w) == 0);
    }
    w->events = events;
    CHECK(watch_register(w) == 0);
}

void loop_unwatch(struct watch **where)
{
    struct watch *w = *where;
    if (!w)
        return;
    *where = NULL;
    CHECK(!w->ended);
    w->events = 0;
    CHECK(watch_register(w) == 0); /* else the descriptor was closed before, and another may have its number */
    w->loop->watches--;
    if (w->loop->depth == 0) {
        free(w);
        return;
    }
    w->ended = true;
    w->next_ended = w->loop->ended;
    w->loop->ended = w;
}

/* --- timers ---------------------------------------------------------------- */

void timer_set(struct loop *l, struct timer *t, mono_ms at, void (*fn)(struct timer *, void *), void *context)
{
    CHECK(!timer_is_set(t) || t->loop == l);
    t->loop = l;
    t->fn = fn;
    t->context = context;
    heap_set(&l->timers, &t->node, at);
}

void timer_stop(struct timer *t)
{
    if (timer_is_set(t))
        heap_remove(&t->loop->timers, &t->node);
}

/* Runs what is due. A timer that sets itself to now again waits for the next step. */
static void loop_expire(struct loop *l)
{
    for (size_t most = l->timers.count; most > 0; most--) {
        struct heap_node *node = heap_top(&l->timers);
        if (!node || node->key > l->now)
            return;
        struct timer *t = LIST_ENTRY(node, struct timer, node);
        heap_remove(&l->timers, node);
        t->fn(t, t->context);
    }
}

/* --- deferred work ----------------------------------------------------------- */

void loop_defer(struct loop *l, struct deferred *d)
{
    CHECK(d->rank >= 0 && d->rank < LOOP_RANKS);
    if (!d->node.next)
        list_push(&l->deferred[d->rank], &d->node);
}

void loop_undefer(struct deferred *d)
{
    if (!d->node.next)
        return;
    list_remove(&d->node);
    d->node = (struct list){0};
}

/* result: the first of the lowest rank, unlinked, or NULL */
static struct deferred *loop_next_deferred(struct loop *l)
{
    for (int rank = 0; rank < LOOP_RANKS; rank++) {
        struct list *node = list_shift(&l->deferred[rank]);
        if (!node)
            continue;
        *node = (struct list){0};
        return LIST_ENTRY(node, struct deferred, node);
    }
    return NULL;
}

static bool loop_has_deferred(const struct loop *l)
{
    for (int rank = 0; rank < LOOP_RANKS; rank++) {
        if (!list_empty(&l->deferred[rank]))
            return true;
    }
    return false;
}

static void loop_run_deferred(struct loop *l)
{
    for (int most = LOOP_DEFERRED_MAX; most > 0; most--) {
        struct deferred *d = loop_next_deferred(l);
        if (!d)
            return;
        d->fn(d, d->context);
    }
}

/* --- steps ----------------------------------------------------------------- */

/* How long this step may wait at most, in ms; -1: for ever. */
static int loop_patience(const struct loop *l, mono_ms deadline)
{
    const struct heap_node *first = heap_top(&l->timers);
    if (loop_has_deferred(l))
        return 0;
    if (first && first->key < deadline)
        deadline = first->key;
    if (deadline == MONO_NEVER)
        return -1;
    mono_ms now = clock_mono();
    if (deadline <= now)
        return 0;
    return deadline - now > INT_MAX ? INT_MAX : (int)(deadline - now);
}

static void loop_fetch(struct loop *l, mono_ms deadline)
{
    int n = epoll_wait(l->epoll, l->batch, LOOP_BATCH, loop_patience(l, deadline));
    CHECK(n >= 0 || errno == EINTR);
    l->next = 0;
    l->fetched = n > 0 ? n : 0;
}

static unsigned loop_events_of(unsigned epoll_events)
{
    unsigned events = 0;
    if (epoll_events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        events |= LOOP_READ;
    if (epoll_events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        events |= LOOP_WRITE;
    if (epoll_events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        events |= LOOP_HANGUP;
    return events;
}

static void loop_dispatch(struct loop *l)
{
    while (l->next < l->fetched) {
        const struct epoll_event *event = &l->batch[l->next++];
        struct watch *w = event->data.ptr;
        if (w->ended)
            continue;
        unsigned events = loop_events_of(event->events) & (w->events | LOOP_HANGUP);
        if (events & w->events)
            w->fn(w, events, w->context);
    }
}

void loop_step(struct loop *l, mono_ms deadline)
{
    l->depth++;
    if (l->next == l->fetched)
        loop_fetch(l, deadline);
    mono_ms began = l->now = clock_mono();
    loop_dispatch(l);
    loop_expire(l);
    loop_run_deferred(l);
    int64_t took = clock_mono() - began;
    if (took > l->lag_ms)
        l->lag_ms = took;
    if (--l->depth == 0)
        loop_bury(l);
}

void loop_run(struct loop *l)
{
    while (!l->stopping)
        loop_step(l, MONO_NEVER);
    l->stopping = false;
}

void loop_stop(struct loop *l)
{
    l->stopping = true;
}

mono_ms loop_now(const struct loop *l)
{
    return l->now;
}

int64_t loop_take_lag_ms(struct loop *l)
{
    int64_t lag = l->lag_ms;
    l->lag_ms = 0;
    return lag;
}

/* --- signals --------------------------------------------------------------- */

static void loop_read_signals(struct watch *w, unsigned events, void *context)
{
    struct loop *l = context;
    (void)w, (void)events;
    for (int most = LOOP_SIGNALS_MAX; most > 0; most--) {
        struct signalfd_siginfo info;
        if (read(l->signal_fd, &info, sizeof info) != (ssize_t)sizeof info)
            return;
        if (info.ssi_signo < LOOP_SIGNAL_COUNT && l->on_signal[info.ssi_signo].fn)
            l->on_signal[info.ssi_signo].fn((int)info.ssi_signo, l->on_signal[info.ssi_signo].context);
    }
}

void loop_on_signal(struct loop *l, int signo, void (*fn)(int signo, void *context), void *context)
{
    CHECK(signo > 0 && signo < LOOP_SIGNAL_COUNT && !l->on_signal[signo].fn);
    l->on_signal[signo] = (struct loop_signal){fn, context};
    sigaddset(&l->signals, signo);
    CHECK(sigprocmask(SIG_BLOCK, &l->signals, NULL) == 0);
    int fd = signalfd(l->signal_fd, &l->signals, SFD_NONBLOCK | SFD_CLOEXEC);
    CHECK(fd >= 0);
    if (l->signal_watch)
        return;
    l->signal_fd = fd;
    l->signal_watch = loop_watch_level(l, fd, LOOP_READ, loop_read_signals, l);
    CHECK(l->signal_watch != NULL);
    l->watches--;
}
