/* links: smtp */
/* What a server says to the client: pieces of input, separated by octets 255, one for each time that the client
 * has to wait. Every recipient must get a verdict or be left for the next server, and "sent" only where the
 * whole message went out and a reply of class 2 came behind it. */
#include "lib/base/check.h"
#include "lib/io/transport.h"
#include "lib/param/param.h"
#include "smtp/smtp.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RECIPIENTS = 3 };

static struct settings settings;
static struct params_main params;
static struct params_smtp mine;
static struct arena kept;

/* The server: says the next piece when the client waits. */
struct server {
    struct span rest, piece;
    bool waited;
    struct buf heard;
    bool good_at_end; /* a piece that begins with "2" came behind the final dot */
};

static ssize_t server_read(void *layer, struct transport_try *how, char *to, size_t n)
{
    struct server *s = layer;
    (void)how;
    if (s->piece.n == 0 && !s->waited) {
        s->waited = true;
        errno = EAGAIN;
        return -1;
    }
    if (s->piece.n == 0) {
        size_t end = span_find(s->rest, (char)0xff);
        s->piece = span_slice(s->rest, 0, end);
        s->rest = span_skip(s->rest, end + 1);
        s->waited = false;
        struct span ended = SPAN("\r\n.\r\n"), heard = buf_span(&s->heard);
        bool at_end = (heard.n >= ended.n && span_eq(span_skip(heard, heard.n - ended.n), ended)) ||
                      (heard.n && memmem(heard.p, heard.n, " LAST\r\n", 7));
        s->good_at_end |= at_end && span_find(s->piece, '2') < s->piece.n;
        if (s->piece.n == 0)
            return 0;
    }
    struct span part = span_slice(s->piece, 0, n);
    memcpy(to, part.p, part.n);
    s->piece = span_skip(s->piece, part.n);
    return (ssize_t)part.n;
}

static ssize_t server_write(void *layer, struct transport_try *how, const char *from, size_t n)
{
    struct server *s = layer;
    (void)how;
    buf_put(&s->heard, span_of(from, n));
    return (ssize_t)n;
}

static void set_up(void)
{
    if (params.myhostname.n)
        return;
    settings_parse(&settings, SPAN("myhostname = me.test\nmydomain = test\n"), SPAN("main.cf"), NULL);
    CHECK(params_main_load(&kept, &settings, &params, NULL) && params_smtp_load(&kept, &settings, &mine, NULL));
}

static void check_verdicts(const struct delivery *d, const struct server *server)
{
    size_t open = 0;
    for (size_t i = 0; i < RECIPIENTS; i++) {
        const struct msg_verdict *v = &d->verdicts[i];
        CHECK(v->class == 0 || v->class == 2 || v->class == 4 || v->class == 5);
        CHECK(v->class == 0 || (v->dsn.n > 0 && (uint64_t)(v->dsn.p[0] - '0') == v->class));
        CHECK(v->class != 2 || server->good_at_end);
        open += v->class == 0;
    }
    CHECK(open == d->open);
}

static void converse(struct smtp *smtp, struct server *server, unsigned flags)
{
    static const struct transport_ops ops = {.read = server_read, .write = server_write};
    static struct msg_recipient recipients[RECIPIENTS] = {{.number = 1, .address = SPAN_INIT("a@remote.test")},
                                                          {.number = 2, .address = SPAN_INIT("b@remote.test")},
                                                          {.number = 3, .address = SPAN_INIT("c@remote.test")}};
    struct arena arena = ARENA_INIT;
    struct msg_verdict verdicts[RECIPIENTS] = {0};
    bool marks[RECIPIENTS] = {0}, refused = false;
    struct verdict why = {0};
    struct msg_attempt m = {.id = SPAN("ID"), .recipients = {recipients, RECIPIENTS}, .nexthop = SPAN("remote.test")};
    struct delivery d = {.smtp = smtp, .arena = &arena, .m = &m, .verdicts = verdicts, .kept = marks, .open = RECIPIENTS,
                         .text = {.inner = SPAN("A: b\n\n.c\n"), .fd = -1, .size = 9}, .last_server = flags & 2};
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    close(ends[1]);
    struct session *s = session_new(smtp, ends[0], &(struct endpoint){.host = SPAN("h"), .address = SPAN("a"), .port = 25}, 1);
    conn_set_transport(s->conn, &ops, server);
    CHECK(text_scan(&d.text, &d.facts));
    enum talk talk = session_hello(s, &arena, m.nexthop, &refused, &why);
    if (talk != TALK_OK)
        why = session_trouble(s, &arena, talk);
    if (talk != TALK_OK || refused)
        delivery_fail(&d, &why, true);
    else
        transact(&d, s);
    check_verdicts(&d, server);
    session_end(&s);
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct server server = {0};
    if (size < 1)
        return 0;
    set_up();
    struct smtp smtp = {.main = &params, .mine = &mine, .lmtp = data[0] & 1, .default_port = 25};
    server.rest = span_of(data + 1, size - 1);
    converse(&smtp, &server, data[0]);
    buf_fini(&server.heard);
    return 0;
}
