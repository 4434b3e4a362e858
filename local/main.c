#include "local/local.h"
#include "lib/base/check.h"
#include "lib/log/log.h"
#include "lib/mail/loop.h"

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

enum { TEXT_MAX = 800 /* octets of a verdict about several destinations */ };

/* --- one recipient ---------------------------------------------------------------- */

bool delivery_is_new(struct delivery *d, const char *format, ...)
{
    struct buf key = BUF_INIT;
    va_list args;
    va_start(args, format);
    buf_vprintf(&key, format, args);
    va_end(args);
    bool new = map_get(&d->seen, buf_span(&key)) == NULL;
    if (new)
        map_set(&d->seen, arena_dup(&d->attempt->arena, buf_span(&key)), d);
    buf_fini(&key);
    return new;
}

/* 4 over 5 over 2: what is tried again is told of when it is over. */
static unsigned weight(unsigned class)
{
    return class == 2 ? 1 : class == 5 ? 2 : class == 4 ? 3 : 0;
}

void delivery_note(struct delivery *d, unsigned class, struct span dsn, struct span text)
{
    if (weight(class) == 0) {
        class = 4;
        dsn = SPAN("4.3.0");
        text = SPAN("the mailbox process gave no answer; the delivery is repeated");
    }
    if (weight(class) < weight(d->class))
        return;
    if (weight(class) > weight(d->class)) {
        d->class = class;
        d->dsn = arena_text(&d->attempt->arena, dsn);
        buf_clear(&d->text);
    }
    if (d->text.len + text.n > TEXT_MAX && d->text.len)
        return;
    if (d->text.len)
        buf_puts(&d->text, "; ");
    buf_put(&d->text, text);
}

void delivery_say(struct delivery *d, unsigned class, const char *dsn, const char *text)
{
    delivery_note(d, class, span_text(dsn), span_text(text));
}

void delivery_add_step(struct delivery *d, const struct place *place, const struct aliases_item *item)
{
    if (d->step_count >= LOCAL_STEPS_MAX) {
        if (delivery_is_new(d, "too many"))
            delivery_say(d, 5, "5.4.6", "too many destinations in the expansion of the address");
        return;
    }
    struct step *s = ARENA_NEW(&d->attempt->arena, struct step);
    s->place = *place;
    s->item = *item;
    d->step_count++;
    list_push(&d->steps, &s->node);
}

static void make_ready(struct delivery *d)
{
    list_remove(&d->node);
    list_push(&d->local->ready, &d->node);
    loop_defer(proc_loop(d->local->proc), &d->local->pump);
}

void delivery_hold(struct delivery *d)
{
    d->open++;
}

void delivery_release(struct delivery *d)
{
    if (--d->open == 0)
        make_ready(d);
}

/* --- attempts ------------------------------------------------------------------------ */

static void attempt_settle(struct local *l, struct attempt *t)
{
    if (--t->open > 0)
        return;
    if (t->channel) {
        struct buf body = BUF_LIMITED(CHANNEL_FRAME_MAX);
        msg_attempted_put(&body, &(struct msg_attempted){.verdicts = {t->verdicts, t->m.recipients.n}});
        channel_reply(t->channel, t->request, MSG_attempted, buf_span(&body), NULL, 0);
        buf_fini(&body);
    }
    if (t->text >= 0)
        close(t->text);
    list_remove(&t->node);
    arena_fini(&t->arena);
    free(t);
    if (l->stopping && list_empty(&l->attempts))
        proc_exit(l->proc, 0);
}

static void delivery_end(struct delivery *d)
{
    struct local *l = d->local;
    struct attempt *t = d->attempt;
    if (d->class != 4)
        forward_all(d);
    if (d->class == 0)
        delivery_say(d, 2, "2.0.0", "nothing to do");
    d->verdict->class = d->class;
    d->verdict->dsn = span_text(d->dsn);
    d->verdict->text = arena_dup(&t->arena, buf_span(&d->text));
    d->verdict->relay = SPAN("local");
    if (d->class == 2)
        d->verdict->action = d->expanded ? SPAN("expanded") : SPAN("delivered");
    map_fini(&d->seen);
    buf_fini(&d->text);
    list_remove(&d->node);
    free(d);
    attempt_settle(l, t);
}

/* Works off what is ready. May wait, and meanwhile more becomes ready. */
static void pump(struct deferred *deferred, void *context)
{
    struct local *l = context;
    struct list *node;
    (void)deferred;
    if (l->pumping)
        return;
    l->pumping = true;
    while ((node = list_shift(&l->ready))) {
        struct delivery *d = LIST_ENTRY(node, struct delivery, node);
        delivery_hold(d);
        while ((node = list_shift(&d->steps))) {
            struct step *s = LIST_ENTRY(node, struct step, node);
            expand_item(d, &s->place, &s->item);
        }
        if (--d->open == 0)
            delivery_end(d);
    }
    l->pumping = false;
}

/* --- the service -------------------------------------------------------------------------- */

static struct attempt *attempt_new(struct local *l, struct channel *c, struct frame *f)
{
    struct attempt *t = calloc(1, sizeof *t);
    CHECK(t != NULL);
    t->channel = c;
    t->request = f->id;
    t->text = frame_take_fd(f, 0);
    t->open = 1;
    list_push(&l->attempts, &t->node);
    if (!msg_attempt_get(&t->arena, arena_dup(&t->arena, f->body), &t->m))
        t->m.recipients.n = 0; /* what has no verdict counts as deferred */
    t->verdicts = arena_calloc(&t->arena, t->m.recipients.n + 1, sizeof *t->verdicts);
    t->head = loop_read_head(&t->arena, t->m.text, t->text, t->m.text_offset, t->m.text_size);
    return t;
}

static void begin_delivery(struct local *l, struct attempt *t, const struct msg_recipient *r,
                           struct msg_verdict *verdict)
{
    struct delivery *d = calloc(1, sizeof *d);
    CHECK(d != NULL);
    *d = (struct delivery){.local = l, .attempt = t, .recipient = r, .verdict = verdict};
    verdict->number = r->number;
    list_init(&d->node);
    list_init(&d->steps);
    list_init(&d->forwards);
    t->open++;
    expand_recipient(d);
    make_ready(d);
}

static void handle_attempt(struct channel *c, struct frame *f, void *context)
{
    struct local *l = context;
    struct attempt *t = attempt_new(l, c, f);
    for (size_t i = 0; i < t->m.recipients.n; i++)
        begin_delivery(l, t, &t->m.recipients.at[i], &t->verdicts[i]);
    attempt_settle(l, t);
}

static void caller_left(struct proc *p, void *own, struct channel *c)
{
    struct local *l = own;
    (void)p;
    LIST_EACH (node, after, &l->attempts) {
        struct attempt *t = LIST_ENTRY(node, struct attempt, node);
        if (t->channel == c)
            t->channel = NULL;
    }
}

/* What is under way comes to its end; qmgr would have it repeated. */
static void stop(struct proc *p, void *own)
{
    struct local *l = own;
    l->stopping = true;
    if (list_empty(&l->attempts))
        proc_exit(p, 0);
}

static void *start(struct proc *p)
{
    struct local *l = ARENA_NEW(proc_arena(p), struct local);
    const struct params_rewrite *rewrite = proc_params_rewrite(p);
    struct buf why = BUF_INIT;
    l->proc = p;
    list_init(&l->attempts);
    list_init(&l->ready);
    l->pump = (struct deferred){.fn = pump, .context = l, .rank = LOOP_RANK_COMMIT};
    if (!rewrite || !(l->main = proc_params_main(p)) || !(l->mine = proc_params_local(p)))
        return NULL;
    l->owners = owners_new(p, l->main->ipc_timeout, l->main->command_time_limit);
    l->aliases = maps_open(proc_tables(p), SPAN("alias_maps"), l->main->alias_maps.text, TABLE_FOLD);
    l->routing = routing_open(proc_arena(p), proc_settings(p), l->main, rewrite, proc_tables(p), &why);
    if (!l->routing)
        proc_trouble(p, "%s", buf_text(&why));
    buf_fini(&why);
    date_local_zone(clock_wall_us());
    return l->routing ? l : NULL;
}

static const struct message_handler requests[] = {{MSG_attempt, handle_attempt}, {0, NULL}};

int main(void)
{
    static const struct proc_spec spec = {.program = "local",
                                          .kind = PROC_WORKER,
                                          .requests = requests,
                                          .start = start,
                                          .caller_left = caller_left,
                                          .stop = stop};
    return proc_main(&spec);
}
