#include "deliver/deliver.h"
#include "lib/base/check.h"
#include "lib/log/log.h"
#include "lib/param/facts.h"
#include "lib/param/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A process that runs as one owner. */
struct owner {
    struct list node;
    struct deliver *deliver;
    struct identity id;    /* texts in arena */
    struct arena arena;
    struct channel *child; /* its channel on descriptor 3 */
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

static struct owner *find_owner(struct deliver *d, const struct identity *id)
{
    LIST_EACH (node, after, &d->owners) {
        struct owner *owner = LIST_ENTRY(node, struct owner, node);
        if (owner->id.uid == id->uid && owner->id.gid == id->gid &&
            span_eq(span_text(owner->id.home), span_text(id->home)) && !channel_is_closed(owner->child))
            return owner;
    }
    return NULL;
}

static void send_begin(struct owner *owner, int base)
{
    const struct deliver *d = owner->deliver;
    const struct setting *host = settings_get(proc_settings(d->proc), SPAN(FACT_HOSTNAME));
    struct buf body = BUF_INIT;
    const char *name = arena_printf(&owner->arena, "%s/mailbox", d->log_name);
    msg_mailbox_begin_put(&body, &(struct msg_mailbox_begin){.log_target = proc_boot(d->proc)->log_target,
                                                            .log_host = host ? host->value : SPAN("localhost"),
                                                            .log_name = span_text(name)});
    channel_notify(owner->child, MSG_mailbox_begin, buf_span(&body), &base, 1);
    buf_fini(&body);
}

/* result: NULL with errno */
static struct owner *start_owner(struct deliver *d, const struct identity *id)
{
    static const struct channel_handler handler = {child_frame, child_closed};
    int fd = -1, base = open(id->home, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (base < 0)
        return NULL;
    pid_t pid = spawn(d, "mailbox", id, &fd);
    if (pid < 0) {
        int error = errno;
        close(base);
        errno = error;
        return NULL;
    }
    struct owner *owner = calloc(1, sizeof *owner);
    CHECK(owner != NULL);
    owner->deliver = d;
    owner->id = *id;
    owner->id.user = id->user ? arena_text(&owner->arena, span_text(id->user)) : NULL;
    owner->id.home = arena_text(&owner->arena, span_text(id->home));
    owner->child = channel_open(proc_loop(d->proc), fd, "mailbox", &handler, owner);
    list_push(&d->owners, &owner->node);
    send_begin(owner, base);
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

static void refuse(struct channel *c, uint64_t id, unsigned class, const char *dsn, const char *text)
{
    struct msg_owner_made m = {.class = class, .dsn = span_text(dsn), .text = span_text(text)};
    answer(c, id, &m, -1);
}

/* A channel from the asker straight to the owner's process. */
static void introduce(struct channel *c, uint64_t request, struct owner *owner)
{
    int ends[2];
    struct buf body = BUF_INIT;
    if (!channel_pair(ends)) {
        refuse(c, request, 4, "4.3.0", strerror(errno));
        return;
    }
    msg_mailbox_caller_put(&body, &(struct msg_mailbox_caller){.name = span_text(channel_peer(c))});
    channel_notify(owner->child, MSG_mailbox_caller, buf_span(&body), &ends[1], 1);
    buf_fini(&body);
    struct msg_owner_made m = {.class = 2, .home = span_text(owner->id.home)};
    answer(c, request, &m, ends[0]);
    close(ends[0]);
    close(ends[1]);
}

/* Who is wanted, by our own knowledge.
 * result: NULL, or the text of a refusal, whose class and code are set */
static const char *identify(struct deliver *d, struct arena *a, const struct msg_owner_wanted *m, struct identity *id,
                            unsigned *class, const char **dsn)
{
    *class = 5;
    *dsn = "5.3.0";
    if (m->kind == OWNER_VIRTUAL) {
        if (!span_eq(m->base, d->virtual->virtual_mailbox_base) || m->base.n == 0)
            return "the base directory is not virtual_mailbox_base";
        *id = (struct identity){(uid_t)m->uid, (gid_t)m->gid, NULL, arena_text(a, m->base)};
        return identity_refused(d, id);
    }
    if (span_find(m->user, '\0') < m->user.n)
        return "no such user";
    int found = identity_of_user(a, arena_text(a, m->user), id);
    if (found < 0) {
        *class = 4;
        *dsn = "4.3.0";
        return "the system's user database does not answer";
    }
    *dsn = found ? *dsn : "5.1.1";
    return found ? identity_refused(d, id) : "no such user";
}

void handle_owner_wanted(struct channel *c, struct frame *f, void *context)
{
    struct deliver *d = context;
    struct arena scratch = ARENA_INIT;
    struct msg_owner_wanted m;
    struct identity id;
    unsigned class;
    const char *dsn, *why;
    if (!msg_owner_wanted_get(&scratch, f->body, &m)) {
        refuse(c, f->id, 4, "4.3.0", "malformed request");
    } else if ((why = identify(d, &scratch, &m, &id, &class, &dsn))) {
        refuse(c, f->id, class, dsn, why);
    } else {
        struct owner *owner = find_owner(d, &id);
        if (!owner)
            owner = start_owner(d, &id);
        if (owner)
            introduce(c, f->id, owner);
        else
            refuse(c, f->id, 4, "4.2.0", arena_printf(&scratch, "%s: %s", id.home, strerror(errno)));
    }
    arena_fini(&scratch);
}
