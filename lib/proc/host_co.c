#include "lib/base/check.h"
#include "lib/io/co.h"
#include "lib/log/log.h"
#include "lib/proc/proc_inner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct host_session {
    struct proc *proc;
    struct proc_client client;
};

/* A place has become free: listen again, or end where the process is to stop. */
static void session_ended(struct proc *p)
{
    bool was_full = p->boot.limit && p->sessions >= p->boot.limit;
    p->sessions--;
    if (p->stopping && p->sessions == 0 && !p->spec->stop)
        proc_exit(p, 0);
    for (unsigned i = 0; was_full && i < p->nlisteners; i++)
        if (p->listeners[i].watch)
            watch_set_events(p->listeners[i].watch, LOOP_READ);
}

static void session_run(void *argument)
{
    struct host_session session = *(struct host_session *)argument;
    free(argument);
    session.proc->spec->accepted(session.proc, session.proc->own, &session.client);
    session_ended(session.proc);
}

void proc_session_start(struct proc *p, const struct proc_client *client)
{
    struct host_session *session = malloc(sizeof *session);
    CHECK(session != NULL);
    *session = (struct host_session){p, *client};
    p->sessions++;
    if (!co_spawn(p->loop, p->spec->program, session_run, session)) {
        log_warning("no stack for a session: %s", strerror(errno));
        close(client->fd);
        free(session);
        session_ended(p);
    }
}

void proc_sessions_cancel(struct proc *p)
{
    (void)p;
    co_cancel_all();
}
