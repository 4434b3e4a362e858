#include "lib/base/check.h"
#include "lib/log/log.h"
#include "pickup/pickup.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* One that has connected. */
struct client {
    struct list node;
    struct list waiting;   /* in offers; a list of its own else */
    struct pickup *pickup;
    struct channel *channel; /* NULL: it has gone */
    struct timer patience;
    unsigned uid;
    int fd;                /* what it offers, owned; -1: nothing yet */
    uint64_t request;      /* id of the offer */
    bool in_hand;          /* being taken: whoever takes it frees it */
};

static void client_free(struct client *c)
{
    timer_stop(&c->patience);
    list_remove(&c->node);
    list_remove(&c->waiting);
    c->pickup->client_count--;
    if (c->fd >= 0)
        close(c->fd);
    channel_close(&c->channel);
    free(c);
}

static void client_closed(struct channel *channel, void *context)
{
    struct client *c = context;
    c->channel = NULL;
    channel_close(&channel);
    if (!c->in_hand)
        client_free(c);
}

static void client_tired(struct timer *t, void *context)
{
    (void)t;
    client_free(context);
}

static void answer(struct client *c, const struct msg_drop_answer *m)
{
    struct buf body = BUF_INIT;
    msg_drop_answer_put(&body, m);
    if (c->channel)
        channel_reply(c->channel, c->request, MSG_drop_answer, buf_span(&body), NULL, 0);
    buf_fini(&body);
}

static void client_frame(struct channel *channel, struct frame *f, void *context)
{
    struct client *c = context;
    int fd = f->type == MSG_drop_offer && f->id ? frame_take_fd(f, 0) : -1;
    if (fd < 0 || c->fd >= 0) {
        log_warning("uid=%u: unexpected message on the pickup socket", c->uid);
        if (fd >= 0)
            close(fd);
        if (c->in_hand)
            channel_pause(channel);
        else
            client_free(c);
        return;
    }
    c->fd = fd;
    c->request = f->id;
    timer_stop(&c->patience);
    list_push(&c->pickup->offers, &c->waiting);
    pickup_work(c->pickup);
}

static bool may_come(const struct pickup *p, unsigned uid)
{
    size_t own = 0;
    LIST_EACH (node, after, &p->clients)
        own += LIST_ENTRY(node, struct client, node)->uid == uid;
    if (p->client_count < CLIENTS_MAX && own < CLIENTS_OF_ONE)
        return true;
    log_warning("uid=%u: too many connections to the pickup socket: %zu, and %zu in all", uid, own,
                p->client_count);
    return false;
}

void clients_accept(struct pickup *p, const struct proc_client *client)
{
    static const struct channel_handler handler = {client_frame, client_closed};
    struct buf body = BUF_INIT;
    unsigned uid, gid;
    int pid;
    if (p->stopping || !proc_peer_ids(client->fd, &uid, &gid, &pid) || !may_come(p, uid)) {
        close(client->fd);
        return;
    }
    struct client *c = calloc(1, sizeof *c);
    CHECK(c != NULL);
    *c = (struct client){.pickup = p, .uid = uid, .fd = -1};
    list_init(&c->waiting);
    list_push(&p->clients, &c->node);
    p->client_count++;
    c->channel = channel_open(proc_loop(p->proc), client->fd, "sendmail", &handler, c);
    timer_set(proc_loop(p->proc), &c->patience, clock_after(CLIENT_WAIT_S), client_tired, c);
    msg_drop_ready_put(&body, &(struct msg_drop_ready){.size_limit = p->config.size_limit});
    channel_notify(c->channel, MSG_drop_ready, buf_span(&body), NULL, 0);
    buf_fini(&body);
}

/* Memory that can no more be written, cut or grown: reading it never waits, and twice gives the same.
 * result: its octets, or -1 where it is something else */
static int64_t sealed_size(int fd)
{
    const int wanted = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & wanted) != wanted || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return -1;
    return st.st_size;
}

bool clients_take_offer(struct pickup *p)
{
    struct list *node = list_shift(&p->offers);
    if (!node)
        return false;
    struct client *c = LIST_ENTRY(node, struct client, waiting);
    struct arena a = ARENA_INIT;
    struct submission s = {.fd = c->fd, .uid = c->uid, .id = queue_id_draw(&p->ids)};
    struct outcome o = {.class = 5, .dsn = "5.6.0", .text = SPAN("it is not sealed memory")};
    int64_t size = sealed_size(c->fd);
    c->in_hand = true;
    if (size >= 0) {
        s.size = (uint64_t)size;
        o = submission_take(&p->config, &p->services, &s, &a);
    }
    if (size < 0 || o.unreadable)
        log_warning("uid=%u: refused on the pickup socket: %.*s", c->uid, SPAN_ARG(o.text));
    answer(c, &(struct msg_drop_answer){.class = o.class, .dsn = span_text(o.dsn), .text = o.text,
                                        .id = queue_id_span(&s.id), .untouched = o.untouched});
    client_free(c);
    arena_fini(&a);
    return true;
}

void clients_dismiss(struct pickup *p)
{
    LIST_EACH (node, after, &p->clients) {
        struct client *c = LIST_ENTRY(node, struct client, node);
        if (c->in_hand)
            continue;
        if (c->fd >= 0)
            answer(c, &(struct msg_drop_answer){.class = 4, .dsn = SPAN("4.3.2"), .untouched = 1,
                                                .text = SPAN("the mail system is going down")});
        client_free(c);
    }
}
