#include "lib/proc/proc_inner.h"

/* Brokers and workers take a client in the loop's own turn. */
void proc_session_start(struct proc *p, const struct proc_client *client)
{
    struct proc_client copy = *client;
    p->spec->accepted(p, p->own, &copy);
}

void proc_sessions_cancel(struct proc *p)
{
    proc_exit(p, 0);
}
