#include "master/status.h"

#include "master/sockets.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { STATUS_MAX = 1 << 20, STATUS_BACKLOG = 16 };

static const char *state_word(const struct child *c)
{
    if (c->state == CHILD_STARTING)
        return "starting";
    return c->state == CHILD_STOPPING || c->retired ? "finishing" : "ready";
}

static void put_crew(struct buf *out, const struct crew *crew)
{
    for (struct list *node = crew->children.next; node != &crew->children; node = node->next) {
        const struct child *c = LIST_ENTRY(node, struct child, node);
        buf_printf(out,
                   "process pid=%ld service=%s program=%s slot=%u generation=%llu state=%s sessions=%llu callers=%u "
                   "lag_ms=%llu\n",
                   (long)c->pid, crew->name, c->plan->program->name, c->slot,
                   (unsigned long long)c->config->generation, state_word(c), (unsigned long long)c->sessions, c->open,
                   (unsigned long long)c->lag_ms);
    }
}

static void put_status(struct buf *out, const struct master *m)
{
    buf_printf(out, "server pid=%ld generation=%llu reloads=%llu started=%lld config=%s\n", (long)m->pid,
               (unsigned long long)m->config->generation, (unsigned long long)m->reloads, (long long)m->started,
               m->frame.directory);
    if (m->trouble)
        buf_printf(out, "trouble %s\n", m->trouble);
    for (size_t i = 0; i < m->config->nplans; i++)
        for (unsigned k = 0; k < m->config->plans[i].nsockets; k++)
            if (sockets_get(m->sockets, m->config->plans[i].sockets[k].key) >= 0)
                buf_printf(out, "listen %s %s\n", m->config->plans[i].sockets[k].key, m->config->plans[i].name);
    for (struct list *node = m->crews.next; node != &m->crews; node = node->next)
        put_crew(out, LIST_ENTRY(node, struct crew, node));
}

/* The whole text goes into the socket's buffer, which was made large enough; who does not read it
 * does not hold master up. */
static void status_event(struct watch *w, unsigned events, void *context)
{
    struct master *m = context;
    struct buf text = BUF_LIMITED(STATUS_MAX);
    int size = STATUS_MAX;
    (void)w, (void)events;
    int fd = accept4(m->status_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    put_status(&text, m);
    (void)!send(fd, text.data, text.len, MSG_NOSIGNAL);
    close(fd);
    buf_fini(&text);
}

bool status_open(struct master *m)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = STATUS_PATH};
    m->status_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (m->status_fd < 0)
        return false;
    (void)unlink(STATUS_PATH);
    if (bind(m->status_fd, (struct sockaddr *)&address, sizeof address) != 0 || chmod(STATUS_PATH, 0600) != 0 ||
        listen(m->status_fd, STATUS_BACKLOG) != 0)
        return false;
    m->status_watch = loop_watch_level(m->loop, m->status_fd, LOOP_READ, status_event, m);
    return m->status_watch != NULL;
}

void status_close(struct master *m)
{
    loop_unwatch(&m->status_watch);
    if (m->status_fd >= 0)
        close(m->status_fd);
    (void)unlink(STATUS_PATH);
}
