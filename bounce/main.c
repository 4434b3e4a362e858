#include "bounce/report.h"
#include "lib/log/log.h"
#include "lib/mail/date.h"
#include "lib/proc/proc.h"
#include "lib/proc/tables.h"
#include "lib/queue/id.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { CLEANUP_WAIT_S = 100 };

struct bounce {
    struct proc *proc;
    const struct params_main *main;
    struct report_config report;
    struct span double_bounce; /* the address that notifications to postmasters come from */
    struct queue_id_source ids;
    struct channel *asker; /* of the request in hand; NULL: it has gone */
};

/* One notification on its way to cleanup. */
struct posting {
    struct bounce *bounce;
    struct arena *arena;
    struct report_order order;
    struct span sender;
    struct report report;
    uint64_t at; /* octets written to the spool file */
    int spool;
};

CHANNEL_CALL_DECLARE(submit, submitted);

/* --- handing it in ---------------------------------------------------------------- */

static struct msg_submitted try_again(const char *text)
{
    return (struct msg_submitted){.class = 4, .dsn = SPAN("4.3.0"), .text = span_text(text)};
}

static bool write_piece(struct span piece, void *context)
{
    struct posting *p = context;
    while (piece.n) {
        ssize_t n = pwrite(p->spool, piece.p, piece.n, (off_t)p->at);
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0) {
            p->at += (uint64_t)n;
            piece = span_skip(piece, (size_t)n);
        }
    }
    return true;
}

static bool append_piece(struct span piece, void *context)
{
    buf_put(context, piece);
    return true;
}

/* A spool file with the report in it. result: its handle, or 0 */
static uint64_t spool_report(struct posting *p, struct channel *cleanup, uint64_t size, mono_ms deadline)
{
    struct buf body = BUF_INIT;
    struct frame reply = {0};
    struct msg_spool_made made = {0};
    msg_spool_wanted_put(&body, &(struct msg_spool_wanted){.size = size});
    enum call_result result = channel_call(cleanup, MSG_spool_wanted, buf_span(&body), NULL, 0, deadline,
                                           MSG_spool_made, p->arena, &reply);
    buf_fini(&body);
    if (result != CALL_OK || !msg_spool_made_get(p->arena, reply.body, &made))
        return 0;
    p->spool = frame_take_fd(&reply, 0);
    bool good = p->spool >= 0 && made.handle && write_piece(buf_span(&p->report.head), p) &&
                (!p->report.whole || original_each(p->order.original, write_piece, p)) &&
                write_piece(buf_span(&p->report.tail), p);
    if (p->spool >= 0)
        close(p->spool);
    return good ? made.handle : 0;
}

static struct msg_submitted submit_report(struct posting *p)
{
    const struct msg_notify *about = p->order.about;
    const mono_ms deadline = clock_after(CLEANUP_WAIT_S);
    uint64_t size = p->report.head.len + p->report.tail.len + (p->report.whole ? p->order.original->size : 0);
    struct msg_recipient to = {.address = p->order.to, .original = p->order.to};
    struct msg_submit m = {.id = p->order.id,
                           .sender = p->sender,
                           .recipients = {&to, 1},
                           .flags = SUBMIT_BOUNCE | (about->flags & SUBMIT_SMTPUTF8),
                           .arrival_us = (uint64_t)p->order.now_us,
                           .encoding = p->report.eight_bit ? 8 : 0};
    struct buf text = BUF_LIMITED(SUBMIT_INLINE_MAX);
    struct msg_submitted answer = try_again("the cleanup service does not answer");
    struct channel *cleanup = proc_channel(p->bounce->proc, "cleanup", deadline);
    if (cleanup && size <= SUBMIT_INLINE_MAX) {
        buf_put(&text, buf_span(&p->report.head));
        if (p->report.whole && !original_each(p->order.original, append_piece, &text))
            cleanup = NULL;
        buf_put(&text, buf_span(&p->report.tail));
        m.text = buf_span(&text);
    } else if (cleanup) {
        m.spool = spool_report(p, cleanup, size, deadline);
        m.spool_size = p->at;
        if (m.spool == 0)
            cleanup = NULL;
    }
    if (cleanup && CHANNEL_CALL(cleanup, p->arena, deadline, submit, &m, submitted, &answer) != CALL_OK)
        answer = try_again("the cleanup service does not answer");
    buf_fini(&text);
    return answer;
}

/* --- whom to tell ------------------------------------------------------------------ */

/* By kind of notification: what its log line says, and which class of notify_classes gives whom a copy. */
static const struct {
    const char *noun;
    unsigned copy_class;
} kinds[] = {
    [NOTIFY_FAILED] = {"non-delivery", 1u << PARAM_notify_class_bounce},
    [NOTIFY_DELAYED] = {"delay", 1u << PARAM_notify_class_delay},
    [NOTIFY_SUCCESS] = {"delivery status", 0},
};

static struct span with_domain(struct arena *a, struct span address, struct span domain)
{
    if (span_find(address, '@') < address.n)
        return address;
    return span_text(arena_printf(a, "%.*s@%.*s", SPAN_ARG(address), SPAN_ARG(domain)));
}

/* Makes and submits one. who: for the log */
static struct msg_submitted post(struct bounce *b, struct arena *a, const struct report_order *order, struct span sender,
                                 const char *who)
{
    struct posting p = {.bounce = b, .arena = a, .order = *order, .sender = sender, .spool = -1};
    report_make(&b->report, order, &p.report);
    struct msg_submitted answer = submit_report(&p);
    if (answer.class == 0)
        log_info("%.*s: %s %s notification: %.*s", SPAN_ARG(order->about->id), who, kinds[order->about->kind].noun,
                 SPAN_ARG(order->id));
    else
        log_warning("%.*s: %s %s notification: %.*s", SPAN_ARG(order->about->id), who,
                    kinds[order->about->kind].noun, SPAN_ARG(answer.text));
    report_fini(&p.report);
    return answer;
}

/* The postmaster's copy: a courtesy, whatever becomes of it. */
static void post_copy(struct bounce *b, struct arena *a, const struct report_order *order)
{
    struct report_order copy = *order;
    struct queue_id id = queue_id_draw(&b->ids);
    copy.use = REPORT_COPY;
    copy.id = queue_id_span(&id);
    copy.to = with_domain(a, order->about->kind == NOTIFY_DELAYED ? b->main->delay_notice_recipient
                                                                  : b->main->bounce_notice_recipient,
                          b->main->myorigin);
    post(b, a, &copy, b->double_bounce, "postmaster");
}

/* result: class 0 and no ID where nobody is to be told */
static struct msg_submitted notify(struct bounce *b, struct arena *a, struct report_order *order)
{
    const struct msg_notify *m = order->about;
    if (report_count(m) == 0)
        return (struct msg_submitted){0};
    if (span_eq_nocase(m->sender, b->double_bounce)) {
        log_warning("%.*s: undeliverable postmaster notification discarded", SPAN_ARG(m->id));
        return (struct msg_submitted){0};
    }
    if (m->sender.n == 0) {
        if (m->kind != NOTIFY_FAILED || !(b->main->notify_classes & (1u << PARAM_notify_class_twobounce)))
            return (struct msg_submitted){0};
        order->use = REPORT_DOUBLE;
        order->to = with_domain(a, b->main->double_bounce_notice_recipient, b->main->myorigin);
        return post(b, a, order, b->double_bounce, "postmaster");
    }
    order->use = REPORT_TO_SENDER;
    order->to = m->sender;
    struct msg_submitted answer = post(b, a, order, SPAN_NONE, "sender");
    if (answer.class == 0 && (b->main->notify_classes & kinds[m->kind].copy_class))
        post_copy(b, a, order);
    return answer;
}

/* --- the service ---------------------------------------------------------------------- */

static struct msg_submitted handle(struct bounce *b, struct arena *a, struct frame *f)
{
    struct msg_notify m;
    struct original original;
    int fd = f->nfds ? f->fds[0] : -1;
    /* The frame's own octets last until the first wait only. */
    if (!msg_notify_get(a, arena_dup(a, f->body), &m) || m.kind < NOTIFY_FAILED || m.kind > NOTIFY_SUCCESS || m.new_id.n == 0 ||
        m.new_id.n > QUEUE_ID_MAX)
        return (struct msg_submitted){.class = 5, .dsn = SPAN("5.3.0"), .text = SPAN("malformed request")};
    if (!original_open(&original, a, m.text, fd, m.text_offset, m.text_size))
        return try_again("the message cannot be read");
    struct report_order order = {
        .about = &m, .original = &original, .id = m.new_id, .now_us = clock_wall_us()};
    return notify(b, a, &order);
}

static void handle_notify(struct channel *c, struct frame *f, void *context)
{
    struct bounce *b = context;
    struct arena scratch = ARENA_INIT;
    struct buf body = BUF_INIT;
    b->asker = c;
    struct msg_submitted answer = handle(b, &scratch, f);
    msg_submitted_put(&body, &answer);
    if (b->asker)
        channel_reply(b->asker, f->id, MSG_submitted, buf_span(&body), NULL, 0);
    b->asker = NULL;
    buf_fini(&body);
    arena_fini(&scratch);
}

static void caller_left(struct proc *p, void *own, struct channel *c)
{
    struct bounce *b = own;
    (void)p;
    if (b->asker == c)
        b->asker = NULL;
}

static void *start(struct proc *p)
{
    struct bounce *b = ARENA_NEW(proc_arena(p), struct bounce);
    const struct params_bounce *mine = proc_params_bounce(p);
    b->proc = p;
    if (!mine || !(b->main = proc_params_main(p)))
        return NULL;
    b->ids.incarnation = proc_boot(p)->incarnation;
    b->double_bounce = with_domain(proc_arena(p), b->main->double_bounce_sender, b->main->myorigin);
    b->report = (struct report_config){.myhostname = b->main->myhostname,
                                       .myorigin = b->main->myorigin,
                                       .mail_name = b->main->mail_name,
                                       .bounce_size_limit = mine->bounce_size_limit,
                                       .delay_warning_time = b->main->delay_warning_time,
                                       .enable_threaded_bounces = mine->enable_threaded_bounces,
                                       .zone = date_local_zone(clock_wall_us())};
    return b;
}

static const struct message_handler requests[] = {{MSG_notify, handle_notify}, {0, NULL}};

int main(void)
{
    static const struct proc_spec spec = {.program = "bounce",
                                          .kind = PROC_WORKER,
                                          .requests = requests,
                                          .start = start,
                                          .caller_left = caller_left};
    return proc_main(&spec);
}
