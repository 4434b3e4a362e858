#include "lib/base/check.h"
#include "lib/log/log.h"
#include "lib/proc/proc_inner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    ACCEPT_BATCH = 32,           /* connections taken in one step */
    ACCEPT_PAUSE_MS = 1000,      /* after the system ran out of descriptors */
};

/* --- requests from callers ----------------------------------------------------- */

/* result: false: nobody knows this request, and the channel has to end, so that the caller hears
 * that no answer will come */
static bool handle_request(struct proc *p, struct channel *c, struct frame *f)
{
    p->served++;
    if (channel_dispatch(p->spec->requests, c, f, p->own))
        return true;
    log_warning("unexpected message 0x%04x from %s", f->type, channel_peer(c));
    return f->id == 0;
}

static void keep_for_later(struct proc *p, struct channel *c, struct frame *f)
{
    struct proc_waiting *w = malloc(sizeof *w + f->body.n);
    CHECK(w != NULL);
    w->channel = c;
    w->frame = *f;
    if (f->body.n)
        memcpy(w->body, f->body.p, f->body.n);
    w->frame.body = span_of(w->body, f->body.n);
    f->nfds = 0; /* they are w's now */
    list_push(&p->waiting, &w->node);
}

static void waiting_free(struct proc_waiting *w)
{
    for (unsigned i = 0; i < w->frame.nfds; i++)
        if (w->frame.fds[i] >= 0)
            close(w->frame.fds[i]);
    free(w);
}

static void tell_idle(struct proc *p)
{
    struct buf body = BUF_INIT;
    msg_idle_put(&body, &(struct msg_idle){.served = p->served, .taken = p->taken});
    channel_notify(p->master, MSG_idle, buf_span(&body), NULL, 0);
    buf_fini(&body);
}

static void forget_caller(struct proc *p, struct channel *c)
{
    LIST_EACH (node, after, &p->waiting) {
        struct proc_waiting *w = LIST_ENTRY(node, struct proc_waiting, node);
        if (w->channel == c)
            w->channel = NULL;
    }
    if (p->spec->caller_left)
        p->spec->caller_left(p, p->own, c);
    channel_close(&c);
    if (--p->callers == 0)
        tell_idle(p);
}

static void caller_closed(struct channel *c, void *context)
{
    struct proc *p = context;
    /* A handler that waits still has it: its answer goes nowhere, and then the channel ends. */
    if (c == p->current)
        p->current_left = true;
    else
        forget_caller(p, c);
}

/* Whether there is work that was begun, or taken from a caller. */
static bool has_work(const struct proc *p)
{
    return p->sessions > 0 || p->busy || !list_empty(&p->waiting);
}

static void end_if_done(struct proc *p)
{
    if (p->stopping && !p->spec->stop && !has_work(p))
        proc_exit(p, 0);
}

/* A worker handles one request at a time, however deep its handler waits. */
static void handle_alone(struct proc *p, struct channel *c, struct frame *f)
{
    p->busy = true;
    p->current = c;
    bool known = handle_request(p, c, f);
    p->busy = false;
    p->current = NULL;
    if (p->current_left || !known)
        forget_caller(p, c);
    p->current_left = false;
    if (!list_empty(&p->waiting))
        loop_defer(p->loop, &p->next);
    end_if_done(p);
}

static void caller_frame(struct channel *c, struct frame *f, void *context)
{
    struct proc *p = context;
    if (p->spec->kind != PROC_WORKER) {
        if (!handle_request(p, c, f))
            forget_caller(p, c);
    } else if (p->busy || !list_empty(&p->waiting)) {
        keep_for_later(p, c, f);
    } else {
        handle_alone(p, c, f);
    }
}

void proc_next_waiting(struct deferred *d, void *context)
{
    (void)d;
    struct proc *p = context;
    struct list *node;
    while (!p->busy && (node = list_shift(&p->waiting))) {
        struct proc_waiting *w = LIST_ENTRY(node, struct proc_waiting, node);
        if (w->channel)
            handle_alone(p, w->channel, &w->frame);
        waiting_free(w);
    }
    end_if_done(p);
}

void proc_serve_channel(struct proc *p, int fd, const struct msg_channel_given *who)
{
    static const struct channel_handler handler = {caller_frame, caller_closed};
    struct buf name = BUF_INIT;
    buf_printf(&name, "%.*s/%llu", SPAN_ARG(who->service), (unsigned long long)who->slot);
    struct channel *c = channel_open(p->loop, fd, buf_text(&name), &handler, p);
    buf_fini(&name);
    p->callers++;
    p->taken++;
    if (p->spec->caller_came)
        p->spec->caller_came(p, p->own, c, who);
}

/* --- clients on listening sockets ------------------------------------------------ */

static void accept_again(struct timer *t, void *context)
{
    (void)t;
    struct proc *p = context;
    for (unsigned i = 0; i < p->nlisteners; i++)
        if (p->listeners[i].watch)
            watch_set_events(p->listeners[i].watch, LOOP_READ);
}

static void accept_pause(struct proc *p)
{
    for (unsigned i = 0; i < p->nlisteners; i++)
        if (p->listeners[i].watch)
            watch_set_events(p->listeners[i].watch, 0);
}

static bool proc_is_full(const struct proc *p)
{
    return p->boot.limit && p->sessions >= p->boot.limit;
}

static void accept_event(struct watch *w, unsigned events, void *context)
{
    (void)w, (void)events;
    struct proc_listener *l = context;
    struct proc *p = l->proc;
    for (int i = 0; i < ACCEPT_BATCH && !proc_is_full(p) && !p->stopping; i++) {
        struct proc_client client = {.listener = l->name, .kind = l->kind};
        socklen_t size = sizeof client.peer;
        client.fd = accept4(l->fd, (struct sockaddr *)&client.peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client.fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                log_warning("accept connection: %s", strerror(errno));
                accept_pause(p);
                timer_set(p->loop, &p->accept_again, clock_after_ms(ACCEPT_PAUSE_MS), accept_again, p);
            }
            return;
        }
        client.number = proc_next_number(p);
        p->served++;
        proc_session_start(p, &client);
    }
    /* The other processes of the service take what this one has no room for. */
    if (proc_is_full(p))
        accept_pause(p);
}

void proc_serve_listeners(struct proc *p)
{
    for (unsigned i = 0; i < p->nlisteners; i++) {
        struct proc_listener *l = &p->listeners[i];
        l->watch = loop_watch_level(p->loop, l->fd, LOOP_READ, accept_event, l);
    }
}

void proc_close_listeners(struct proc *p)
{
    for (unsigned i = 0; i < p->nlisteners; i++) {
        loop_unwatch(&p->listeners[i].watch);
        if (p->listeners[i].fd >= 0)
            close(p->listeners[i].fd);
        p->listeners[i].fd = -1;
    }
}

/* --- the end ---------------------------------------------------------------------- */

static void grace_over(struct timer *t, void *context)
{
    (void)t;
    proc_sessions_cancel(context);
}

void proc_stop_begin(struct proc *p, int64_t grace_ms)
{
    if (p->stopping)
        return;
    p->stopping = true;
    proc_close_listeners(p);
    /* Told before the program has begun: proc_main() does not begin it. */
    if (!p->running)
        return;
    if (p->spec->stop)
        p->spec->stop(p, p->own);
    else if (!has_work(p))
        proc_exit(p, 0);
    else
        timer_set(p->loop, &p->grace, clock_after_ms(grace_ms), grace_over, p);
}
