#include "qmgr/tool.h"
#include "lib/base/check.h"
#include "qmgr/notify.h"
#include "qmgr/progress.h"
#include "qmgr/store.h"
#include "qmgr/verdict.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    LIST_FRAME = 32 * 1024, /* octets of one part of a list, about */
};

/* A client. */
struct tool {
    struct list node;
    struct qmgr *q;
    struct channel *channel;
    unsigned uid;
    int64_t heard_us;
    struct walker walker; /* where its list is */
    struct queue_id id;   /* the message that is listed in part */
    uint32_t next;        /* its first recipient that was not listed */
};

/* A change to many messages, some at a time. */
struct walk {
    struct list node;
    struct qmgr *q;
    struct walker walker;
    struct timer timer;
    void (*change)(struct qmgr *q, struct message *m);
    struct buf site; /* only mail for this domain; empty: all */
};

/* --- who may --- */

static bool is_owner(const struct tool *t)
{
    return t->uid == 0 || t->uid == getuid();
}

/* authorized_mailq_users and authorized_flush_users: static:anyone, or numbers of users; the
 * system's names are out of reach here. */
static bool may(const struct tool *t, const struct param_list *users)
{
    if (is_owner(t))
        return true;
    for (size_t i = 0; i < users->n; i++) {
        uint64_t uid;
        if (span_starts(users->at[i], SPAN("static:")) ||
            (span_to_u64(users->at[i], UINT32_MAX, &uid) && uid == t->uid))
            return true;
    }
    return false;
}

/* --- the list --- */

static unsigned state_of(const struct message *m)
{
    if (m->flags & MESSAGE_HELD)
        return TOOL_IS_HELD;
    if (m->busy > 0)
        return TOOL_IS_ACTIVE;
    for (uint32_t i = 0; i < m->recipient_count; i++)
        if (m->recipients[i].verdict)
            return TOOL_IS_DEFERRED;
    return TOOL_IS_INCOMING;
}

static void put_recipient(struct buf *out, const struct message *m, const struct recipient *r)
{
    struct msg_verdict v = {0};
    struct msg_tool_recipient to = {.address = span_text(recipient_address(m, r))};
    if (verdict_load(r->verdict, &v))
        to.reason = v.text;
    size_t mark = wire_begin(out, 6);
    msg_tool_recipient_put(out, &to);
    wire_end(out, mark);
}

/* One message, or the part of it that fits. result: whether all of it is out */
static bool put_message(struct tool *t, const struct message *m, struct buf *out)
{
    bool continued = memcmp(&t->id, &m->id, sizeof m->id) == 0 && t->next > 0;
    size_t mark = wire_begin(out, 1);
    struct msg_tool_message head = {.id = queue_id_span(&m->id),
                                    .state = state_of(m),
                                    .arrival_us = (uint64_t)(m->arrival_us + qmgr_wall_offset(t->q)),
                                    .size = m->size,
                                    .sender = text_span(m->sender)};
    if (continued)
        head = (struct msg_tool_message){.id = head.id, .continued = 1};
    msg_tool_message_put(out, &head);
    uint32_t i = continued ? t->next : 0;
    for (; i < m->recipient_count && out->len < LIST_FRAME; i++)
        if (!recipient_is_over(&m->recipients[i]))
            put_recipient(out, m, &m->recipients[i]);
    wire_end(out, mark);
    t->id = m->id;
    t->next = i;
    return i == m->recipient_count;
}

static void reply_done(struct channel *c, struct frame *f, unsigned class, const char *text, uint64_t count)
{
    struct buf body = BUF_INIT;
    msg_tool_done_put(&body,
                      &(struct msg_tool_done){.class = class, .text = span_text(text), .count = count});
    channel_reply(c, f->id, MSG_tool_done, buf_span(&body), NULL, 0);
    buf_fini(&body);
}

static void handle_list(struct channel *c, struct frame *f, void *context)
{
    struct tool *t = context;
    struct msg_tool_list request;
    struct msg_tool_listed listed = {0};
    struct buf body = BUF_LIMITED(CHANNEL_FRAME_MAX);
    if (!msg_tool_list_get(NULL, f->body, &request) || !may(t, &t->q->rules->main.authorized_mailq_users)) {
        listed.error = SPAN("you are not allowed to view the mail queue");
    } else {
        if (request.begin) {
            walker_end(&t->walker);
            walker_begin(&t->walker, &t->q->schedule);
            t->next = 0;
        }
        struct message *m;
        while (t->walker.next && body.len < LIST_FRAME && (m = walker_peek(&t->walker, &t->q->schedule))) {
            if (!(m->flags & (MESSAGE_FINISHED | MESSAGE_DELETED)) && !put_message(t, m, &body))
                break;
            t->next = 0;
            walker_next(&t->walker, &t->q->schedule);
        }
        listed.more = t->walker.next && walker_peek(&t->walker, &t->q->schedule) != NULL;
        if (!listed.more)
            walker_end(&t->walker);
    }
    msg_tool_listed_put(&body, &listed);
    channel_reply(c, f->id, MSG_tool_listed, buf_span(&body), NULL, 0);
    buf_fini(&body);
}

/* --- changes --- */

static void change_flush(struct qmgr *q, struct message *m)
{
    if (!(m->flags & MESSAGE_HELD))
        schedule_flush(&q->schedule, m, qmgr_now(q));
}

static void change_hold(struct qmgr *q, struct message *m)
{
    if (m->flags & (MESSAGE_HELD | MESSAGE_FINISHED | MESSAGE_DELETED))
        return;
    m->flags |= MESSAGE_HELD;
    progress_put(q, m, &(struct msg_journal_entry){.event = JOURNAL_HELD});
    progress_log(q, NULL, "%s: placed on hold", m->id.text);
    schedule_withdraw(&q->schedule, m, qmgr_now(q));
    schedule_review(&q->schedule, m);
}

static void change_release(struct qmgr *q, struct message *m)
{
    if (!(m->flags & MESSAGE_HELD))
        return;
    m->flags &= ~(uint32_t)MESSAGE_HELD;
    progress_put(q, m, &(struct msg_journal_entry){.event = JOURNAL_RELEASED});
    progress_log(q, NULL, "%s: released from hold", m->id.text);
    schedule_flush(&q->schedule, m, qmgr_now(q));
}

static void change_delete(struct qmgr *q, struct message *m)
{
    if (m->flags & (MESSAGE_FINISHED | MESSAGE_DELETED))
        return;
    m->flags |= MESSAGE_DELETED;
    progress_put(q, m, &(struct msg_journal_entry){.event = JOURNAL_DELETED});
    notify_drop(q, m);
    m->flags &= ~(uint32_t)MESSAGE_NOTIFYING;
    schedule_withdraw(&q->schedule, m, qmgr_now(q));
    schedule_review(&q->schedule, m);
    verdict_settled(q, m);
}

static void walk_free(struct walk *w)
{
    timer_stop(&w->timer);
    walker_end(&w->walker);
    list_remove(&w->node);
    buf_fini(&w->site);
    free(w);
}

static bool is_for_site(const struct message *m, struct span site)
{
    for (uint32_t i = 0; i < m->recipient_count; i++) {
        struct span address = span_text(recipient_address(m, &m->recipients[i]));
        if (!recipient_is_over(&m->recipients[i]) &&
            span_eq_nocase(span_skip(address, span_rfind(address, '@') + 1), site))
            return true;
    }
    return false;
}

static void walk_step(struct timer *timer, void *context)
{
    struct walk *w = context;
    struct message *m = NULL;
    for (int i = 0; i < TOOL_WALK_SLICE && (m = walker_next(&w->walker, &w->q->schedule)); i++)
        if (w->site.len == 0 || is_for_site(m, buf_span(&w->site)))
            w->change(w->q, m);
    qmgr_kick(w->q);
    if (m)
        timer_set(w->q->loop, timer, loop_now(w->q->loop), walk_step, w);
    else
        walk_free(w);
}

/* Begins a change to all, or to mail for one site. */
static void walk_begin(struct qmgr *q, void (*change)(struct qmgr *, struct message *), struct span site)
{
    struct walk *w = calloc(1, sizeof *w);
    CHECK(w != NULL);
    w->q = q;
    w->change = change;
    buf_put(&w->site, site);
    list_push(&q->walks, &w->node);
    walker_begin(&w->walker, &q->schedule);
    timer_set(q->loop, &w->timer, loop_now(q->loop), walk_step, w);
}

static void handle_flush(struct channel *c, struct frame *f, void *context)
{
    struct tool *t = context;
    struct msg_tool_flush request;
    struct message *m;
    if (!msg_tool_flush_get(NULL, f->body, &request) || !may(t, &t->q->rules->main.authorized_flush_users)) {
        reply_done(c, f, 5, "you are not allowed to flush the mail queue", 0);
    } else if (request.kind == TOOL_ID) {
        m = schedule_find(&t->q->schedule, request.name);
        if (m)
            change_flush(t->q, m);
        qmgr_kick(t->q);
        reply_done(c, f, m ? 2 : 5, m ? "" : "no such message", m ? 1 : 0);
    } else {
        schedule_revive(&t->q->schedule, NULL);
        walk_begin(t->q, change_flush, request.kind == TOOL_SITE ? request.name : SPAN_NONE);
        reply_done(c, f, 2, "", 0);
    }
}

static void handle_change(struct channel *c, struct frame *f, void *context)
{
    static void (*const changes[])(struct qmgr *, struct message *) = {[TOOL_HOLD] = change_hold,
                                                                       [TOOL_RELEASE] = change_release,
                                                                       [TOOL_DELETE] = change_delete,
                                                                       [TOOL_REQUEUE] = change_flush};
    struct tool *t = context;
    struct msg_tool_change request;
    struct message *m;
    if (!msg_tool_change_get(NULL, f->body, &request) || request.what < TOOL_HOLD ||
        request.what > TOOL_REQUEUE || !is_owner(t)) {
        reply_done(c, f, 5, "you are not allowed to change the mail queue", 0);
    } else if (request.id.n == 0) {
        uint64_t count = t->q->schedule.count;
        walk_begin(t->q, changes[request.what], SPAN_NONE);
        reply_done(c, f, 2, "", count);
    } else if ((m = schedule_find(&t->q->schedule, request.id))) {
        changes[request.what](t->q, m);
        qmgr_kick(t->q);
        reply_done(c, f, 2, "", 1);
    } else {
        reply_done(c, f, 5, "no such message", 0);
    }
}

/* --- clients --- */

static const struct message_handler requests[] = {{MSG_tool_list, handle_list},
                                                  {MSG_tool_flush, handle_flush},
                                                  {MSG_tool_change, handle_change},
                                                  {0, NULL}};

static void tool_end(struct tool *t)
{
    t->q->tool_count--;
    walker_end(&t->walker);
    list_remove(&t->node);
    channel_close(&t->channel);
    free(t);
}

static void tool_frame(struct channel *c, struct frame *f, void *context)
{
    struct tool *t = context;
    t->heard_us = qmgr_now(t->q);
    /* Nobody outside sends notices, or what is not a request of ours. */
    if (f->id == 0 || !channel_dispatch(requests, c, f, t))
        tool_end(t);
}

static void tool_closed(struct channel *c, void *context)
{
    (void)c;
    tool_end(context);
}

void qmgr_tool_came(struct qmgr *q, int fd, unsigned uid)
{
    static const struct channel_handler handler = {tool_frame, tool_closed};
    if (q->tool_count >= TOOLS_MAX) {
        close(fd);
        return;
    }
    struct tool *t = calloc(1, sizeof *t);
    CHECK(t != NULL);
    t->q = q;
    t->uid = uid;
    t->heard_us = qmgr_now(q);
    t->channel = channel_open(q->loop, fd, "a tool", &handler, t);
    q->tool_count++;
    list_push(&q->tools, &t->node);
}

void tool_init(struct qmgr *q)
{
    list_init(&q->tools);
    list_init(&q->walks);
}

void tool_second(struct qmgr *q)
{
    LIST_EACH (node, after, &q->tools) {
        struct tool *t = LIST_ENTRY(node, struct tool, node);
        if (qmgr_now(q) - t->heard_us > TOOL_IDLE_S * SECOND_US)
            tool_end(t);
    }
}

void tool_close_all(struct qmgr *q)
{
    while (!list_empty(&q->tools))
        tool_end(LIST_ENTRY(q->tools.next, struct tool, node));
    while (!list_empty(&q->walks))
        walk_free(LIST_ENTRY(q->walks.next, struct walk, node));
}
