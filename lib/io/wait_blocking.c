/* The waits where waiting blocks: one session per process, workers, tools, tests. */
#include "lib/base/check.h"
#include "lib/io/wait.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stddef.h>

const bool wait_is_coroutine = false;

/* How long poll() may wait, in ms; -1: for ever. */
static int wait_patience(mono_ms deadline)
{
    if (deadline == MONO_NEVER)
        return -1;
    mono_ms now = clock_mono();
    if (deadline <= now)
        return 0;
    return deadline - now > INT_MAX ? INT_MAX : (int)(deadline - now);
}

/* count: 0 waits for the moment alone. result: WAIT_OK, WAIT_TIMEOUT */
static enum wait_result wait_poll(struct pollfd *poll_fd, nfds_t count, mono_ms deadline)
{
    for (;;) {
        int patience = wait_patience(deadline);
        int n = poll(poll_fd, count, patience);
        if (n > 0)
            return WAIT_OK;
        CHECK(n == 0 || errno == EINTR || errno == ENOMEM);
        if (n == 0 && patience != INT_MAX)
            return WAIT_TIMEOUT;
    }
}

enum wait_result wait_readable(int fd, mono_ms deadline)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    return wait_poll(&poll_fd, 1, deadline);
}

enum wait_result wait_writable(int fd, mono_ms deadline)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
    return wait_poll(&poll_fd, 1, deadline);
}

void wait_forget(int fd)
{
    (void)fd;
}

enum wait_result wait_until(mono_ms when)
{
    if (when > clock_mono())
        wait_poll(NULL, 0, when);
    return WAIT_OK;
}

void note_set(struct note *n)
{
    n->set = true;
}

enum wait_result wait_note(struct loop *l, struct note *n, mono_ms deadline)
{
    while (!n->set) {
        if (deadline != MONO_NEVER && clock_mono() >= deadline)
            return WAIT_TIMEOUT;
        loop_step(l, deadline);
    }
    return WAIT_OK;
}

enum wait_result wait_note_firm(struct loop *l, struct note *n, mono_ms deadline)
{
    return wait_note(l, n, deadline); /* nobody cancels here */
}

void wait_yield(void)
{
}
