#include "deliver/deliver.h"
#include "lib/base/check.h"
#include "lib/log/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A process that runs for one purpose. */
struct owner {
    struct list node;
    struct purpose purpose; /* texts in arena */
    uint64_t generation;    /* of the settings that it was begun with */
    struct arena arena;
    struct channel *child;  /* its channel on descriptor 3 */
};

static void child_frame(struct channel *c, struct frame *f, void *context)
{
    (void)context;
    log_warning("unexpected message 0x%04x from %s", f->type, channel_peer(c));
}

static void child_closed(struct channel *c, void *context)
{
    struct owner *owner = context;
    list_remove(&owner->node);
    channel_close(&c);
    arena_fini(&owner->arena);
    free(owner);
}

static bool same_text(const char *a, const char *b)
{
    return span_eq(span_text(a), span_text(b));
}

static struct owner *find_owner(struct deliver *d, const struct purpose *p)
{
    LIST_EACH (node, after, &d->owners) {
        struct owner *owner = LIST_ENTRY(node, struct owner, node);
        const struct purpose *q = &owner->purpose;
        if (q->kind == p->kind && q->id.uid == p->id.uid && q->id.gid == p->id.gid && same_text(q->base, p->base) &&
            same_text(q->user, p->user) && same_text(q->service, p->service) &&
            owner->generation == proc_boot(d->proc)->generation && !channel_is_closed(owner->child))
            return owner;
    }
    return NULL;
}

static const char *keep_text(struct arena *a, const char *text)
{
    return text ? arena_text(a, span_text(text)) : NULL;
}

static void send_begin(struct deliver *d, struct owner *owner, int base)
{
    struct buf body = BUF_INIT;
    purpose_put_begin(d, &owner->purpose, &body);
    channel_notify(owner->child, MSG_mailbox_begin, buf_span(&body), &base, 1);
    buf_fini(&body);
}

/* Those who run commands are not behind a wall, so what they run could write into the log. */
static bool has_log(const struct purpose *p)
{
    return p->kind != OWNER_COMMANDS && p->kind != OWNER_PIPE;
}

/* result: NULL with errno */
static struct owner *start_owner(struct deliver *d, const struct purpose *p)
{
    static const struct channel_handler handler = {child_frame, child_closed};
    int fd = -1, base = open(p->base, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (base < 0)
        return NULL;
    pid_t pid = spawn(d, "mailbox", &p->id, has_log(p) ? proc_log_fd(d->proc) : -1, &fd);
    if (pid < 0) {
        int error = errno;
        close(base);
        errno = error;
        return NULL;
    }
    struct owner *owner = calloc(1, sizeof *owner);
    CHECK(owner != NULL);
    owner->purpose = *p;
    owner->purpose.id.user = keep_text(&owner->arena, p->id.user);
    owner->purpose.id.home = keep_text(&owner->arena, p->id.home);
    owner->purpose.id.shell = keep_text(&owner->arena, p->id.shell);
    owner->purpose.base = keep_text(&owner->arena, p->base);
    owner->purpose.user = keep_text(&owner->arena, p->user);
    owner->purpose.mailbox = keep_text(&owner->arena, p->mailbox);
    owner->purpose.service = keep_text(&owner->arena, p->service);
    owner->purpose.arguments = arena_dup(&owner->arena, p->arguments);
    owner->generation = proc_boot(d->proc)->generation;
    owner->child = channel_open(proc_loop(d->proc), fd, "mailbox", &handler, owner);
    list_push(&d->owners, &owner->node);
    send_begin(d, owner, base);
    close(base);
    return owner;
}

static void answer(struct channel *c, uint64_t id, const struct msg_owner_made *m, int fd)
{
    struct buf body = BUF_INIT;
    msg_owner_made_put(&body, m);
    channel_reply(c, id, MSG_owner_made, buf_span(&body), &fd, fd >= 0 ? 1 : 0);
    buf_fini(&body);
}

static void refuse(struct channel *c, uint64_t id, struct refusal no)
{
    struct msg_owner_made m = {.class = no.class, .dsn = span_text(no.dsn), .text = span_text(no.text)};
    answer(c, id, &m, -1);
}

/* A channel from the asker straight to the owner's process. */
static void introduce(struct channel *c, uint64_t request, struct owner *owner)
{
    int ends[2];
    struct buf body = BUF_INIT;
    if (!channel_pair(ends)) {
        refuse(c, request, (struct refusal){4, "4.3.0", strerror(errno)});
        return;
    }
    msg_mailbox_caller_put(&body, &(struct msg_mailbox_caller){.name = span_text(channel_peer(c))});
    channel_notify(owner->child, MSG_mailbox_caller, buf_span(&body), &ends[1], 1);
    buf_fini(&body);
    struct msg_owner_made m = {
        .class = 2, .home = span_text(owner->purpose.id.home), .shell = span_text(owner->purpose.id.shell)};
    answer(c, request, &m, ends[0]);
    close(ends[0]);
    close(ends[1]);
}

/* The purpose's process, started where there is none. */
static void serve(struct deliver *d, struct arena *a, struct channel *c, uint64_t request, const struct purpose *p)
{
    struct owner *owner = find_owner(d, p);
    if (!owner)
        owner = start_owner(d, p);
    if (owner) {
        introduce(c, request, owner);
    } else if (errno == ENOENT && p->kind == OWNER_USER) {
        struct msg_owner_made m = {
            .class = 2, .no_home = 1, .home = span_text(p->id.home), .shell = span_text(p->id.shell)};
        answer(c, request, &m, -1);
    } else {
        const char *why = arena_printf(a, "%s: %s", p->base, strerror(errno));
        refuse(c, request, (struct refusal){4, "4.2.0", why});
    }
}

void handle_owner_wanted(struct channel *c, struct frame *f, void *context)
{
    struct deliver *d = context;
    struct arena scratch = ARENA_INIT;
    struct msg_owner_wanted m;
    struct purpose p;
    struct refusal no = {4, "4.3.0", "malformed request"};
    if (msg_owner_wanted_get(&scratch, f->body, &m))
        no = purpose_of(d, &scratch, &m, caller_service(c), &p);
    if (no.text)
        refuse(c, f->id, no);
    else
        serve(d, &scratch, c, f->id, &p);
    arena_fini(&scratch);
}
