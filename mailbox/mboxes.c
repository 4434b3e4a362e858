#include "mailbox/mboxes.h"
#include "lib/base/check.h"
#include "lib/log/log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct mboxes {
    struct loop *loop;
    const struct role *role;
    struct list waiting; /* struct waiting */
    size_t count;
};

/* A request whose mailbox is locked by somebody. */
struct waiting {
    struct list node;
    struct mboxes *all;
    struct arena arena;
    struct channel *channel;
    uint64_t request;
    struct msg_store m; /* texts in arena */
    int text;           /* owned */
    uint64_t tries;
    struct timer again;
};

static void answer(struct channel *c, uint64_t request, enum mbox_result result, const char *dsn, struct span why)
{
    struct buf body = BUF_INIT;
    const bool good = result == MBOX_OK || result == MBOX_WAS_THERE;
    struct msg_stored m = {.class = good ? 2 : (uint64_t)(dsn[0] - '0'),
                           .dsn = span_text(good ? "2.0.0" : dsn),
                           .text = good ? SPAN("delivered to mailbox") : why,
                           .was_there = result == MBOX_WAS_THERE};
    msg_stored_put(&body, &m);
    channel_reply(c, request, MSG_stored, buf_span(&body), NULL, 0);
    buf_fini(&body);
}

/* One try. result: false: the mailbox is locked, why says how */
static bool try(const struct role *role, struct channel *c, uint64_t request, const struct msg_store *m, int text,
                struct buf *why)
{
    const struct mbox_settings settings = role_mbox_settings(role);
    const struct mbox_message message = {.queue_id = m->queue_id,
                                         .number = m->number,
                                         .arrival_us = (int64_t)m->arrival_us,
                                         .sender = m->sender,
                                         .top = m->top,
                                         .text = m->text,
                                         .fd = text,
                                         .offset = m->text_offset,
                                         .size = m->text_size};
    const char *dsn = "";
    enum mbox_result result = mbox_append(role->base, m->path, &settings, &message, &dsn, why);
    if (result == MBOX_BUSY)
        return false;
    if (why->len)
        log_warning("mailbox %.*s: %s", SPAN_ARG(m->path), buf_text(why));
    answer(c, request, result, dsn, buf_span(why));
    return true;
}

static void waiting_free(struct waiting *w)
{
    list_remove(&w->node);
    w->all->count--;
    timer_stop(&w->again);
    if (w->text >= 0)
        close(w->text);
    arena_fini(&w->arena);
    free(w);
}

static void try_again(struct timer *t, void *context)
{
    struct waiting *w = context;
    const struct role *role = w->all->role;
    struct buf why = BUF_INIT;
    if (try(role, w->channel, w->request, &w->m, w->text, &why)) {
        waiting_free(w);
    } else if (++w->tries < role->m.lock_attempts) {
        timer_set(w->all->loop, t, clock_after((int64_t)role->m.lock_delay), try_again, w);
    } else {
        answer(w->channel, w->request, MBOX_FAILED, "4.2.0", buf_span(&why));
        waiting_free(w);
    }
    buf_fini(&why);
}

static void wait_for_lock(struct mboxes *all, struct channel *c, uint64_t request, const struct msg_store *m, int text)
{
    struct waiting *w = calloc(1, sizeof *w);
    struct buf copy = BUF_LIMITED(CHANNEL_FRAME_MAX);
    CHECK(w != NULL);
    *w = (struct waiting){.all = all, .channel = c, .request = request, .text = -1, .tries = 1};
    list_push(&all->waiting, &w->node);
    all->count++;
    /* The request as it came, to outlive its frame. */
    msg_store_put(&copy, m);
    CHECK(msg_store_get(&w->arena, arena_dup(&w->arena, buf_span(&copy)), &w->m));
    buf_fini(&copy);
    if (text >= 0)
        w->text = fcntl(text, F_DUPFD_CLOEXEC, 0);
    if (text >= 0 && w->text < 0) {
        answer(c, request, MBOX_FAILED, "4.3.0", SPAN("too many open files"));
        waiting_free(w);
        return;
    }
    timer_set(all->loop, &w->again, clock_after((int64_t)all->role->m.lock_delay), try_again, w);
}

struct mboxes *mboxes_new(struct loop *l, const struct role *role)
{
    struct mboxes *all = calloc(1, sizeof *all);
    CHECK(all != NULL);
    all->loop = l;
    all->role = role;
    list_init(&all->waiting);
    return all;
}

void mboxes_store(struct mboxes *all, struct channel *c, uint64_t request, const struct msg_store *m, int text)
{
    struct buf why = BUF_INIT;
    if (!try(all->role, c, request, m, text, &why)) {
        if (all->role->m.lock_attempts > 1)
            wait_for_lock(all, c, request, m, text);
        else
            answer(c, request, MBOX_FAILED, "4.2.0", buf_span(&why));
    }
    buf_fini(&why);
}

void mboxes_forget(struct mboxes *all, const struct channel *c)
{
    LIST_EACH (node, after, &all->waiting) {
        struct waiting *w = LIST_ENTRY(node, struct waiting, node);
        if (w->channel == c)
            waiting_free(w);
    }
}

size_t mboxes_waiting(const struct mboxes *all)
{
    return all->count;
}
