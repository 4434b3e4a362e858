#include "lib/base/check.h"
#include "lib/log/log.h"
#include "local/local.h"

#include <stdlib.h>

struct owner {
    struct list node;  /* by age */
    struct local *local;
    struct span key;   /* owned */
    struct channel *channel;
    size_t pending;    /* requests that are not answered */
    struct buf home, shell;
};

/* One request under way. */
struct asking {
    struct owner *owner;
    channel_answer answer;
    void *context;
};

static void owner_free(struct owner *o)
{
    char *key;
    map_remove(&o->local->owners, o->key);
    list_remove(&o->node);
    channel_close(&o->channel);
    memcpy(&key, &o->key.p, sizeof key);
    free(key);
    buf_fini(&o->home);
    buf_fini(&o->shell);
    free(o);
}

static void owner_frame(struct channel *c, struct frame *f, void *context)
{
    (void)context;
    log_warning("unexpected message 0x%04x from %s", f->type, channel_peer(c));
}

/* The process has ended, as it does when it had nothing to do: requests have been answered with NULL. */
static void owner_closed(struct channel *c, void *context)
{
    (void)c;
    owner_free(context);
}

static void make_room(struct local *l)
{
    LIST_EACH (node, after, &l->owner_age) {
        struct owner *o = LIST_ENTRY(node, struct owner, node);
        if (l->owners.count < LOCAL_OWNERS_MAX)
            return;
        if (o->pending == 0)
            owner_free(o);
    }
}

static struct owner *owner_new(struct local *l, struct span key, int fd, const struct msg_owner_made *made)
{
    static const struct channel_handler handler = {owner_frame, owner_closed};
    struct owner *o = calloc(1, sizeof *o);
    char *copy = strndup(key.p, key.n);
    CHECK(o != NULL && copy != NULL);
    o->local = l;
    o->key = span_text(copy);
    buf_put(&o->home, made->home);
    buf_put(&o->shell, made->shell);
    o->channel = channel_open(proc_loop(l->proc), fd, copy, &handler, o);
    map_set(&l->owners, o->key, o);
    list_push(&l->owner_age, &o->node);
    return o;
}

static struct owner *ask_deliver(struct local *l, unsigned kind, struct span user, struct span key, struct arena *a,
                                 struct msg_owner_made *made)
{
    const mono_ms deadline = clock_after(LOCAL_WAIT_S);
    struct channel *deliver = proc_channel(l->proc, "deliver", deadline);
    struct buf body = BUF_INIT;
    struct frame reply = {0};
    msg_owner_wanted_put(&body, &(struct msg_owner_wanted){.kind = kind, .user = user});
    if (!deliver || channel_call(deliver, MSG_owner_wanted, buf_span(&body), NULL, 0, deadline, MSG_owner_made, a,
                                 &reply) != CALL_OK || !msg_owner_made_get(a, reply.body, made))
        *made = (struct msg_owner_made){.class = 4, .dsn = SPAN("4.3.0"), .text = SPAN("deliver service unavailable")};
    buf_fini(&body);
    int fd = frame_take_fd(&reply, 0);
    if (fd < 0)
        return NULL;
    make_room(l);
    return owner_new(l, key, fd, made);
}

struct owner *owner_get(struct local *l, unsigned kind, struct span user, struct arena *a, struct msg_owner_made *made)
{
    struct span key = span_text(arena_printf(a, "%u:%.*s", kind, SPAN_ARG(user)));
    struct owner *o = map_get(&l->owners, key);
    if (!o || channel_is_closed(o->channel))
        return ask_deliver(l, kind, user, key, a, made);
    list_remove(&o->node);
    list_push(&l->owner_age, &o->node);
    *made = (struct msg_owner_made){.class = 2, .home = buf_span(&o->home), .shell = buf_span(&o->shell)};
    return o;
}

static void answered(struct frame *reply, void *context)
{
    struct asking *a = context;
    a->owner->pending--;
    a->answer(reply, a->context);
    free(a);
}

void owner_request(struct owner *o, uint16_t type, struct span body, int fd, channel_answer answer, void *context)
{
    struct asking *a = malloc(sizeof *a);
    CHECK(a != NULL);
    *a = (struct asking){o, answer, context};
    o->pending++;
    if (!channel_request(o->channel, type, body, &fd, fd >= 0 ? 1 : 0, answered, a))
        answered(NULL, a);
}

bool owner_call(struct owner *o, uint16_t type, struct span body, struct arena *a, struct msg_stored *stored)
{
    struct frame reply = {0};
    o->pending++; /* nobody makes room by closing it meanwhile */
    enum call_result result = channel_call(o->channel, type, body, NULL, 0, clock_after(LOCAL_WAIT_S), MSG_stored, a, &reply);
    if (result != CALL_LOST)
        o->pending--;
    return result == CALL_OK && msg_stored_get(a, reply.body, stored);
}
