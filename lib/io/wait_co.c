/* The waits where waiting parks the calling coroutine and the loop goes on.
 *
 * A descriptor is registered with epoll once, edge-triggered in both directions, when it is first
 * waited for, and stays so until wait_forget(). An edge that comes while nobody waits is remembered
 * here; the end of the peer's stream is remembered for good, because no further edge will tell. */
#include "lib/io/co_inner.h"
#include "lib/base/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const bool wait_is_coroutine = true;

struct wait_fd {
    struct watch *watch;        /* owned; NULL: nobody has waited for this descriptor */
    struct co *reader, *writer; /* parked; or NULL */
    unsigned ready;             /* LOOP_READ, LOOP_WRITE: edges that nobody has seen; LOOP_HANGUP */
};

struct wait_table {
    struct wait_fd *fds; /* owned; by descriptor */
    size_t count;
};

/* Static for the same reason as the scheduler in sched_co.c. */
static struct wait_table table;

static void wait_event(struct watch *w, unsigned events, void *context)
{
    struct wait_fd *f = &table.fds[(uintptr_t)context];
    (void)w;
    f->ready |= events;
    if ((events & LOOP_READ) && f->reader)
        co_wake(f->reader, WAIT_OK);
    if ((events & LOOP_WRITE) && f->writer)
        co_wake(f->writer, WAIT_OK);
}

/* result: false with errno where epoll refuses the descriptor */
static bool wait_register(int fd)
{
    size_t at = (size_t)fd;
    if (at >= table.count) {
        size_t count = table.count ? table.count : 64;
        while (count <= at)
            count *= 2;
        struct wait_fd *fds = realloc(table.fds, count * sizeof *fds);
        CHECK(fds != NULL);
        memset(fds + table.count, 0, (count - table.count) * sizeof *fds);
        table.fds = fds;
        table.count = count;
    }
    struct wait_fd *f = &table.fds[at];
    if (f->watch)
        return true;
    *f = (struct wait_fd){.watch = loop_watch(co_loop(), fd, LOOP_READ | LOOP_WRITE, wait_event, (void *)(uintptr_t)at)};
    return f->watch != NULL;
}

static struct co **wait_place(struct wait_fd *f, unsigned want)
{
    return want == LOOP_READ ? &f->reader : &f->writer;
}

static enum wait_result wait_fd(int fd, unsigned want, const char *what, mono_ms deadline)
{
    struct co *self = co_running();
    CHECK(fd >= 0);
    if (!wait_register(fd)) {
        CHECK(errno != EBADF && errno != EEXIST);
        /* A file is always ready. Else the system has no room for another watch: the session ends. */
        return errno == EPERM ? WAIT_OK : WAIT_TIMEOUT;
    }
    struct wait_fd *f = &table.fds[fd];
    if (!(f->ready & want) || self->cancelled) {
        CHECK(*wait_place(f, want) == NULL);
        *wait_place(f, want) = self;
        enum wait_result parked = co_park(what, deadline);
        f = &table.fds[fd]; /* the table may have moved */
        *wait_place(f, want) = NULL;
        if (parked != WAIT_OK)
            return parked;
    }
    if (want == LOOP_WRITE || !(f->ready & LOOP_HANGUP))
        f->ready &= ~want;
    return WAIT_OK;
}

enum wait_result wait_readable(int fd, mono_ms deadline)
{
    return wait_fd(fd, LOOP_READ, "input", deadline);
}

enum wait_result wait_writable(int fd, mono_ms deadline)
{
    return wait_fd(fd, LOOP_WRITE, "room for output", deadline);
}

void wait_forget(int fd)
{
    if (fd < 0 || (size_t)fd >= table.count)
        return;
    struct wait_fd *f = &table.fds[fd];
    CHECK(!f->reader && !f->writer);
    loop_unwatch(&f->watch);
    f->ready = 0;
}

void wait_release(void)
{
    for (size_t i = 0; i < table.count; i++)
        wait_forget((int)i);
    free(table.fds);
    table = (struct wait_table){0};
}

enum wait_result wait_until(mono_ms when)
{
    return co_park("a moment", when) == WAIT_CANCELLED ? WAIT_CANCELLED : WAIT_OK;
}

void wait_yield(void)
{
    (void)co_park("its next turn", loop_now(co_loop()));
}

void note_set(struct note *n)
{
    n->set = true;
    if (n->waiter)
        co_wake(n->waiter, WAIT_OK);
}

enum wait_result wait_note(struct loop *l, struct note *n, mono_ms deadline)
{
    struct co *self = co_running();
    (void)l;
    if (self->cancelled && !self->firm)
        return WAIT_CANCELLED;
    if (n->set)
        return WAIT_OK;
    CHECK(n->waiter == NULL);
    n->waiter = self;
    enum wait_result parked = co_park("a message", deadline);
    n->waiter = NULL;
    return n->set && parked == WAIT_TIMEOUT ? WAIT_OK : parked;
}

enum wait_result wait_note_firm(struct loop *l, struct note *n, mono_ms deadline)
{
    struct co *self = co_running();
    self->firm = true;
    enum wait_result waited = wait_note(l, n, deadline);
    self->firm = false;
    return waited;
}
