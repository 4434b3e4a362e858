#include "qmgr/link.h"
#include "lib/base/check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct link {
    struct qmgr *q;
    const char *service;
    struct channel *channel; /* NULL: none */
    bool asked;
    struct list waiting; /* struct waiting_request */
};

/* A request that was made before there was a channel. */
struct waiting_request {
    struct list node;
    uint16_t type;
    struct buf body;
    int fd; /* our duplicate; -1: none */
    channel_answer answer;
    void *context;
};

struct link *link_new(struct qmgr *q, const char *service)
{
    struct link *l = calloc(1, sizeof *l);
    CHECK(l != NULL);
    l->q = q;
    l->service = service;
    list_init(&l->waiting);
    return l;
}

static void waiting_end(struct waiting_request *w, bool tell)
{
    if (tell)
        w->answer(NULL, w->context);
    if (w->fd >= 0)
        close(w->fd);
    buf_fini(&w->body);
    free(w);
}

static void drop_waiting(struct link *l)
{
    struct list now, *node; /* what is asked again meanwhile is not of these */
    list_insert_before(l->waiting.next, &now);
    list_remove(&l->waiting);
    while ((node = list_shift(&now)))
        waiting_end(LIST_ENTRY(node, struct waiting_request, node), true);
}

void link_free(struct link **lp)
{
    struct link *l = *lp;
    *lp = NULL;
    if (!l)
        return;
    drop_waiting(l);
    channel_close(&l->channel);
    free(l);
}

static void link_frame(struct channel *c, struct frame *f, void *context)
{
    (void)context;
    log_warning("unexpected message 0x%04x from %s", f->type, channel_peer(c));
}

static void link_closed(struct channel *c, void *context)
{
    struct link *l = context;
    l->channel = NULL;
    channel_close(&c);
}

static const struct channel_handler link_handler = {link_frame, link_closed};

static void link_made(struct channel *c, unsigned slot, void *context)
{
    struct link *l = context;
    struct list *node;
    (void)slot;
    l->asked = false;
    l->channel = c;
    if (!c) {
        drop_waiting(l);
        return;
    }
    while ((node = list_shift(&l->waiting))) {
        struct waiting_request *w = LIST_ENTRY(node, struct waiting_request, node);
        bool sent =
            channel_request(c, w->type, buf_span(&w->body), &w->fd, w->fd >= 0, w->answer, w->context) != 0;
        waiting_end(w, !sent);
    }
}

static void keep_request(struct link *l, uint16_t type, struct span body, const int *fds, unsigned nfds,
                         channel_answer answer, void *context)
{
    struct waiting_request *w = calloc(1, sizeof *w);
    CHECK(w != NULL && nfds <= 1);
    w->type = type;
    w->answer = answer;
    w->context = context;
    w->fd = nfds ? fcntl(fds[0], F_DUPFD_CLOEXEC, 0) : -1;
    buf_put(&w->body, body);
    list_push(&l->waiting, &w->node);
}

void link_request(struct link *l, uint16_t type, struct span body, const int *fds, unsigned nfds,
                  channel_answer answer, void *context)
{
    if (l->channel && channel_request(l->channel, type, body, fds, nfds, answer, context))
        return;
    keep_request(l, type, body, fds, nfds, answer, context);
    if (l->asked)
        return;
    l->asked = true;
    l->q->config.want_channel(l->q->config.host, l->service, &link_handler, l, link_made);
}
