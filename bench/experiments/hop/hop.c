/*
 * What a request and its reply cost between two processes.
 *
 * usage: hop ROUNDS REQUESTS same|apart
 *
 * Both processes are tied to one CPU (same) or to one each (apart); that decides what a wake-up costs.
 * A client process keeps a number of requests in flight, a server process answers each with 64 bytes. Every
 * round runs each transport once for each payload; the figures are medians over the rounds, per request and
 * its reply.
 */
#define _GNU_SOURCE
#include "hop.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROUNDS = 32 };

static const struct transport *const transports[] = {
    &seqpacket_blocking,     &seqpacket_epoll, &seqpacket_mmsg, &stream_buffered,
    &stream_both_directions, &ring_eventfd,    &ring_futex,
};
enum { TRANSPORTS = sizeof transports / sizeof transports[0] };

static const size_t payloads[] = {200, 4096, 16384, 65536};
enum { PAYLOADS = sizeof payloads / sizeof payloads[0] };

static const unsigned bursts[] = {1, MAX_BURST};

struct job {
    const struct transport *transport;
    struct end *end;
    size_t payload;
    unsigned in_flight, requests;
    unsigned cpu;
};

struct cost {
    double wall_us, client_us, server_us, switches;
};

static void tie_to(unsigned cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        die("sched_setaffinity");
}

static void serve(void *arg)
{
    struct job *j = arg;
    const struct transport *t = j->transport;
    char reply[REPLY] = {0};
    const char *frame;
    size_t len;

    tie_to(j->cpu);
    t->use(j->end);
    for (unsigned done = 0; done < j->requests; t->flush(j->end)) {
        t->wait(j->end);
        while ((frame = t->next(j->end, &len)) != NULL) {
            reply[0] = frame[len - 1];
            t->send(j->end, reply, sizeof reply);
            done++;
        }
    }
}

static void ask(void *arg)
{
    struct job *j = arg;
    const struct transport *t = j->transport;
    static char request[MAX_FRAME];
    unsigned sent = 0, done = 0;
    size_t len;

    memset(request, 'x', sizeof request);
    tie_to(j->cpu);
    t->use(j->end);
    for (; sent < j->in_flight; sent++)
        t->send(j->end, request, j->payload);
    t->flush(j->end);
    for (; done < j->requests; t->flush(j->end)) {
        t->wait(j->end);
        while (t->next(j->end, &len) != NULL) {
            done++;
            if (sent < j->requests) {
                t->send(j->end, request, j->payload);
                sent++;
            }
        }
    }
}

static struct cost measure(const struct transport *t, size_t payload, unsigned in_flight, unsigned requests,
                           unsigned server_cpu)
{
    struct end *end[2];
    struct usage client = {0}, server = {0};

    t->make(end);
    struct job asks = {t, end[0], payload, in_flight, requests, 0};
    struct job serves = {t, end[1], payload, in_flight, requests, server_cpu};
    uint64_t start = now_ns();
    pid_t s = spawn(serve, &serves), c = spawn(ask, &asks);
    reap(c, &client);
    reap(s, &server);
    double n = requests;
    return (struct cost){
        .wall_us = (double)(now_ns() - start) / 1e3 / n,
        .client_us = (client.user + client.sys) * 1e6 / n,
        .server_us = (server.user + server.sys) * 1e6 / n,
        .switches = (double)(client.voluntary + client.forced + server.voluntary + server.forced) / n,
    };
}

static void print_row(const char *name, size_t payload, unsigned in_flight, const struct cost *c,
                      unsigned rounds)
{
    double wall[MAX_ROUNDS], client[MAX_ROUNDS], server[MAX_ROUNDS], switches[MAX_ROUNDS];

    for (unsigned i = 0; i < rounds; i++) {
        wall[i] = c[i].wall_us;
        client[i] = c[i].client_us;
        server[i] = c[i].server_us;
        switches[i] = c[i].switches;
    }
    printf("%6zu %3u  %-24s %8.2f %8.2f %8.2f %8.2f\n", payload, in_flight, name, median(wall, rounds),
           median(client, rounds), median(server, rounds), median(switches, rounds));
}

static void compare(size_t payload, unsigned in_flight, unsigned rounds, unsigned requests,
                    unsigned server_cpu)
{
    static struct cost c[TRANSPORTS][MAX_ROUNDS];

    for (unsigned r = 0; r < rounds; r++)
        for (unsigned t = 0; t < TRANSPORTS; t++)
            c[t][r] = measure(transports[t], payload, in_flight, requests, server_cpu);
    for (unsigned t = 0; t < TRANSPORTS; t++)
        print_row(transports[t]->name, payload, in_flight, c[t], rounds);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: hop ROUNDS REQUESTS same|apart\n");
        return 2;
    }
    unsigned rounds = (unsigned)strtoul(argv[1], NULL, 10), requests = (unsigned)strtoul(argv[2], NULL, 10);
    unsigned server_cpu = strcmp(argv[3], "apart") == 0;
    if (rounds == 0 || rounds > MAX_ROUNDS || requests < MAX_BURST)
        return 2;
    printf("%6s %3s  %-24s %8s %8s %8s %8s\n", "bytes", "fly", "", "wall us", "client", "server", "switches");
    for (unsigned b = 0; b < 2; b++)
        for (unsigned p = 0; p < PAYLOADS; p++)
            compare(payloads[p], bursts[b], rounds, requests, server_cpu);
    return 0;
}
