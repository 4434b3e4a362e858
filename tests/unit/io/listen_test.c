#include "lib/io/listen.h"
#include "lib/base/buf.h"
#include "lib/io/addr.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <unistd.h>

struct fixture {
    struct loop *loop;
    int fd;
    unsigned port;
    struct listener *listener;
    int taken, troubles, last_error;
    bool pauses, frees;
};

static void take(struct listener *ls, int fd, const struct sockaddr_storage *peer, socklen_t len, void *context)
{
    struct fixture *f = context;
    struct addr a = addr_of(peer, len);
    cr_expect_eq(addr_family(&a), AF_INET);
    cr_expect_gt(addr_port(&a), 0U);
    close(fd);
    f->taken++;
    if (f->pauses)
        listener_pause(ls);
    if (f->frees)
        listener_free(&f->listener);
}

static void trouble(struct listener *ls, int error, void *context)
{
    struct fixture *f = context;
    (void)ls;
    f->troubles++;
    f->last_error = error;
}

static void fixture_init(struct fixture *f)
{
    struct addr a;
    *f = (struct fixture){.loop = loop_new(), .fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    cr_assert(addr_parse(SPAN("127.0.0.1"), 0, &a));
    cr_assert_eq(bind(f->fd, (struct sockaddr *)&a.sa, a.len), 0);
    cr_assert_eq(listen(f->fd, 128), 0);
    a = addr_of_self(f->fd);
    f->port = addr_port(&a);
    f->listener = listener_new(f->loop, f->fd, take, trouble, f);
    cr_assert_not_null(f->listener);
}

static void fixture_end(struct fixture *f)
{
    listener_free(&f->listener);
    close(f->fd);
    loop_free(&f->loop);
}

static void connect_many(const struct fixture *f, int n)
{
    struct addr a;
    cr_assert(addr_parse(SPAN("127.0.0.1"), f->port, &a));
    for (int i = 0; i < n; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        cr_assert_eq(connect(fd, (struct sockaddr *)&a.sa, a.len), 0);
    }
}

Test(listener, takes_a_batch_in_a_step_and_the_rest_later)
{
    struct fixture f;
    fixture_init(&f);
    connect_many(&f, LISTEN_BATCH + 1);

    loop_step(f.loop, clock_after(5));
    cr_expect_eq(f.taken, LISTEN_BATCH);
    loop_step(f.loop, clock_after(5));
    cr_expect_eq(f.taken, LISTEN_BATCH + 1);

    fixture_end(&f);
}

Test(listener, can_be_paused_from_its_callback_and_resumed)
{
    struct fixture f;
    fixture_init(&f);
    f.pauses = true;
    connect_many(&f, 2);

    loop_step(f.loop, clock_after(5));
    loop_step(f.loop, clock_after_ms(5));
    cr_expect_eq(f.taken, 1);
    listener_resume(f.listener);
    loop_step(f.loop, clock_after(5));
    cr_expect_eq(f.taken, 2);

    fixture_end(&f);
}

Test(listener, can_be_freed_from_its_callback)
{
    struct fixture f;
    fixture_init(&f);
    f.frees = true;
    connect_many(&f, 2);

    loop_step(f.loop, clock_after(5));

    cr_expect_eq(f.taken, 1);
    cr_expect_null(f.listener);
    fixture_end(&f);
}

Test(listener, rests_for_a_second_where_no_descriptor_is_left)
{
    struct fixture f;
    fixture_init(&f);
    connect_many(&f, 1);
    struct rlimit before, none;
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    none.rlim_cur = 3;
    setrlimit(RLIMIT_NOFILE, &none);
    mono_ms began = clock_mono();

    for (int i = 0; i < 3; i++)
        loop_step(f.loop, began + 100);
    cr_expect_eq(f.troubles, 1, "it does not spin: %d", f.troubles);
    cr_expect_eq(f.last_error, EMFILE);
    listener_pause(f.listener);
    listener_resume(f.listener); /* does not shorten the rest */
    loop_step(f.loop, began + 100);
    cr_expect_eq(f.troubles, 1);
    setrlimit(RLIMIT_NOFILE, &before);
    while (f.taken == 0 && clock_mono() < began + 5000)
        loop_step(f.loop, began + 5000);

    cr_expect_eq(f.taken, 1);
    cr_expect_geq(clock_mono() - began, LISTEN_BACKOFF_MS);
    fixture_end(&f);
}
