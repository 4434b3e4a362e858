#include "smtpd/services.h"
#include "lib/proc/proc.h"
#include "lib/queue/id.h"

#include <unistd.h>

struct services {
    struct proc *proc;
    struct queue_id_source ids;
};

CHANNEL_CALL_FIRM_DECLARE(submit, submitted);
CHANNEL_CALL_DECLARE(room_wanted, submitted);
CHANNEL_CALL_DECLARE(client_event, client_counts);

/* Class 4 without words: the caller has its own for a queue that does not answer. */
static const struct msg_submitted lost = {.class = 4};

/* Whoever asks the session to end, the client must not be told "try again" of a message that may have
 * been stored: it would send it a second time. */
static struct msg_submitted submit(void *context, struct arena *a, const struct msg_submit *m, mono_ms deadline)
{
    const struct services *services = context;
    struct channel *c = proc_channel(services->proc, "cleanup", deadline);
    struct msg_submitted answer;
    if (!c || CHANNEL_CALL(c, a, deadline, submit, m, submitted, &answer) != CALL_OK)
        return lost;
    return answer;
}

static struct msg_submitted room(void *context, struct arena *a, uint64_t size, mono_ms deadline)
{
    const struct services *services = context;
    struct channel *c = proc_channel(services->proc, "cleanup", deadline);
    struct msg_room_wanted request = {.size = size};
    struct msg_submitted answer;
    if (!c || CHANNEL_CALL(c, a, deadline, room_wanted, &request, submitted, &answer) != CALL_OK)
        return lost;
    return answer;
}

static int spool(void *context, uint64_t size, uint64_t *handle, mono_ms deadline)
{
    const struct services *services = context;
    struct channel *c = proc_channel(services->proc, "cleanup", deadline);
    struct buf body = BUF_INIT;
    struct arena scratch = ARENA_INIT;
    struct frame reply;
    struct msg_spool_made made;
    int fd = -1;
    msg_spool_wanted_put(&body, &(struct msg_spool_wanted){.size = size});
    if (c && channel_call(c, MSG_spool_wanted, buf_span(&body), NULL, 0, deadline, MSG_spool_made, &scratch,
                          &reply) == CALL_OK) {
        fd = frame_take_fd(&reply, 0);
        frame_close_fds(&reply);
        if (msg_spool_made_get(&scratch, reply.body, &made) && made.handle)
            *handle = made.handle;
        else if (fd >= 0) {
            close(fd);
            fd = -1;
        }
    }
    buf_fini(&body);
    arena_fini(&scratch);
    return fd;
}

static void spool_drop(void *context, uint64_t handle)
{
    const struct services *services = context;
    struct buf body = BUF_INIT;
    /* Where the channel is gone, cleanup has dropped the file by itself. */
    struct channel *c = proc_channel(services->proc, "cleanup", 0);
    msg_spool_dropped_put(&body, &(struct msg_spool_dropped){.handle = handle});
    if (c)
        channel_notify(c, MSG_spool_dropped, buf_span(&body), NULL, 0);
    buf_fini(&body);
}

static struct msg_client_counts client_event(void *context, struct span address, unsigned kind, mono_ms deadline)
{
    const struct services *services = context;
    struct channel *c = proc_channel(services->proc, "anvil", deadline);
    struct arena scratch = ARENA_INIT;
    struct msg_client_event m = {.service = proc_boot(services->proc)->service, .address = address, .kind = kind};
    struct msg_client_counts counts;
    if (!c || CHANNEL_CALL(c, &scratch, deadline, client_event, &m, client_counts, &counts) != CALL_OK)
        counts = (struct msg_client_counts){0};
    arena_fini(&scratch);
    return counts;
}

static void client_left(void *context, struct span address)
{
    const struct services *services = context;
    struct channel *c = proc_channel(services->proc, "anvil", 0);
    struct buf body = BUF_INIT;
    msg_client_left_put(
        &body, &(struct msg_client_left){.service = proc_boot(services->proc)->service, .address = address});
    if (c)
        channel_notify(c, MSG_client_left, buf_span(&body), NULL, 0);
    buf_fini(&body);
}

static struct span draw_id(void *context, struct arena *a)
{
    struct services *services = context;
    struct queue_id id = queue_id_draw(&services->ids);
    return arena_dup(a, queue_id_span(&id));
}

struct smtpd_services services_open(struct proc *p)
{
    struct services *services = ARENA_NEW(proc_arena(p), struct services);
    services->proc = p;
    services->ids.incarnation = proc_boot(p)->incarnation;
    return (struct smtpd_services){submit, room, spool, spool_drop, client_event, client_left, draw_id, services};
}
