#include "lib/wire/channel.h"
#include "lib/wire/message.h"
#include "lib/wire/submit.msg.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { ASK = 7, ANSWER = 8, NEWS = 9 };

/* One end, with what came in. */
struct side {
    struct channel *channel;
    unsigned frames, closed;
    struct buf heard;        /* bodies, each ended by a line end */
    unsigned fds;            /* descriptors that came */
    bool answers;            /* requests are answered with their own body */
    bool closes;             /* the first frame makes it close */
    bool waits;              /* the first frame makes it run the loop */
    uint64_t last_id;
};

static struct loop *l;
static struct side left, right;

static void steps(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        loop_step(l, clock_after_ms(5));
}

static void got_frame(struct channel *c, struct frame *f, void *context)
{
    struct side *s = context;
    s->frames++;
    s->last_id = f->id;
    buf_put(&s->heard, f->body);
    buf_putc(&s->heard, '\n');
    for (unsigned i = 0; i < f->nfds; i++) {
        char octet = 0;
        cr_expect_eq(read(f->fds[i], &octet, 1), 1);
        cr_expect_eq(octet, (char)('a' + i));
        s->fds++;
    }
    if (s->waits) {
        s->waits = false;
        steps(3);
    }
    if (s->answers && f->id)
        cr_expect(channel_reply(c, f->id, ANSWER, f->body, NULL, 0));
    if (s->closes)
        channel_close(&s->channel);
}

static void got_closed(struct channel *c, void *context)
{
    struct side *s = context;
    s->closed++;
    s->channel = NULL;
    channel_close(&c);
}

static const struct channel_handler handler = {got_frame, got_closed};

static void setup(void)
{
    int fds[2];
    l = loop_new();
    cr_assert(channel_pair(fds));
    left.channel = channel_open(l, fds[0], "left", &handler, &left);
    right.channel = channel_open(l, fds[1], "right", &handler, &right);
}

static void teardown(void)
{
    channel_close(&left.channel);
    channel_close(&right.channel);
    buf_fini(&left.heard);
    buf_fini(&right.heard);
    loop_free(&l);
}

/* The right end as a bare socket instead. */
static int bare(void)
{
    int fds[2];
    channel_close(&left.channel);
    channel_close(&right.channel);
    cr_assert(channel_pair(fds));
    left.channel = channel_open(l, fds[0], "left", &handler, &left);
    return fds[1];
}

static unsigned open_fds(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* A file of one octet to be read, in a descriptor of its own. */
static int file_with(char octet)
{
    int ends[2];
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    cr_assert_eq(write(ends[1], &octet, 1), 1);
    close(ends[1]);
    return ends[0];
}

struct asked {
    unsigned answers, lost;
    struct buf heard;
};

static void got_answer(struct frame *reply, void *context)
{
    struct asked *a = context;
    a->answers++;
    a->lost += reply == NULL;
    if (reply) {
        cr_expect_eq(reply->type, ANSWER);
        buf_put(&a->heard, reply->body);
        buf_putc(&a->heard, '\n');
    }
}

TestSuite(channel, .init = setup, .fini = teardown);

/* --- frames ------------------------------------------------------------------------------- */

Test(channel, carries_notices_both_ways_in_order)
{
    cr_expect(channel_notify(left.channel, NEWS, SPAN("one"), NULL, 0));
    cr_expect(channel_notify(left.channel, NEWS, SPAN_NONE, NULL, 0));
    cr_expect(channel_notify(left.channel, NEWS, SPAN("three"), NULL, 0));
    cr_expect(channel_notify(right.channel, NEWS, SPAN("back"), NULL, 0));
    steps(3);

    cr_expect_str_eq(buf_text(&right.heard), "one\n\nthree\n");
    cr_expect_str_eq(buf_text(&left.heard), "back\n");
    cr_expect_eq(right.last_id, 0);
}

Test(channel, brings_each_answer_to_its_request)
{
    struct asked first = {0}, second = {0};
    right.answers = true;

    channel_request(left.channel, ASK, SPAN("a"), NULL, 0, got_answer, &first);
    channel_request(left.channel, ASK, SPAN("b"), NULL, 0, got_answer, &second);
    cr_expect_eq(first.answers, 0, "never inside channel_request");
    steps(4);

    cr_expect_str_eq(buf_text(&first.heard), "a\n");
    cr_expect_str_eq(buf_text(&second.heard), "b\n");
    buf_fini(&first.heard);
    buf_fini(&second.heard);
}

Test(channel, holds_a_thousand_requests_in_flight)
{
    struct asked asked = {0};
    struct buf want = BUF_INIT;
    right.answers = true;

    for (int i = 0; i < 1000; i++) {
        char body[16];
        snprintf(body, sizeof body, "%d", i);
        buf_printf(&want, "%d\n", i);
        cr_assert_neq(channel_request(left.channel, ASK, span_text(body), NULL, 0, got_answer, &asked), 0);
    }
    steps(20);

    cr_expect_eq(asked.answers, 1000);
    cr_expect_eq(asked.lost, 0);
    cr_expect_str_eq(buf_text(&asked.heard), buf_text(&want));
    buf_fini(&asked.heard);
    buf_fini(&want);
}

Test(channel, does_not_bring_an_answer_that_is_no_longer_wanted)
{
    struct asked asked = {0};
    right.answers = true;

    channel_forget(left.channel, channel_request(left.channel, ASK, SPAN("a"), NULL, 0, got_answer, &asked));
    steps(4);

    cr_expect_eq(right.frames, 1);
    cr_expect_eq(asked.answers, 0);
    cr_expect(!channel_is_closed(left.channel));
}

Test(channel, ignores_an_answer_that_nobody_asked_for)
{
    cr_expect(channel_reply(right.channel, 12345, ANSWER, SPAN("x"), NULL, 0));
    steps(3);

    cr_expect_eq(left.frames, 0);
    cr_expect(!channel_is_closed(left.channel));
}

Test(channel, carries_a_body_of_the_greatest_length)
{
    char *body = calloc(1, CHANNEL_FRAME_MAX);
    memset(body, 'x', CHANNEL_FRAME_MAX);

    cr_expect(channel_notify(left.channel, NEWS, span_of(body, CHANNEL_FRAME_MAX), NULL, 0));
    cr_expect(channel_notify(left.channel, NEWS, SPAN("y"), NULL, 0));
    steps(100);

    cr_expect_eq(right.frames, 2);
    cr_expect_eq(right.heard.len, (size_t)CHANNEL_FRAME_MAX + 3);
    free(body);
}

/* --- descriptors ------------------------------------------------------------------------------ */

Test(channel, carries_descriptors_with_their_frames)
{
    unsigned before = open_fds();
    int fds[CHANNEL_FDS_MAX];

    for (unsigned round = 0; round < 20; round++) {
        unsigned n = round % (CHANNEL_FDS_MAX + 1);
        for (unsigned i = 0; i < n; i++)
            fds[i] = file_with((char)('a' + i));
        cr_expect(channel_notify(left.channel, NEWS, SPAN("x"), fds, n));
        cr_expect(channel_notify(left.channel, NEWS, SPAN("without"), NULL, 0));
        for (unsigned i = 0; i < n; i++)
            close(fds[i]); /* ours: the frame has its own */
    }
    steps(60);

    cr_expect_eq(right.frames, 40);
    cr_expect_eq(right.fds, 0 + 1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 0 + 1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 0 + 1);
    cr_expect_eq(open_fds(), before, "none is left open");
}

Test(channel, closes_descriptors_that_were_not_read)
{
    unsigned before = open_fds();
    for (unsigned i = 0; i < 10; i++) {
        int fd = file_with('a');
        cr_expect(channel_notify(left.channel, NEWS, SPAN("x"), &fd, 1));
        close(fd);
    }
    channel_pause(right.channel);
    steps(3);

    channel_close(&right.channel);
    channel_close(&left.channel);

    cr_expect_eq(open_fds(), before - 2, "the two ends are gone too");
}

/* --- the end ------------------------------------------------------------------------------------- */

Test(channel, answers_all_requests_with_nothing_where_the_other_end_goes)
{
    struct asked asked = {0};
    for (int i = 0; i < 10; i++)
        channel_request(left.channel, ASK, SPAN("a"), NULL, 0, got_answer, &asked);
    steps(2);

    channel_close(&right.channel);
    steps(2);

    cr_expect_eq(asked.answers, 10);
    cr_expect_eq(asked.lost, 10);
    cr_expect_eq(left.closed, 1);
    cr_expect_null(left.channel);
}

Test(channel, answers_all_requests_with_nothing_where_it_is_closed_itself)
{
    struct asked asked = {0};
    channel_request(left.channel, ASK, SPAN("a"), NULL, 0, got_answer, &asked);

    channel_close(&left.channel);

    cr_expect_eq(asked.lost, 1);
    cr_expect_eq(left.closed, 0, "who closes knows");
    steps(2);
    cr_expect_eq(right.frames, 1, "what was gathered has left");
    cr_expect_eq(right.closed, 1);
}

Test(channel, may_be_closed_inside_its_own_callback)
{
    right.closes = true;

    for (int i = 0; i < 5; i++)
        channel_notify(left.channel, NEWS, SPAN("x"), NULL, 0);
    steps(3);

    cr_expect_eq(right.frames, 1);
    cr_expect_null(right.channel);
    cr_expect_eq(left.closed, 1);
}

static void close_left(struct frame *reply, void *context)
{
    (void)reply;
    ++*(unsigned *)context;
    channel_close(&left.channel);
}

Test(channel, may_be_closed_inside_an_answer)
{
    unsigned answers = 0;
    right.answers = true;
    for (int i = 0; i < 3; i++)
        channel_request(left.channel, ASK, SPAN("a"), NULL, 0, close_left, &answers);

    steps(4);

    cr_expect_eq(answers, 3, "the others get nothing, but are answered");
    cr_expect_null(left.channel);
}

Test(channel, says_that_it_is_closed)
{
    struct asked asked = {0};
    channel_pause(left.channel); /* keeps the news from the handler */
    int fd = bare();
    close(fd);
    channel_set_context(left.channel, &(struct channel_handler){got_frame, NULL}, &left);
    steps(3);

    cr_expect(channel_is_closed(left.channel));
    cr_expect(!channel_notify(left.channel, NEWS, SPAN("x"), NULL, 0));
    cr_expect_eq(channel_request(left.channel, ASK, SPAN("x"), NULL, 0, got_answer, &asked), 0);
    cr_expect_eq(asked.answers, 0);
}

/* --- other ends that misbehave ------------------------------------------------------------------- */

struct header {
    uint32_t body;
    uint16_t type;
    uint8_t flags, nfds;
    uint64_t id;
};

static void send_raw(int fd, const struct header *h, struct span rest)
{
    cr_assert_eq(write(fd, h, sizeof *h), (ssize_t)sizeof *h);
    if (rest.n)
        cr_assert_eq(write(fd, rest.p, rest.n), (ssize_t)rest.n);
}

Test(channel, is_closed_on_a_frame_longer_than_the_limit)
{
    int fd = bare();
    send_raw(fd, &(struct header){.body = CHANNEL_FRAME_MAX + 1, .type = NEWS}, SPAN("x"));
    steps(3);

    cr_expect_eq(left.closed, 1);
    cr_expect_eq(left.frames, 0);
    close(fd);
}

Test(channel, is_closed_on_a_frame_that_announces_descriptors_which_did_not_come)
{
    static const uint8_t announced[] = {1, CHANNEL_FDS_MAX, CHANNEL_FDS_MAX + 1, 255};

    for (size_t i = 0; i < sizeof announced; i++) {
        int fd = bare();
        left.closed = 0;
        send_raw(fd, &(struct header){.type = NEWS, .nfds = announced[i]}, SPAN_NONE);
        steps(3);

        cr_expect_eq(left.closed, 1, "%u", announced[i]);
        cr_expect_eq(left.frames, 0, "%u", announced[i]);
        close(fd);
    }
}

Test(channel, does_not_take_more_descriptors_than_it_must)
{
    unsigned before;
    int fd = bare();
    before = open_fds();
    int passed = open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (int i = 0; i < 200; i++) { /* octets of a frame that never becomes whole, each with a descriptor */
        struct header h = {.body = 1000, .type = NEWS};
        struct iovec part = {&h, i == 0 ? sizeof h : 1};
        union {
            struct cmsghdr align;
            char room[CMSG_SPACE(sizeof(int))];
        } control = {0};
        struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room,
                           .msg_controllen = sizeof control.room};
        *CMSG_FIRSTHDR(&m) = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET,
                                              .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &passed, sizeof passed);
        if (sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            break;
        steps(1);
    }
    close(passed);
    steps(3);

    cr_expect_eq(left.closed, 1);
    cr_expect_eq(open_fds(), before - 1, "all are closed, our own end too");
    close(fd);
}

Test(channel, takes_what_came_whole_before_the_other_end_died)
{
    int fd = bare();
    send_raw(fd, &(struct header){.body = 3, .type = NEWS}, SPAN("one"));
    send_raw(fd, &(struct header){.body = 100, .type = NEWS}, SPAN("only a part"));
    close(fd);
    steps(3);

    cr_expect_str_eq(buf_text(&left.heard), "one\n");
    cr_expect_eq(left.closed, 1);
}

Test(channel, takes_a_frame_that_comes_octet_by_octet)
{
    int fd = bare();
    struct buf octets = BUF_INIT;
    struct header h = {.body = 5, .type = NEWS};
    buf_put(&octets, span_of(&h, sizeof h));
    buf_puts(&octets, "hello");

    for (size_t i = 0; i < octets.len; i++) {
        cr_assert_eq(write(fd, octets.data + i, 1), 1);
        cr_expect_eq(left.frames, 0);
        steps(1);
    }

    cr_expect_str_eq(buf_text(&left.heard), "hello\n");
    buf_fini(&octets);
    close(fd);
}

Test(channel, survives_random_octets)
{
    srand(1);
    for (int round = 0; round < 200; round++) {
        char noise[200];
        int fd = bare();
        for (size_t i = 0; i < sizeof noise; i++)
            noise[i] = (char)(rand() % (round % 2 ? 256 : 3));
        cr_assert_eq(write(fd, noise, sizeof noise), (ssize_t)sizeof noise);
        steps(2);
        close(fd);
        steps(2);
    }
}

/* --- when one side is slow -------------------------------------------------------------------------- */

Test(channel, is_closed_where_the_other_end_does_not_read_and_the_limit_is_passed)
{
    char *body = calloc(1, CHANNEL_FRAME_MAX);
    size_t sent = 0;
    int fd = bare();

    while (channel_notify(left.channel, NEWS, span_of(body, CHANNEL_FRAME_MAX), NULL, 0)) {
        sent += CHANNEL_FRAME_MAX;
        cr_assert_leq(channel_backlog(left.channel), (size_t)CHANNEL_QUEUE_MAX);
        cr_assert_leq(sent, (size_t)CHANNEL_QUEUE_MAX * 2);
    }

    cr_expect_geq(sent, (size_t)CHANNEL_QUEUE_MAX - CHANNEL_FRAME_MAX);
    steps(2);
    cr_expect_eq(left.closed, 1);
    free(body);
    close(fd);
}

Test(channel, loses_nothing_where_the_other_end_reads_later)
{
    char *body = calloc(1, 100000);
    memset(body, 'x', 100000);
    channel_pause(right.channel);
    for (int i = 0; i < 100; i++)
        cr_assert(channel_notify(left.channel, NEWS, span_of(body, 100000), NULL, 0));
    steps(5);
    cr_expect_eq(right.frames, 0);
    cr_expect_gt(channel_backlog(left.channel), 0);

    channel_resume(right.channel);
    steps(200);

    cr_expect_eq(right.frames, 100);
    cr_expect_eq(channel_backlog(left.channel), 0);
    free(body);
}

Test(channel, keeps_frames_in_order_while_a_handler_runs_the_loop)
{
    right.waits = true;

    channel_notify(left.channel, NEWS, SPAN("one"), NULL, 0);
    channel_notify(left.channel, NEWS, SPAN("two"), NULL, 0);
    steps(1);
    channel_notify(left.channel, NEWS, SPAN("three"), NULL, 0);
    steps(3);

    cr_expect_str_eq(buf_text(&right.heard), "one\ntwo\nthree\n");
}

struct late {
    struct timer timer;
    unsigned steps;
};

static void send_late(struct timer *t, void *context)
{
    (void)t, (void)context;
    channel_notify(left.channel, NEWS, SPAN("late"), NULL, 0);
}

static void wait_in_handler(struct channel *c, struct frame *f, void *context)
{
    struct late *late = context;
    (void)c;
    buf_put(&right.heard, f->body);
    if (late->steps == 0) {
        mono_ms end = clock_after_ms(60);
        while (clock_mono() < end) {
            loop_step(l, end);
            late->steps++;
        }
    }
}

Test(channel, does_not_spin_while_a_handler_waits_and_more_comes_in)
{
    struct late late = {0};
    channel_set_context(right.channel, &(struct channel_handler){wait_in_handler, NULL}, &late);
    timer_set(l, &late.timer, clock_after_ms(20), send_late, NULL);

    channel_notify(left.channel, NEWS, SPAN("first "), NULL, 0);
    steps(3);

    cr_expect_lt(late.steps, 10);
    cr_expect_str_eq(buf_text(&right.heard), "first late");
}

/* --- calls -------------------------------------------------------------------------------------------- */

Test(channel, call_waits_for_its_answer)
{
    struct arena a = ARENA_INIT;
    struct frame reply;
    right.answers = true;

    cr_expect_eq(channel_call(left.channel, ASK, SPAN("x"), NULL, 0, clock_after(5), ANSWER, &a, &reply), CALL_OK);

    cr_expect(span_eq(reply.body, SPAN("x")));
    cr_expect_eq(channel_call(left.channel, ASK, SPAN("x"), NULL, 0, clock_after(5), NEWS, &a, &reply), CALL_MALFORMED);
    arena_fini(&a);
}

Test(channel, call_ends_at_its_deadline_and_a_late_answer_does_no_harm)
{
    struct arena a = ARENA_INIT;
    struct frame reply;

    cr_expect_eq(channel_call(left.channel, ASK, SPAN("x"), NULL, 0, clock_after_ms(20), ANSWER, &a, &reply), CALL_TIMEOUT);
    cr_expect(channel_reply(right.channel, right.last_id, ANSWER, SPAN("late"), NULL, 0));
    steps(3);

    cr_expect(!channel_is_closed(left.channel));
    arena_fini(&a);
}

Test(channel, call_is_lost_with_the_other_end)
{
    struct arena a = ARENA_INIT;
    struct frame reply;
    right.closes = true;

    cr_expect_eq(channel_call(left.channel, ASK, SPAN("x"), NULL, 0, clock_after(5), ANSWER, &a, &reply), CALL_LOST);
    arena_fini(&a);
}

/* Answers with a descriptor that nobody asked for. */
static void answer_with_file(struct channel *c, struct frame *f, void *context)
{
    int fd = file_with('a');
    struct buf body = BUF_INIT;
    (void)context;
    msg_submitted_put(&body, &(struct msg_submitted){.class = 0, .id = SPAN("ID")});
    cr_expect(channel_reply(c, f->id, MSG_submitted, buf_span(&body), &fd, 1));
    buf_fini(&body);
    close(fd);
}

CHANNEL_CALL_DECLARE(room_wanted, submitted);

Test(channel, a_declared_call_keeps_no_descriptor_of_the_answer)
{
    static const struct channel_handler answering = {answer_with_file, got_closed};
    struct arena a = ARENA_INIT;
    struct msg_room_wanted request = {.size = 1};
    struct msg_submitted answer;
    channel_set_context(right.channel, &answering, &right);
    const unsigned before = open_fds();

    enum call_result result =
        CHANNEL_CALL(left.channel, &a, clock_after(5), room_wanted, &request, submitted, &answer);

    cr_expect_eq(result, CALL_OK);
    cr_expect(span_eq(answer.id, SPAN("ID")));
    steps(3); /* what the other side queued has gone */
    cr_expect_eq(open_fds(), before);
    arena_fini(&a);
}

Test(channel, dispatches_by_the_table_only_what_is_in_it)
{
    static const struct message_handler table[] = {{NEWS, got_frame}, {0, NULL}};
    struct frame known = {.type = NEWS, .body = SPAN_INIT("x")}, unknown = {.type = ASK};
    struct side s = {0};

    cr_expect(channel_dispatch(table, left.channel, &known, &s));
    cr_expect(!channel_dispatch(table, left.channel, &unknown, &s));

    cr_expect_eq(s.frames, 1);
    buf_fini(&s.heard);
}
