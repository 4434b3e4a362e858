/*
 * How a session waits: registered once, edge-triggered, or armed again for every wait.
 *
 * usage: rearm ROUNDS REQUESTS
 *
 * A client process keeps one request outstanding on each of 256 connections; the server reads a line and
 * answers it, always trying the call first and waiting only when it would block. The figure is the server's
 * CPU per request.
 */
#define _GNU_SOURCE
#include "../common.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS = 256, LINE = 40, ROOM = 4096, MAX_ROUNDS = 32 };

enum mode { EDGE_BOTH, EDGE_BOTH_SHORT, EDGE_IN, LEVEL, ONESHOT, ADD_DELETE, MODES };

static const char *const mode_name[MODES] = {
    [EDGE_BOTH] = "edge, in+out, once",  [EDGE_BOTH_SHORT] = "the same, a short read is the last",
    [EDGE_IN] = "edge, in, once",        [LEVEL] = "level, in, once",
    [ONESHOT] = "one-shot, armed again", [ADD_DELETE] = "added and deleted",
};

struct job {
    enum mode mode;
    bool tcp;
    unsigned requests;
    int fd[CONNECTIONS];
};

static void tcp_pair(int fd[2])
{
    static int listener = -1;
    static struct sockaddr_in a;
    socklen_t len = sizeof a;

    if (listener < 0) {
        a = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (bind(listener, (struct sockaddr *)&a, sizeof a) != 0 || listen(listener, 16) != 0)
            die("listen");
        getsockname(listener, (struct sockaddr *)&a, &len);
    }
    fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd[0], (struct sockaddr *)&a, sizeof a) != 0)
        die("connect");
    fd[1] = accept(listener, NULL, NULL);
    if (fd[1] < 0)
        die("accept");
}

static void client(void *arg)
{
    struct job *j = arg;
    char line[LINE] = {0};

    for (unsigned done = 0; done < j->requests; done += CONNECTIONS) {
        for (unsigned i = 0; i < CONNECTIONS; i++)
            if (send(j->fd[i], line, sizeof line, 0) != sizeof line)
                die("send");
        for (unsigned i = 0; i < CONNECTIONS; i++)
            if (recv(j->fd[i], line, sizeof line, MSG_WAITALL) != sizeof line)
                die("recv");
    }
}

static void control(int epoll, int op, int fd, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.fd = fd};

    if (epoll_ctl(epoll, op, fd, &ev) != 0)
        die("epoll_ctl");
}

static uint32_t events_of(enum mode mode)
{
    switch (mode) {
    case EDGE_BOTH:
    case EDGE_BOTH_SHORT:
        return EPOLLIN | EPOLLOUT | EPOLLET;
    case EDGE_IN:
        return EPOLLIN | EPOLLET;
    case ONESHOT:
        return EPOLLIN | EPOLLONESHOT;
    default:
        return EPOLLIN;
    }
}

/* Answer what is there, then prepare the next wait; the number of requests answered. */
static unsigned serve(const struct job *j, int epoll, int fd)
{
    char line[ROOM] = {0};
    unsigned answered = 0;
    ssize_t n;

    if (j->mode == ADD_DELETE)
        control(epoll, EPOLL_CTL_DEL, fd, 0);
    while ((n = recv(fd, line, sizeof line, MSG_DONTWAIT)) > 0) {
        if (send(fd, line, LINE, MSG_DONTWAIT) != LINE)
            die("send");
        answered++;
        if (j->mode == LEVEL || j->mode == EDGE_BOTH_SHORT)
            break;
    }
    if (n < 0 && errno != EAGAIN)
        die("recv");
    if (j->mode == ONESHOT)
        control(epoll, EPOLL_CTL_MOD, fd, events_of(j->mode));
    if (j->mode == ADD_DELETE)
        control(epoll, EPOLL_CTL_ADD, fd, events_of(j->mode));
    return answered;
}

static void server(void *arg)
{
    struct job *j = arg;
    struct epoll_event ev[64];
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    for (unsigned i = 0; i < CONNECTIONS; i++)
        control(epoll, EPOLL_CTL_ADD, j->fd[i], events_of(j->mode));
    for (unsigned done = 0; done < j->requests;) {
        int n = epoll_wait(epoll, ev, 64, -1);
        for (int i = 0; i < n; i++)
            done += serve(j, epoll, ev[i].data.fd);
    }
}

static double measure(bool tcp, enum mode mode, unsigned requests)
{
    static struct job c, s;
    struct usage ignored = {0}, u = {0};
    int pair[2];

    c = s = (struct job){.mode = mode, .tcp = tcp, .requests = requests};
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        if (tcp)
            tcp_pair(pair);
        else if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
            die("socketpair");
        c.fd[i] = pair[0];
        s.fd[i] = pair[1];
    }
    pid_t sp = spawn(server, &s), cp = spawn(client, &c);
    reap(cp, &ignored);
    reap(sp, &u);
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        close(c.fd[i]);
        close(s.fd[i]);
    }
    return (u.user + u.sys) * 1e6 / requests;
}

int main(int argc, char **argv)
{
    static double us[2][MODES][MAX_ROUNDS];

    if (argc != 3) {
        fprintf(stderr, "usage: rearm ROUNDS REQUESTS\n");
        return 2;
    }
    unsigned rounds = (unsigned)strtoul(argv[1], NULL, 10), requests = (unsigned)strtoul(argv[2], NULL, 10);
    requests -= requests % CONNECTIONS;
    if (rounds == 0 || rounds > MAX_ROUNDS || requests == 0)
        return 2;
    for (unsigned r = 0; r < rounds; r++)
        for (unsigned tcp = 0; tcp < 2; tcp++)
            for (enum mode m = 0; m < MODES; m++)
                us[tcp][m][r] = measure(tcp != 0, m, requests);
    printf("%-36s %10s %10s\n", "server CPU us per request", "TCP", "AF_UNIX");
    for (enum mode m = 0; m < MODES; m++)
        printf("%-36s %10.2f %10.2f\n", mode_name[m], median(us[1][m], rounds), median(us[0][m], rounds));
    return 0;
}
