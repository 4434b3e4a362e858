/* A program without a test framework, to be run where only a cross compiler and an emulator are:
 * the switch keeps every register that it must, coroutines wait and wake, many of them, and one can
 * be cancelled. Prints one line; exit status 0 when all holds. With "abort" it dumps core while a
 * coroutine waits. */
#include "lib/base/check.h"
#include "lib/io/co.h"
#include "lib/io/conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MANY = 500, ROUNDS = 200 };

struct worker {
    int number;
    bool good;
};

struct result {
    unsigned long whole;
    double fraction;
};

/* More values alive over a wait than there are registers to be kept, of both kinds. */
static __attribute__((noinline)) struct result reckon(int number, bool waits)
{
    unsigned long a = (unsigned long)number, b = a + 1, c = a + 2, d = a + 3, e = a + 4, f = a + 5, g = a + 6, h = a + 7,
                  i = a + 8, j = a + 9, k = a + 10, m = a + 11;
    double p = number + 0.5, q = p + 1, r = p + 2, s = p + 3, t = p + 4, u = p + 5, v = p + 6, w = p + 7, x = p + 8,
           y = p + 9;
    for (int round = 0; round < ROUNDS; round++) {
        if (waits)
            wait_yield();
        a += m, b ^= a, c += b, d ^= c, e += d, f ^= e, g += f, h ^= g, i += h, j ^= i, k += j, m ^= k;
        p = p * 0.5 + y, q -= p, r = r * 0.5 + q, s -= r, t = t * 0.5 + s, u -= t, v = v * 0.5 + u, w -= v;
        x = x * 0.5 + w, y = (y - x) * 0.125;
    }
    return (struct result){a ^ b ^ c ^ d ^ e ^ f ^ g ^ h ^ i ^ j ^ k ^ m, p + q + r + s + t + u + v + w + x + y};
}

static void work(void *argument)
{
    struct worker *w = argument;
    struct result alone = reckon(w->number, false), among_others = reckon(w->number, true);
    w->good = alone.whole == among_others.whole && memcmp(&alone.fraction, &among_others.fraction, sizeof(double)) == 0;
}

static void greet(void *argument)
{
    struct conn *c = argument;
    struct span line;
    enum line_ending ending;
    conn_set_deadline(c, clock_after(20));
    while (conn_read_line(c, 100, &line, &ending) == CONN_OK)
        conn_printf(c, "250 %.*s %.3f\r\n", SPAN_ARG(line), 0.125);
    conn_close(&c);
}

static void wait_for_ever(void *argument)
{
    bool *cancelled = argument;
    *cancelled = wait_until(MONO_NEVER) == WAIT_CANCELLED;
}

static void run_until(struct loop *l, size_t alive)
{
    mono_ms deadline = clock_after(60);
    while (co_count() > alive) {
        CHECK(clock_mono() < deadline);
        loop_step(l, clock_after_ms(100));
    }
}

int main(int argc, char **argv)
{
    static struct worker workers[MANY];
    struct loop *l = loop_new();
    bool cancelled = false;
    int fds[2];
    char heard[64] = "";

    for (int i = 0; i < MANY; i++) {
        workers[i] = (struct worker){.number = i};
        CHECK(co_spawn(l, "worker", work, &workers[i]) != NULL);
    }
    run_until(l, 0);
    for (int i = 0; i < MANY; i++)
        CHECK(workers[i].good);

    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    uint64_t id = co_id(co_spawn(l, "waiter", wait_for_ever, &cancelled));
    co_spawn(l, "greeter", greet, conn_new(fds[0]));
    loop_step(l, 0);
    CHECK(write(fds[1], "one\r\n", 5) == 5 && shutdown(fds[1], SHUT_WR) == 0);
    run_until(l, 1);
    if (argc > 1 && strcmp(argv[1], "abort") == 0)
        abort(); /* a core file for gdb */
    CHECK(read(fds[1], heard, sizeof heard - 1) > 0 && strcmp(heard, "250 one 0.125\r\n") == 0);
    co_cancel(id);
    run_until(l, 0);
    CHECK(cancelled);

    co_release();
    loop_free(&l);
    close(fds[1]);
    puts("switch: all registers kept, 500 coroutines, descriptors, cancellation");
    return 0;
}
