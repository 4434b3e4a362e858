#include "lib/base/check.h"
#include "lib/log/log.h"
#include "lib/mail/loop.h"
#include "lib/mail/routing.h"
#include "lib/maildir/deliver.h"
#include "lib/proc/owners.h"
#include "lib/proc/proc.h"
#include "lib/proc/tables.h"
#include "lib/wire/attempt.msg.h"
#include "lib/wire/mailbox.msg.h"

#include <stdlib.h>
#include <unistd.h>

struct virtual {
    struct proc *proc;
    const struct params_main *main;
    const struct params_virtual *mine;
    struct routing *routing;
    struct maps *mailboxes, *uids, *gids;
    struct owners *owners;
    struct list attempts; /* struct attempt, under way */
    bool stopping;
};

/* One attempt under way: answered when the last of its recipients is. */
struct attempt {
    struct virtual *virtual;
    struct arena arena;
    struct channel *channel; /* NULL: qmgr's end has gone */
    uint64_t request;
    struct msg_attempt m;    /* borrows body, a copy in arena */
    struct span head;        /* of the text: what Delivered-To is looked for in */
    struct msg_verdict *verdicts;
    size_t open; /* recipients without verdict, and 1 while they are being sent */
    struct list node;
};

/* One recipient's store request. */
struct storing {
    struct attempt *attempt;
    struct msg_verdict *verdict;
};

/* --- verdicts ------------------------------------------------------------------- */

static void attempt_settle(struct attempt *t)
{
    struct virtual *v = t->virtual;
    if (--t->open > 0)
        return;
    if (t->channel) {
        struct buf body = BUF_INIT;
        msg_attempted_put(&body, &(struct msg_attempted){.verdicts = {t->verdicts, t->m.recipients.n}});
        channel_reply(t->channel, t->request, MSG_attempted, buf_span(&body), NULL, 0);
        buf_fini(&body);
    }
    list_remove(&t->node);
    arena_fini(&t->arena);
    free(t);
    if (v->stopping && list_empty(&v->attempts))
        proc_exit(v->proc, 0);
}

static void verdict_set(struct attempt *t, struct msg_verdict *v, uint64_t class, struct span dsn, struct span text)
{
    v->class = class;
    v->dsn = arena_dup(&t->arena, dsn);
    v->text = arena_dup(&t->arena, text);
    v->relay = SPAN("virtual");
}

static void stored(struct frame *reply, void *context)
{
    struct storing *s = context;
    struct attempt *t = s->attempt;
    struct msg_stored m;
    if (reply && reply->type == MSG_stored && msg_stored_get(&t->arena, reply->body, &m))
        verdict_set(t, s->verdict, m.class, m.dsn, m.text);
    else
        verdict_set(t, s->verdict, 4, SPAN("4.3.0"), SPAN("the mailbox process gave no answer; the delivery is repeated"));
    free(s);
    attempt_settle(t);
}

/* --- who owns the mailbox ----------------------------------------------------------- */

/* What a lookup came to: 1 found, 0 not there, -1 temporary (why says). */
static int look(struct virtual *v, struct maps *maps, struct span address, struct buf *value, struct buf *why)
{
    switch (mailmap_find(&v->routing->resolve.lookup, maps, MAILMAP_FULL | MAILMAP_NO_EXTENSION | MAILMAP_AT_DOMAIN,
                         address, value, NULL, why)) {
    case TABLE_FOUND:
        return 1;
    case TABLE_NOT_FOUND:
        return 0;
    case TABLE_TEMP:
        break;
    }
    return -1;
}

static bool look_id(struct virtual *v, struct maps *maps, const char *parameter, struct span address, uint64_t *id,
                    struct buf *why)
{
    struct buf value = BUF_INIT;
    int found = look(v, maps, address, &value, why);
    bool good = found > 0 && span_to_u64(span_trim(buf_span(&value)), UINT32_MAX - 1, id);
    if (found == 0)
        buf_printf(why, "recipient %.*s: not found in %s", SPAN_ARG(address), parameter);
    else if (found > 0 && !good)
        buf_printf(why, "recipient %.*s: bad value \"%s\" in %s", SPAN_ARG(address), buf_text(&value), parameter);
    buf_fini(&value);
    return good;
}

/* --- one recipient ---------------------------------------------------------------------- */

static void send_store(struct virtual *v, struct attempt *t, struct owner *owner, const struct msg_recipient *r,
                       struct span path, struct msg_verdict *verdict, int text)
{
    struct buf top = BUF_INIT, body = BUF_INIT;
    struct storing *s = malloc(sizeof *s);
    CHECK(s != NULL);
    *s = (struct storing){t, verdict};
    maildir_put_delivery_headers(&top, t->m.sender, r->original.n ? r->original : r->address, r->address);
    struct msg_store m = {
        .format = path.p[path.n - 1] == '/' ? STORE_MAILDIR : STORE_MBOX,
        .path = path,
        .queue_id = t->m.id,
        .number = r->number,
        .arrival_us = t->m.arrival_us,
        .host = v->main->myhostname,
        .maybe_again = 1,
        .top = buf_span(&top),
        .text = t->m.text,
        .text_offset = t->m.text_offset,
        .text_size = t->m.text_size,
        .sender = t->m.sender,
    };
    msg_store_put(&body, &m);
    t->open++;
    owner_request(owner, MSG_store, buf_span(&body), text, stored, s);
    buf_fini(&body);
    buf_fini(&top);
}

/* result: NULL, with made */
static struct owner *find_owner(struct virtual *v, uint64_t uid, uint64_t gid, struct arena *a,
                                struct msg_owner_made *made)
{
    const struct msg_owner_wanted wanted = {
        .kind = OWNER_VIRTUAL, .uid = uid, .gid = gid, .base = v->mine->virtual_mailbox_base};
    struct owner *owner = owner_get(v->owners, &wanted, SPAN_NONE, a, made);
    if (!owner && made->class != 5)
        made->class = 4; /* nothing is delivered, whatever was said */
    return owner;
}

static void refuse(struct attempt *t, struct msg_verdict *verdict, uint64_t class, const char *dsn, struct span text)
{
    verdict_set(t, verdict, class, span_text(dsn), text);
}

static void deliver_one(struct virtual *v, struct attempt *t, const struct msg_recipient *r,
                        struct msg_verdict *verdict, int text)
{
    struct buf path = BUF_INIT, why = BUF_INIT;
    struct msg_owner_made made;
    uint64_t uid, gid;
    struct owner *owner;
    struct span address = r->user.n ? r->user : r->address;
    int found = look(v, v->mailboxes, address, &path, &why);
    if (found == 0) {
        refuse(t, verdict, 5, "5.1.1",
               span_text(arena_printf(&t->arena, "unknown user: \"%.*s\"", SPAN_ARG(address))));
    } else if (found < 0 || !look_id(v, v->uids, "virtual_uid_maps", address, &uid, &why) ||
               !look_id(v, v->gids, "virtual_gid_maps", address, &gid, &why)) {
        log_warning("%s", buf_text(&why));
        refuse(t, verdict, 4, "4.3.5", SPAN("mail system configuration error"));
    } else if (path.len == 0) {
        refuse(t, verdict, 4, "4.3.5", SPAN("the mailbox has no path"));
    } else if (loop_is_there(t->head, r->address)) {
        refuse(t, verdict, 5, "5.4.6",
               span_text(arena_printf(&t->arena, "mail forwarding loop for %.*s", SPAN_ARG(r->address))));
    } else if (!(owner = find_owner(v, uid, gid, &t->arena, &made))) {
        verdict_set(t, verdict, made.class, made.dsn, made.text);
    } else {
        send_store(v, t, owner, r, buf_span(&path), verdict, text);
    }
    buf_fini(&path);
    buf_fini(&why);
}

static struct attempt *attempt_new(struct virtual *v, struct channel *c, struct frame *f, int text)
{
    struct attempt *t = calloc(1, sizeof *t);
    CHECK(t != NULL);
    t->virtual = v;
    t->channel = c;
    t->request = f->id;
    t->open = 1;
    list_push(&v->attempts, &t->node);
    if (msg_attempt_get(&t->arena, arena_dup(&t->arena, f->body), &t->m))
        t->head = loop_read_head(&t->arena, t->m.text, text, t->m.text_offset, t->m.text_size);
    else
        t->m.recipients.n = 0; /* what has no verdict counts as deferred */
    t->verdicts = arena_calloc(&t->arena, t->m.recipients.n + 1, sizeof *t->verdicts);
    return t;
}

static void handle_attempt(struct channel *c, struct frame *f, void *context)
{
    struct virtual *v = context;
    int text = frame_take_fd(f, 0);
    struct attempt *t = attempt_new(v, c, f, text);
    for (size_t i = 0; i < t->m.recipients.n; i++) {
        t->verdicts[i].number = t->m.recipients.at[i].number;
        deliver_one(v, t, &t->m.recipients.at[i], &t->verdicts[i], text);
    }
    if (text >= 0)
        close(text);
    attempt_settle(t);
}

static void caller_left(struct proc *p, void *own, struct channel *c)
{
    struct virtual *v = own;
    (void)p;
    LIST_EACH (node, after, &v->attempts) {
        struct attempt *t = LIST_ENTRY(node, struct attempt, node);
        if (t->channel == c)
            t->channel = NULL;
    }
}

/* What is under way comes to its end; qmgr would have it repeated. */
static void stop(struct proc *p, void *own)
{
    struct virtual *v = own;
    v->stopping = true;
    if (list_empty(&v->attempts))
        proc_exit(p, 0);
}

static struct maps *open_maps(struct proc *p, const char *parameter, struct span value)
{
    return maps_open(proc_tables(p), span_text(parameter), value, TABLE_FOLD);
}

static void *start(struct proc *p)
{
    struct virtual *v = ARENA_NEW(proc_arena(p), struct virtual);
    const struct params_rewrite *rewrite = proc_params_rewrite(p);
    struct buf why = BUF_INIT;
    v->proc = p;
    list_init(&v->attempts);
    if (!rewrite || !(v->main = proc_params_main(p)) || !(v->mine = proc_params_virtual(p)))
        return NULL;
    v->owners = owners_new(p, v->main->ipc_timeout, 0);
    v->mailboxes = open_maps(p, "virtual_mailbox_maps", v->main->virtual_mailbox_maps.text);
    v->uids = open_maps(p, "virtual_uid_maps", v->mine->virtual_uid_maps.text);
    v->gids = open_maps(p, "virtual_gid_maps", v->mine->virtual_gid_maps.text);
    v->routing = routing_open(proc_arena(p), proc_settings(p), v->main, rewrite, proc_tables(p), &why);
    if (!v->routing)
        proc_trouble(p, "%s", buf_text(&why));
    buf_fini(&why);
    return v->routing ? v : NULL;
}

static const struct message_handler requests[] = {{MSG_attempt, handle_attempt}, {0, NULL}};

int main(void)
{
    static const struct proc_spec spec = {.program = "virtual",
                                          .kind = PROC_WORKER,
                                          .requests = requests,
                                          .start = start,
                                          .caller_left = caller_left,
                                          .stop = stop};
    return proc_main(&spec);
}
