#include "lib/base/buf.h"
#include "lib/io/loop.h"
#include "lib/io/wait.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

struct fixture {
    struct loop *loop;
    struct buf seen; /* one letter for each callback */
    struct watch *watches[2];
    struct deferred deferred[8];
    int runs;
};

struct letter {
    struct fixture *f;
    char letter;
};

static void socket_pair(int fds[2])
{
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

static void send_byte(int fd)
{
    cr_assert_eq(write(fd, "x", 1), 1);
}

static void note_timer(struct timer *t, void *context)
{
    struct letter *at = context;
    (void)t;
    buf_putc(&at->f->seen, at->letter);
}

static void note_deferred(struct deferred *d, void *context)
{
    struct fixture *f = context;
    buf_putc(&f->seen, (char)('a' + (d - f->deferred)));
}

static void note_event(struct watch *w, unsigned events, void *context)
{
    struct fixture *f = context;
    buf_printf(&f->seen, "%c%u", w == f->watches[0] ? 'A' : 'B', events);
}

static void end_both_watches(struct watch *w, unsigned events, void *context)
{
    struct fixture *f = context;
    note_event(w, events, f);
    loop_unwatch(&f->watches[0]);
    loop_unwatch(&f->watches[1]);
}

/* --- timers ------------------------------------------------------------------ */

Test(loop, runs_timers_in_the_order_of_their_moments)
{
    struct fixture f = {.loop = loop_new()};
    struct letter letters[] = {{&f, 'c'}, {&f, 'a'}, {&f, 'b'}, {&f, 'x'}};
    struct timer timers[4] = {0};
    mono_ms now = clock_mono();
    const int after_ms[] = {30, 10, 20, 15};
    for (int i = 0; i < 4; i++)
        timer_set(f.loop, &timers[i], now + after_ms[i], note_timer, &letters[i]);
    timer_stop(&timers[3]);

    while (f.seen.len < 3)
        loop_step(f.loop, MONO_NEVER);

    cr_expect_str_eq(buf_text(&f.seen), "abc");
    cr_expect_geq(clock_mono() - now, 30);
    cr_expect_not(timer_is_set(&timers[0]));
    buf_fini(&f.seen);
    loop_free(&f.loop);
}

Test(loop, moves_a_timer_that_is_set_again)
{
    struct fixture f = {.loop = loop_new()};
    struct letter letters[] = {{&f, 'a'}, {&f, 'b'}};
    struct timer timers[2] = {0};
    mono_ms now = clock_mono();
    timer_set(f.loop, &timers[0], now + 1, note_timer, &letters[0]);
    timer_set(f.loop, &timers[1], now + 10, note_timer, &letters[1]);
    timer_set(f.loop, &timers[0], now + 20, note_timer, &letters[0]);

    while (f.seen.len < 2)
        loop_step(f.loop, MONO_NEVER);

    cr_expect_str_eq(buf_text(&f.seen), "ba");
    buf_fini(&f.seen);
    loop_free(&f.loop);
}

static void set_again_at_once(struct timer *t, void *context)
{
    struct fixture *f = context;
    f->runs++;
    timer_set(f->loop, t, loop_now(f->loop), set_again_at_once, f);
}

Test(loop, runs_a_timer_once_a_step_where_it_sets_itself_to_now)
{
    struct fixture f = {.loop = loop_new()};
    struct timer timer = {0};
    timer_set(f.loop, &timer, clock_mono(), set_again_at_once, &f);

    loop_step(f.loop, MONO_NEVER);
    loop_step(f.loop, MONO_NEVER);

    cr_expect_eq(f.runs, 2);
    timer_stop(&timer);
    timer_stop(&timer);
    loop_free(&f.loop);
}

Test(loop, step_returns_at_its_deadline_and_never_before)
{
    struct loop *l = loop_new();
    mono_ms deadline = clock_after_ms(20);

    while (clock_mono() < deadline)
        loop_step(l, deadline);

    cr_expect_geq(loop_now(l), deadline);
    cr_expect_lt(clock_mono() - deadline, 500);
    loop_free(&l);
}

/* --- deferred work ------------------------------------------------------------- */

static void defer_lower_and_higher(struct deferred *d, void *context)
{
    struct fixture *f = context;
    note_deferred(d, f);
    loop_defer(f->loop, &f->deferred[5]);
    loop_defer(f->loop, &f->deferred[4]);
}

Test(loop, runs_deferred_work_by_rank_also_what_is_queued_meanwhile)
{
    struct fixture f = {.loop = loop_new()};
    const int ranks[] = {LOOP_RANK_LOG, LOOP_RANK_COMMIT, LOOP_RANK_COMMIT, LOOP_RANK_SEND, LOOP_RANK_RESUME,
                         LOOP_RANK_LOG, LOOP_RANK_RESUME};
    for (int i = 0; i < 7; i++)
        f.deferred[i] = (struct deferred){.fn = note_deferred, .context = &f, .rank = ranks[i]};
    f.deferred[1].fn = defer_lower_and_higher;
    for (int i = 0; i < 4; i++)
        loop_defer(f.loop, &f.deferred[i]);
    loop_defer(f.loop, &f.deferred[0]); /* twice is once */
    loop_defer(f.loop, &f.deferred[6]);
    loop_undefer(&f.deferred[6]);
    loop_undefer(&f.deferred[6]);

    loop_step(f.loop, MONO_NEVER);

    cr_expect_str_eq(buf_text(&f.seen), "becdaf");
    buf_fini(&f.seen);
    loop_free(&f.loop);
}

static void defer_self(struct deferred *d, void *context)
{
    struct fixture *f = context;
    f->runs++;
    loop_defer(f->loop, d);
}

Test(loop, ends_a_step_after_the_limit_of_deferred_work)
{
    struct fixture f = {.loop = loop_new()};
    f.deferred[0] = (struct deferred){.fn = defer_self, .context = &f};
    loop_defer(f.loop, &f.deferred[0]);

    loop_step(f.loop, MONO_NEVER);
    int first = f.runs;
    loop_step(f.loop, MONO_NEVER);

    cr_expect_eq(first, LOOP_DEFERRED_MAX);
    cr_expect_eq(f.runs, 2 * LOOP_DEFERRED_MAX);
    loop_free(&f.loop);
    cr_expect_null(f.deferred[0].node.next);
}

/* --- watches ------------------------------------------------------------------- */

Test(loop, reports_an_edge_once_and_a_level_each_step)
{
    struct fixture f = {.loop = loop_new()};
    int edge[2], level[2];
    socket_pair(edge);
    socket_pair(level);
    f.watches[0] = loop_watch(f.loop, edge[0], LOOP_READ, note_event, &f);
    f.watches[1] = loop_watch_level(f.loop, level[0], LOOP_READ, note_event, &f);
    send_byte(edge[1]);
    send_byte(level[1]);

    loop_step(f.loop, MONO_NEVER);
    loop_step(f.loop, MONO_NEVER);
    watch_set_events(f.watches[1], 0);
    loop_step(f.loop, 0);
    watch_set_events(f.watches[1], LOOP_READ);
    loop_step(f.loop, 0);

    cr_expect(strcmp(buf_text(&f.seen), "A1B1B1B1") == 0 || strcmp(buf_text(&f.seen), "B1A1B1B1") == 0,
              "seen: %s", buf_text(&f.seen));
    loop_unwatch(&f.watches[0]);
    loop_unwatch(&f.watches[1]);
    buf_fini(&f.seen);
    loop_free(&f.loop);
}

Test(loop, says_that_the_peer_hung_up)
{
    struct fixture f = {.loop = loop_new()};
    int fds[2];
    socket_pair(fds);
    f.watches[0] = loop_watch(f.loop, fds[0], LOOP_READ | LOOP_WRITE, note_event, &f);
    loop_step(f.loop, 0);
    shutdown(fds[1], SHUT_WR);

    loop_step(f.loop, 0);

    cr_expect_str_eq(buf_text(&f.seen), "A2A7"); /* READ, HANGUP, and the WRITE that still holds */
    loop_unwatch(&f.watches[0]);
    buf_fini(&f.seen);
    loop_free(&f.loop);
}

Test(loop, paused_watch_is_silent_also_when_the_peer_is_gone)
{
    struct fixture f = {.loop = loop_new()};
    int fds[2];
    socket_pair(fds);
    f.watches[0] = loop_watch_level(f.loop, fds[0], LOOP_READ, note_event, &f);
    watch_set_events(f.watches[0], 0);
    close(fds[1]);

    loop_step(f.loop, 0);

    cr_expect_eq(f.seen.len, 0);
    loop_unwatch(&f.watches[0]);
    loop_free(&f.loop);
}

Test(loop, exclusive_watch_can_be_paused_and_resumed)
{
    struct fixture f = {.loop = loop_new()};
    int fds[2];
    socket_pair(fds);
    f.watches[0] = loop_watch_level(f.loop, fds[0], LOOP_READ | LOOP_EXCLUSIVE, note_event, &f);
    send_byte(fds[1]);

    loop_step(f.loop, 0);
    watch_set_events(f.watches[0], 0);
    loop_step(f.loop, 0);
    watch_set_events(f.watches[0], LOOP_READ | LOOP_EXCLUSIVE);
    loop_step(f.loop, 0);

    cr_expect_str_eq(buf_text(&f.seen), "A1A1");
    loop_unwatch(&f.watches[0]);
    buf_fini(&f.seen);
    loop_free(&f.loop);
}

Test(loop, never_calls_a_watch_that_ended_while_its_event_was_fetched)
{
    struct fixture f = {.loop = loop_new()};
    int a[2], b[2];
    socket_pair(a);
    socket_pair(b);
    f.watches[0] = loop_watch_level(f.loop, a[0], LOOP_READ, end_both_watches, &f);
    f.watches[1] = loop_watch_level(f.loop, b[0], LOOP_READ, end_both_watches, &f);
    send_byte(a[1]);
    send_byte(b[1]);

    loop_step(f.loop, MONO_NEVER);
    loop_step(f.loop, 0);

    cr_expect_eq(f.seen.len, 2, "one callback, not two: %s", buf_text(&f.seen));
    buf_fini(&f.seen);
    loop_free(&f.loop);
}

static void step_inside(struct watch *w, unsigned events, void *context)
{
    struct fixture *f = context;
    note_event(w, events, f);
    if (f->runs++ == 0)
        loop_step(f->loop, clock_after(5));
}

Test(loop, inner_step_handles_what_the_outer_one_fetched)
{
    struct fixture f = {.loop = loop_new()};
    int a[2], b[2];
    socket_pair(a);
    socket_pair(b);
    f.watches[0] = loop_watch(f.loop, a[0], LOOP_READ, step_inside, &f);
    f.watches[1] = loop_watch(f.loop, b[0], LOOP_READ, step_inside, &f);
    send_byte(a[1]);
    send_byte(b[1]);
    mono_ms began = clock_mono();

    loop_step(f.loop, MONO_NEVER);

    cr_expect_eq(f.runs, 2);
    cr_expect_lt(clock_mono() - began, 2000, "an edge of the outer step was lost to the inner one");
    loop_unwatch(&f.watches[0]);
    loop_unwatch(&f.watches[1]);
    buf_fini(&f.seen);
    loop_free(&f.loop);
}

Test(loop, refuses_to_watch_a_regular_file)
{
    struct loop *l = loop_new();
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    struct watch *w = loop_watch(l, fd, LOOP_READ, note_event, NULL);

    cr_expect_null(w);
    cr_expect_eq(errno, EPERM);
    loop_free(&l);
}

static void unwatch_after_close(void)
{
    struct loop *l = loop_new();
    int fds[2];
    socket_pair(fds);
    struct watch *w = loop_watch(l, fds[0], LOOP_READ, note_event, NULL);
    close(fds[0]);
    loop_unwatch(&w);
}

Test(loop, closing_before_unwatching_is_a_bug, .signal = SIGABRT)
{
    unwatch_after_close();
}

/* --- the rest -------------------------------------------------------------------- */

static void note_signal(int signo, void *context)
{
    struct fixture *f = context;
    buf_printf(&f->seen, "%d ", signo);
}

Test(loop, reads_signals_as_events)
{
    struct fixture f = {.loop = loop_new()};
    loop_on_signal(f.loop, SIGUSR1, note_signal, &f);
    loop_on_signal(f.loop, SIGTERM, note_signal, &f);
    raise(SIGUSR1);
    raise(SIGTERM);

    loop_step(f.loop, clock_after(5));

    char want[32];
    snprintf(want, sizeof want, "%d %d ", SIGUSR1, SIGTERM);
    cr_expect_str_eq(buf_text(&f.seen), want);
    buf_fini(&f.seen);
    loop_free(&f.loop);
}

static void stop_loop(struct timer *t, void *context)
{
    (void)t;
    loop_stop(context);
}

Test(loop, runs_until_it_is_stopped)
{
    struct loop *l = loop_new();
    struct timer timer = {0};
    timer_set(l, &timer, clock_after_ms(5), stop_loop, l);

    loop_run(l);

    cr_expect_not(timer_is_set(&timer));
    loop_stop(l);
    loop_run(l); /* a stop from before is heeded */
    loop_free(&l);
}

static void dawdle(struct deferred *d, void *context)
{
    (void)d, (void)context;
    usleep(20000);
}

Test(loop, tells_its_longest_step_once)
{
    struct loop *l = loop_new();
    struct deferred d = {.fn = dawdle};
    loop_defer(l, &d);

    loop_step(l, 0);

    cr_expect_geq(loop_take_lag_ms(l), 15);
    cr_expect_eq(loop_take_lag_ms(l), 0);
    loop_free(&l);
}

/* --- the blocking waits over it ------------------------------------------------ */

static void set_note(struct timer *t, void *context)
{
    (void)t;
    note_set(context);
}

Test(wait_blocking, waits_for_a_note_by_running_the_loop)
{
    struct loop *l = loop_new();
    struct timer timer = {0};
    struct note note = {0};
    timer_set(l, &timer, clock_after_ms(10), set_note, &note);

    cr_expect_eq(wait_note(l, &note, clock_after(5)), WAIT_OK);
    cr_expect_eq(wait_note(l, &note, 0), WAIT_OK, "a note that is set needs no time");

    loop_free(&l);
}

Test(wait_blocking, gives_up_at_the_deadline)
{
    struct loop *l = loop_new();
    struct note note = {0};
    int fds[2];
    socket_pair(fds);
    mono_ms began = clock_mono();

    cr_expect_eq(wait_note(l, &note, began + 10), WAIT_TIMEOUT);
    cr_expect_eq(wait_readable(fds[0], began + 20), WAIT_TIMEOUT);
    cr_expect_geq(clock_mono(), began + 20);
    cr_expect_eq(wait_writable(fds[0], 0), WAIT_OK);
    cr_expect_eq(wait_until(clock_mono() + 10), WAIT_OK);
    cr_expect_geq(clock_mono(), began + 30);
    send_byte(fds[1]);
    cr_expect_eq(wait_readable(fds[0], MONO_NEVER), WAIT_OK);
    cr_expect_eq(wait_readable(fds[0], 0), WAIT_OK, "what is there is there, also after the deadline");

    loop_free(&l);
}
