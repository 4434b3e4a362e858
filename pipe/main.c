#include "lib/base/check.h"
#include "lib/log/log.h"
#include "lib/mail/loop.h"
#include "lib/proc/owners.h"
#include "lib/proc/proc.h"
#include "lib/proc/tables.h"
#include "lib/wire/attempt.msg.h"

#include <stdlib.h>
#include <unistd.h>

struct pipe {
    struct proc *proc;
    struct owners *owners;
    struct list attempts; /* struct attempt */
    bool delivered_to;    /* flag D */
    bool is_final;        /* flag X */
    bool stopping;
};

/* One attempt under way: one command for all of its recipients, but for those that are loops. */
struct attempt {
    struct pipe *pipe;
    struct arena arena;
    struct channel *channel; /* NULL: qmgr's end has gone */
    uint64_t request;
    struct msg_attempt m;    /* borrows a copy in arena; recipients: those that the command is for */
    struct msg_verdict *verdicts;
    size_t n;                /* verdicts made; loops first */
    struct list node;
};

/* --- verdicts ---------------------------------------------------------------------- */

static void add_verdict(struct attempt *t, uint64_t number, const struct msg_stored *m)
{
    struct msg_verdict *v = &t->verdicts[t->n++];
    *v = (struct msg_verdict){.number = number,
                              .class = m->class,
                              .dsn = arena_dup(&t->arena, m->dsn),
                              .text = arena_dup(&t->arena, m->text),
                              .relay = proc_boot(t->pipe->proc)->service};
    if (m->class == 2)
        v->action = t->pipe->is_final ? SPAN("delivered") : SPAN("relayed");
}

static void attempt_end(struct attempt *t, const struct msg_stored *m)
{
    struct pipe *p = t->pipe;
    for (size_t i = 0; i < t->m.recipients.n; i++)
        add_verdict(t, t->m.recipients.at[i].number, m);
    if (t->channel) {
        struct buf body = BUF_LIMITED(CHANNEL_FRAME_MAX);
        msg_attempted_put(&body, &(struct msg_attempted){.verdicts = {t->verdicts, t->n}});
        channel_reply(t->channel, t->request, MSG_attempted, buf_span(&body), NULL, 0);
        buf_fini(&body);
    }
    list_remove(&t->node);
    arena_fini(&t->arena);
    free(t);
    if (p->stopping && list_empty(&p->attempts))
        proc_exit(p->proc, 0);
}

static void attempt_put_off(struct attempt *t, const char *why)
{
    attempt_end(t, &(struct msg_stored){.class = 4, .dsn = SPAN("4.3.0"), .text = span_text(why)});
}

static void command_ended(struct frame *reply, void *context)
{
    struct attempt *t = context;
    struct msg_stored m;
    if (reply && reply->type == MSG_stored && msg_stored_get(&t->arena, arena_dup(&t->arena, reply->body), &m))
        attempt_end(t, &m);
    else
        attempt_put_off(t, "the process of the command gave no answer; the delivery is repeated");
}

/* --- attempts ----------------------------------------------------------------------------- */

/* Takes those out for whom the message has been here before. */
static void take_loops(struct attempt *t, int text)
{
    struct span head = loop_read_head(&t->arena, t->m.text, text, t->m.text_offset, t->m.text_size);
    size_t kept = 0;
    for (size_t i = 0; i < t->m.recipients.n; i++) {
        struct msg_recipient *r = &t->m.recipients.at[i];
        if (t->pipe->delivered_to && loop_is_there(head, r->address)) {
            const char *why = arena_printf(&t->arena, "mail forwarding loop for %.*s", SPAN_ARG(r->address));
            add_verdict(t, r->number, &(struct msg_stored){.class = 5, .dsn = SPAN("5.4.6"), .text = span_text(why)});
        } else {
            t->m.recipients.at[kept++] = *r;
        }
    }
    t->m.recipients.n = kept;
}

static void run(struct attempt *t, int text)
{
    struct msg_owner_made made = {0};
    const struct msg_owner_wanted wanted = {.kind = OWNER_PIPE};
    struct owner *runner = owner_get(t->pipe->owners, &wanted, SPAN_NONE, &t->arena, &made);
    struct buf body = BUF_LIMITED(CHANNEL_FRAME_MAX);
    struct msg_stored refused = {.class = made.class, .dsn = made.dsn, .text = made.text};
    msg_run_put(&body, &(struct msg_run){.source = RUN_PIPE, .about = {&t->m, 1}});
    if (!runner)
        attempt_end(t, &refused);
    else if (body.full)
        attempt_put_off(t, "too many recipients");
    else
        owner_request(runner, MSG_run, buf_span(&body), text, command_ended, t);
    buf_fini(&body);
}

static void handle_attempt(struct channel *c, struct frame *f, void *context)
{
    struct pipe *p = context;
    int text = frame_take_fd(f, 0);
    struct attempt *t = calloc(1, sizeof *t);
    CHECK(t != NULL);
    t->pipe = p;
    t->channel = c;
    t->request = f->id;
    list_push(&p->attempts, &t->node);
    if (!msg_attempt_get(&t->arena, arena_dup(&t->arena, f->body), &t->m))
        t->m.recipients.n = 0; /* what has no verdict counts as deferred */
    t->verdicts = arena_calloc(&t->arena, t->m.recipients.n + 1, sizeof *t->verdicts);
    take_loops(t, text);
    if (t->m.recipients.n)
        run(t, text);
    else
        attempt_end(t, &(struct msg_stored){0});
    if (text >= 0)
        close(text);
}

static void caller_left(struct proc *p, void *own, struct channel *c)
{
    struct pipe *pipe = own;
    (void)p;
    LIST_EACH (node, after, &pipe->attempts) {
        struct attempt *t = LIST_ENTRY(node, struct attempt, node);
        if (t->channel == c)
            t->channel = NULL;
    }
}

/* --- the process -------------------------------------------------------------------------------- */

static void stop(struct proc *p, void *own)
{
    struct pipe *pipe = own;
    pipe->stopping = true;
    if (list_empty(&pipe->attempts))
        proc_exit(p, 0);
}

/* The letters of flags=, which stands before argv=. */
static struct span find_flags(struct span arguments)
{
    struct span word;
    while (span_next_token(&arguments, span_of("", 1), &word) && !span_starts(word, SPAN("argv=")))
        if (span_starts(word, SPAN("flags=")))
            return span_skip(word, SPAN("flags=").n);
    return SPAN_NONE;
}

/* result: seconds that the command may take; deliver holds it to that */
static int64_t time_limit(struct proc *p, const struct params_main *main)
{
    struct param_errors errors = PARAM_ERRORS_INIT;
    struct params_transport transport;
    bool good = params_transport_load(proc_arena(p), proc_settings(p), proc_boot(p)->service, &transport, &errors);
    param_errors_fini(&errors);
    return good ? transport.time_limit : main->command_time_limit;
}

static void *start(struct proc *p)
{
    struct pipe *pipe = ARENA_NEW(proc_arena(p), struct pipe);
    struct span flags = find_flags(proc_boot(p)->arguments);
    const struct params_main *main = proc_params_main(p);
    if (!main)
        return NULL;
    pipe->proc = p;
    pipe->owners = owners_new(p, main->ipc_timeout, time_limit(p, main));
    list_init(&pipe->attempts);
    pipe->delivered_to = span_find(flags, 'D') < flags.n;
    pipe->is_final = span_find(flags, 'X') < flags.n;
    return pipe;
}

static const struct message_handler requests[] = {{MSG_attempt, handle_attempt}, {0, NULL}};

int main(void)
{
    static const struct proc_spec spec = {.program = "pipe",
                                          .kind = PROC_WORKER,
                                          .requests = requests,
                                          .start = start,
                                          .caller_left = caller_left,
                                          .stop = stop};
    return proc_main(&spec);
}
