#include "lib/proc/owners.h"
#include "lib/base/check.h"
#include "lib/base/map.h"
#include "lib/log/log.h"

#include <stdlib.h>

struct owners {
    struct proc *proc;
    int64_t patience_s, command_s;
    struct map by_key;
    struct list by_age; /* the last used at the end */
};

struct owner {
    struct list node;
    struct owners *all;
    char *key;               /* owned */
    struct channel *channel;
    struct msg_owner_made made;
    struct arena arena;      /* made's texts */
    size_t pending;          /* requests that are not answered */
    int64_t patience_s;
    struct timer silence;    /* runs while there are any */
};

/* One request under way. */
struct asking {
    struct owner *owner;
    channel_answer answer;
    void *context;
};

/* --- the end ----------------------------------------------------------------------- */

/* Requests that are not answered yet are answered with NULL, and may ask for a new one. */
static void owner_end(struct owner *o)
{
    if (map_get(&o->all->by_key, span_text(o->key)) == o)
        map_remove(&o->all->by_key, span_text(o->key));
    list_remove(&o->node);
    channel_close(&o->channel);
    timer_stop(&o->silence);
    arena_fini(&o->arena);
    free(o->key);
    free(o);
}

static void silent(struct timer *t, void *context)
{
    struct owner *o = context;
    (void)t;
    log_warning("the process for the %s does not answer: %zu requests are given up", o->key, o->pending);
    owner_end(o);
}

static void owner_frame(struct channel *c, struct frame *f, void *context)
{
    (void)context;
    log_warning("unexpected message 0x%04x from %s", f->type, channel_peer(c));
}

/* The process has ended, as it does when it had nothing to do. */
static void owner_closed(struct channel *c, void *context)
{
    (void)c;
    owner_end(context);
}

/* --- the beginning ------------------------------------------------------------------ */

struct owners *owners_new(struct proc *p, int64_t patience_s, int64_t command_s)
{
    struct owners *all = ARENA_NEW(proc_arena(p), struct owners);
    all->proc = p;
    all->patience_s = patience_s;
    all->command_s = command_s;
    list_init(&all->by_age);
    return all;
}

static void make_room(struct owners *all)
{
    LIST_EACH (node, after, &all->by_age) {
        struct owner *o = LIST_ENTRY(node, struct owner, node);
        if (all->by_key.count < OWNERS_MAX)
            return;
        if (o->pending == 0)
            owner_end(o);
    }
}

static struct owner *owner_new(struct owners *all, unsigned kind, struct span key, int fd,
                               const struct msg_owner_made *made)
{
    static const struct channel_handler handler = {owner_frame, owner_closed};
    struct owner *o = calloc(1, sizeof *o);
    CHECK(o != NULL && (o->key = strndup(key.p, key.n)) != NULL);
    o->all = all;
    o->made = (struct msg_owner_made){
        .class = 2, .home = arena_dup(&o->arena, made->home), .shell = arena_dup(&o->arena, made->shell)};
    o->patience_s = all->patience_s + (kind == OWNER_COMMANDS || kind == OWNER_PIPE ? all->command_s : 0);
    o->channel = channel_open(proc_loop(all->proc), fd, o->key, &handler, o);
    map_set(&all->by_key, span_text(o->key), o);
    list_push(&all->by_age, &o->node);
    return o;
}

static struct owner *ask_deliver(struct owners *all, const struct msg_owner_wanted *wanted, struct span key,
                                 struct arena *a, struct msg_owner_made *made)
{
    const mono_ms deadline = clock_after(OWNERS_WAIT_S);
    struct channel *deliver = proc_channel(all->proc, "deliver", deadline);
    struct buf body = BUF_INIT;
    struct frame reply = {0};
    msg_owner_wanted_put(&body, wanted);
    *made = (struct msg_owner_made){0};
    bool good = deliver && channel_call(deliver, MSG_owner_wanted, buf_span(&body), NULL, 0, deadline,
                                        MSG_owner_made, a, &reply) == CALL_OK;
    if (!good || !msg_owner_made_get(a, reply.body, made))
        *made = (struct msg_owner_made){.class = 4, .dsn = SPAN("4.3.0"), .text = SPAN("deliver service unavailable")};
    buf_fini(&body);
    int fd = frame_take_fd(&reply, 0);
    if (fd < 0)
        return NULL;
    make_room(all);
    return owner_new(all, (unsigned)wanted->kind, key, fd, made);
}

/* What names it among all, and in the log. */
static const char *make_key(struct arena *a, const struct msg_owner_wanted *m, struct span variant)
{
    static const char *const words[] = {
        [OWNER_VIRTUAL] = "mailboxes",  [OWNER_USER] = "home mailbox", [OWNER_SPOOL] = "mailbox",
        [OWNER_FILES] = "files",        [OWNER_COMMANDS] = "commands", [OWNER_PIPE] = "command",
    };
    const char *who = m->kind == OWNER_VIRTUAL
                          ? arena_printf(a, "%llu:%llu", (unsigned long long)m->uid, (unsigned long long)m->gid)
                      : m->user.n ? arena_text(a, m->user)
                                  : "the service";
    return arena_printf(a, "%s of %s%s%.*s", words[m->kind], who, variant.n ? " with " : "", SPAN_ARG(variant));
}

struct owner *owner_get(struct owners *all, const struct msg_owner_wanted *wanted, struct span variant,
                        struct arena *a, struct msg_owner_made *made)
{
    const char *key = make_key(a, wanted, variant);
    struct owner *o = map_get(&all->by_key, span_text(key));
    if (!o || channel_is_closed(o->channel))
        return ask_deliver(all, wanted, span_text(key), a, made);
    list_remove(&o->node);
    list_push(&all->by_age, &o->node);
    *made = o->made;
    return o;
}

/* --- requests ------------------------------------------------------------------------- */

static void answered(struct frame *reply, void *context)
{
    struct asking *a = context;
    struct owner *o = a->owner;
    if (--o->pending == 0)
        timer_stop(&o->silence);
    else if (reply)
        timer_set(proc_loop(o->all->proc), &o->silence, clock_after(o->patience_s), silent, o);
    a->answer(reply, a->context);
    free(a);
}

void owner_request(struct owner *o, uint16_t type, struct span body, int fd, channel_answer answer, void *context)
{
    struct asking *a = malloc(sizeof *a);
    CHECK(a != NULL);
    *a = (struct asking){o, answer, context};
    if (o->pending++ == 0)
        timer_set(proc_loop(o->all->proc), &o->silence, clock_after(o->patience_s), silent, o);
    if (!channel_request(o->channel, type, body, &fd, fd >= 0 ? 1 : 0, answered, a))
        answered(NULL, a);
}
