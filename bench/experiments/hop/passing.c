/*
 * From which size on is a sealed memfd cheaper than the text inside the frame?
 *
 * usage: passing ROUNDS MEGABYTES
 *
 * A client hands messages to a server, eight in flight, and gets a short answer to each. Inline, the text
 * goes through an AF_UNIX stream behind a header. As a memfd, the client creates, writes, seals and passes
 * it; the server checks the seals and either reads it into a buffer or maps it. The receiver looks at every
 * 64th byte in every case.
 */
#define _GNU_SOURCE
#include "../common.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    MAX_ROUNDS = 32,
    MAX_SIZE = 4 << 20,
    IN_FLIGHT = 8,
    SEALS = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW
};

enum way { INLINE, MEMFD_READ, MEMFD_MAP, REUSED_READ, WAYS };

static const char *const way_name[WAYS] = {
    [INLINE] = "inline",
    [MEMFD_READ] = "memfd, read",
    [MEMFD_MAP] = "memfd, map",
    [REUSED_READ] = "same descriptor",
};

static const size_t sizes[] = {1024, 4096, 16384, 65536, 131072, 262144, 1048576, 4194304};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

struct job {
    enum way way;
    size_t size;
    unsigned messages;
    int fd;
    char *buffer;
};

struct header {
    uint32_t length, sum;
};

static void send_all(int fd, const void *p, size_t len)
{
    for (size_t sent = 0; sent < len;) {
        ssize_t n = send(fd, (const char *)p + sent, len - sent, 0);
        if (n <= 0)
            die("send");
        sent += (size_t)n;
    }
}

static void recv_all(int fd, void *p, size_t len)
{
    for (size_t got = 0; got < len;) {
        ssize_t n = recv(fd, (char *)p + got, len - got, 0);
        if (n <= 0)
            die("recv");
        got += (size_t)n;
    }
}

static uint32_t look(const char *p, size_t len)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < len; i += 64)
        sum += (unsigned char)p[i];
    return sum;
}

static void send_descriptor(int socket, int passed, struct header h)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec v = {&h, sizeof h};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof passed);
    memcpy(CMSG_DATA(c), &passed, sizeof passed);
    if (sendmsg(socket, &m, 0) != (ssize_t)sizeof h)
        die("sendmsg");
}

static int receive_descriptor(int socket, struct header *h)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec v = {h, sizeof *h};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control};
    int fd;

    if (recvmsg(socket, &m, MSG_CMSG_CLOEXEC) != (ssize_t)sizeof *h || CMSG_FIRSTHDR(&m) == NULL)
        die("recvmsg");
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
    return fd;
}

static int sealed_copy(const char *text, size_t len)
{
    int fd = memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0 || write(fd, text, len) != (ssize_t)len || fcntl(fd, F_ADD_SEALS, SEALS) != 0)
        die("memfd");
    return fd;
}

static void send_one(struct job *j, int kept)
{
    struct header h = {(uint32_t)j->size, 0};

    if (j->way == INLINE) {
        memcpy(j->buffer, &h, sizeof h);
        send_all(j->fd, j->buffer, sizeof h + j->size);
        return;
    }
    int fd = j->way == REUSED_READ ? kept : sealed_copy(j->buffer, j->size);
    send_descriptor(j->fd, fd, h);
    if (fd != kept)
        close(fd);
}

static uint32_t take_one(struct job *j)
{
    struct header h;
    uint32_t sum;

    if (j->way == INLINE) {
        recv_all(j->fd, &h, sizeof h);
        recv_all(j->fd, j->buffer, h.length);
        return look(j->buffer, h.length);
    }
    int fd = receive_descriptor(j->fd, &h);
    if ((fcntl(fd, F_GET_SEALS) & SEALS) != SEALS)
        die("not sealed");
    if (j->way == MEMFD_MAP) {
        char *p = mmap(NULL, h.length, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
        if (p == MAP_FAILED)
            die("mmap");
        sum = look(p, h.length);
        munmap(p, h.length);
    } else {
        if (pread(fd, j->buffer, h.length, 0) != (ssize_t)h.length)
            die("pread");
        sum = look(j->buffer, h.length);
    }
    close(fd);
    return sum;
}

static void client(void *arg)
{
    struct job *j = arg;
    uint32_t answer;
    unsigned sent = 0;
    int kept = -1;

    memset(j->buffer, 'x', j->size + sizeof(struct header));
    if (j->way == REUSED_READ)
        kept = sealed_copy(j->buffer, j->size);
    for (; sent < IN_FLIGHT && sent < j->messages; sent++)
        send_one(j, kept);
    for (unsigned done = 0; done < j->messages; done++) {
        recv_all(j->fd, &answer, sizeof answer);
        if (sent < j->messages) {
            send_one(j, kept);
            sent++;
        }
    }
}

static void server(void *arg)
{
    struct job *j = arg;

    for (unsigned done = 0; done < j->messages; done++) {
        uint32_t answer = take_one(j);
        send_all(j->fd, &answer, sizeof answer);
    }
}

static void measure(enum way way, size_t size, unsigned messages, double *wall_us, double *cpu_us)
{
    static char buffer[MAX_SIZE + sizeof(struct header)];
    struct usage u = {0};
    int fd[2], room = 4 << 20;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) != 0)
        die("socketpair");
    for (int i = 0; i < 2; i++)
        setsockopt(fd[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    struct job j[2] = {{way, size, messages, fd[0], buffer}, {way, size, messages, fd[1], buffer}};
    uint64_t start = now_ns();
    pid_t s = spawn(server, &j[1]), c = spawn(client, &j[0]);
    reap(c, &u);
    reap(s, &u);
    *wall_us = (double)(now_ns() - start) / 1e3 / messages;
    *cpu_us = (u.user + u.sys) * 1e6 / messages;
    close(fd[0]);
    close(fd[1]);
}

static void compare(size_t size, unsigned rounds, size_t megabytes)
{
    static double wall[WAYS][MAX_ROUNDS], cpu[WAYS][MAX_ROUNDS];
    size_t messages = (megabytes << 20) / size;

    if (messages > 50000)
        messages = 50000;
    for (unsigned r = 0; r < rounds; r++)
        for (enum way w = 0; w < WAYS; w++)
            measure(w, size, (unsigned)messages, &wall[w][r], &cpu[w][r]);
    printf("%8zu", size);
    for (enum way w = 0; w < WAYS; w++)
        printf("   %7.1f / %7.1f", median(wall[w], rounds), median(cpu[w], rounds));
    putchar('\n');
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: passing ROUNDS MEGABYTES\n");
        return 2;
    }
    unsigned rounds = (unsigned)strtoul(argv[1], NULL, 10);
    if (rounds == 0 || rounds > MAX_ROUNDS)
        return 2;
    printf("per message: wall us / cpu us of both sides\n%8s", "bytes");
    for (enum way w = 0; w < WAYS; w++)
        printf("   %17s", way_name[w]);
    putchar('\n');
    for (unsigned i = 0; i < SIZES; i++)
        compare(sizes[i], rounds, strtoul(argv[2], NULL, 10));
    return 0;
}
