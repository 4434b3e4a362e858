/* Resolves recipients for others: qmgr after its start and before each later attempt. */
#include "lib/log/log.h"
#include "lib/proc/route.h"
#include "lib/wire/resolve.msg.h"

struct rewrite {
    const struct routing *routing;
    struct arena scratch; /* of the request in hand */
};

static void resolve_one(struct rewrite *r, struct span sender, struct msg_recipient *one)
{
    struct buf why = BUF_INIT;
    if (!route_recipient(r->routing, sender, one, &r->scratch, &why)) {
        log_warning("%s", buf_text(&why));
        one->nexthop = arena_dup(&r->scratch, buf_span(&why));
    }
    one->address = one->original = one->orcpt = SPAN_NONE; /* qmgr has them */
    buf_fini(&why);
}

static void take_resolve(struct channel *caller, struct frame *f, void *context)
{
    struct rewrite *r = context;
    struct msg_resolve m;
    struct buf body = BUF_LIMITED(CHANNEL_FRAME_MAX);
    if (msg_resolve_get(&r->scratch, f->body, &m)) {
        for (size_t i = 0; i < m.recipients.n; i++)
            resolve_one(r, m.sender, &m.recipients.at[i]);
        msg_resolved_put(&body, &(struct msg_resolved){.recipients = m.recipients});
    } else {
        log_warning("malformed request from %s", channel_peer(caller));
    }
    if (body.full) /* what is missing in the answer could not be resolved */
        buf_clear(&body);
    (void)channel_reply(caller, f->id, MSG_resolved, buf_span(&body), NULL, 0);
    buf_fini(&body);
    arena_reset(&r->scratch);
}

static void *start(struct proc *p)
{
    struct rewrite *r = ARENA_NEW(proc_arena(p), struct rewrite);
    const struct params_main *main = proc_params_main(p);
    r->routing = main ? proc_routing(p, main) : NULL;
    return r->routing ? r : NULL;
}

int main(void)
{
    static const struct message_handler requests[] = {{MSG_resolve, take_resolve}, {0, NULL}};
    static const struct proc_spec spec = {
        .program = "rewrite",
        .kind = PROC_WORKER,
        .requests = requests,
        .start = start,
    };
    return proc_main(&spec);
}
