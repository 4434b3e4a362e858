#include "mailbox/boxes.h"
#include "lib/base/check.h"
#include "lib/base/map.h"
#include "lib/log/log.h"

#include <stdio.h>
#include <stdlib.h>

/* One request of a batch. */
struct wish {
    struct list node;
    struct channel *channel; /* NULL: the caller has gone */
    uint64_t request;
    struct maildir_delivery *delivery; /* the batch's */
};

struct box {
    struct list node;   /* in boxes.all, the last used at the end */
    struct span path;   /* owned */
    struct maildir maildir;
    struct maildir_batch *batch; /* NULL: none under way */
    struct list wishes;
};

struct boxes {
    struct loop *loop;
    int base;
    struct list all; /* struct box */
    struct map by_path;
    struct deferred commit;
};

static void answer(struct channel *c, uint64_t request, unsigned class, const char *dsn, const char *text,
                   bool was_there)
{
    struct buf body = BUF_INIT;
    if (!c)
        return;
    msg_stored_put(&body, &(struct msg_stored){
                              .class = class, .dsn = span_text(dsn), .text = span_text(text), .was_there = was_there});
    channel_reply(c, request, MSG_stored, buf_span(&body), NULL, 0);
    buf_fini(&body);
}

static void answer_wish(const struct wish *w)
{
    const char *why = "";
    enum maildir_result result = maildir_delivery_result(w->delivery, &why);
    const char *dsn = maildir_dsn(result);
    bool good = result == MAILDIR_OK;
    answer(w->channel, w->request, (unsigned)(dsn[0] - '0'), dsn, good ? "delivered to maildir" : why,
           good && maildir_delivery_was_there(w->delivery));
}

static void commit_box(struct box *box)
{
    struct list *node;
    maildir_batch_commit(box->batch);
    while ((node = list_shift(&box->wishes))) {
        struct wish *w = LIST_ENTRY(node, struct wish, node);
        answer_wish(w);
        free(w);
    }
    maildir_batch_free(&box->batch);
}

static void commit_all(struct deferred *d, void *context)
{
    struct boxes *all = context;
    (void)d;
    LIST_EACH (node, after, &all->all) {
        struct box *box = LIST_ENTRY(node, struct box, node);
        if (box->batch)
            commit_box(box);
    }
}

struct boxes *boxes_new(struct loop *l, int base)
{
    struct boxes *all = calloc(1, sizeof *all);
    CHECK(all != NULL);
    all->loop = l;
    all->base = base;
    list_init(&all->all);
    all->commit = (struct deferred){.fn = commit_all, .context = all, .rank = LOOP_RANK_COMMIT};
    return all;
}

static void box_close(struct boxes *all, struct box *box)
{
    if (box->batch)
        commit_box(box);
    map_remove(&all->by_path, box->path);
    list_remove(&box->node);
    maildir_close(&box->maildir);
    char *path;
    memcpy(&path, &box->path.p, sizeof path);
    free(path);
    free(box);
}

/* result: NULL with *result and why */
static struct box *box_open(struct boxes *all, struct span path, enum maildir_result *result, struct buf *why)
{
    struct box *box = map_get(&all->by_path, path);
    if (box) {
        list_remove(&box->node);
        list_push(&all->all, &box->node);
        return box;
    }
    if (all->by_path.count >= BOXES_OPEN_MAX)
        box_close(all, LIST_ENTRY(all->all.next, struct box, node));
    box = calloc(1, sizeof *box);
    CHECK(box != NULL);
    *result = maildir_open(&box->maildir, all->base, path, true, why);
    if (*result != MAILDIR_OK) {
        free(box);
        return NULL;
    }
    char *copy = strndup(path.p, path.n);
    CHECK(copy != NULL);
    box->path = span_of(copy, path.n);
    list_init(&box->wishes);
    list_push(&all->all, &box->node);
    map_set(&all->by_path, box->path, box);
    return box;
}

static struct maildir_delivery *write_delivery(struct box *box, const struct msg_store *m, int text)
{
    char number[24];
    snprintf(number, sizeof number, "%llu", (unsigned long long)m->number);
    struct maildir_label label = {.seconds = (int64_t)(m->arrival_us / 1000000),
                                  .queue_id = m->queue_id,
                                  .recipient = span_text(number),
                                  .host = m->host};
    struct maildir_delivery *d = maildir_deliver_begin(box->batch, &label, m->maybe_again != 0);
    maildir_deliver_write(d, m->top);
    if (text >= 0)
        maildir_deliver_copy(d, text, (int64_t)m->text_offset, m->text_size);
    else
        maildir_deliver_write(d, m->text);
    maildir_deliver_end(d);
    return d;
}

void boxes_store(struct boxes *all, struct channel *c, uint64_t request, const struct msg_store *m, int text)
{
    enum maildir_result result = MAILDIR_FAILED;
    struct buf why = BUF_INIT;
    struct box *box = box_open(all, m->path, &result, &why);
    if (!box) {
        log_warning("maildir %.*s: %s", SPAN_ARG(m->path), buf_text(&why));
        const char *dsn = maildir_dsn(result == MAILDIR_OK ? MAILDIR_FAILED : result);
        answer(c, request, (unsigned)(dsn[0] - '0'), dsn, buf_text(&why), false);
        buf_fini(&why);
        return;
    }
    buf_fini(&why);
    if (box->batch && maildir_batch_count(box->batch) >= MAILDIR_BATCH_MAX)
        commit_box(box);
    if (!box->batch)
        box->batch = maildir_batch_new(&box->maildir);
    struct wish *w = malloc(sizeof *w);
    CHECK(w != NULL);
    *w = (struct wish){.channel = c, .request = request, .delivery = write_delivery(box, m, text)};
    list_push(&box->wishes, &w->node);
    loop_defer(all->loop, &all->commit);
}

void boxes_forget(struct boxes *all, const struct channel *c)
{
    LIST_EACH (node, after, &all->all) {
        struct box *box = LIST_ENTRY(node, struct box, node);
        LIST_EACH (at, next, &box->wishes) {
            struct wish *w = LIST_ENTRY(at, struct wish, node);
            if (w->channel == c)
                w->channel = NULL;
        }
    }
}
