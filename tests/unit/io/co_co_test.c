#include "lib/io/co.h"
#include "lib/base/buf.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MANY = 10000 };

static void run_until_none(struct loop *l)
{
    mono_ms deadline = clock_after(30);
    while (co_count() > 0 && clock_mono() < deadline)
        loop_step(l, deadline);
    cr_assert_eq(co_count(), 0U);
}

static void end_loop(struct loop **l)
{
    co_release();
    loop_free(l);
}

/* What a coroutine of these tests is given. */
struct actor {
    struct loop *loop;
    struct buf *seen;
    char letter;
    mono_ms moment;
    int fd;
    struct note *note;
    uint64_t id, other;
    enum wait_result result, again;
};

/* --- running ----------------------------------------------------------------- */

static void say_letter_three_times(void *argument)
{
    struct actor *a = argument;
    for (int i = 0; i < 3; i++) {
        buf_putc(a->seen, a->letter);
        wait_yield();
    }
}

Test(co, take_turns_in_the_order_of_their_start)
{
    struct loop *l = loop_new();
    struct buf seen = BUF_INIT;
    struct actor actors[] = {{.seen = &seen, .letter = 'a'}, {.seen = &seen, .letter = 'b'}};

    for (int i = 0; i < 2; i++)
        cr_assert_not_null(co_spawn(l, "actor", say_letter_three_times, &actors[i]));
    cr_expect_eq(seen.len, 0, "nothing runs inside co_spawn()");
    run_until_none(l);

    cr_expect_str_eq(buf_text(&seen), "ababab");
    buf_fini(&seen);
    end_loop(&l);
}

static void note_letter_at_moment(void *argument)
{
    struct actor *a = argument;
    a->result = wait_until(a->moment);
    if (clock_mono() < a->moment)
        a->result = WAIT_CANCELLED;
    buf_putc(a->seen, a->letter);
}

Test(co, wakes_in_the_order_of_deadlines_and_never_early)
{
    struct loop *l = loop_new();
    struct buf seen = BUF_INIT;
    struct actor actors[5];
    const int after_ms[] = {40, 10, 30, 20, 0};
    mono_ms now = clock_mono();
    for (int i = 0; i < 5; i++) {
        actors[i] = (struct actor){.seen = &seen, .letter = (char)('a' + i), .moment = now + after_ms[i]};
        co_spawn(l, "actor", note_letter_at_moment, &actors[i]);
    }

    run_until_none(l);

    cr_expect_str_eq(buf_text(&seen), "ebdca");
    for (int i = 0; i < 5; i++)
        cr_expect_eq(actors[i].result, WAIT_OK);
    buf_fini(&seen);
    end_loop(&l);
}

static void keep_registers(void *argument)
{
    struct actor *a = argument;
    double half = 0.5;
    long sum = 0;
    for (int i = 0; i < 1000; i++) {
        half = half * 1.0001 + a->letter;
        sum += i ^ a->letter;
        wait_yield();
    }
    long want = 0;
    double want_half = 0.5;
    for (int i = 0; i < 1000; i++) {
        want += i ^ a->letter;
        want_half = want_half * 1.0001 + a->letter;
    }
    a->result = sum == want && half > want_half - 1e-6 && half < want_half + 1e-6 ? WAIT_OK : WAIT_TIMEOUT;
}

Test(co, keeps_its_registers_over_waits)
{
    struct loop *l = loop_new();
    struct actor actors[3] = {{.letter = 1}, {.letter = 2}, {.letter = 3}};
    for (int i = 0; i < 3; i++) {
        actors[i].result = WAIT_TIMEOUT;
        co_spawn(l, "actor", keep_registers, &actors[i]);
    }

    run_until_none(l);

    for (int i = 0; i < 3; i++)
        cr_expect_eq(actors[i].result, WAIT_OK);
    end_loop(&l);
}

static void remember_self(void *argument)
{
    struct actor *a = argument;
    a->id = co_id(co_self());
    if (a->note)
        a->result = wait_note(a->loop, a->note, MONO_NEVER);
}

Test(co, has_an_id_that_is_never_used_again)
{
    struct loop *l = loop_new();
    struct actor first = {.id = 0}, second = {.id = 0};

    co_spawn(l, "first", remember_self, &first);
    run_until_none(l);
    co_spawn(l, "second", remember_self, &second);
    run_until_none(l);

    cr_expect_neq(first.id, 0U);
    cr_expect_neq(first.id, second.id);
    cr_expect_null(co_self());
    cr_expect_eq(co_id(NULL), 0U);
    end_loop(&l);
}

static void spawn_another(void *argument)
{
    struct actor *a = argument;
    co_spawn(a->loop, "child", say_letter_three_times, a);
    buf_putc(a->seen, '(');
}

Test(co, may_start_another)
{
    struct loop *l = loop_new();
    struct buf seen = BUF_INIT;
    struct actor a = {.loop = l, .seen = &seen, .letter = 'x'};

    co_spawn(l, "parent", spawn_another, &a);
    run_until_none(l);

    cr_expect_str_eq(buf_text(&seen), "(xxx");
    buf_fini(&seen);
    end_loop(&l);
}

/* --- notes ------------------------------------------------------------------- */

static void wait_for_note(void *argument)
{
    struct actor *a = argument;
    a->result = wait_note(a->loop, a->note, a->moment);
    a->again = wait_note(a->loop, a->note, a->moment);
}

static void set_note(void *argument)
{
    struct actor *a = argument;
    note_set(a->note);
    note_set(a->note); /* twice is once */
}

Test(co, wakes_by_a_note_and_passes_by_one_that_is_set)
{
    struct loop *l = loop_new();
    struct note note = {0};
    struct actor waiter = {.loop = l, .note = &note, .moment = MONO_NEVER, .result = WAIT_TIMEOUT};

    co_spawn(l, "waiter", wait_for_note, &waiter);
    loop_step(l, 0);
    cr_expect_eq(co_count(), 1U);
    co_spawn(l, "setter", set_note, &waiter);
    run_until_none(l);

    cr_expect_eq(waiter.result, WAIT_OK);
    cr_expect_eq(waiter.again, WAIT_OK);
    cr_expect_null(note.waiter);
    end_loop(&l);
}

Test(co, gives_up_a_note_at_the_deadline)
{
    struct loop *l = loop_new();
    struct note note = {0};
    struct actor waiter = {.loop = l, .note = &note, .moment = clock_after_ms(10)};

    co_spawn(l, "waiter", wait_for_note, &waiter);
    run_until_none(l);

    cr_expect_eq(waiter.result, WAIT_TIMEOUT);
    cr_expect_eq(waiter.again, WAIT_TIMEOUT, "a deadline that has passed");
    cr_expect_geq(clock_mono(), waiter.moment);
    cr_expect_null(note.waiter);
    note_set(&note); /* nobody waits any more */
    end_loop(&l);
}

static void wait_long_then_short(void *argument)
{
    struct actor *a = argument;
    struct note note = {0};
    (void)wait_note(a->loop, &note, clock_after_ms(10));
    a->moment = clock_after_ms(20);
    a->result = wait_note(a->loop, &note, clock_after(60));
}

static void cancel_at_moment(struct timer *t, void *context)
{
    (void)t;
    co_cancel(((struct actor *)context)->id);
}

Test(co, does_not_take_the_timer_of_a_former_wait_for_its_own)
{
    struct loop *l = loop_new();
    struct actor a = {.loop = l, .result = WAIT_OK};
    struct timer timer = {0};
    a.id = co_id(co_spawn(l, "actor", wait_long_then_short, &a));
    timer_set(l, &timer, clock_after_ms(50), cancel_at_moment, &a);

    run_until_none(l);

    cr_expect_eq(a.result, WAIT_CANCELLED, "it waited on until it was cancelled");
    end_loop(&l);
}

/* --- descriptors ------------------------------------------------------------- */

static void read_byte(void *argument)
{
    struct actor *a = argument;
    char byte;
    while (read(a->fd, &byte, 1) < 0) {
        a->result = wait_readable(a->fd, a->moment);
        if (a->result != WAIT_OK)
            return;
    }
    buf_putc(a->seen, byte);
}

Test(co, ten_thousand_park_and_wake)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    int pairs = limit.rlim_cur > 2 * MANY + 100 ? MANY : 400; /* the rest waits for notes */
    struct loop *l = loop_new();
    struct buf seen = BUF_INIT;
    struct actor *actors = calloc(MANY, sizeof *actors);
    struct note *notes = calloc(MANY, sizeof *notes);
    int(*fds)[2] = calloc((size_t)pairs, sizeof *fds);

    for (int i = 0; i < MANY; i++) {
        actors[i] = (struct actor){.loop = l, .seen = &seen, .note = &notes[i], .moment = clock_after(300)};
        if (i < pairs) {
            cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds[i]), 0);
            actors[i].fd = fds[i][0];
        }
        cr_assert_not_null(co_spawn(l, "actor", i < pairs ? read_byte : wait_for_note, &actors[i]), "%d: errno %d", i,
                           errno);
    }
    for (int step = 0; step < 100; step++)
        loop_step(l, 0);
    cr_expect_eq(co_count(), (size_t)MANY);
    for (int i = 0; i < MANY; i++) {
        if (i < pairs)
            cr_assert_eq(write(fds[i][1], "x", 1), 1);
        else
            note_set(&notes[i]);
    }
    run_until_none(l);

    cr_expect_eq(seen.len, (size_t)pairs);
    for (int i = 0; i < MANY; i++)
        cr_assert_eq(actors[i].result, WAIT_OK);
    for (int i = 0; i < pairs; i++) {
        wait_forget(fds[i][0]);
        close(fds[i][0]);
        close(fds[i][1]);
    }
    free(actors);
    free(notes);
    free(fds);
    buf_fini(&seen);
    end_loop(&l);
}

Test(co, a_descriptor_number_can_be_used_again)
{
    struct loop *l = loop_new();
    struct buf seen = BUF_INIT;
    for (int round = 0; round < 3; round++) {
        int fds[2];
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
        struct actor a = {.seen = &seen, .fd = fds[0], .moment = clock_after(5)};

        co_spawn(l, "actor", read_byte, &a);
        loop_step(l, 0);
        cr_assert_eq(write(fds[1], "x", 1), 1);
        run_until_none(l);

        wait_forget(fds[0]);
        wait_forget(fds[0]); /* harmless */
        close(fds[0]);
        close(fds[1]);
    }

    cr_expect_str_eq(buf_text(&seen), "xxx");
    buf_fini(&seen);
    end_loop(&l);
}

Test(co, gives_up_a_descriptor_at_the_deadline)
{
    struct loop *l = loop_new();
    struct buf seen = BUF_INIT;
    int fds[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    struct actor a = {.seen = &seen, .fd = fds[0], .moment = clock_after_ms(20)};

    co_spawn(l, "actor", read_byte, &a);
    run_until_none(l);

    cr_expect_eq(a.result, WAIT_TIMEOUT);
    cr_expect_geq(clock_mono(), a.moment);
    wait_forget(fds[0]);
    end_loop(&l);
}

/* --- cancellation -------------------------------------------------------------- */

static void wait_twice(void *argument)
{
    struct actor *a = argument;
    struct note note = {0};
    a->result = wait_note(a->loop, &note, MONO_NEVER);
    a->again = wait_until(clock_after(60));
    note_set(&note);
    if (wait_note(a->loop, &note, MONO_NEVER) != WAIT_CANCELLED || wait_readable(a->fd, MONO_NEVER) != WAIT_CANCELLED)
        a->again = WAIT_OK;
}

Test(co, is_cancelled_at_its_wait_and_at_all_later_ones)
{
    struct loop *l = loop_new();
    int fds[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    struct actor a = {.loop = l, .fd = fds[0]};
    uint64_t id = co_id(co_spawn(l, "actor", wait_twice, &a));
    loop_step(l, 0);

    co_cancel(id);
    co_cancel(id);
    run_until_none(l);
    co_cancel(id); /* it has ended */

    cr_expect_eq(a.result, WAIT_CANCELLED);
    cr_expect_eq(a.again, WAIT_CANCELLED);
    wait_forget(fds[0]);
    end_loop(&l);
}

static void wait_firmly_then_not(void *argument)
{
    struct actor *a = argument;
    struct note never = {0};
    a->result = wait_note_firm(a->loop, a->note, a->moment);
    a->again = wait_note(a->loop, &never, clock_after(10));
}

Test(co, a_firm_wait_outlasts_a_cancellation_and_the_next_wait_ends)
{
    struct loop *l = loop_new();
    struct note note = {0};
    struct actor a = {.loop = l, .note = &note, .moment = clock_after(10)};
    uint64_t id = co_id(co_spawn(l, "actor", wait_firmly_then_not, &a));
    loop_step(l, 0);

    co_cancel(id);
    loop_step(l, 0);
    cr_expect_eq(co_count(), 1U, "it waits on");
    note_set(&note);
    run_until_none(l);

    cr_expect_eq(a.result, WAIT_OK);
    cr_expect_eq(a.again, WAIT_CANCELLED);
    end_loop(&l);
}

Test(co, a_firm_wait_begins_after_a_cancellation_too_and_ends_at_its_deadline)
{
    struct loop *l = loop_new();
    struct note note = {0};
    struct actor a = {.loop = l, .note = &note, .moment = clock_after_ms(20)};
    co_cancel(co_id(co_spawn(l, "actor", wait_firmly_then_not, &a)));

    run_until_none(l);

    cr_expect_eq(a.result, WAIT_TIMEOUT);
    cr_expect_eq(a.again, WAIT_CANCELLED);
    end_loop(&l);
}

Test(co, is_cancelled_before_its_first_turn)
{
    struct loop *l = loop_new();
    int fds[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    struct actor actors[2] = {{.loop = l, .fd = fds[0]}, {.loop = l, .fd = fds[0]}};
    for (int i = 0; i < 2; i++)
        co_spawn(l, "actor", wait_twice, &actors[i]);

    co_cancel_all();
    run_until_none(l);

    cr_expect_eq(actors[0].result, WAIT_CANCELLED);
    cr_expect_eq(actors[1].again, WAIT_CANCELLED);
    wait_forget(fds[0]);
    end_loop(&l);
}

Test(co, an_old_id_does_not_cancel_who_came_after)
{
    struct loop *l = loop_new();
    struct note note = {0};
    struct actor first = {0}, second = {.loop = l, .note = &note};
    co_spawn(l, "first", remember_self, &first);
    run_until_none(l);
    co_spawn(l, "second", remember_self, &second); /* on the same stack, in the same slot */
    loop_step(l, 0);

    co_cancel(first.id);
    note_set(&note);
    run_until_none(l);

    cr_expect_eq(second.result, WAIT_OK);
    end_loop(&l);
}

static void cancel_other(void *argument)
{
    co_cancel(((struct actor *)argument)->other);
}

Test(co, may_cancel_another)
{
    struct loop *l = loop_new();
    struct actor victim = {.loop = l}, killer = {0};
    int fds[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    victim.fd = fds[0];
    killer.other = co_id(co_spawn(l, "victim", wait_twice, &victim));
    co_spawn(l, "killer", cancel_other, &killer);

    run_until_none(l);

    cr_expect_eq(victim.result, WAIT_CANCELLED);
    wait_forget(fds[0]);
    end_loop(&l);
}

/* --- stacks ------------------------------------------------------------------ */

static __attribute__((noinline)) int descend(int depth)
{
    volatile char frame[4000];
    frame[0] = (char)depth;
    frame[3999] = depth > 0 ? (char)descend(depth - 1) : 0;
    return frame[0] + frame[3999];
}

static void descend_to(void *argument)
{
    struct actor *a = argument;
    a->id = (uint64_t)descend((int)a->moment);
    (void)wait_note(a->loop, a->note, MONO_NEVER);
}

Test(co, runs_into_its_guard, .signal = SIGSEGV)
{
    struct loop *l = loop_new();
    struct actor a = {.loop = l, .moment = 52}; /* deeper than the stack, not deeper than its guard */
    signal(SIGSEGV, SIG_DFL); /* a sanitizer's handler would have an exit code of its own */

    co_spawn(l, "actor", descend_to, &a);
    loop_step(l, 0);
}

static size_t resident_kib(void)
{
    char text[256] = "";
    FILE *f = fopen("/proc/self/statm", "r");
    unsigned long total = 0, resident = 0;
    cr_assert(f && fgets(text, sizeof text, f) && sscanf(text, "%lu %lu", &total, &resident) == 2);
    fclose(f);
    return resident * 4;
}

Test(co, gives_back_a_deep_stack_when_it_has_parked_for_long)
{
    enum { DEEP = 200 };
    struct loop *l = loop_new();
    static struct note note[DEEP];
    static struct actor actors[DEEP];
    for (int i = 0; i < DEEP; i++) {
        actors[i] = (struct actor){.loop = l, .note = &note[i], .moment = 30};
        co_spawn(l, "actor", descend_to, &actors[i]);
    }
    loop_step(l, 0);
    size_t before = resident_kib();

    for (mono_ms until = clock_after_ms(5600); clock_mono() < until;)
        loop_step(l, until);
    size_t after = resident_kib();
    for (int i = 0; i < DEEP; i++)
        note_set(&note[i]);
    run_until_none(l);

    if (co_stack_high_water() == 0) /* painted stacks are kept */
        cr_expect_gt(before, after + (size_t)DEEP * 100, "from %zu to %zu KiB", before, after);
    end_loop(&l);
}

Test(co, measures_its_stack_where_stacks_are_painted)
{
    struct loop *l = loop_new();
    struct note note = {.set = true};
    struct actor a = {.loop = l, .note = &note, .moment = 10};

    co_spawn(l, "actor", descend_to, &a);
    run_until_none(l);

#ifdef CO_PAINT
    cr_expect_gt(co_stack_high_water(), 40000U);
    cr_expect_lt(co_stack_high_water(), 80000U);
#else
    cr_expect_eq(co_stack_high_water(), 0U);
#endif
    end_loop(&l);
}

Test(co, says_so_where_no_stack_can_be_mapped)
{
    struct loop *l = loop_new();
    struct rlimit none = {.rlim_cur = 1 << 20, .rlim_max = RLIM_INFINITY};
#ifndef __SANITIZE_ADDRESS__ /* which needs all the address space itself */
    struct rlimit before;
    getrlimit(RLIMIT_AS, &before);
    none.rlim_max = before.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_AS, &none), 0);
    struct actor a = {.loop = l};

    struct co *c = co_spawn(l, "actor", wait_twice, &a);
    int error = errno;
    setrlimit(RLIMIT_AS, &before);

    cr_expect_null(c);
    cr_expect_eq(error, ENOMEM);
    cr_expect_eq(co_count(), 0U);
#endif
    (void)none;
    end_loop(&l);
}

/* --- looking on ---------------------------------------------------------------- */

static void put_line(uint64_t id, const char *name, const char *waiting_for, int64_t since_ms, void *context)
{
    buf_printf(context, "%s waits for %s;", name, waiting_for);
    cr_expect_neq(id, 0U);
    cr_expect_geq(since_ms, 0);
}

Test(co, lists_who_waits_for_what)
{
    struct loop *l = loop_new();
    struct buf lines = BUF_INIT;
    struct note note = {0};
    struct actor a = {.loop = l, .note = &note, .moment = MONO_NEVER}, b = {.moment = clock_after(60), .seen = &lines};
    co_spawn(l, "smtpd session", wait_for_note, &a);
    co_spawn(l, "timer", note_letter_at_moment, &b);
    loop_step(l, 0);

    co_each(put_line, &lines);

    cr_expect_str_eq(buf_text(&lines), "smtpd session waits for a message;timer waits for a moment;");
    co_cancel_all();
    run_until_none(l);
    buf_fini(&lines);
    end_loop(&l);
}

static void step_the_loop(void *argument)
{
    struct actor *a = argument;
    co_spawn(a->loop, "other", remember_self, a);
    loop_step(a->loop, 0);
}

Test(co, must_not_run_the_loop_itself, .signal = SIGABRT)
{
    struct loop *l = loop_new();
    struct actor a = {.loop = l};

    co_spawn(l, "actor", step_the_loop, &a);
    loop_step(l, 0);
}

Test(co, waits_only_on_a_coroutine, .signal = SIGABRT)
{
    (void)wait_until(clock_after(1));
}
