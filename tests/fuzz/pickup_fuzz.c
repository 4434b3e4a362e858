/* What any user of the system may hand to pickup. The first octet chooses: 0: a submission file as it is;
 * 1: an envelope, with a good header before it; 2: octets on the socket. */
#include "lib/base/check.h"
#include "lib/mail/address.h"
#include "lib/queue/drop.h"
#include "lib/wire/channel.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_envelope(const struct msg_drop *m)
{
    struct buf log = BUF_INIT;
    CHECK(address_is_clean(m->sender) && address_is_clean(m->full_name) && address_is_clean(m->envid));
    CHECK((m->recipients.n == 0) == ((m->flags & DROP_EXTRACT) != 0));
    for (size_t i = 0; i < m->recipients.n; i++) {
        CHECK(m->recipients.at[i].address.n > 0 && m->recipients.at[i].address.n <= DROP_ADDRESS_MAX);
        CHECK(address_is_clean(m->recipients.at[i].address));
    }
    msg_drop_log(&log, m);
    buf_fini(&log);
}

static void try_envelope(struct span octets)
{
    struct arena a = ARENA_INIT;
    struct msg_drop m, again;
    struct buf why = BUF_INIT, twin = BUF_INIT;
    if (drop_read_envelope(&a, octets, &m, &why) == DROP_OK) {
        check_envelope(&m);
        msg_drop_put(&twin, &m);
        CHECK(drop_read_envelope(&a, buf_span(&twin), &again, &why) == DROP_OK);
        CHECK(again.recipients.n == m.recipients.n && span_eq(again.sender, m.sender));
    } else {
        CHECK(why.len > 0);
    }
    arena_fini(&a);
    buf_fini(&why);
    buf_fini(&twin);
}

static void try_file(struct span octets)
{
    struct drop d;
    size_t envelope;
    if (drop_read_header(octets, octets.n, &envelope, &d) != DROP_OK)
        return;
    CHECK(d.text_at == DROP_HEADER + envelope && d.text_at + d.text_size == octets.n);
    try_envelope(span_slice(octets, DROP_HEADER, DROP_HEADER + envelope));
}

static void take_frame(struct channel *c, struct frame *f, void *context)
{
    struct arena a = ARENA_INIT;
    struct msg_drop_offer m;
    unsigned *frames = context;
    int fd = frame_take_fd(f, 0);
    CHECK(fd < 0); /* none were sent */
    ++*frames;
    (void)msg_drop_offer_get(&a, f->body, &m);
    if (f->type == MSG_drop_offer)
        channel_reply(c, f->id, MSG_drop_answer, SPAN_NONE, NULL, 0);
    arena_fini(&a);
}

static void try_socket(struct span octets)
{
    static const struct channel_handler handler = {take_frame, NULL};
    unsigned frames = 0;
    int fds[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    CHECK(write(fds[1], octets.p, octets.n) == (ssize_t)octets.n || octets.n == 0);
    CHECK(shutdown(fds[1], SHUT_WR) == 0);
    struct loop *l = loop_new();
    struct channel *c = channel_open(l, fds[0], "sendmail", &handler, &frames);
    for (int i = 0; i < 20 && !channel_is_closed(c); i++)
        loop_step(l, clock_mono());
    CHECK(channel_is_closed(c)); /* its other end has gone */
    CHECK(frames <= octets.n / 16);
    channel_close(&c);
    loop_free(&l);
    close(fds[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    /* A copy of exactly that size, so that a sanitizer sees a read beyond it. */
    char *exact = malloc(size);
    CHECK(exact != NULL);
    memcpy(exact, data, size);
    struct span octets = span_of(exact + 1, size - 1);
    if (exact[0] == 0)
        try_file(octets);
    else if (exact[0] == 1)
        try_envelope(octets);
    else
        try_socket(octets);
    free(exact);
    return 0;
}
