#include "lib/proc/route.h"

const struct routing *proc_routing(struct proc *p, const struct params_main *main)
{
    const struct params_rewrite *rewrite = proc_params_rewrite(p);
    struct buf why = BUF_INIT;
    if (!rewrite)
        return NULL;
    const struct routing *r = routing_open(proc_arena(p), proc_settings(p), main, rewrite, proc_tables(p), &why);
    if (!r)
        proc_trouble(p, "%s", buf_text(&why));
    buf_fini(&why);
    return r;
}

bool route_recipient(const struct routing *r, struct span sender, struct msg_recipient *recipient, struct arena *a,
                     struct buf *why)
{
    struct resolve_answer answer = {0};
    recipient->transport = recipient->nexthop = recipient->user = SPAN_NONE;
    switch (resolve_address(&r->resolve, sender, recipient->address, a, &answer, why)) {
    case RESOLVE_OK:
        recipient->transport = answer.transport;
        recipient->nexthop = answer.nexthop;
        if (!span_eq(answer.recipient, recipient->address))
            recipient->user = answer.recipient;
        return true;
    case RESOLVE_BAD:
        recipient->transport = SPAN("error");
        recipient->nexthop = SPAN("5.1.3 bad address syntax");
        return true;
    case RESOLVE_TEMP:
        break;
    }
    return false;
}
