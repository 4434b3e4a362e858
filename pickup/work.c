#include "pickup/pickup.h"

static void work(struct timer *t, void *context)
{
    struct pickup *p = context;
    (void)t;
    if (p->busy)
        return;
    p->busy = true;
    /* Clients wait for their answers, files do not. */
    bool more = clients_take_offer(p) || scan_take_next(p);
    p->busy = false;
    if (p->stopping)
        proc_exit(p->proc, 0);
    else if (more || !list_empty(&p->offers))
        pickup_work(p);
}

void pickup_work(struct pickup *p)
{
    if (!p->busy && !timer_is_set(&p->work))
        timer_set(proc_loop(p->proc), &p->work, loop_now(proc_loop(p->proc)), work, p);
}

static void wake_up(struct timer *t, void *context)
{
    struct pickup *p = context;
    int64_t every = (int64_t)proc_boot(p->proc)->wakeup;
    scan_begin(p);
    pickup_work(p);
    timer_set(proc_loop(p->proc), t, clock_after(every ? every : WAKEUP_S), wake_up, p);
}

void pickup_wake_up(struct pickup *p)
{
    wake_up(&p->wakeup, p);
}

void pickup_stop(struct pickup *p)
{
    p->stopping = true;
    clients_dismiss(p);
    if (!p->busy)
        proc_exit(p->proc, 0);
}
