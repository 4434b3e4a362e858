#include "smtp/services.h"

#include "lib/io/wait.h"
#include "lib/proc/resolver.h"
#include "lib/proc/submit.h"
#include "lib/queue/id.h"
#include "lib/wire/connect.msg.h"
#include "smtp/connect.h"

#include <errno.h>

enum { AGAIN_MS = 100 /* between two tries at a socket whose queue is full */ };

struct services {
    struct proc *proc;
    const struct smtp *smtp;
    struct dns_client dns;
    struct queue_id_source ids;
};

/* One try. result: the connected socket; -1 with errno, EAGAIN where another try may do */
static int ask_connector(struct services *services, struct span path, mono_ms deadline)
{
    struct arena scratch = ARENA_INIT;
    struct buf body = BUF_INIT;
    struct frame reply = {0};
    struct msg_connect_made made = {.error = ECONNABORTED};
    struct channel *c = proc_channel(services->proc, "connector", deadline);
    msg_connect_wanted_put(&body, &(struct msg_connect_wanted){.path = path});
    if (c && channel_call(c, MSG_connect_wanted, buf_span(&body), NULL, 0, deadline, MSG_connect_made, &scratch,
                          &reply) == CALL_OK)
        (void)msg_connect_made_get(&scratch, reply.body, &made);
    int fd = frame_take_fd(&reply, 0);
    buf_fini(&body);
    arena_fini(&scratch);
    errno = made.error ? (int)made.error : ECONNABORTED;
    return fd;
}

static int connect_unix(struct services *services, struct span path, mono_ms deadline)
{
    int fd;
    while ((fd = ask_connector(services, path, deadline)) < 0 && errno == EAGAIN) {
        mono_ms again = clock_after_ms(AGAIN_MS);
        if (again > deadline || wait_until(again) != WAIT_OK) {
            errno = ETIMEDOUT;
            break;
        }
    }
    return fd;
}

static int do_connect(void *context, const struct endpoint *to, mono_ms deadline)
{
    struct services *services = context;
    return to->port ? connect_inet(services->smtp, to, deadline) : connect_unix(services, to->address, deadline);
}

static void look_up(void *context, struct arena *a, struct span name, unsigned type, struct dns_answer *answer)
{
    struct services *services = context;
    dns_lookup(&services->dns, a, name, type, 0, clock_after_ms(DNS_WAIT_MS), answer);
}

static void look_up_addresses(void *context, struct arena *a, struct span host, unsigned flags,
                              struct dns_answer *answer)
{
    struct services *services = context;
    dns_addresses(&services->dns, a, host, flags, clock_after_ms(DNS_WAIT_MS), answer);
}

static uint64_t draw_number(void *context)
{
    struct services *services = context;
    return proc_next_number(services->proc);
}

static struct msg_submitted submit(void *context, struct arena *a, const struct msg_submit *m, struct span text,
                                   mono_ms deadline)
{
    const struct services *services = context;
    return proc_submit(services->proc, a, m, &(struct submit_text){.head = text, .fd = -1}, deadline);
}

static struct span draw_id(void *context, struct arena *a)
{
    struct services *services = context;
    struct queue_id id = queue_id_draw(&services->ids);
    return arena_dup(a, queue_id_span(&id));
}

bool services_open(struct proc *p, struct smtp *smtp)
{
    struct services *services = ARENA_NEW(proc_arena(p), struct services);
    services->proc = p;
    services->smtp = smtp;
    services->ids.incarnation = proc_boot(p)->incarnation;
    smtp->services = (struct smtp_services){.connect = do_connect,
                                            .lookup = look_up,
                                            .addresses = look_up_addresses,
                                            .number = draw_number,
                                            .submit = submit,
                                            .draw_id = draw_id,
                                            .context = services};
    return proc_dns(p, &services->dns);
}
