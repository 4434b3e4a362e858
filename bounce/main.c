#include "bounce/report.h"
#include "lib/log/log.h"
#include "lib/mail/date.h"
#include "lib/proc/submit.h"
#include "lib/proc/tables.h"
#include "lib/queue/id.h"

#include <unistd.h>

enum { CLEANUP_WAIT_S = 100 };

struct bounce {
    struct proc *proc;
    const struct params_main *main;
    const struct params_bounce *mine;
    struct report_config report;
    struct texts texts;
    struct arena texts_arena; /* holds them */
    struct span double_bounce; /* the address that notifications to postmasters come from */
    struct queue_id_source ids;
    struct channel *asker; /* of the request in hand; NULL: it has gone */
};

/* --- handing it in ---------------------------------------------------------------- */

static struct msg_submitted try_again(const char *text)
{
    return (struct msg_submitted){.class = 4, .dsn = SPAN("4.3.0"), .text = span_text(text)};
}

static struct msg_submitted submit(struct bounce *b, struct arena *a, const struct report_order *order,
                                   struct span sender, const struct report *report)
{
    const struct original *original = order->original;
    struct msg_recipient to = {.address = order->to, .original = order->given};
    struct msg_submit m = {.id = order->id,
                           .sender = sender,
                           .recipients = {&to, 1},
                           .flags = SUBMIT_BOUNCE | (order->about->flags & SUBMIT_SMTPUTF8),
                           .arrival_us = (uint64_t)order->now_us,
                           .encoding = report->eight_bit ? 8 : 0};
    struct submit_text text = {.head = buf_span(&report->head), .fd = -1, .tail = buf_span(&report->tail)};
    if (report->whole) {
        text.middle = original->text;
        text.fd = original->fd;
        text.offset = original->offset;
        text.size = original->size;
    }
    return proc_submit(b->proc, a, &m, &text, clock_after(CLEANUP_WAIT_S));
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
    struct report report;
    report_make(&b->report, order, &report);
    struct msg_submitted answer = submit(b, a, order, sender, &report);
    if (answer.class == 0)
        log_info("%.*s: %s %s notification: %.*s", SPAN_ARG(order->about->id), who, kinds[order->about->kind].noun,
                 SPAN_ARG(order->id));
    else
        log_warning("%.*s: %s %s notification: %.*s", SPAN_ARG(order->about->id), who,
                    kinds[order->about->kind].noun, SPAN_ARG(answer.text));
    report_fini(&report);
    return answer;
}

/* The postmaster's copy: a courtesy, whatever becomes of it. */
static void post_copy(struct bounce *b, struct arena *a, const struct report_order *order)
{
    struct report_order copy = *order;
    struct queue_id id = queue_id_draw(&b->ids);
    copy.use = REPORT_COPY;
    copy.id = queue_id_span(&id);
    copy.given = order->about->kind == NOTIFY_DELAYED ? b->main->delay_notice_recipient
                                                      : b->main->bounce_notice_recipient;
    copy.to = with_domain(a, copy.given, b->main->myorigin);
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
        order->given = b->main->double_bounce_notice_recipient;
        order->to = with_domain(a, order->given, b->main->myorigin);
        return post(b, a, order, b->double_bounce, "postmaster");
    }
    order->use = REPORT_TO_SENDER;
    order->to = order->given = m->sender;
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

/* Reads the templates, at the start and when the file has changed. */
static void load_texts(struct bounce *b)
{
    struct span file = b->mine->bounce_template_file;
    int fd = file.n ? proc_file(b->proc, file.p) : -1;
    arena_reset(&b->texts_arena);
    texts_make(&b->texts_arena, proc_settings(b->proc), file, fd, b->main->myorigin, &b->texts);
    if (fd >= 0)
        close(fd);
}

static void file_changed(struct proc *p, void *own, const char *path)
{
    struct bounce *b = own;
    (void)p;
    if (span_eq(span_text(path), b->mine->bounce_template_file))
        load_texts(b);
}

static void *start(struct proc *p)
{
    struct bounce *b = ARENA_NEW(proc_arena(p), struct bounce);
    const struct params_bounce *mine = proc_params_bounce(p);
    b->proc = p;
    b->mine = mine;
    if (!mine || !(b->main = proc_params_main(p)))
        return NULL;
    load_texts(b);
    b->ids.incarnation = proc_boot(p)->incarnation;
    b->double_bounce = with_domain(proc_arena(p), b->main->double_bounce_sender, b->main->myorigin);
    b->report = (struct report_config){.myhostname = b->main->myhostname,
                                       .texts = &b->texts,
                                       .mail_name = b->main->mail_name,
                                       .bounce_size_limit = mine->bounce_size_limit,
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
                                          .file_changed = file_changed,
                                          .caller_left = caller_left};
    return proc_main(&spec);
}
