#include "lib/base/check.h"
#include "qmgr/progress.h"
#include "qmgr/store.h"
#include "qmgr/store_parts.h"

#include <stdlib.h>

/* --- segments and tombs --- */

struct span segment_key_span(const struct segment_key *key)
{
    return span_of(key, sizeof *key);
}

struct segment *store_find_segment(const struct qmgr *q, const struct place *p)
{
    struct segment_key key = {.generation = p->generation, .slot = p->slot, .number = p->segment};
    return map_get(&q->segments, segment_key_span(&key));
}

struct segment *store_know_segment(struct qmgr *q, const struct place *p)
{
    struct segment *s = store_find_segment(q, p);
    if (s)
        return s;
    s = calloc(1, sizeof *s);
    CHECK(s != NULL);
    s->key = (struct segment_key){.generation = p->generation, .slot = p->slot, .number = p->segment};
    list_init(&s->traces);
    map_set(&q->segments, segment_key_span(&s->key), s);
    return s;
}

void store_add_trace(struct list *where, const struct queue_id *id)
{
    struct trace *t = malloc(sizeof *t);
    CHECK(t != NULL);
    t->id = *id;
    list_push(where, &t->node);
}

struct tomb *store_make_tomb(struct qmgr *q, const struct queue_id *id)
{
    struct tomb *t = calloc(1, sizeof *t);
    CHECK(t != NULL);
    t->id = *id;
    t->standing.is_tomb = true;
    list_init(&t->standing.node);
    map_set(&q->tombs, queue_id_span(&t->id), t);
    return t;
}

struct tomb *store_find_tomb(const struct qmgr *q, const struct queue_id *id)
{
    return map_get(&q->tombs, queue_id_span(id));
}

/* One stored form of this message can never be read again. */
static void trace_gone(struct qmgr *q, const struct queue_id *id)
{
    struct tomb *t = store_find_tomb(q, id);
    struct message *m = t ? NULL : schedule_find(&q->schedule, queue_id_span(id));
    if (m && m->copies > 0)
        m->copies--;
    if (!t || --t->traces > 0)
        return;
    progress_forget(&t->standing);
    map_remove(&q->tombs, queue_id_span(&t->id));
    free(t);
}

void store_traces_gone(struct qmgr *q, struct list *traces)
{
    struct list *node;
    while ((node = list_shift(traces))) {
        struct trace *t = LIST_ENTRY(node, struct trace, node);
        trace_gone(q, &t->id);
        free(t);
    }
}

/* --- cleanup processes --- */

struct cleaner *store_cleaner_of(const struct qmgr *q, const struct channel *c)
{
    return map_get(&q->cleaners, span_of(&c, sizeof(struct channel *)));
}

struct cleaner *store_cleaner_of_slot(const struct qmgr *q, uint32_t slot)
{
    size_t at = 0;
    for (struct cleaner *c; (c = map_next(&q->cleaners, &at));)
        if (c->introduced && c->slot == slot)
            return c;
    return NULL;
}

/* The segment may be used anew if nothing in it is needed, and nothing is being added. */
void store_review_segment(struct qmgr *q, struct segment *s)
{
    struct cleaner *c = store_cleaner_of_slot(q, s->key.slot);
    if (s->live > 0 || s->asked || !c)
        return;
    if (c->segment == s->key.number && c->generation == s->key.generation)
        return;
    struct buf body = BUF_INIT;
    msg_recycle_put(&body, &(struct msg_recycle){.segment = s->key.number, .generation = s->key.generation});
    s->asked = channel_notify(c->channel, MSG_recycle, buf_span(&body), NULL, 0);
    buf_fini(&body);
}

void store_review_segments(struct qmgr *q, uint32_t slot)
{
    size_t at = 0;
    for (struct segment *s; (s = map_next(&q->segments, &at));)
        if (s->key.slot == slot)
            store_review_segment(q, s);
}

void qmgr_cleanup_came(struct qmgr *q, struct channel *channel, uint64_t incarnation)
{
    struct cleaner *c = calloc(1, sizeof *c);
    CHECK(c != NULL);
    c->channel = channel;
    c->incarnation = incarnation;
    map_set(&q->cleaners, span_of(&c->channel, sizeof(struct channel *)), c);
}

void store_handle_intake(struct channel *channel, struct frame *f, void *context)
{
    struct qmgr *q = context;
    struct cleaner *c = store_cleaner_of(q, channel);
    struct msg_intake m;
    if (!c || !msg_intake_get(NULL, f->body, &m) || m.slot > UINT32_MAX || m.segment > UINT32_MAX)
        return;
    bool first = !c->introduced;
    c->introduced = true;
    c->spills = m.spills != 0;
    c->slot = (uint32_t)m.slot;
    c->segment = (uint32_t)m.segment;
    c->generation = m.generation;
    if (first) {
        /* What an earlier process of the slot was asked, it may not have done. */
        size_t at = 0;
        for (struct segment *s; (s = map_next(&q->segments, &at));)
            if (s->key.slot == c->slot)
                s->asked = false;
        /* What it stored before it had this channel, nobody has told us. */
        store_look_again(q, c->slot);
    }
    store_review_segments(q, c->slot);
}

/* The message has a file now: its record in the log is only a copy. */
void store_move_to_file(struct qmgr *q, struct message *m)
{
    struct segment *s = store_find_segment(q, &m->place);
    m->flags |= MESSAGE_FILE;
    if (!s)
        return;
    s->live--;
    store_add_trace(&s->traces, &m->id);
    m->copies++;
    store_review_segment(q, s);
}

void store_handle_recycled(struct channel *channel, struct frame *f, void *context)
{
    struct qmgr *q = context;
    struct cleaner *c = store_cleaner_of(q, channel);
    struct msg_recycled r;
    if (!c || !c->introduced || !msg_recycled_get(NULL, f->body, &r) || r.segment == 0 ||
        r.segment > UINT32_MAX)
        return;
    struct place place = {.generation = r.generation, .slot = c->slot, .segment = (uint32_t)r.segment};
    struct segment *s = store_find_segment(q, &place);
    if (!s || s->live > 0 || !s->asked)
        return;
    intake_reader_forget(q->reader, c->slot, place.segment - 1);
    map_remove(&q->segments, segment_key_span(&s->key));
    store_traces_gone(q, &s->traces);
    free(s);
}
