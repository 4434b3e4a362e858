#include "cleanup/cleanup.h"
#include "lib/base/check.h"
#include "lib/log/log.h"

#include <stdlib.h>

enum { PREPARE_AFTER_MS = 20 };

/* A message that waits for the commit, or an answer that is held back. */
struct pending {
    struct list node;
    struct channel *caller; /* borrowed; NULL: it has gone */
    uint64_t answer_to;
    struct queue_id id;
    struct buf stored;      /* envelope, then text where it goes to qmgr: for the hint */
    size_t envelope;        /* octets of it that are the envelope */
    struct intake_place place;
    struct spool_file *file; /* owned; NULL: in the log */
    enum store_result result;
    mono_ms due;
};

/* --- answers -------------------------------------------------------------------------- */

static void answer(struct channel *caller, uint64_t answer_to, const struct msg_submitted *m)
{
    struct buf body = BUF_INIT;
    msg_submitted_put(&body, m);
    if (caller)
        (void)channel_reply(caller, answer_to, MSG_submitted, buf_span(&body), NULL, 0);
    buf_fini(&body);
}

void commit_refuse(struct cleanup *c, struct channel *caller, uint64_t answer_to, const struct queue_id *id,
                   unsigned class, const char *dsn, struct span text)
{
    (void)c;
    answer(caller, answer_to, &(struct msg_submitted){.class = class, .dsn = span_text(dsn), .text = text,
                                                      .id = id ? queue_id_span(id) : SPAN_NONE});
}

void commit_refuse_store(struct cleanup *c, struct channel *caller, uint64_t answer_to, const struct queue_id *id,
                         enum store_result result, struct span why)
{
    if (result == STORE_FULL) {
        log_warning("%s: the queue file system is full: %.*s", id->text, SPAN_ARG(why));
        commit_refuse(c, caller, answer_to, id, 4, "4.3.1", SPAN("Insufficient system storage"));
    } else {
        log_error("%s: the message cannot be stored: %.*s", id->text, SPAN_ARG(why));
        commit_refuse(c, caller, answer_to, id, 4, "4.3.0", SPAN("queue file write error"));
    }
}

static void pending_free(struct pending *p)
{
    list_remove(&p->node);
    buf_fini(&p->stored);
    if (p->file)
        spool_drop(p->file);
    free(p->file);
    free(p);
}

static void answer_good(struct pending *p)
{
    answer(p->caller, p->answer_to, &(struct msg_submitted){.id = queue_id_span(&p->id)});
    pending_free(p);
}

static void exit_when_done(struct cleanup *c)
{
    if (c->stopping && c->in_hand == 0 && list_empty(&c->pending) && list_empty(&c->answers))
        proc_exit(c->proc, 0);
}

static void answers_due(struct timer *t, void *context)
{
    struct cleanup *c = context;
    mono_ms now = clock_mono();
    (void)t;
    LIST_EACH (node, after, &c->answers) {
        struct pending *p = LIST_ENTRY(node, struct pending, node);
        if (p->due > now && !c->stopping) {
            timer_set(proc_loop(c->proc), &c->answer, p->due, answers_due, c);
            return;
        }
        answer_good(p);
    }
    exit_when_done(c);
}

static void answer_stored(struct cleanup *c, struct pending *p)
{
    uint64_t delay = hints_delay_ms(c);
    if (delay == 0 && list_empty(&c->answers)) {
        answer_good(p);
        return;
    }
    list_remove(&p->node);
    list_push(&c->answers, &p->node);
    buf_fini(&p->stored);
    p->due = clock_after_ms((int64_t)delay);
    if (!timer_is_set(&c->answer))
        timer_set(proc_loop(c->proc), &c->answer, p->due, answers_due, c);
}

/* --- the commit -------------------------------------------------------------------------- */

static void prepare_segments(struct timer *t, void *context)
{
    struct cleanup *c = context;
    struct buf why = BUF_INIT;
    (void)t;
    enum store_result result = intake_prepare(c->intake, &why);
    if (result == STORE_FAILED)
        log_error("intake log: %s", buf_text(&why));
    buf_fini(&why);
}

/* Files of messages and of spills, one directory sync for all. */
static void commit_files(struct cleanup *c, struct buf *why)
{
    struct spool_file *files[2 * CLEANUP_FILES_MAX];
    size_t n = 0;
    LIST_EACH (node, after, &c->pending) {
        struct pending *p = LIST_ENTRY(node, struct pending, node);
        if (p->file && n < CLEANUP_FILES_MAX)
            files[n++] = p->file;
    }
    n += spill_begin(c, files + n, CLEANUP_FILES_MAX);
    if (n > 0)
        spool_commit(&c->spool, files, n, why);
    c->files = 0;
}

static void settle(struct cleanup *c, struct pending *p, enum store_result log_result, struct span log_why,
                   struct span file_why)
{
    enum store_result result = p->file ? p->file->result : log_result;
    if (result != STORE_OK) {
        commit_refuse_store(c, p->caller, p->answer_to, &p->id, result, p->file ? file_why : log_why);
        pending_free(p);
        return;
    }
    struct span stored = buf_span(&p->stored);
    hints_arrived(c, &p->id, span_slice(stored, 0, p->envelope), span_skip(stored, p->envelope),
                  p->file ? NULL : &p->place);
    answer_stored(c, p);
}

static void commit_now(struct cleanup *c)
{
    struct buf log_why = BUF_INIT, file_why = BUF_INIT;
    commit_files(c, &file_why);
    enum store_result log_result = intake_commit(c->intake, &log_why);
    LIST_EACH (node, after, &c->pending)
        settle(c, LIST_ENTRY(node, struct pending, node), log_result, buf_span(&log_why), buf_span(&file_why));
    spill_tell(c);
    if (!list_empty(&c->spills))
        loop_defer(proc_loop(c->proc), &c->commit);
    /* The next segment is made ahead of need. */
    if (!intake_is_prepared(c->intake) && !timer_is_set(&c->prepare))
        timer_set(proc_loop(c->proc), &c->prepare, clock_after_ms(PREPARE_AFTER_MS), prepare_segments, c);
    buf_fini(&log_why);
    buf_fini(&file_why);
    exit_when_done(c);
}

static void commit_deferred(struct deferred *d, void *context)
{
    (void)d;
    commit_now(context);
}

void commit_open(struct cleanup *c)
{
    list_init(&c->pending);
    list_init(&c->spills);
    list_init(&c->answers);
    c->commit = (struct deferred){.fn = commit_deferred, .context = c, .rank = LOOP_RANK_COMMIT};
    prepare_segments(NULL, c);
}

void commit_add(struct cleanup *c, const struct store_request *request)
{
    struct pending *p = calloc(1, sizeof *p);
    struct buf why = BUF_INIT;
    CHECK(p != NULL);
    p->caller = request->caller;
    p->answer_to = request->answer_to;
    p->id = request->id;
    p->file = request->file;
    list_init(&p->node);
    if (!p->file) {
        enum store_result result = intake_append(c->intake, &p->id, request->envelope, request->text, &p->place, &why);
        if (result != STORE_OK) {
            commit_refuse_store(c, p->caller, p->answer_to, &p->id, result, buf_span(&why));
            pending_free(p);
            buf_fini(&why);
            return;
        }
    }
    buf_fini(&why);
    p->envelope = request->envelope.n;
    if (c->qmgr) {
        buf_put(&p->stored, request->envelope);
        if (!p->file)
            buf_put(&p->stored, request->text);
    }
    list_push(&c->pending, &p->node);
    if (p->file && ++c->files >= CLEANUP_FILES_MAX)
        commit_now(c);
    else
        loop_defer(proc_loop(c->proc), &c->commit);
}

void commit_caller_left(struct cleanup *c, const struct channel *caller)
{
    struct list *lists[] = {&c->pending, &c->answers};
    for (size_t i = 0; i < 2; i++) {
        LIST_EACH (node, after, lists[i]) {
            struct pending *p = LIST_ENTRY(node, struct pending, node);
            if (p->caller == caller)
                p->caller = NULL;
        }
    }
}

void commit_stop(struct cleanup *c)
{
    c->stopping = true;
    answers_due(NULL, c);
}
