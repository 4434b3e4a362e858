#include "lib/io/listen.h"
#include "lib/base/check.h"

#include <errno.h>
#include <stdlib.h>

struct listener {
    struct loop *loop;
    int fd;              /* borrowed */
    struct watch *watch; /* owned */
    struct timer backoff;
    bool paused;         /* by the owner */
    bool in_batch;       /* the callback may be running */
    bool ended;          /* freed meanwhile: to be freed at the end of the batch */
    listener_fn fn;
    listener_trouble_fn trouble;
    void *context;
};

/* Watches the socket while neither its owner nor a lack of descriptors is against it. */
static void listener_adjust(struct listener *ls)
{
    bool rests = ls->paused || timer_is_set(&ls->backoff);
    watch_set_events(ls->watch, rests ? 0 : LOOP_READ | LOOP_EXCLUSIVE);
}

static void listener_again(struct timer *t, void *context)
{
    (void)t;
    listener_adjust(context);
}

/* Errors of a single connection, or none at all, are not worth a word: accept(2) */
static bool listener_lacks_room(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* result: false: nothing more is to be taken now */
static bool listener_take_one(struct listener *ls)
{
    struct sockaddr_storage peer = {0};
    socklen_t len = sizeof peer;
    int fd = accept4(ls->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        ls->fn(ls, fd, &peer, len, ls->context);
        return true;
    }
    int error = errno;
    if (!listener_lacks_room(error))
        return error != EAGAIN && error != EBADF && error != EINVAL;
    timer_set(ls->loop, &ls->backoff, loop_now(ls->loop) + LISTEN_BACKOFF_MS, listener_again, ls);
    listener_adjust(ls);
    if (ls->trouble)
        ls->trouble(ls, error, ls->context);
    return false;
}

static void listener_event(struct watch *w, unsigned events, void *context)
{
    struct listener *ls = context;
    (void)w, (void)events;
    ls->in_batch = true;
    for (int most = LISTEN_BATCH; most > 0 && !ls->paused && !ls->ended; most--) {
        if (!listener_take_one(ls))
            break;
    }
    ls->in_batch = false;
    if (ls->ended)
        free(ls);
}

struct listener *listener_new(struct loop *l, int fd, listener_fn fn, listener_trouble_fn trouble, void *context)
{
    struct listener *ls = calloc(1, sizeof *ls);
    CHECK(ls != NULL);
    *ls = (struct listener){.loop = l, .fd = fd, .fn = fn, .trouble = trouble, .context = context};
    ls->watch = loop_watch_level(l, fd, LOOP_READ | LOOP_EXCLUSIVE, listener_event, ls);
    if (ls->watch)
        return ls;
    free(ls);
    return NULL;
}

void listener_free(struct listener **where)
{
    struct listener *ls = *where;
    if (!ls)
        return;
    *where = NULL;
    timer_stop(&ls->backoff);
    loop_unwatch(&ls->watch);
    ls->ended = true;
    if (!ls->in_batch)
        free(ls);
}

void listener_pause(struct listener *ls)
{
    ls->paused = true;
    listener_adjust(ls);
}

void listener_resume(struct listener *ls)
{
    ls->paused = false;
    listener_adjust(ls);
}
