/* A worker and its callers: requests are handled one at a time, and it ends when it is told to and has
 * nothing left to do. */
#include "lib/proc/proc_inner.h"
#include "lib/wire/submit.msg.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

enum { CALLERS = 2 };

/* One who asks the worker. */
struct caller {
    struct channel *channel;
    unsigned answers, lost;
    bool closed;
};

/* The worker, and what its handler is to do. */
struct world {
    struct proc proc;
    struct caller callers[CALLERS];
    unsigned handled;
    void (*meanwhile)(struct world *w); /* while the first request is in hand; NULL: nothing */
};

static void steps(struct loop *l, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        loop_step(l, clock_after_ms(2));
}

static void handle_room(struct channel *c, struct frame *f, void *own)
{
    struct world *w = own;
    struct buf body = BUF_INIT;
    w->handled++;
    if (w->meanwhile) {
        void (*meanwhile)(struct world *) = w->meanwhile;
        w->meanwhile = NULL;
        meanwhile(w);
    }
    msg_submitted_put(&body, &(struct msg_submitted){.text = SPAN("room")});
    channel_reply(c, f->id, MSG_submitted, buf_span(&body), NULL, 0);
    buf_fini(&body);
}

static const struct message_handler requests[] = {{MSG_room_wanted, handle_room}, {0, NULL}};
static const struct proc_spec worker = {.program = "worker", .kind = PROC_WORKER, .requests = requests};
static const struct proc_spec broker = {.program = "broker", .kind = PROC_BROKER, .requests = requests};

static void ignore_frame(struct channel *c, struct frame *f, void *context)
{
    (void)c, (void)f, (void)context;
}

static void caller_lost(struct channel *c, void *context)
{
    struct caller *caller = context;
    (void)c;
    caller->closed = true;
    channel_close(&caller->channel);
}

static void answered(struct frame *reply, void *context)
{
    struct caller *caller = context;
    if (reply)
        caller->answers++;
    else
        caller->lost++;
}

static void ask(struct caller *caller, uint16_t type)
{
    struct buf body = BUF_INIT;
    msg_room_wanted_put(&body, &(struct msg_room_wanted){.size = 1});
    channel_request(caller->channel, type, buf_span(&body), NULL, 0, answered, caller);
    buf_fini(&body);
}

static struct world only; /* a second one ends the first: what a loop knows by descriptor alone must not stay */

static void world_end(void)
{
    if (!only.proc.loop)
        return;
    for (unsigned i = 0; i < CALLERS; i++)
        channel_close(&only.callers[i].channel);
    steps(only.proc.loop, 5);
    channel_close(&only.proc.master);
    loop_free(&only.proc.loop);
}

TestSuite(serve, .fini = world_end);

/* The loop runs both ends; the channel to master has nobody at its other end. */
static struct world *world_new(const struct proc_spec *spec)
{
    static const struct channel_handler handler = {ignore_frame, caller_lost}, to_master = {ignore_frame, NULL};
    int ends[2];
    world_end();
    only = (struct world){.proc = {.spec = spec, .status = -1, .running = true}};
    struct proc *p = &only.proc;
    p->loop = loop_new();
    p->own = &only;
    list_init(&p->waiting);
    p->next = (struct deferred){.fn = proc_next_waiting, .context = p, .rank = LOOP_RANK_RESUME};
    cr_assert(channel_pair(ends));
    p->master = channel_open(p->loop, ends[0], "master", &to_master, p);
    for (unsigned i = 0; i < CALLERS; i++) {
        cr_assert(channel_pair(ends));
        only.callers[i].channel = channel_open(p->loop, ends[0], "worker", &handler, &only.callers[i]);
        proc_serve_channel(p, ends[1], &(struct msg_channel_given){.service = SPAN("caller"), .slot = i});
    }
    return &only;
}

static void stop_and_second_caller_asks(struct world *w)
{
    proc_stop_begin(&w->proc, 60000);
    ask(&w->callers[1], MSG_room_wanted);
    steps(w->proc.loop, 5);
}

static void stop_and_second_caller_asks_and_leaves(struct world *w)
{
    stop_and_second_caller_asks(w);
    channel_close(&w->callers[1].channel);
    steps(w->proc.loop, 5);
}

static void first_caller_leaves(struct world *w)
{
    channel_close(&w->callers[0].channel);
    steps(w->proc.loop, 5);
}

static void both_leave_and_stop(struct world *w)
{
    stop_and_second_caller_asks_and_leaves(w);
    first_caller_leaves(w);
}

Test(serve, handles_one_request_at_a_time_and_all_of_them)
{
    struct world *w = world_new(&worker);

    ask(&w->callers[0], MSG_room_wanted);
    ask(&w->callers[1], MSG_room_wanted);
    ask(&w->callers[0], MSG_room_wanted);
    steps(w->proc.loop, 10);

    cr_expect_eq(w->handled, 3U);
    cr_expect_eq(w->callers[0].answers, 2U);
    cr_expect_eq(w->callers[1].answers, 1U);
    cr_expect(w->proc.running);
}

Test(serve, ends_at_once_where_nothing_is_in_hand)
{
    struct world *w = world_new(&worker);

    proc_stop_begin(&w->proc, 60000);

    cr_expect_eq(w->proc.status, 0);
}

static void stop_what_was_started(struct proc *p, void *own)
{
    struct world *w = own;
    (void)p;
    w->handled++;
}

Test(serve, does_not_stop_a_program_that_has_not_begun)
{
    static const struct proc_spec spec = {
        .program = "worker", .kind = PROC_WORKER, .requests = requests, .stop = stop_what_was_started};
    struct world *w = world_new(&spec);
    w->proc.running = false;

    proc_stop_begin(&w->proc, 60000);

    cr_expect_eq(w->handled, 0U);
    cr_expect(w->proc.stopping, "it is known that it need not begin");
}

Test(serve, finishes_what_is_queued_before_it_ends)
{
    struct world *w = world_new(&worker);
    w->meanwhile = stop_and_second_caller_asks;

    ask(&w->callers[0], MSG_room_wanted);
    steps(w->proc.loop, 10);

    cr_expect_eq(w->handled, 2U);
    cr_expect_eq(w->callers[1].answers, 1U);
    cr_expect_eq(w->proc.status, 0, "it has ended");
}

Test(serve, ends_when_the_callers_of_all_queued_requests_have_left)
{
    static const struct {
        const char *says;
        void (*meanwhile)(struct world *w);
    } rows[] = {
        {"the caller of the queued request has left", stop_and_second_caller_asks_and_leaves},
        {"so has the one whose request is in hand", both_leave_and_stop},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct world *w = world_new(&worker);
        w->meanwhile = rows[i].meanwhile;

        ask(&w->callers[0], MSG_room_wanted);
        steps(w->proc.loop, 10);

        cr_expect_eq(w->handled, 1U, "%s", rows[i].says);
        cr_expect_eq(w->proc.status, 0, "%s: it has ended", rows[i].says);
    }
}

Test(serve, does_not_end_before_queued_requests_are_handled)
{
    struct world *w = world_new(&worker);
    ask(&w->callers[0], MSG_room_wanted);
    w->proc.busy = true; /* as if a request were in hand */
    steps(w->proc.loop, 5);
    w->proc.busy = false;

    proc_stop_begin(&w->proc, 60000);
    cr_expect_eq(w->proc.status, -1, "a request is queued");
    loop_defer(w->proc.loop, &w->proc.next);
    steps(w->proc.loop, 5);

    cr_expect_eq(w->callers[0].answers, 1U);
    cr_expect_eq(w->proc.status, 0);
}

Test(serve, outlives_a_caller_that_leaves_while_its_request_is_in_hand)
{
    struct world *w = world_new(&worker);
    w->meanwhile = first_caller_leaves;

    ask(&w->callers[0], MSG_room_wanted);
    steps(w->proc.loop, 10);
    ask(&w->callers[1], MSG_room_wanted);
    steps(w->proc.loop, 10);

    cr_expect_eq(w->callers[1].answers, 1U);
    cr_expect_eq(w->proc.callers, 1U);
}

Test(serve, ends_the_channel_of_an_unknown_request)
{
    static const struct {
        const char *says;
        const struct proc_spec *spec;
    } rows[] = {{"a worker", &worker}, {"a broker", &broker}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct world *w = world_new(rows[i].spec);

        ask(&w->callers[0], 0x7777);
        ask(&w->callers[0], MSG_room_wanted);
        ask(&w->callers[1], MSG_room_wanted);
        steps(w->proc.loop, 10);

        cr_expect_eq(w->callers[0].lost, 2U, "%s: the asker knows that no answer will come", rows[i].says);
        cr_expect(w->callers[0].closed, "%s", rows[i].says);
        cr_expect_eq(w->callers[1].answers, 1U, "%s: others are served", rows[i].says);
        cr_expect_eq(w->proc.callers, 1U, "%s", rows[i].says);
    }
}

Test(serve, passes_over_an_unknown_notice)
{
    struct world *w = world_new(&worker);

    channel_notify(w->callers[0].channel, 0x7777, SPAN_NONE, NULL, 0);
    ask(&w->callers[0], MSG_room_wanted);
    steps(w->proc.loop, 10);

    cr_expect_eq(w->callers[0].answers, 1U);
}
