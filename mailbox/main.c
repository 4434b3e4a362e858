#include "lib/log/log.h"
#include "lib/proc/wall.h"
#include "lib/wire/channel.h"
#include "lib/wire/mailbox.msg.h"
#include "mailbox/boxes.h"
#include "mailbox/commands.h"
#include "mailbox/mboxes.h"

#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

enum { DELIVER_FD = 3, LOG_FD = 2, IDLE_S = 60 };

struct mailbox {
    struct loop *loop;
    struct channel *deliver;
    struct role role;
    struct boxes *boxes;       /* NULL before mailbox_begin, as are these */
    struct mboxes *mboxes;
    struct commands *commands;
    size_t callers;
    struct timer idle;
};

static void touch(struct mailbox *m);

static void idle_over(struct timer *t, void *context)
{
    struct mailbox *m = context;
    (void)t;
    if (m->boxes && (mboxes_waiting(m->mboxes) || commands_running(m->commands)))
        touch(m);
    else
        loop_stop(m->loop);
}

static void touch(struct mailbox *m)
{
    timer_set(m->loop, &m->idle, clock_after(IDLE_S), idle_over, m);
}

/* --- requests ---------------------------------------------------------------------------- */

static void answer(struct channel *c, uint64_t id, const struct msg_stored *m)
{
    struct buf body = BUF_LIMITED(CHANNEL_FRAME_MAX);
    msg_stored_put(&body, m);
    channel_reply(c, id, MSG_stored, body.full ? SPAN_NONE : buf_span(&body), NULL, 0);
    buf_fini(&body);
}

static void refuse(struct channel *c, uint64_t id, const char *why)
{
    answer(c, id, &(struct msg_stored){.class = 4, .dsn = SPAN("4.3.0"), .text = span_text(why)});
}

static void answer_items(struct channel *c, uint64_t id, struct arena *a, const struct role_items *items)
{
    struct msg_forward_item *at = arena_calloc(a, items->n, sizeof *at);
    for (size_t i = 0; i < items->n; i++)
        at[i] = (struct msg_forward_item){
            .kind = items->at[i].kind, .text = items->at[i].text, .final = items->at[i].final};
    answer(c, id, &(struct msg_stored){.class = 2,
                                      .dsn = SPAN("2.0.0"),
                                      .items = {at, items->n},
                                      .extension_used = items->extension_used});
}

static void tell(const struct buf *warnings)
{
    if (warnings->len)
        log_warning("%s", buf_text(warnings));
}

/* Looks for a .forward first. result: whether the request is answered */
static bool forward(struct mailbox *mailbox, struct channel *c, uint64_t id, struct arena *a, const struct msg_store *m)
{
    struct role_items items;
    struct buf warnings = BUF_INIT;
    bool good = role_read_forward(&mailbox->role, a, m->extension, &items, &warnings);
    tell(&warnings);
    buf_fini(&warnings);
    if (!good)
        refuse(c, id, "cannot read the .forward file now");
    else if (items.n || m->forward == STORE_FORWARD_ONLY)
        answer_items(c, id, a, &items);
    return !good || items.n || m->forward == STORE_FORWARD_ONLY;
}

static void handle_store(struct channel *c, struct frame *f, void *context)
{
    struct mailbox *mailbox = context;
    struct arena scratch = ARENA_INIT;
    struct msg_store m;
    int text = f->nfds ? f->fds[0] : -1;
    const char *why = NULL;
    if (!msg_store_get(&scratch, f->body, &m) || (m.forward && mailbox->role.m.kind != OWNER_USER))
        refuse(c, f->id, "malformed request");
    else if (m.forward && forward(mailbox, c, f->id, &scratch, &m))
        ;
    else if ((why = role_refuses_store(&mailbox->role, &m)))
        refuse(c, f->id, why);
    else if (m.format == STORE_MAILDIR)
        boxes_store(mailbox->boxes, c, f->id, &m, text);
    else
        mboxes_store(mailbox->mboxes, c, f->id, &m, text);
    arena_fini(&scratch);
}

static void handle_include(struct channel *c, struct frame *f, void *context)
{
    struct mailbox *mailbox = context;
    struct arena scratch = ARENA_INIT;
    struct buf warnings = BUF_INIT;
    struct msg_include m;
    struct role_items items;
    const char *why = "malformed request";
    if (msg_include_get(&scratch, f->body, &m) && !(why = role_refuses_include(&mailbox->role, &m))) {
        if (role_read_include(&mailbox->role, &scratch, m.path, &items, &warnings))
            answer_items(c, f->id, &scratch, &items);
        else
            why = "cannot read the include file";
    }
    tell(&warnings);
    if (why)
        refuse(c, f->id, why);
    buf_fini(&warnings);
    arena_fini(&scratch);
}

static void handle_run(struct channel *c, struct frame *f, void *context)
{
    struct mailbox *mailbox = context;
    struct arena scratch = ARENA_INIT;
    struct msg_run m;
    if (msg_run_get(&scratch, f->body, &m))
        commands_run(mailbox->commands, c, f->id, &m, f->nfds ? f->fds[0] : -1);
    else
        refuse(c, f->id, "malformed request");
    arena_fini(&scratch);
}

static const struct message_handler requests[] = {
    {MSG_store, handle_store}, {MSG_include, handle_include}, {MSG_run, handle_run}, {0, NULL}};

static void caller_frame(struct channel *c, struct frame *f, void *context)
{
    if (!channel_dispatch(requests, c, f, context))
        log_warning("unexpected message 0x%04x from %s", f->type, channel_peer(c));
    touch(context);
}

static void caller_closed(struct channel *c, void *context)
{
    struct mailbox *mailbox = context;
    boxes_forget(mailbox->boxes, c);
    mboxes_forget(mailbox->mboxes, c);
    commands_forget(mailbox->commands, c);
    mailbox->callers--;
    channel_close(&c);
}

/* --- the beginning -------------------------------------------------------------------------- */

/* Those who run commands stay outside the wall: what they run has all rights of its user. */
static bool has_wall(const struct role *r)
{
    return r->m.kind != OWNER_COMMANDS && r->m.kind != OWNER_PIPE;
}

static bool begin(struct mailbox *mailbox, struct frame *f)
{
    struct role *role = &mailbox->role;
    struct arena scratch = ARENA_INIT;
    struct buf why = BUF_INIT;
    bool good = role_init(role, f->body, frame_take_fd(f, 0)) && role->base >= 0;
    if (good) {
        log_open(span_eq(role->m.log_target, SPAN("syslog"))   ? LOG_TO_SYSLOG
                 : span_eq(role->m.log_target, SPAN("stdout")) ? LOG_TO_STDOUT
                                                               : LOG_TO_FILE,
                 LOG_FD, arena_text(&scratch, role->m.log_host), arena_text(&scratch, role->m.log_name),
                 (uint64_t)getpid());
        log_attach(mailbox->loop);
        tzset(); /* reads the zone's file, for the "From " lines */
        good = !has_wall(role) || wall_enter("mailbox", &role->base, (const char *const[]){"mailbox"}, 1, &why);
        if (!good)
            log_error("cannot enter the sandbox: %s", buf_text(&why));
        mailbox->boxes = boxes_new(mailbox->loop, role->m.kind == OWNER_FILES ? AT_FDCWD : role->base);
        mailbox->mboxes = mboxes_new(mailbox->loop, role);
        mailbox->commands = commands_new(mailbox->loop, role);
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
    signal(SIGXFSZ, SIG_IGN); /* an error of the write instead */
    mailbox.deliver = channel_open(mailbox.loop, DELIVER_FD, "deliver", &handler, &mailbox);
    touch(&mailbox);
    loop_run(mailbox.loop);
    if (mailbox.commands)
        commands_kill(mailbox.commands);
    log_flush();
    /* Crash-only: what is not answered was not promised. */
    _exit(mailbox.boxes ? 0 : 1);
}
