#include "lib/io/co.h"
#include "lib/wire/channel.h"

#include <criterion/criterion.h>

/* A session that asks, and the other process that answers when the test says so. */
struct asking {
    struct channel *channel, *other;
    uint64_t asked; /* id of the request that came to the other */
    bool firm;
    enum call_result result;
};

enum { ASK = 7, ANSWER = 8 };

static void hear(struct channel *c, struct frame *f, void *context)
{
    (void)c;
    ((struct asking *)context)->asked = f->id;
}

static void gone(struct channel *c, void *context)
{
    (void)c, (void)context;
}

static void ask(void *argument)
{
    struct asking *a = argument;
    struct arena arena = ARENA_INIT;
    struct frame reply;
    a->result = (a->firm ? channel_call_firm : channel_call)(a->channel, ASK, SPAN("?"), NULL, 0, clock_after(20),
                                                             ANSWER, &arena, &reply);
    arena_fini(&arena);
}

static struct loop *begin(struct asking *a, bool firm)
{
    static const struct channel_handler handler = {hear, gone};
    struct loop *l = loop_new();
    int fds[2];
    cr_assert(channel_pair(fds));
    *a = (struct asking){.firm = firm, .result = CALL_MALFORMED};
    a->channel = channel_open(l, fds[0], "asking", &handler, a);
    a->other = channel_open(l, fds[1], "other", &handler, a);
    co_spawn(l, "asking", ask, a);
    for (mono_ms deadline = clock_after(10); !a->asked && clock_mono() < deadline;)
        loop_step(l, deadline);
    cr_assert(a->asked);
    return l;
}

static void end(struct loop *l, struct asking *a)
{
    for (mono_ms deadline = clock_after(10); co_count() && clock_mono() < deadline;)
        loop_step(l, deadline);
    cr_assert_eq(co_count(), 0U);
    channel_close(&a->channel);
    channel_close(&a->other);
    co_release();
    loop_free(&l);
}

Test(call, ends_where_its_session_is_cancelled)
{
    struct asking a;
    struct loop *l = begin(&a, false);

    co_cancel_all();
    end(l, &a);

    cr_expect_eq(a.result, CALL_CANCELLED);
}

Test(call, a_firm_one_has_its_answer_after_a_cancellation)
{
    struct asking a;
    struct loop *l = begin(&a, true);

    co_cancel_all();
    loop_step(l, 0);
    cr_expect_eq(co_count(), 1U, "it waits on");
    cr_expect(channel_reply(a.other, a.asked, ANSWER, SPAN("!"), NULL, 0));
    end(l, &a);

    cr_expect_eq(a.result, CALL_OK);
}

Test(call, a_firm_one_is_lost_with_the_other_end)
{
    struct asking a;
    struct loop *l = begin(&a, true);

    co_cancel_all();
    loop_step(l, 0);
    channel_close(&a.other);
    end(l, &a);

    cr_expect_eq(a.result, CALL_LOST);
}
