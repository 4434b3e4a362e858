#include "cleanup/cleanup.h"
#include "lib/log/log.h"

enum {
    CONNECT_RETRY_MS = 1000,
    BACKLOG_NO_TEXT = 4 << 20,   /* octets qmgr has not read: texts do not travel along any more */
    BACKLOG_NO_HINT = 48 << 20,  /* nor anything: it must read the log anyway */
    BACKLOG_DELAY = 16 << 20,    /* answers are held back */
    BACKLOG_DELAY_MS = 200,
    FRAME_SLACK = 1024,          /* octets of an arrived beside envelope and text */
};

static void connect_later(struct cleanup *c, int64_t ms);

static void notify(struct cleanup *c, uint16_t type, const struct buf *body)
{
    if (c->qmgr)
        (void)channel_notify(c->qmgr, type, buf_span(body), NULL, 0);
}

/* Says which segment is being written; 0: none. */
static void tell_intake(struct cleanup *c, uint32_t segment, uint64_t generation)
{
    struct buf body = BUF_INIT;
    struct msg_intake m = {.slot = c->slot, .segment = generation ? segment + UINT64_C(1) : 0, .spills = 1,
                           .generation = generation};
    msg_intake_put(&body, &m);
    notify(c, MSG_intake, &body);
    buf_fini(&body);
    c->told_segment = segment;
    c->told_generation = generation;
}

void hints_arrived(struct cleanup *c, const struct queue_id *id, struct span envelope, struct span text,
                   const struct intake_place *place)
{
    if (!c->qmgr)
        return;
    struct msg_arrived m = {.id = queue_id_span(id), .slot = c->slot};
    struct buf body = BUF_LIMITED(CHANNEL_FRAME_MAX);
    size_t backlog = channel_backlog(c->qmgr);
    if (place) {
        if (place->segment != c->told_segment || place->generation != c->told_generation)
            tell_intake(c, place->segment, place->generation); /* those of the one before have been told */
        m.segment = place->segment + UINT64_C(1);
        m.generation = place->generation;
        m.offset = place->offset;
        m.length = place->length;
    }
    if (envelope.n + FRAME_SLACK <= CHANNEL_FRAME_MAX)
        m.envelope = envelope;
    if (m.envelope.n + text.n + FRAME_SLACK <= CHANNEL_FRAME_MAX && backlog < BACKLOG_NO_TEXT)
        m.text = text;
    msg_arrived_put(&body, &m);
    if (backlog < BACKLOG_NO_HINT) {
        notify(c, MSG_arrived, &body);
    } else { /* begin again: after the first intake on a new channel it reads what there is */
        log_warning("the queue manager does not keep up: it must read the intake log");
        channel_close(&c->qmgr);
        connect_later(c, CONNECT_RETRY_MS);
    }
    buf_fini(&body);
}

uint64_t hints_delay_ms(const struct cleanup *c)
{
    uint64_t delay = c->delay_ms;
    if (c->qmgr && channel_backlog(c->qmgr) > BACKLOG_DELAY && delay < BACKLOG_DELAY_MS)
        delay = BACKLOG_DELAY_MS;
    return delay;
}

/* --- what qmgr says ------------------------------------------------------------------ */

static void take_spill(struct channel *channel, struct frame *f, void *context)
{
    struct cleanup *c = context;
    struct arena a = ARENA_INIT;
    struct msg_spill m;
    (void)channel;
    if (msg_spill_get(&a, f->body, &m))
        spill_add(c, &m);
    arena_fini(&a);
}

static void take_recycle(struct channel *channel, struct frame *f, void *context)
{
    struct cleanup *c = context;
    struct arena a = ARENA_INIT;
    struct msg_recycle m;
    struct buf why = BUF_INIT, body = BUF_INIT;
    (void)channel;
    if (msg_recycle_get(&a, f->body, &m) && m.segment > 0 && m.segment <= UINT32_MAX) {
        switch (intake_recycle(c->intake, (uint32_t)(m.segment - 1), m.generation, &why)) {
        case STORE_OK:
            msg_recycled_put(&body, &(struct msg_recycled){.segment = m.segment, .generation = m.generation});
            notify(c, MSG_recycled, &body);
            break;
        case STORE_EXISTS:
            log_warning("segment %llu of the intake log is not recycled: it is in use",
                        (unsigned long long)m.segment - 1);
            break;
        case STORE_FULL:
        case STORE_FAILED:
            log_error("segment %llu of the intake log cannot be recycled: %s", (unsigned long long)m.segment - 1,
                      buf_text(&why));
            break;
        }
    }
    buf_fini(&why);
    buf_fini(&body);
    arena_fini(&a);
}

static void take_pressure(struct channel *channel, struct frame *f, void *context)
{
    struct cleanup *c = context;
    struct arena a = ARENA_INIT;
    struct msg_pressure m;
    (void)channel;
    if (msg_pressure_get(&a, f->body, &m))
        c->delay_ms = m.delay_ms < CLEANUP_DELAY_MAX_MS ? m.delay_ms : CLEANUP_DELAY_MAX_MS;
    arena_fini(&a);
}

static const struct message_handler from_qmgr[] = {
    {MSG_spill, take_spill},
    {MSG_recycle, take_recycle},
    {MSG_pressure, take_pressure},
    {0, NULL},
};

static void qmgr_frame(struct channel *channel, struct frame *f, void *context)
{
    if (!channel_dispatch(from_qmgr, channel, f, context))
        log_warning("unexpected message 0x%04x from %s", f->type, channel_peer(channel));
}

/* --- the channel ------------------------------------------------------------------------ */

static void qmgr_closed(struct channel *channel, void *context)
{
    struct cleanup *c = context;
    if (c->qmgr == channel)
        c->qmgr = NULL;
    channel_close(&channel);
    c->delay_ms = 0;
    connect_later(c, 0);
}

static void qmgr_made(struct channel *channel, unsigned slot, void *context)
{
    struct cleanup *c = context;
    uint32_t segment = 0;
    uint64_t generation = 0;
    (void)slot;
    c->qmgr = channel;
    if (!channel) {
        connect_later(c, CONNECT_RETRY_MS);
        return;
    }
    (void)intake_current(c->intake, &segment, &generation);
    tell_intake(c, segment, generation);
}

static void connect_now(struct timer *t, void *context)
{
    static const struct channel_handler handler = {qmgr_frame, qmgr_closed};
    struct cleanup *c = context;
    (void)t;
    proc_want_channel(c->proc, "qmgr", 0, &handler, c, qmgr_made);
}

static void connect_later(struct cleanup *c, int64_t ms)
{
    timer_set(proc_loop(c->proc), &c->connect, clock_after_ms(ms), connect_now, c);
}

void hints_open(struct cleanup *c)
{
    connect_now(NULL, c);
}
