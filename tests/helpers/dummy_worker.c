/* A worker or broker that does on command what a test of master needs. Installed under the names
 * of real programs, whose walls it then has. Answers room_wanted with who it is; a size of 999
 * makes it abort; 100 + N goes on to qmgr, which asks for N channels to local, answers with the
 * slots they lead to when all are there, and closes them a little later. A setting smtp_helo_name
 * of "trouble" lets it refuse to start. */
#include "lib/base/check.h"
#include "lib/param/settings.h"
#include "lib/proc/proc.h"
#include "lib/wire/submit.msg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

CHANNEL_CALL_DECLARE(room_wanted, submitted);

enum { CHAIN = 100, CHAIN_MOST = 50, CLOSE_AFTER_MS = 500, CRASH = 999 };

static void answer(struct channel *c, uint64_t id, struct span text)
{
    struct buf body = BUF_INIT;
    msg_submitted_put(&body, &(struct msg_submitted){.text = text});
    channel_reply(c, id, MSG_submitted, buf_span(&body), NULL, 0);
    buf_fini(&body);
}

/* cleanup's part. */
static void pass_on(struct proc *p, struct channel *c, uint64_t id, const struct msg_room_wanted *m)
{
    struct arena a = ARENA_INIT;
    struct msg_submitted got = {.text = SPAN("no channel to qmgr")};
    struct channel *to = proc_channel(p, "qmgr", clock_after(20));
    if (to && CHANNEL_CALL(to, &a, clock_after(20), room_wanted, m, submitted, &got) != CALL_OK)
        got.text = SPAN("qmgr was lost");
    answer(c, id, got.text);
    arena_fini(&a);
}

/* qmgr's part: one wave of channels to local. */
struct wave {
    struct list node;
    struct proc *proc;
    struct channel *asker; /* NULL: it has gone */
    uint64_t id;
    unsigned wanted, made;
    struct buf slots;
    struct channel *got[CHAIN_MOST];
    struct timer end;
};

/* All of this process. */
static struct list *waves(void)
{
    static struct list all;
    if (!all.next)
        list_init(&all);
    return &all;
}

static void caller_left(struct proc *p, void *own, struct channel *c)
{
    (void)p, (void)own;
    LIST_EACH (node, after, waves()) {
        struct wave *w = LIST_ENTRY(node, struct wave, node);
        if (w->asker == c)
            w->asker = NULL;
    }
}

static void wave_end(struct timer *t, void *context)
{
    struct wave *w = context;
    (void)t;
    for (unsigned i = 0; i < w->made; i++)
        channel_close(&w->got[i]);
    buf_fini(&w->slots);
    list_remove(&w->node);
    free(w);
}

static void wave_made(struct channel *c, unsigned slot, void *context)
{
    struct wave *w = context;
    if (c)
        buf_printf(&w->slots, " %u", slot);
    else
        buf_puts(&w->slots, " none");
    w->got[w->made++] = c;
    if (w->made < w->wanted)
        return;
    if (w->asker)
        answer(w->asker, w->id, buf_span(&w->slots));
    timer_set(proc_loop(w->proc), &w->end, clock_after_ms(CLOSE_AFTER_MS), wave_end, w);
}

static void wave_begin(struct proc *p, struct channel *c, uint64_t id, unsigned wanted)
{
    /* A local that ends is noticed when the wave ends. */
    static const struct channel_handler nothing = {NULL, NULL};
    struct wave *w = calloc(1, sizeof *w);
    CHECK(w != NULL && wanted <= CHAIN_MOST);
    *w = (struct wave){.proc = p, .asker = c, .id = id, .wanted = wanted};
    list_push(waves(), &w->node);
    for (unsigned i = 0; i < wanted; i++)
        proc_want_channel(p, "local", 0, &nothing, w, wave_made);
}

static void say_who(struct channel *c, struct frame *f, void *own)
{
    struct proc *p = own;
    const struct msg_boot *b = proc_boot(p);
    struct arena a = ARENA_INIT;
    struct msg_room_wanted m;
    if (!msg_room_wanted_get(&a, f->body, &m) || m.size == CRASH)
        abort();
    if (m.size >= CHAIN && span_eq(b->service, SPAN("cleanup")))
        pass_on(p, c, f->id, &m);
    else if (m.size >= CHAIN)
        wave_begin(p, c, f->id, (unsigned)m.size - CHAIN);
    else
        answer(c, f->id, span_text(arena_printf(&a, "%.*s %ld %llu %llu %llu", SPAN_ARG(b->service), (long)getpid(),
                                                (unsigned long long)b->incarnation, (unsigned long long)b->slot,
                                                (unsigned long long)b->generation)));
    arena_fini(&a);
}

static void *start(struct proc *p)
{
    const struct setting *s = settings_get(proc_settings(p), SPAN("smtp_helo_name"));
    if (s && span_eq(s->value, SPAN("trouble"))) {
        proc_trouble(p, "smtp_helo_name says trouble: say something else");
        return NULL;
    }
    return p;
}

static void reloaded(struct proc *p, void *own)
{
    (void)p, (void)own;
}

int main(int argc, char **argv)
{
    static const struct message_handler requests[] = {{MSG_room_wanted, say_who}, {0, NULL}};
    static const char *const brokers[] = {"qmgr", "anvil", "deliver"};
    const char *slash = strrchr(argv[0], '/');
    struct proc_spec spec = {.program = slash ? slash + 1 : argv[0],
                             .kind = PROC_WORKER,
                             .requests = requests,
                             .start = start,
                             .caller_left = caller_left,
                             .reload = reloaded};
    (void)argc;
    for (size_t i = 0; i < sizeof brokers / sizeof *brokers; i++)
        if (strcmp(spec.program, brokers[i]) == 0)
            spec.kind = PROC_BROKER;
    return proc_main(&spec);
}
