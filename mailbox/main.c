#include "lib/log/log.h"
#include "lib/proc/wall.h"
#include "lib/wire/channel.h"
#include "lib/wire/mailbox.msg.h"
#include "mailbox/boxes.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum { DELIVER_FD = 3, LOG_FD = 2, IDLE_S = 60 };

struct mailbox {
    struct loop *loop;
    struct channel *deliver;
    struct boxes *boxes; /* NULL before mailbox_begin */
    size_t callers;
    struct timer idle;
};

static void idle_over(struct timer *t, void *context)
{
    (void)t;
    loop_stop(((struct mailbox *)context)->loop);
}

static void touch(struct mailbox *m)
{
    timer_set(m->loop, &m->idle, clock_after(IDLE_S), idle_over, m);
}

static void caller_frame(struct channel *c, struct frame *f, void *context)
{
    struct mailbox *mailbox = context;
    struct arena scratch = ARENA_INIT;
    struct msg_store m;
    if (f->type == MSG_store && msg_store_get(&scratch, f->body, &m) && m.format == STORE_MAILDIR)
        boxes_store(mailbox->boxes, c, f->id, &m, f->nfds ? f->fds[0] : -1);
    else
        log_warning("unexpected message 0x%04x from %s", f->type, channel_peer(c));
    arena_fini(&scratch);
    touch(mailbox);
}

static void caller_closed(struct channel *c, void *context)
{
    struct mailbox *mailbox = context;
    boxes_forget(mailbox->boxes, c);
    mailbox->callers--;
    channel_close(&c);
}

static bool begin(struct mailbox *mailbox, struct frame *f)
{
    struct arena scratch = ARENA_INIT;
    struct msg_mailbox_begin m;
    struct buf why = BUF_INIT;
    int base = frame_take_fd(f, 0);
    bool good = base >= 0 && msg_mailbox_begin_get(&scratch, f->body, &m);
    if (good) {
        log_open(span_eq(m.log_target, SPAN("syslog"))   ? LOG_TO_SYSLOG
                 : span_eq(m.log_target, SPAN("stdout")) ? LOG_TO_STDOUT
                                                         : LOG_TO_FILE,
                 LOG_FD, arena_text(&scratch, m.log_host), arena_text(&scratch, m.log_name), (uint64_t)getpid());
        log_attach(mailbox->loop);
        good = wall_enter("mailbox", &base, (const char *const[]){"mailbox"}, 1, &why);
        if (!good)
            log_error("cannot enter the sandbox: %s", buf_text(&why));
        mailbox->boxes = boxes_new(mailbox->loop, base);
    }
    buf_fini(&why);
    arena_fini(&scratch);
    return good;
}

static void add_caller(struct mailbox *mailbox, struct frame *f)
{
    static const struct channel_handler handler = {caller_frame, caller_closed};
    struct arena scratch = ARENA_INIT;
    struct msg_mailbox_caller m;
    int fd = frame_take_fd(f, 0);
    if (fd >= 0 && msg_mailbox_caller_get(&scratch, f->body, &m)) {
        channel_open(mailbox->loop, fd, arena_text(&scratch, m.name), &handler, mailbox);
        mailbox->callers++;
    }
    arena_fini(&scratch);
    touch(mailbox);
}

static void deliver_frame(struct channel *c, struct frame *f, void *context)
{
    struct mailbox *mailbox = context;
    (void)c;
    if (f->type == MSG_mailbox_begin && !mailbox->boxes && !begin(mailbox, f))
        loop_stop(mailbox->loop);
    if (f->type == MSG_mailbox_caller && mailbox->boxes)
        add_caller(mailbox, f);
}

static void deliver_closed(struct channel *c, void *context)
{
    (void)c;
    loop_stop(((struct mailbox *)context)->loop);
}

int main(void)
{
    static const struct channel_handler handler = {deliver_frame, deliver_closed};
    struct mailbox mailbox = {.loop = loop_new()};
    signal(SIGPIPE, SIG_IGN);
    mailbox.deliver = channel_open(mailbox.loop, DELIVER_FD, "deliver", &handler, &mailbox);
    touch(&mailbox);
    loop_run(mailbox.loop);
    log_flush();
    /* Crash-only: what is not answered was not promised. */
    _exit(mailbox.boxes ? 0 : 1);
}
