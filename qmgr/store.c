#include "qmgr/store.h"
#include "lib/base/check.h"
#include "qmgr/load.h"
#include "qmgr/notify.h"
#include "qmgr/progress.h"
#include "qmgr/route.h"
#include "qmgr/store_parts.h"
#include "qmgr/verdict.h"

#include <stdlib.h>
#include <unistd.h>

/* A message that lies in the log and may have to be spilled. */
struct waiting_spill {
    struct queue_id id;
    int64_t at_us;
};

/* --- messages that come in --- */

static size_t strings_of(const struct msg_recipient *r)
{
    bool differs = r->original.n && !span_eq(r->original, r->address);
    return r->address.n + 1 + (differs ? r->original.n + 1 : 0);
}

/* Octets behind a NUL would be out of sight. */
static uint32_t put_text(char *strings, uint32_t at, struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        strings[at++] = s.p[i] ? s.p[i] : '?';
    strings[at++] = '\0';
    return at;
}

static void fill_recipient(struct recipient *r, const struct msg_recipient *from, char *strings, uint32_t *at)
{
    r->address = *at;
    r->notify = (uint8_t)from->notify;
    *at = put_text(strings, *at, from->address);
    if (strings_of(from) > from->address.n + 1) {
        r->flags |= RECIPIENT_HAS_ORIGINAL;
        *at = put_text(strings, *at, from->original);
    }
}

/* A message as its envelope says, not in the schedule yet. result: NULL: too large to be true */
struct message *store_message_from(struct qmgr *q, const struct queue_id *id,
                                   const struct msg_stored_envelope *e)
{
    size_t room = 0;
    uint32_t used = 0;
    for (size_t i = 0; i < e->recipients.n; i++)
        room += strings_of(&e->recipients.at[i]);
    if (e->recipients.n > UINT32_MAX / 64 || room > UINT32_MAX / 2)
        return NULL;
    struct message *m = message_new(id, (uint32_t)e->recipients.n, room);
    m->sender = text_take(&q->schedule.texts, e->sender);
    m->arrival_us = (int64_t)e->arrival_us - qmgr_wall_offset(q);
    if (m->arrival_us > qmgr_now(q))
        m->arrival_us = qmgr_now(q);
    m->size = e->text_size;
    for (uint32_t i = 0; i < m->recipient_count; i++)
        fill_recipient(&m->recipients[i], &e->recipients.at[i], m->strings, &used);
    return m;
}

static void spill_later(struct qmgr *q, const struct queue_id *id, int64_t seconds)
{
    if (q->spill_count == q->spill_cap) {
        size_t cap = q->spill_cap ? q->spill_cap * 2 : 256;
        struct waiting_spill *ring = calloc(cap, sizeof *ring);
        CHECK(ring != NULL);
        for (size_t i = 0; i < q->spill_count; i++)
            ring[i] = q->spills[(q->spill_first + i) % q->spill_cap];
        free(q->spills);
        q->spills = ring;
        q->spill_first = 0;
        q->spill_cap = cap;
    }
    q->spills[(q->spill_first + q->spill_count++) % q->spill_cap] =
        (struct waiting_spill){*id, qmgr_now(q) + seconds * SECOND_US};
}

/* The message is in the schedule now; what its place means for the store. */
void store_count_in(struct qmgr *q, struct message *m)
{
    if (!(m->flags & MESSAGE_FILE)) {
        store_know_segment(q, &m->place)->live++;
        spill_later(q, &m->id, q->config.spill_after_s ? q->config.spill_after_s : SPILL_AFTER_S);
    }
    q->fresh += !(m->flags & MESSAGE_TRIED);
    notify_found(q, &m->id);
}

/* A second record of a message that is known: it must not come to life when the first is gone. */
static bool same_place(const struct place *a, const struct place *b)
{
    return a->segment == b->segment && a->slot == b->slot && a->generation == b->generation &&
           a->offset == b->offset;
}

void store_count_copy(struct qmgr *q, const struct queue_id *id, const struct place *p)
{
    struct message *m = schedule_find(&q->schedule, queue_id_span(id));
    struct tomb *t = store_find_tomb(q, id);
    if ((m && same_place(&m->place, p)) || (t && same_place(&t->place, p)))
        return; /* the very same, seen again */
    store_add_trace(&store_know_segment(q, p)->traces, id);
    if (m)
        m->copies++;
    else if (t)
        t->traces++;
}

bool store_knows(const struct qmgr *q, const struct queue_id *id)
{
    return store_find_tomb(q, id) || schedule_find(&q->schedule, queue_id_span(id));
}

void store_message_tried(struct qmgr *q, struct message *m)
{
    if (m->flags & MESSAGE_TRIED)
        return;
    m->flags |= MESSAGE_TRIED;
    q->fresh--;
}

/* Reads the head of a stored form where a hint has not brought it. */
static bool read_stored(struct qmgr *q, struct arena *a, const struct queue_id *id, const struct place *p,
                        struct stored *st, struct buf *why)
{
    if (!p->segment) {
        int fd = -1;
        bool good = spool_get(&q->spool, a, id, st, &fd, why) == SPOOL_GOOD;
        if (fd >= 0)
            close(fd);
        return good;
    }
    struct span text;
    struct intake_place at = {p->slot, p->segment - 1, p->generation, p->offset, p->length};
    return intake_reader_get(q->reader, a, &at, st, &text, why);
}

/* Fresh mail: into the schedule, and on its way at once where it knows its routes. */
static void arrive(struct qmgr *q, const struct queue_id *id, const struct msg_arrived *a,
                   const struct place *place)
{
    struct arena scratch = ARENA_INIT;
    struct buf why = BUF_LIMITED(LOG_LINE_MAX);
    struct stored st = {0};
    bool along = a->envelope.n > 0 && msg_stored_envelope_get(&scratch, a->envelope, &st.envelope);
    struct message *m = NULL;
    if (along || read_stored(q, &scratch, id, place, &st, &why))
        m = store_message_from(q, id, &st.envelope);
    if (!m) {
        log_error("%s: the message that cleanup has stored cannot be read: %s", id->text, buf_text(&why));
    } else {
        m->place = *place;
        m->flags |= place->segment ? 0 : MESSAGE_FILE;
        CHECK(schedule_add(&q->schedule, m));
        store_count_in(q, m);
        if (along && a->text.n == m->size)
            load_keep(q, m, a->envelope, a->text);
        if (schedule_activate(&q->schedule, m, qmgr_now(q)) > 0)
            route_message(q, m, along ? &st.envelope : NULL);
        else
            verdict_settled(q, m);
        qmgr_kick(q);
    }
    buf_fini(&why);
    arena_fini(&scratch);
}

static void handle_arrived(struct channel *channel, struct frame *f, void *context)
{
    struct qmgr *q = context;
    struct cleaner *c = store_cleaner_of(q, channel);
    struct msg_arrived a;
    struct queue_id id;
    if (!c || !msg_arrived_get(NULL, f->body, &a) || !queue_id_parse(a.id, &id) || a.slot > UINT32_MAX ||
        a.segment > UINT32_MAX) {
        log_warning("malformed notice of a message from %s", channel_peer(channel));
        return;
    }
    struct place place = {.generation = a.generation,
                          .offset = a.offset,
                          .length = a.length,
                          .slot = (uint32_t)a.slot,
                          .segment = (uint32_t)a.segment};
    if (!store_knows(q, &id))
        arrive(q, &id, &a, &place);
    else if (place.segment)
        store_count_copy(q, &id, &place);
}

/* --- spilling, recycling --- */

/* A file of a message that is over. */
void store_remove_file(struct qmgr *q, const struct queue_id *id)
{
    struct buf why = BUF_LIMITED(LOG_LINE_MAX);
    struct tomb *t = store_find_tomb(q, id);
    t->traces++;
    if (spool_remove(&q->spool, id, &why))
        store_add_trace(&q->removed, id);
    else
        log_warning("%s: cannot remove the message's file: %s", id->text, buf_text(&why));
    buf_fini(&why);
}

static void handle_spilled(struct channel *channel, struct frame *f, void *context)
{
    struct qmgr *q = context;
    struct msg_spilled s;
    struct queue_id id;
    (void)channel;
    if (!msg_spilled_get(NULL, f->body, &s) || !queue_id_parse(s.id, &id))
        return;
    struct message *m = schedule_find(&q->schedule, s.id);
    if (s.error.n) {
        log_warning("%s: cannot make a file of the message: %.*s", id.text, SPAN_ARG(s.error));
    } else if (m && !(m->flags & MESSAGE_FILE)) {
        store_move_to_file(q, m);
    } else if (!m && store_find_tomb(q, &id)) {
        store_remove_file(q, &id);
    }
}

const struct message_handler qmgr_notices[] = {
    {MSG_intake, store_handle_intake},
    {MSG_arrived, handle_arrived},
    {MSG_spilled, handle_spilled},
    {MSG_recycled, store_handle_recycled},
    {0, NULL},
};

static void ask_spill(struct qmgr *q, struct message *m)
{
    struct cleaner *c = store_cleaner_of_slot(q, m->place.slot);
    struct buf body = BUF_INIT;
    if (!c || !c->spills)
        return;
    msg_spill_put(&body, &(struct msg_spill){.id = queue_id_span(&m->id),
                                             .segment = m->place.segment,
                                             .offset = m->place.offset,
                                             .length = m->place.length,
                                             .generation = m->place.generation});
    channel_notify(c->channel, MSG_spill, buf_span(&body), NULL, 0);
    buf_fini(&body);
}

static void spill_old(struct qmgr *q)
{
    for (size_t n = q->spill_count; n > 0; n--) {
        struct waiting_spill w = q->spills[q->spill_first];
        if (w.at_us > qmgr_now(q))
            return;
        q->spill_first = (q->spill_first + 1) % q->spill_cap;
        q->spill_count--;
        struct message *m = schedule_find(&q->schedule, queue_id_span(&w.id));
        if (!m || (m->flags & (MESSAGE_FILE | MESSAGE_FINISHED)))
            continue;
        /* Until it has happened: the one that is asked may die of it. */
        ask_spill(q, m);
        spill_later(q, &w.id, q->config.spill_after_s ? q->config.spill_after_s : SPILL_AGAIN_S);
    }
}

/* --- leaving --- */

void store_remove_message(struct qmgr *q, struct message *m)
{
    struct segment *s = store_find_segment(q, &m->place);
    struct tomb *t = store_make_tomb(q, &m->id);
    t->traces = m->copies;
    t->place = m->place;
    t->standing.base = m->standing.base;
    list_insert_before(&m->standing.node, &t->standing.node);
    progress_forget(&m->standing);
    progress_log(q, NULL, "%s: removed", m->id.text);
    if (m->flags & MESSAGE_FILE) {
        store_remove_file(q, &m->id);
    } else if (s) {
        s->live--;
        t->traces++;
        store_add_trace(&s->traces, &m->id);
        store_review_segment(q, s);
    }
    store_message_tried(q, m);
    notify_drop(q, m);
    load_drop(q, m);
    schedule_remove(&q->schedule, m);
    message_free(&q->schedule, &m);
}

void store_message_damaged(struct qmgr *q, struct message *m, const char *why)
{
    struct buf name = BUF_INIT, reason = BUF_LIMITED(LOG_LINE_MAX);
    load_drop(q, m);
    if ((m->flags & MESSAGE_FILE) && spool_set_aside(&q->spool, q->config.corrupt, &m->id, &name, &reason)) {
        log_error("%s: damaged message moved to corrupt/%s: %s", m->id.text, buf_text(&name), why);
        m->flags |= MESSAGE_DELETED;
        progress_put(q, m, &(struct msg_journal_entry){.event = JOURNAL_DELETED});
    } else {
        log_error("%s: damaged message put on hold: %s", m->id.text, why);
        m->flags |= MESSAGE_HELD;
        progress_put(q, m, &(struct msg_journal_entry){.event = JOURNAL_HELD});
    }
    schedule_review(&q->schedule, m);
    buf_fini(&name);
    buf_fini(&reason);
}

static void sync_removed(struct qmgr *q)
{
    struct buf why = BUF_LIMITED(LOG_LINE_MAX);
    if (list_empty(&q->removed))
        return;
    if (spool_sync(&q->spool, &why))
        store_traces_gone(q, &q->removed);
    else
        log_warning("%s", buf_text(&why));
    buf_fini(&why);
}

/* --- once a second; beginning and end --- */

static void tell_pressure(struct qmgr *q)
{
    uint64_t over = q->fresh > FRESH_MANY ? q->fresh - FRESH_MANY : 0;
    uint64_t delay_ms = over >= FRESH_SPAN ? PRESSURE_MAX_MS : over * PRESSURE_MAX_MS / FRESH_SPAN;
    size_t at = 0;
    for (struct cleaner *c; (c = map_next(&q->cleaners, &at));) {
        struct buf body = BUF_INIT;
        if (c->delay_ms == delay_ms)
            continue;
        c->delay_ms = delay_ms;
        msg_pressure_put(&body, &(struct msg_pressure){.delay_ms = delay_ms});
        channel_notify(c->channel, MSG_pressure, buf_span(&body), NULL, 0);
        buf_fini(&body);
    }
}

void store_second(struct qmgr *q)
{
    spill_old(q);
    tell_pressure(q);
    sync_removed(q);
}

void store_open(struct qmgr *q)
{
    list_init(&q->removed);
    q->reader = intake_reader_new(q->config.intake);
    q->spool = spool_open(q->config.queue, -1);
}

static void free_all(struct map *m)
{
    size_t at = 0;
    for (void *x; (x = map_next(m, &at));)
        free(x);
    map_fini(m);
}

static void free_traces(struct list *traces)
{
    struct list *node;
    while ((node = list_shift(traces)))
        free(LIST_ENTRY(node, struct trace, node));
}

void store_close(struct qmgr *q)
{
    size_t at = 0;
    for (struct segment *s; (s = map_next(&q->segments, &at));)
        free_traces(&s->traces);
    free_traces(&q->removed);
    free_all(&q->segments);
    free_all(&q->tombs);
    free_all(&q->cleaners);
    free(q->spills);
    store_drop_files(q);
    intake_reader_free(&q->reader);
}
