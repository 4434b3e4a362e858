#include "lib/base/check.h"
#include "qmgr/notify.h"
#include "qmgr/past.h"
#include "qmgr/progress.h"
#include "qmgr/store.h"
#include "qmgr/store_parts.h"
#include "qmgr/verdict.h"

#include <stdlib.h>
#include <unistd.h>

/* Files of the queue that are still to be read. */
struct file_list {
    struct queue_id *ids; /* owned */
    size_t count, next, cap;
    bool first; /* at the start */
};

/* --- what is found --- */

/* A message that is over by the journal, found in the store. */
static void bury_found(struct qmgr *q, const struct queue_id *id, const struct place *place)
{
    struct tomb *t = store_find_tomb(q, id);
    if (!t) {
        t = store_make_tomb(q, id);
        t->place = *place;
        past_stand(q, id, &t->standing);
    }
    t->traces++;
    store_add_trace(&store_know_segment(q, place)->traces, id);
    notify_found(q, id);
}

/* One that was read from the store goes into the schedule. */
static void take_found(struct qmgr *q, struct message *m)
{
    bool held = past_apply(q, m);
    CHECK(schedule_add(&q->schedule, m));
    store_count_in(q, m);
    if (held)
        progress_repeat(q, &m->standing);
    if (m->waiting == 0 || (m->flags & MESSAGE_DELETED))
        verdict_settled(q, m);
}

/* --- reading the store ------------------------------------------------------------------------------------
 */

static void found_message(const struct intake_place *at, const struct stored *st, struct span text,
                          void *context)
{
    struct qmgr *q = context;
    struct place place = {.generation = at->generation,
                          .offset = at->offset,
                          .length = at->length,
                          .slot = at->slot,
                          .segment = at->segment + 1};
    (void)text;
    if (store_knows(q, &st->id)) {
        store_count_copy(q, &st->id, &place);
        return;
    }
    if (past_is_finished(q, &st->id)) {
        bury_found(q, &st->id, &place);
        return;
    }
    struct message *m = store_message_from(q, &st->id, &st->envelope);
    if (!m) {
        log_error("%s: a message without sense in the log", st->id.text);
        return;
    }
    m->place = place;
    take_found(q, m);
}

static void found_segment(uint32_t slot, uint32_t number, uint64_t generation, uint64_t messages,
                          void *context)
{
    struct place place = {.generation = generation, .slot = slot, .segment = number + 1};
    if (messages > 0)
        store_know_segment(context, &place);
}

static void found_damage(uint32_t slot, const char *what, void *context)
{
    (void)context;
    log_error("damage in the log of cleanup/%lu: %s", (unsigned long)slot, what);
}

static const struct intake_visitor log_visitor = {found_message, found_segment, found_damage};

static void read_file(struct qmgr *q, const struct queue_id *id)
{
    struct arena scratch = ARENA_INIT;
    struct buf why = BUF_LIMITED(LOG_LINE_MAX), name = BUF_INIT;
    struct stored st;
    struct message *m;
    int fd = -1;
    enum spool_found found = spool_get(&q->spool, &scratch, id, &st, &fd, &why);
    if (fd >= 0)
        close(fd);
    if (found == SPOOL_GOOD && (m = store_message_from(q, id, &st.envelope))) {
        m->flags |= MESSAGE_FILE;
        take_found(q, m);
    } else if (found == SPOOL_DAMAGED) {
        struct buf reason = BUF_LIMITED(LOG_LINE_MAX);
        if (spool_set_aside(&q->spool, q->config.corrupt, id, &name, &reason))
            log_error("%s: damaged message moved to corrupt/%s: %s", id->text, buf_text(&name),
                      buf_text(&why));
        else
            log_error("%s: damaged message left in its place (%s): %s", id->text, buf_text(&reason),
                      buf_text(&why));
        buf_fini(&reason);
    } else if (found == SPOOL_ERROR) {
        log_error("%s: the message cannot be read: %s", id->text, buf_text(&why));
    }
    buf_fini(&why);
    buf_fini(&name);
    arena_fini(&scratch);
}

static void look_at_file(struct qmgr *q, const struct queue_id *id)
{
    struct message *m = schedule_find(&q->schedule, queue_id_span(id));
    if (m) {
        if (!(m->flags & MESSAGE_FILE))
            store_move_to_file(q, m);
        return;
    }
    if (!store_find_tomb(q, id) && past_is_finished(q, id)) {
        past_stand(q, id, &store_make_tomb(q, id)->standing);
        notify_found(q, id);
    }
    if (store_find_tomb(q, id))
        store_remove_file(q, id);
    else
        read_file(q, id);
}

void store_drop_files(struct qmgr *q)
{
    timer_stop(&q->files_timer);
    if (q->files)
        free(q->files->ids);
    free(q->files);
    q->files = NULL;
}

static void files_end(struct qmgr *q)
{
    store_drop_files(q);
    if (!q->past)
        return;
    past_end(q);
    progress_may_work(q);
}

static void files_slice(struct timer *t, void *context)
{
    struct qmgr *q = context;
    for (int i = 0; i < FILES_PER_SLICE && q->files->next < q->files->count; i++)
        look_at_file(q, &q->files->ids[q->files->next++]);
    qmgr_kick(q);
    if (q->files->next == q->files->count)
        files_end(q);
    else
        timer_set(q->loop, t, loop_now(q->loop), files_slice, q);
}

static void list_file(const struct queue_id *id, void *context)
{
    struct file_list *l = context;
    if (l->count == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 1024;
        l->ids = realloc(l->ids, l->cap * sizeof *l->ids);
        CHECK(l->ids != NULL);
    }
    l->ids[l->count++] = *id;
}

static void list_unknown(const char *name, void *context)
{
    struct file_list *l = context;
    if (l->first)
        log_info("queue/%s is not a message's file: left alone", name);
}

/* Looks for files that nothing is known of; at the start and where a hint may have been lost. */
static bool look_for_files(struct qmgr *q, struct buf *why)
{
    static const struct spool_visitor visitor = {list_file, list_unknown};
    if (!q->files) {
        q->files = calloc(1, sizeof *q->files);
        CHECK(q->files != NULL);
        q->files->first = q->past != NULL;
    }
    timer_set(q->loop, &q->files_timer, loop_now(q->loop), files_slice, q);
    return spool_scan(&q->spool, &visitor, q->files, why);
}

void store_look_again(struct qmgr *q, uint32_t slot)
{
    struct buf why = BUF_LIMITED(LOG_LINE_MAX);
    if (!intake_scan_slot(q->config.intake, slot, &log_visitor, q, &why))
        log_error("%s", buf_text(&why));
    buf_clear(&why);
    if (!look_for_files(q, &why))
        log_error("%s", buf_text(&why));
    qmgr_kick(q);
    buf_fini(&why);
}

void qmgr_cleanup_left(struct qmgr *q, struct channel *channel)
{
    struct cleaner *c = map_remove(&q->cleaners, span_of(&channel, sizeof(struct channel *)));
    if (!c)
        return;
    /* It may have stored mail whose hint was lost with it. */
    if (c->introduced)
        store_look_again(q, c->slot);
    else
        qmgr_kick(q);
    free(c);
}

bool store_scan(struct qmgr *q, struct buf *why)
{
    return intake_scan(q->config.intake, &log_visitor, q, why) && look_for_files(q, why);
}

bool store_is_read(const struct qmgr *q)
{
    return q->files == NULL;
}
