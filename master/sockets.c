#include "master/sockets.h"

#include "lib/base/check.h"
#include "lib/base/list.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { LISTEN_BACKLOG = 4096 };

struct sock {
    struct list node;
    char *key, *path; /* owned; path NULL: no file */
    int fd;
    bool fresh; /* opened by the call that is running */
};

struct sockets {
    struct list all;
};

struct sockets *sockets_new(void)
{
    struct sockets *s = calloc(1, sizeof *s);
    CHECK(s != NULL);
    list_init(&s->all);
    return s;
}

static struct sock *find(const struct sockets *s, const char *key)
{
    for (struct list *node = s->all.next; node != &s->all; node = node->next) {
        struct sock *sock = LIST_ENTRY(node, struct sock, node);
        if (strcmp(sock->key, key) == 0)
            return sock;
    }
    return NULL;
}

static void sock_free(struct sock *sock)
{
    list_remove(&sock->node);
    if (sock->path)
        unlink(sock->path);
    close(sock->fd);
    free(sock->key);
    free(sock->path);
    free(sock);
}

static int open_inet(const struct socket_plan *plan)
{
    int one = 1;
    int fd = socket(plan->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    bool good = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0;
    if (plan->address.ss_family == AF_INET6)
        good = good && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) == 0;
    if (good && bind(fd, (const struct sockaddr *)&plan->address, plan->address_size) == 0 &&
        listen(fd, LISTEN_BACKLOG) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Below the queue directory, which is the current one; for anybody on this machine. */
static int open_unix(const struct socket_plan *plan)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    CHECK(strlen(plan->path) < sizeof address.sun_path);
    memcpy(address.sun_path, plan->path, strlen(plan->path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    (void)unlink(plan->path);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && chmod(plan->path, 0666) == 0 &&
        listen(fd, LISTEN_BACKLOG) == 0)
        return fd;
    close(fd);
    return -1;
}

/* result: 1 open; 0 this machine has no such address family; -1 said in errors */
static int open_planned(struct sockets *s, const struct socket_plan *plan, struct param_errors *errors)
{
    if (find(s, plan->key))
        return 1;
    int fd = plan->kind == LISTENER_INET ? open_inet(plan) : open_unix(plan);
    if (fd < 0 && plan->address.ss_family == AF_INET6 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL))
        return 0;
    if (fd < 0) {
        const char *remedy = errno == EADDRINUSE ? ": another server has it: stop that one, or choose another port"
                             : errno == EACCES   ? ": ports below 1024 are root's: start as root, or choose another port"
                                                 : "";
        param_error_add(errors, PARAM_ERROR, plan->place, "service %s: cannot listen on %s: %s%s", plan->name,
                        plan->key, strerror(errno), remedy);
        return -1;
    }
    struct sock *sock = calloc(1, sizeof *sock);
    CHECK(sock != NULL);
    *sock = (struct sock){.key = strdup(plan->key), .path = plan->path ? strdup(plan->path) : NULL, .fd = fd, .fresh = true};
    CHECK(sock->key != NULL);
    list_push(&s->all, &sock->node);
    return 1;
}

/* Those of the running call stay, or go again. */
static void settle(struct sockets *s, bool good)
{
    LIST_EACH (node, after, &s->all) {
        struct sock *sock = LIST_ENTRY(node, struct sock, node);
        if (sock->fresh && !good)
            sock_free(sock);
        else
            sock->fresh = false;
    }
}

bool sockets_open(struct sockets *s, const struct config *c, struct param_errors *errors)
{
    bool good = true;
    for (size_t i = 0; i < c->nplans; i++) {
        const struct plan *plan = &c->plans[i];
        unsigned opened = 0;
        bool said = false;
        for (unsigned k = 0; k < plan->nsockets; k++) {
            int result = open_planned(s, &plan->sockets[k], errors);
            opened += result > 0;
            said |= result < 0;
        }
        if (plan->nsockets && !opened && !said)
            param_error_add(errors, PARAM_ERROR, plan->place, "service %s: this machine has none of its addresses: "
                            "set inet_protocols to what it has", plan->name);
        good = good && !said && (opened || !plan->nsockets);
    }
    settle(s, good);
    return good;
}

static bool config_has(const struct config *c, const char *key)
{
    for (size_t i = 0; i < c->nplans; i++)
        for (unsigned k = 0; k < c->plans[i].nsockets; k++)
            if (strcmp(c->plans[i].sockets[k].key, key) == 0)
                return true;
    return false;
}

void sockets_keep_only(struct sockets *s, const struct config *c)
{
    LIST_EACH (node, after, &s->all) {
        struct sock *sock = LIST_ENTRY(node, struct sock, node);
        if (!config_has(c, sock->key))
            sock_free(sock);
    }
}

int sockets_get(const struct sockets *s, const char *key)
{
    const struct sock *sock = find(s, key);
    return sock ? sock->fd : -1;
}

void sockets_free(struct sockets **where)
{
    struct sockets *s = *where;
    *where = NULL;
    if (!s)
        return;
    LIST_EACH (node, after, &s->all)
        sock_free(LIST_ENTRY(node, struct sock, node));
    free(s);
}
