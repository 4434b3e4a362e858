#include "qmgr/progress.h"
#include "lib/base/check.h"
#include "qmgr/notify.h"
#include "qmgr/store.h"
#include "qmgr/verdict.h"

#include <stdlib.h>

enum {
    COMMIT_AGAIN_MS = 1000, /* after an I/O error */
    WORK_PAUSE_MS = 2,      /* between two slices of housekeeping */
    WORK_IDLE_MS = 500,     /* where there was nothing to do */
};

/* Something to be done after the sync. */
struct after {
    struct list node;
    void (*fn)(struct qmgr *q, void *subject);
    void *subject;
};

struct line {
    struct log_source source;
    bool own; /* the process's own source */
    struct buf text;
};

static void commit_step(struct deferred *d, void *context);

/* --- what stands --- */

void progress_stand(struct qmgr *q, struct standing *s, uint64_t base)
{
    if (!list_empty(&s->node))
        return;
    s->base = base;
    list_push(&q->standings, &s->node);
}

void progress_forget(struct standing *s)
{
    list_remove(&s->node);
}

static struct span id_of(struct standing *s)
{
    return queue_id_span(s->is_tomb ? &LIST_ENTRY(s, struct tomb, standing)->id
                                    : &LIST_ENTRY(s, struct message, standing)->id);
}

static void put_state(struct qmgr *q, struct standing *s, unsigned flags)
{
    journal_put(q->journal,
                &(struct msg_journal_entry){.id = id_of(s), .event = JOURNAL_STATE, .flags = flags});
}

static void repeat_recipient(struct qmgr *q, struct message *m, const struct recipient *r)
{
    static const unsigned events[] = {[RECIPIENT_DONE] = JOURNAL_DONE,
                                      [RECIPIENT_DELIVERED] = JOURNAL_DELIVERED,
                                      [RECIPIENT_FAILED] = JOURNAL_FAILED};
    if (recipient_is_over(r))
        progress_put_recipient(q, m, r, events[r->state], 0);
    else if (r->verdict)
        progress_put_recipient(q, m, r, JOURNAL_DEFERRED, r->until_us);
    if (!recipient_is_over(r) && (r->flags & RECIPIENT_BEGUN))
        progress_put_recipient(q, m, r, JOURNAL_BEGUN, 0);
}

static void repeat_message(struct qmgr *q, struct message *m)
{
    unsigned flags = (m->flags & MESSAGE_HELD ? JOURNAL_IS_HELD : 0u) |
                     (m->flags & MESSAGE_WARNED ? JOURNAL_IS_WARNED : 0u) |
                     (m->flags & MESSAGE_FINISHED ? JOURNAL_IS_FINISHED : 0u);
    put_state(q, &m->standing, flags);
    if (m->flags & MESSAGE_FINISHED)
        return;
    for (uint32_t i = 0; i < m->recipient_count; i++)
        repeat_recipient(q, m, &m->recipients[i]);
    if (m->flags & MESSAGE_DELETED)
        progress_put(q, m, &(struct msg_journal_entry){.event = JOURNAL_DELETED});
    if (m->notice)
        progress_put_notice(q, m);
}

void progress_repeat(struct qmgr *q, struct standing *s)
{
    list_remove(&s->node);
    progress_stand(q, s, journal_segment(q->journal));
    if (s->is_tomb)
        put_state(q, s, JOURNAL_IS_FINISHED);
    else
        repeat_message(q, LIST_ENTRY(s, struct message, standing));
    loop_defer(q->loop, &q->commit);
}

/* journal_options.repeat */
static bool repeat_oldest(uint64_t segment, size_t octets, void *context)
{
    struct qmgr *q = context;
    size_t done = 0;
    while (!list_empty(&q->standings)) {
        struct standing *s = LIST_ENTRY(q->standings.next, struct standing, node);
        if (s->base > segment)
            return false;
        if (done >= octets)
            return true;
        progress_repeat(q, s);
        done += s->is_tomb ? 80 : 80 + (size_t)LIST_ENTRY(s, struct message, standing)->recipient_count * 200;
    }
    return false;
}

/* --- entries --- */

void progress_put(struct qmgr *q, struct message *m, struct msg_journal_entry *e)
{
    e->id = queue_id_span(&m->id);
    journal_cut_texts(e);
    progress_stand(q, &m->standing, journal_put(q->journal, e));
    loop_defer(q->loop, &q->commit);
}

void progress_put_recipient(struct qmgr *q, struct message *m, const struct recipient *r, unsigned event,
                            int64_t until_us)
{
    struct msg_verdict v;
    struct msg_journal_entry e = {.event = event, .recipient = (uint64_t)(r - m->recipients) + 1};
    if (until_us > 0)
        e.until_us = (uint64_t)(until_us + qmgr_wall_offset(q));
    if (event != JOURNAL_DONE && event != JOURNAL_BEGUN && verdict_load(r->verdict, &v)) {
        e.dsn = v.dsn;
        e.text = v.text;
        e.relay = v.relay;
        e.remote_mta = v.remote_mta;
        e.diagnostic = v.diagnostic;
        e.action = v.action;
    }
    progress_put(q, m, &e);
}

void progress_put_notice(struct qmgr *q, struct message *m)
{
    progress_put(q, m,
                 &(struct msg_journal_entry){.event = JOURNAL_NOTIFYING,
                                             .kind = m->notice->kind,
                                             .recipient = m->notice->last,
                                             .new_id = queue_id_span(&m->notice->new_id)});
}

/* --- after the sync --- */

void progress_after(struct qmgr *q, void (*fn)(struct qmgr *q, void *subject), void *subject)
{
    struct after *a = malloc(sizeof *a);
    CHECK(a != NULL);
    *a = (struct after){.fn = fn, .subject = subject};
    list_push(&q->after, &a->node);
    loop_defer(q->loop, &q->commit);
}

static void line_free(struct line *line)
{
    buf_fini(&line->text);
    free(line);
}

static void log_after(struct qmgr *q, void *subject)
{
    struct line *line = subject;
    (void)q;
    log_line(line->own ? NULL : &line->source, LOG_LEVEL_INFO, "%s", buf_text(&line->text));
    line_free(line);
}

void progress_log(struct qmgr *q, const struct log_source *source, const char *format, ...)
{
    struct line *line = calloc(1, sizeof *line);
    va_list args;
    CHECK(line != NULL);
    line->own = source == NULL;
    if (source)
        line->source = *source;
    line->text.max = LOG_LINE_MAX;
    va_start(args, format);
    buf_vprintf(&line->text, format, args);
    va_end(args);
    progress_after(q, log_after, line);
}

/* The journal has just been synced: what was queued before is done; what that queues in turn waits for the
 * next. */
static void run_after(struct qmgr *q)
{
    struct list now, *node;
    list_insert_before(q->after.next, &now); /* a second head, in the place of the first */
    list_remove(&q->after);
    for (struct message *m; (m = schedule_take_settled(&q->schedule));)
        verdict_settled(q, m);
    while ((node = list_shift(&now))) {
        struct after *a = LIST_ENTRY(node, struct after, node);
        a->fn(q, a->subject);
        free(a);
    }
}

void progress_commit_soon(struct qmgr *q)
{
    loop_defer(q->loop, &q->commit);
}

bool progress_is_broken(const struct qmgr *q)
{
    return journal_is_broken(q->journal);
}

static void commit_again(struct timer *t, void *context)
{
    struct qmgr *q = context;
    (void)t;
    loop_defer(q->loop, &q->commit);
}

static void commit_step(struct deferred *d, void *context)
{
    struct qmgr *q = context;
    struct buf why = BUF_LIMITED(LOG_LINE_MAX);
    bool was_broken = journal_is_broken(q->journal);
    (void)d;
    if (!journal_commit(q->journal, &why)) {
        if (!was_broken)
            log_fatal("%s: no delivery begins until the journal can be written", buf_text(&why));
        timer_set(q->loop, &q->commit_timer, clock_after_ms(COMMIT_AGAIN_MS), commit_again, q);
        buf_fini(&why);
        return;
    }
    if (was_broken)
        log_warning("the journal can be written again");
    run_after(q);
    if (journal_is_dirty(q->journal) || !list_empty(&q->after))
        loop_defer(q->loop, &q->commit);
    qmgr_kick(q);
    buf_fini(&why);
}

/* --- housekeeping --- */

static void work_step(struct timer *t, void *context)
{
    struct qmgr *q = context;
    bool more = journal_work(q->journal);
    if (journal_is_dirty(q->journal))
        loop_defer(q->loop, &q->commit);
    timer_set(q->loop, t, clock_after_ms(more ? WORK_PAUSE_MS : WORK_IDLE_MS), work_step, q);
}

void progress_may_work(struct qmgr *q)
{
    timer_set(q->loop, &q->work_timer, clock_after_ms(WORK_PAUSE_MS), work_step, q);
}

bool progress_open(struct qmgr *q, const struct journal_reader *reader, struct journal_summary *summary,
                   struct buf *why)
{
    struct journal_options options = {
        .segment_size = q->config.journal_segment, .repeat = repeat_oldest, .context = q};
    list_init(&q->standings);
    list_init(&q->after);
    q->commit = (struct deferred){.fn = commit_step, .context = q, .rank = LOOP_RANK_COMMIT};
    q->journal = journal_open(q->config.journal, &options, reader, summary, why);
    return q->journal != NULL;
}

void progress_close(struct qmgr *q)
{
    struct list *node;
    while ((node = list_shift(&q->after))) {
        struct after *a = LIST_ENTRY(node, struct after, node);
        if (a->fn == log_after)
            line_free(a->subject);
        free(a);
    }
    loop_undefer(&q->commit);
    timer_stop(&q->commit_timer);
    timer_stop(&q->work_timer);
    journal_close(&q->journal);
}
