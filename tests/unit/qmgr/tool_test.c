#include "tests/unit/qmgr/world.h"

#define QUICK "minimal_backoff_time = 1h\nmaximal_backoff_time = 1h\n"

/* A person with a tool. */
struct person {
    struct world *w;
    struct channel *channel;
    bool answered, closed;
    uint16_t type;
    char body[CHANNEL_FRAME_MAX];
    size_t n;
};

static void person_frame(struct channel *c, struct frame *f, void *context)
{
    (void)c, (void)f, (void)context;
}

static void person_closed(struct channel *c, void *context)
{
    struct person *p = context;
    p->closed = true;
    p->channel = NULL;
    channel_close(&c);
}

static struct person *person_new(struct world *w, unsigned uid)
{
    static const struct channel_handler handler = {person_frame, person_closed};
    struct person *p = calloc(1, sizeof *p);
    int fds[2];
    cr_assert(channel_pair(fds));
    p->w = w;
    p->channel = channel_open(w->loop, fds[1], "qmgr", &handler, p);
    qmgr_tool_came(w->q, fds[0], uid);
    return p;
}

static void person_free(struct person *p)
{
    channel_close(&p->channel);
    free(p);
}

static void take_answer(struct frame *reply, void *context)
{
    struct person *p = context;
    p->answered = true;
    p->type = reply ? reply->type : 0;
    p->n = reply ? reply->body.n : 0;
    if (p->n)
        memcpy(p->body, reply->body.p, p->n);
}

static void ask(struct person *p, uint16_t type, const struct buf *body)
{
    mono_ms end = clock_after_ms(5000);
    p->answered = false;
    channel_request(p->channel, type, buf_span(body), NULL, 0, take_answer, p);
    while (!p->answered && clock_mono() < end)
        loop_step(p->w->loop, end);
    cr_assert(p->answered);
}

static struct msg_tool_done flush(struct person *p, unsigned kind, const char *name)
{
    struct buf body = BUF_INIT;
    struct msg_tool_done done = {0};
    msg_tool_flush_put(&body, &(struct msg_tool_flush){.kind = kind, .name = span_text(name)});
    ask(p, MSG_tool_flush, &body);
    cr_assert_eq(p->type, MSG_tool_done);
    cr_assert(msg_tool_done_get(NULL, span_of(p->body, p->n), &done));
    buf_fini(&body);
    return done;
}

static struct msg_tool_done change(struct person *p, unsigned what, const char *id)
{
    struct buf body = BUF_INIT;
    struct msg_tool_done done = {0};
    msg_tool_change_put(&body, &(struct msg_tool_change){.what = what, .id = span_text(id)});
    ask(p, MSG_tool_change, &body);
    cr_assert_eq(p->type, MSG_tool_done);
    cr_assert(msg_tool_done_get(NULL, span_of(p->body, p->n), &done));
    buf_fini(&body);
    return done;
}

/* The whole list as "state id sender>to(reason),to...;" */
static void list(struct person *p, struct buf *out)
{
    struct msg_tool_listed part = {.more = 1};
    for (uint64_t begin = 1; part.more; begin = 0) {
        struct arena a = ARENA_INIT;
        struct buf body = BUF_INIT;
        msg_tool_list_put(&body, &(struct msg_tool_list){.begin = begin});
        ask(p, MSG_tool_list, &body);
        cr_assert(msg_tool_listed_get(&a, span_of(p->body, p->n), &part));
        for (size_t i = 0; i < part.messages.n; i++) {
            const struct msg_tool_message *m = &part.messages.at[i];
            if (!m->continued)
                buf_printf(out, "%llu %.*s>", (unsigned long long)m->state, SPAN_ARG(m->sender));
            for (size_t k = 0; k < m->recipients.n; k++)
                buf_printf(out, "%.*s(%.*s),", SPAN_ARG(m->recipients.at[k].address),
                           SPAN_ARG(m->recipients.at[k].reason));
        }
        buf_fini(&body);
        arena_fini(&a);
    }
}

static void expect_list(struct person *p, const char *want, const char *says)
{
    struct buf got = BUF_INIT;
    list(p, &got);
    cr_expect_str_eq(buf_text(&got), want, "%s: %s", says, buf_text(&got));
    buf_fini(&got);
}

Test(tool, lists_what_waits_and_why, .timeout = 20)
{
    struct world *w = world_new(QUICK);
    struct person *p = person_new(w, 12345);
    expect_list(p, "", "an empty queue");
    world_mail(w, (struct mail){.sender = "a@b.org", .to = {"later@local.x", "ok@local.x"}, .text = "x\n"});
    world_mail(w, (struct mail){.sender = "", .to = {"later2@local.x"}, .text = "x\n"});
    world_until(w, "status=deferred", 2);

    expect_list(p, "3 a@b.org>later@local.x(mailbox is full),3 >later2@local.x(mailbox is full),",
                "two deferred");

    person_free(p);
    world_end(w);
}

Test(tool, lists_a_queue_that_fills_many_frames, .timeout = 60)
{
    enum { MANY = 2000 };
    struct world *w = world_new(QUICK);
    struct person *p = person_new(w, 12345);
    struct buf got = BUF_INIT;
    for (int i = 0; i < MANY; i++) {
        char to[32];
        snprintf(to, sizeof to, "later%d@local.x", i);
        world_mail(w, (struct mail){.sender = "a@b.org", .to = {to}, .text = "x\n"});
        loop_step(w->loop, clock_after_ms(0));
    }
    world_until(w, "status=deferred", MANY);

    list(p, &got);

    unsigned n = 0;
    for (const char *at = buf_text(&got); (at = strstr(at, "3 a@b.org>later")); at++)
        n++;
    cr_expect_eq(n, (unsigned)MANY);
    buf_fini(&got);
    person_free(p);
    world_end(w);
}

Test(tool, flushes_all_one_site_and_one_message, .timeout = 60)
{
    struct world *w = world_new(QUICK);
    struct person *p = person_new(w, 12345);
    struct queue_id one =
        world_mail(w, (struct mail){.sender = "a@b.org", .to = {"later@local.x"}, .text = "x\n"});
    struct queue_id two =
        world_mail(w, (struct mail){.sender = "a@b.org", .to = {"later@smtp.y"}, .text = "x\n"});
    world_until(w, "status=deferred", 2);

    cr_expect_eq(flush(p, TOOL_ID, one.text).class, 2u);
    world_until(w, "status=deferred", 3);
    cr_expect_eq(asked_times(w, "local", one.text), 2u);
    cr_expect_eq(flush(p, TOOL_SITE, "SMTP.y").class, 2u);
    world_until(w, "status=deferred", 4);
    cr_expect_eq(asked_times(w, "smtp", two.text), 2u);
    cr_expect_eq(flush(p, TOOL_ALL, "").class, 2u);
    world_until(w, "status=deferred", 6);
    cr_expect_eq(flush(p, TOOL_ID, "4jYTTW1DJgz0001").class, 5u, "no such message");

    person_free(p);
    world_end(w);
}

Test(tool, holds_releases_and_deletes_for_root_alone, .timeout = 60)
{
    struct world *w = world_new(QUICK);
    struct person *root = person_new(w, 0), *other = person_new(w, 54321);
    struct queue_id id =
        world_mail(w, (struct mail){.sender = "a@b.org", .to = {"later@local.x"}, .text = "x\n"});
    world_until(w, "status=deferred", 1);

    cr_expect_eq(change(other, TOOL_DELETE, id.text).class, 5u);
    cr_expect_eq(change(root, TOOL_HOLD, id.text).class, 2u);
    expect_list(root, "4 a@b.org>later@local.x(mailbox is full),", "held");
    flush(other, TOOL_ALL, "");
    world_run_ms(w, 100);
    cr_expect_eq(asked_times(w, "local", NULL), 1u, "a flush leaves held mail alone");
    world_kill(w);
    person_free(root);
    person_free(other);
    world_start(w);
    root = person_new(w, 0);
    world_run_ms(w, 100);
    expect_list(root, "4 a@b.org>later@local.x(mailbox is full),", "held over a kill");
    cr_expect_eq(change(root, TOOL_RELEASE, id.text).class, 2u);
    world_until(w, "status=deferred", 2);
    cr_expect_eq(change(root, TOOL_DELETE, id.text).class, 2u);
    world_until(w, ": removed", 1);
    expect_list(root, "", "deleted");
    cr_expect_eq(asked_times(w, "bounce", NULL), 0u, "nobody is told");

    person_free(root);
    world_end(w);
}

Test(tool, deletes_mail_that_waits_for_its_turn, .timeout = 60)
{
    struct world *w = world_new(QUICK "initial_destination_concurrency = 1\n");
    struct person *root = person_new(w, 0);
    w->silent_agents = true;
    world_mail(w, (struct mail){.sender = "a@b.org", .to = {"x@smtp.y"}, .text = "x\n"});
    struct queue_id second =
        world_mail(w, (struct mail){.sender = "a@b.org", .to = {"x@smtp.y"}, .text = "x\n"});
    world_run_ms(w, 100);

    cr_expect_eq(change(root, TOOL_DELETE, second.text).class, 2u);
    world_until(w, ": removed", 1);

    expect_list(root, "2 a@b.org>x@smtp.y(),", "the first is under way");
    person_free(root);
    world_end(w);
}

Test(tool, closes_on_nonsense_and_serves_the_others, .timeout = 20)
{
    struct world *w = world_new(QUICK);
    struct person *bad = person_new(w, 54321), *good = person_new(w, 54321);

    channel_notify(bad->channel, MSG_attempt, SPAN("nonsense"), NULL, 0);
    world_run_ms(w, 100);

    cr_expect(bad->closed);
    expect_list(good, "", "still served");
    person_free(bad);
    person_free(good);
    world_end(w);
}

Test(tool, keeps_to_the_users_that_may_look, .timeout = 20)
{
    struct world *w = world_new(QUICK "authorized_mailq_users = 777\nauthorized_flush_users =\n");
    struct person *stranger = person_new(w, 54321), *friend = person_new(w, 777);
    struct buf body = BUF_INIT;
    struct msg_tool_listed listed;

    msg_tool_list_put(&body, &(struct msg_tool_list){.begin = 1});
    ask(stranger, MSG_tool_list, &body);
    cr_assert(msg_tool_listed_get(NULL, span_of(stranger->body, stranger->n), &listed));
    cr_expect_gt(listed.error.n, 0u);
    cr_expect_eq(flush(friend, TOOL_ALL, "").class, 5u);
    expect_list(friend, "", "a user that is named");

    buf_fini(&body);
    person_free(stranger);
    person_free(friend);
    world_end(w);
}
