#include "lib/log/log.h"
#include "lib/proc/proc.h"
#include "qmgr/qmgr.h"

static void want_channel(void *host, const char *service, const struct channel_handler *handler,
                         void *context, void (*made)(struct channel *c, unsigned slot, void *context))
{
    proc_want_channel(host, service, 0, handler, context, made);
}

static uint64_t next_number(void *host)
{
    return proc_next_number(host);
}

static void *start(struct proc *p)
{
    struct buf why = BUF_LIMITED(LOG_LINE_MAX);
    struct qmgr_config config = {.loop = proc_loop(p),
                                 .intake = proc_directory(p, "intake"),
                                 .queue = proc_directory(p, "queue"),
                                 .corrupt = proc_directory(p, "corrupt"),
                                 .journal = proc_directory(p, "journal"),
                                 .settings = proc_settings(p),
                                 .services = &proc_boot(p)->services,
                                 .incarnation = proc_boot(p)->incarnation,
                                 .want_channel = want_channel,
                                 .next_number = next_number,
                                 .host = p};
    struct qmgr *q = qmgr_new(&config, &why);
    if (!q)
        proc_trouble(p, "%s", buf_text(&why));
    buf_fini(&why);
    return q;
}

static void begin(struct proc *p, void *own)
{
    struct buf why = BUF_LIMITED(LOG_LINE_MAX);
    if (!qmgr_begin(own, &why)) {
        proc_trouble(p, "cannot take over the queue: %s", buf_text(&why));
        proc_exit(p, 1);
    }
    buf_fini(&why);
}

static void caller_came(struct proc *p, void *own, struct channel *c, const struct msg_channel_given *who)
{
    (void)p;
    if (span_eq(who->service, SPAN("cleanup")))
        qmgr_cleanup_came(own, c, who->incarnation);
}

static void caller_left(struct proc *p, void *own, struct channel *c)
{
    (void)p;
    qmgr_cleanup_left(own, c);
}

static void accepted(struct proc *p, void *own, struct proc_client *client)
{
    unsigned uid, gid;
    int pid;
    (void)p;
    if (!proc_peer_ids(client->fd, &uid, &gid, &pid))
        uid = UINT32_MAX;
    qmgr_tool_came(own, client->fd, uid);
}

static void reload(struct proc *p, void *own)
{
    struct buf why = BUF_LIMITED(LOG_LINE_MAX);
    if (!qmgr_reload(own, proc_settings(p), &proc_boot(p)->services, &why))
        log_error("the old settings stay: %s", buf_text(&why));
    buf_fini(&why);
}

int main(void)
{
    static const struct proc_spec spec = {.program = "qmgr",
                                          .kind = PROC_BROKER,
                                          .requests = qmgr_notices,
                                          .start = start,
                                          .begin = begin,
                                          .caller_came = caller_came,
                                          .caller_left = caller_left,
                                          .accepted = accepted,
                                          .reload = reload};
    return proc_main(&spec);
}
