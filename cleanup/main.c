#include "cleanup/cleanup.h"
#include "lib/base/clock.h"
#include "lib/log/log.h"
#include "lib/mail/date.h"

static void *start(struct proc *p)
{
    struct cleanup *c = ARENA_NEW(proc_arena(p), struct cleanup);
    c->proc = p;
    c->slot = (uint32_t)proc_boot(p)->slot;
    /* A caller may name a file that it got from the process before this one: that is nobody's now. */
    c->last_handle = proc_boot(p)->incarnation << 32;
    list_init(&c->handles);
    (void)date_local_zone(clock_wall_us()); /* reads the zone file, which the sandbox hides */
    return cleanup_configure(c) ? c : NULL;
}

static void begin(struct proc *p, void *own)
{
    struct cleanup *c = own;
    struct buf why = BUF_INIT;
    int slot = proc_directory(p, "intake");
    c->queue = proc_directory(p, "queue");
    c->intake = intake_open(&(struct intake_config){.directory = slot, .slot = c->slot,
                                                    .segment_bytes = CLEANUP_SEGMENT_BYTES,
                                                    .spare_max = CLEANUP_SPARE_SEGMENTS}, &why);
    if (!c->intake) {
        proc_trouble(p, "the intake log cannot be opened: %s", buf_text(&why));
        proc_exit(p, 1);
        buf_fini(&why);
        return;
    }
    if (intake_damage(c->intake))
        log_error("damage in the intake log, left as it is: %s", intake_damage(c->intake));
    c->spool = spool_open(c->queue, slot);
    commit_open(c);
    hints_open(c);
    buf_fini(&why);
}

static void stop(struct proc *p, void *own)
{
    (void)p;
    commit_stop(own);
}

int main(void)
{
    static const struct proc_spec spec = {
        .program = "cleanup",
        .kind = PROC_WORKER,
        .requests = cleanup_requests,
        .start = start,
        .begin = begin,
        .caller_left = cleanup_caller_left,
        .stop = stop,
    };
    return proc_main(&spec);
}
