/* The scheduler of coroutines: who is ready, who is parked, who may be asked to end. */
#include "lib/io/co_inner.h"
#include "lib/base/check.h"

#include <errno.h>
#include <stdlib.h>

enum {
    CO_SLOT_BITS = 20, /* of an id; the rest is a serial number */
    CO_SLOTS_MOST = 1 << CO_SLOT_BITS,
    CO_TRIM_AFTER_MS = 5000, /* parked for so long, a stack gives back what is not in use */
    CO_TRIM_BATCH = 64,      /* stacks at once; then others have a turn */
    CO_TRIM_PAUSE_MS = 10,
    CO_PARK_SLACK = 1024,    /* frames of co_park() and the switch, generously */
};

struct co_slot {
    struct co *co;      /* NULL: free */
    uint32_t next_free; /* slot number + 1; 0: none */
};

struct co_sched {
    struct loop *loop;      /* of all that are alive; borrowed */
    struct co *current;
    struct context context; /* the loop's own flow while a coroutine runs */
    struct list ready;      /* in the order of their wake-ups */
    size_t ready_count;
    struct list parked;     /* not trimmed, the longest parked first */
    struct deferred resume;
    struct timer trim;
    struct co_slot *slots;  /* owned; by the low bits of the id */
    uint32_t slot_count, first_free;
    size_t count;
    uint64_t serial;        /* of the last coroutine */
    struct stack_pool stacks;
};

/* The one static object of this module: waits take no argument that says where they are. A process
 * has one thread and one loop. */
static struct co_sched sched;

struct co *co_running(void)
{
    CHECK(sched.current != NULL);
    return sched.current;
}

struct co *co_self(void)
{
    return sched.current;
}

struct loop *co_loop(void)
{
    return sched.loop;
}

uint64_t co_id(const struct co *c)
{
    return c ? c->id : 0;
}

size_t co_count(void)
{
    return sched.count;
}

/* --- slots ------------------------------------------------------------------- */

/* result: false: no slot is left */
static bool slot_take(struct co *c)
{
    if (sched.first_free == 0) {
        if (sched.slot_count == CO_SLOTS_MOST)
            return false;
        uint32_t count = sched.slot_count ? sched.slot_count * 2 : 64;
        struct co_slot *slots = realloc(sched.slots, count * sizeof *slots);
        CHECK(slots != NULL);
        for (uint32_t i = count; i > sched.slot_count; i--) {
            slots[i - 1] = (struct co_slot){NULL, sched.first_free};
            sched.first_free = i;
        }
        sched.slots = slots;
        sched.slot_count = count;
    }
    uint32_t slot = sched.first_free - 1;
    sched.first_free = sched.slots[slot].next_free;
    sched.slots[slot] = (struct co_slot){c, 0};
    c->id = ++sched.serial << CO_SLOT_BITS | slot;
    return true;
}

static void slot_give(const struct co *c)
{
    uint32_t slot = (uint32_t)(c->id & (CO_SLOTS_MOST - 1));
    sched.slots[slot] = (struct co_slot){NULL, sched.first_free};
    sched.first_free = slot + 1;
}

static struct co *slot_find(uint64_t id)
{
    uint64_t slot = id & (CO_SLOTS_MOST - 1);
    struct co *c = slot < sched.slot_count ? sched.slots[slot].co : NULL;
    return c && c->id == id ? c : NULL;
}

/* --- running ----------------------------------------------------------------- */

static void co_make_ready(struct co *c)
{
    c->state = CO_READY;
    list_push(&sched.ready, &c->node);
    sched.ready_count++;
    loop_defer(sched.loop, &sched.resume);
}

static void co_end(struct co *c)
{
    timer_stop(&c->timer);
    slot_give(c);
    sched.count--;
    c->magic = 0;
    stack_give(&sched.stacks, c->stack);
}

static void co_resume(struct co *c)
{
    CHECK_MAGIC(c, CO_MAGIC);
    CHECK(sched.current == NULL && c->state == CO_READY);
    sched.current = c;
    c->state = CO_RUNNING;
    context_switch(&sched.context, &c->context);
    sched.current = NULL;
    if (c->ended)
        co_end(c);
}

/* Runs those that are ready now; whoever becomes ready meanwhile has its turn after other work. */
static void co_resume_ready(struct deferred *d, void *context)
{
    (void)context;
    int saved = errno;
    for (size_t most = sched.ready_count; most > 0; most--) {
        struct list *node = list_shift(&sched.ready);
        sched.ready_count--;
        co_resume(LIST_ENTRY(node, struct co, node));
    }
    if (sched.ready_count > 0)
        loop_defer(sched.loop, d);
    errno = saved;
}

/* First on its stack. */
static void co_main(void *argument)
{
    struct co *c = argument;
    context_entered(&sched.context);
    c->fn(c->argument);
    c->ended = true;
    context_leave(&c->context, &sched.context);
}

static void sched_bind(struct loop *l)
{
    if (sched.loop == l)
        return;
    CHECK(sched.loop == NULL); /* co_release() comes between two loops */
    sched.loop = l;
    list_init(&sched.ready);
    list_init(&sched.parked);
    sched.resume = (struct deferred){.fn = co_resume_ready, .rank = LOOP_RANK_RESUME};
}

struct co *co_spawn(struct loop *l, const char *name, void (*fn)(void *argument), void *argument)
{
    enum { ALIGN = 64 };
    sched_bind(l);
    char *low = stack_take(&sched.stacks);
    if (!low)
        return NULL;
    size_t size = (stack_size() - sizeof(struct co)) / ALIGN * ALIGN;
    struct co *c = (struct co *)(void *)(low + size);
    *c = (struct co){.magic = CO_MAGIC, .name = name, .fn = fn, .argument = argument, .stack = low,
                     .waiting_for = "its first turn", .since = loop_now(l)};
    if (!slot_take(c)) {
        stack_give(&sched.stacks, low);
        errno = EAGAIN;
        return NULL;
    }
    context_make(&c->context, low, size, co_main, c);
    sched.count++;
    co_make_ready(c);
    return c;
}

void co_release(void)
{
    CHECK(sched.count == 0);
    if (!sched.loop)
        return;
    wait_release();
    loop_undefer(&sched.resume);
    timer_stop(&sched.trim);
    free(sched.slots);
    stack_pool_fini(&sched.stacks);
    sched = (struct co_sched){.serial = sched.serial, .stacks = sched.stacks};
}

/* --- parking ----------------------------------------------------------------- */

/* Gives back the unused pages of stacks that have been parked for long, a few at a time. */
static void co_trim_parked(struct timer *t, void *context)
{
    mono_ms now = loop_now(sched.loop);
    (void)context;
    for (int most = CO_TRIM_BATCH; !list_empty(&sched.parked); most--) {
        struct co *c = LIST_ENTRY(sched.parked.next, struct co, node);
        if (most == 0 || c->since > now - CO_TRIM_AFTER_MS) {
            mono_ms due = c->since + CO_TRIM_AFTER_MS;
            timer_set(sched.loop, t, due > now ? due : now + CO_TRIM_PAUSE_MS, co_trim_parked, NULL);
            return;
        }
        list_remove(&c->node);
        stack_trim(c->stack, c->parked_at - CO_PARK_SLACK);
    }
}

/* The timer of a coroutine is not moved at each wait, which would cost two changes of the heap:
 * it may come before the deadline, and is then set again. */
static void co_expire(struct timer *t, void *context)
{
    struct co *c = context;
    if (c->state != CO_PARKED)
        return;
    if (c->deadline <= loop_now(sched.loop))
        co_wake(c, WAIT_TIMEOUT);
    else if (c->deadline != MONO_NEVER)
        timer_set(sched.loop, t, c->deadline, co_expire, c);
}

enum wait_result co_park(const char *what, mono_ms deadline)
{
    struct co *c = co_running();
    if (c->cancelled && !c->firm)
        return WAIT_CANCELLED;
    c->deadline = deadline;
    if (deadline != MONO_NEVER && (!timer_is_set(&c->timer) || c->timer.node.key > deadline))
        timer_set(sched.loop, &c->timer, deadline, co_expire, c);
    if (!timer_is_set(&sched.trim))
        timer_set(sched.loop, &sched.trim, loop_now(sched.loop) + CO_TRIM_AFTER_MS, co_trim_parked, NULL);
    c->waiting_for = what;
    c->since = loop_now(sched.loop);
    c->parked_at = __builtin_frame_address(0);
    c->state = CO_PARKED;
    list_push(&sched.parked, &c->node);
    context_switch(&c->context, &sched.context);
    return c->result;
}

void co_wake(struct co *c, enum wait_result result)
{
    CHECK_MAGIC(c, CO_MAGIC);
    if (c->state != CO_PARKED)
        return;
    list_remove(&c->node);
    c->result = result;
    co_make_ready(c);
}

void co_cancel(uint64_t id)
{
    struct co *c = slot_find(id);
    if (!c)
        return;
    c->cancelled = true;
    if (!c->firm)
        co_wake(c, WAIT_CANCELLED);
}

void co_cancel_all(void)
{
    for (uint32_t i = 0; i < sched.slot_count; i++) {
        if (sched.slots[i].co)
            co_cancel(sched.slots[i].co->id);
    }
}

/* --- looking on -------------------------------------------------------------- */

static const char *co_waiting_for(const struct co *c)
{
    if (c->state == CO_RUNNING)
        return "nothing: it runs";
    return c->state == CO_READY && c->parked_at ? "its turn" : c->waiting_for;
}

void co_each(void (*fn)(uint64_t id, const char *name, const char *waiting_for, int64_t since_ms, void *context),
             void *context)
{
    mono_ms now = clock_mono();
    for (uint32_t i = 0; i < sched.slot_count; i++) {
        const struct co *c = sched.slots[i].co;
        if (c)
            fn(c->id, c->name, co_waiting_for(c), now - c->since, context);
    }
}

size_t co_stack_high_water(void)
{
    size_t most = sched.stacks.high_water;
    for (uint32_t i = 0; i < sched.slot_count; i++) {
        size_t used = sched.slots[i].co ? stack_used(sched.slots[i].co->stack) : 0;
        if (used > most)
            most = used;
    }
    return most;
}
