#include "anvil/counts.h"
#include "lib/base/check.h"
#include "lib/proc/proc.h"
#include "lib/proc/tables.h"

#include <stdlib.h>

struct anvil {
    struct counts counts;
    struct map callers; /* channel pointer -> struct caller */
};

struct caller {
    const struct channel *channel;
    struct counting counting;
};

static struct span key_of(const struct channel *const *c)
{
    return span_of(c, sizeof *c);
}

static struct caller *caller_of(struct anvil *anvil, const struct channel *c)
{
    struct caller *caller = map_get(&anvil->callers, key_of(&c));
    CHECK(caller != NULL);
    return caller;
}

static void caller_came(struct proc *p, void *own, struct channel *c, const struct msg_channel_given *who)
{
    struct anvil *anvil = own;
    struct caller *caller = calloc(1, sizeof *caller);
    (void)p, (void)who;
    CHECK(caller != NULL);
    caller->channel = c;
    map_set(&anvil->callers, key_of(&caller->channel), caller);
}

static void caller_left(struct proc *p, void *own, struct channel *c)
{
    struct anvil *anvil = own;
    struct caller *caller = caller_of(anvil, c);
    (void)p;
    counts_forget(&anvil->counts, &caller->counting);
    map_remove(&anvil->callers, key_of(&caller->channel));
    free(caller);
}

static void handle_event(struct channel *c, struct frame *f, void *context)
{
    struct anvil *anvil = context;
    struct arena scratch = ARENA_INIT;
    struct buf body = BUF_INIT;
    struct msg_client_event m;
    struct msg_client_counts counts = {0};
    if (msg_client_event_get(&scratch, f->body, &m))
        counts = counts_event(&anvil->counts, &caller_of(anvil, c)->counting, &m, clock_mono());
    msg_client_counts_put(&body, &counts);
    channel_reply(c, f->id, MSG_client_counts, buf_span(&body), NULL, 0);
    buf_fini(&body);
    arena_fini(&scratch);
}

static void handle_left(struct channel *c, struct frame *f, void *context)
{
    struct anvil *anvil = context;
    struct arena scratch = ARENA_INIT;
    struct msg_client_left m;
    if (msg_client_left_get(&scratch, f->body, &m))
        counts_left(&anvil->counts, &caller_of(anvil, c)->counting, m.service, m.address);
    arena_fini(&scratch);
}

static void *start(struct proc *p)
{
    struct anvil *anvil = ARENA_NEW(proc_arena(p), struct anvil);
    const struct params_anvil *mine = proc_params_anvil(p);
    if (!mine)
        return NULL;
    anvil->counts.unit_ms = mine->anvil_rate_time_unit * 1000;
    return anvil;
}

static const struct message_handler requests[] = {
    {MSG_client_event, handle_event}, {MSG_client_left, handle_left}, {0, NULL}};

int main(void)
{
    static const struct proc_spec spec = {.program = "anvil",
                                          .kind = PROC_BROKER,
                                          .requests = requests,
                                          .start = start,
                                          .caller_came = caller_came,
                                          .caller_left = caller_left};
    return proc_main(&spec);
}
