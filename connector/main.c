#include "connector/paths.h"
#include "lib/log/log.h"
#include "lib/proc/proc.h"
#include "lib/proc/tables.h"
#include "lib/wire/connect.msg.h"

#include <errno.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

struct connector {
    struct paths paths;
};

/* result: a connected socket, or -1 with errno. Waits for nothing: a full queue is EAGAIN. */
static int connect_path(struct span path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    memcpy(name.sun_path, path.p, path.n);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&name, sizeof name) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static void handle_wanted(struct channel *c, struct frame *f, void *context)
{
    struct connector *connector = context;
    struct arena scratch = ARENA_INIT;
    struct buf body = BUF_INIT;
    struct msg_connect_wanted m;
    struct msg_connect_made made = {.error = EINVAL};
    int fd = -1;
    if (msg_connect_wanted_get(&scratch, f->body, &m)) {
        struct span path = paths_allow(&scratch, &connector->paths, m.path);
        errno = EPERM;
        fd = path.n ? connect_path(path) : -1;
        made.error = fd < 0 ? (uint64_t)errno : 0;
        if (path.n == 0)
            log_warning("%s asks for the socket %.*s: put its directory into merpati_connect_directories", channel_peer(c),
                        SPAN_ARG(m.path));
    }
    msg_connect_made_put(&body, &made);
    channel_reply(c, f->id, MSG_connect_made, buf_span(&body), &fd, fd >= 0 ? 1 : 0);
    if (fd >= 0)
        close(fd);
    buf_fini(&body);
    arena_fini(&scratch);
}

static bool read_settings(struct proc *p, struct connector *connector)
{
    const struct params_main *main = proc_params_main(p);
    const struct params_merpati *mine = proc_params_merpati(p);
    if (!main || !mine)
        return false;
    connector->paths = (struct paths){.queue_directory = main->queue_directory,
                                      .directories = &mine->merpati_connect_directories};
    paths_collect(proc_arena(p), proc_settings(p), &connector->paths);
    return true;
}

static void *start(struct proc *p)
{
    struct connector *connector = ARENA_NEW(proc_arena(p), struct connector);
    return read_settings(p, connector) ? connector : NULL;
}

static void reload(struct proc *p, void *own)
{
    (void)read_settings(p, own);
}

static const struct message_handler requests[] = {{MSG_connect_wanted, handle_wanted}, {0, NULL}};

int main(void)
{
    static const struct proc_spec spec = {
        .program = "connector", .kind = PROC_BROKER, .requests = requests, .start = start, .reload = reload};
    return proc_main(&spec);
}
