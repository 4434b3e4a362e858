#include "lib/proc/tables.h"
#include "pickup/pickup.h"

#include <unistd.h>

enum {
    CLEANUP_WAIT_S = 300, /* for cleanup's answer: it may be held back while delivery catches up */
    BOUNCE_WAIT_S = 300,
};

CHANNEL_CALL_DECLARE(submit, submitted);

static enum table_result find_user(void *context, unsigned uid, struct buf *line, struct buf *why)
{
    struct buf key = BUF_INIT;
    struct table *t = table_open(proc_tables(context), SPAN("unix:passwd.byuid"), 0);
    buf_printf(&key, "%u", uid);
    enum table_result result = table_find(t, buf_span(&key), line, why);
    table_close(&t);
    buf_fini(&key);
    return result;
}

static enum call_result submit(void *context, struct arena *a, const struct msg_submit *m,
                               struct msg_submitted *answer, bool *was_sent)
{
    const mono_ms deadline = clock_after(CLEANUP_WAIT_S);
    struct channel *c = proc_channel(context, "cleanup", deadline);
    *was_sent = c != NULL;
    return c ? CHANNEL_CALL(c, a, deadline, submit, m, submitted, answer) : CALL_LOST;
}

static int spool(void *context, uint64_t size, uint64_t *handle)
{
    const mono_ms deadline = clock_after(CLEANUP_WAIT_S);
    struct channel *c = proc_channel(context, "cleanup", deadline);
    struct buf body = BUF_INIT;
    struct arena scratch = ARENA_INIT;
    struct frame reply;
    struct msg_spool_made made;
    int fd = -1;
    msg_spool_wanted_put(&body, &(struct msg_spool_wanted){.size = size});
    if (c && channel_call(c, MSG_spool_wanted, buf_span(&body), NULL, 0, deadline, MSG_spool_made, &scratch,
                          &reply) == CALL_OK) {
        fd = frame_take_fd(&reply, 0);
        if (fd >= 0 && (!msg_spool_made_get(&scratch, reply.body, &made) || made.handle == 0)) {
            close(fd);
            fd = -1;
        } else if (fd >= 0) {
            *handle = made.handle;
        }
    }
    buf_fini(&body);
    arena_fini(&scratch);
    return fd;
}

static void spool_drop(void *context, uint64_t handle)
{
    /* Where the channel is gone, cleanup has dropped the file by itself. */
    struct channel *c = proc_channel(context, "cleanup", 0);
    struct buf body = BUF_INIT;
    msg_spool_dropped_put(&body, &(struct msg_spool_dropped){.handle = handle});
    if (c)
        channel_notify(c, MSG_spool_dropped, buf_span(&body), NULL, 0);
    buf_fini(&body);
}

static bool notify(void *context, struct arena *a, const struct msg_notify *m, int text)
{
    const mono_ms deadline = clock_after(BOUNCE_WAIT_S);
    struct channel *c = proc_channel(context, "bounce", deadline);
    struct buf body = BUF_LIMITED(CHANNEL_FRAME_MAX);
    struct frame reply;
    struct msg_submitted answer;
    msg_notify_put(&body, m);
    bool good = c && !body.full &&
                channel_call(c, MSG_notify, buf_span(&body), &text, 1, deadline, MSG_submitted, a, &reply) ==
                    CALL_OK &&
                msg_submitted_get(a, reply.body, &answer) && answer.class == 0;
    buf_fini(&body);
    return good;
}

struct pickup_services services_open(struct proc *p)
{
    return (struct pickup_services){find_user, submit, spool, spool_drop, notify, p};
}
