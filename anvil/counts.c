#include "anvil/counts.h"
#include "lib/base/buf.h"
#include "lib/base/check.h"

#include <stdlib.h>

struct client {
    struct span key; /* owned */
    uint64_t connections;
    uint64_t events[CLIENT_KINDS];
    mono_ms unit_began;
};

/* Connections that one process has told of. */
struct opened {
    struct client *client;
    uint64_t connections;
};

static void make_key(struct buf *key, struct span service, struct span address)
{
    buf_put(key, service);
    buf_putc(key, '\0');
    buf_put(key, address);
}

static void client_free(struct client *client)
{
    char *key;
    memcpy(&key, &client->key.p, sizeof key);
    free(key);
    free(client);
}

void counts_fini(struct counts *c)
{
    size_t at = 0;
    for (struct client *client; (client = map_next(&c->clients, &at));)
        client_free(client);
    map_fini(&c->clients);
}

static bool is_idle(const struct counts *c, const struct client *client, mono_ms now)
{
    return client->connections == 0 && now - client->unit_began >= c->unit_ms;
}

/* Once a time unit: whoever has nothing open and no count left is forgotten. */
static void sweep(struct counts *c, mono_ms now)
{
    if (now - c->swept < c->unit_ms)
        return;
    c->swept = now;
    struct map keep = {0};
    size_t at = 0;
    for (struct client *client; (client = map_next(&c->clients, &at));) {
        if (is_idle(c, client, now))
            client_free(client);
        else
            map_set(&keep, client->key, client);
    }
    map_fini(&c->clients);
    c->clients = keep;
}

static struct client *find_client(struct counts *c, struct span key, mono_ms now)
{
    struct client *client = map_get(&c->clients, key);
    if (!client) {
        char *copy = malloc(key.n + 1);
        client = calloc(1, sizeof *client);
        CHECK(client != NULL && copy != NULL);
        memcpy(copy, key.p, key.n);
        client->key = span_of(copy, key.n);
        client->unit_began = now;
        map_set(&c->clients, client->key, client);
    }
    if (now - client->unit_began >= c->unit_ms) {
        memset(client->events, 0, sizeof client->events);
        client->unit_began = now;
    }
    return client;
}

static void open_one(struct counting *by, struct client *client)
{
    struct opened *opened = map_get(&by->open, client->key);
    if (!opened) {
        opened = calloc(1, sizeof *opened);
        CHECK(opened != NULL);
        opened->client = client; /* stays while it has connections */
        map_set(&by->open, client->key, opened);
    }
    opened->connections++;
    client->connections++;
}

struct msg_client_counts counts_event(struct counts *c, struct counting *by, const struct msg_client_event *m,
                                      mono_ms now)
{
    struct buf key = BUF_INIT;
    struct msg_client_counts counts = {0};
    sweep(c, now);
    make_key(&key, m->service, m->address);
    if (m->kind > 0 && m->kind < CLIENT_KINDS) {
        struct client *client = find_client(c, buf_span(&key), now);
        client->events[m->kind]++;
        if (m->kind == CLIENT_CONNECTS)
            open_one(by, client);
        counts = (struct msg_client_counts){client->connections, client->events[m->kind]};
    }
    buf_fini(&key);
    return counts;
}

void counts_left(struct counts *c, struct counting *by, struct span service, struct span address)
{
    struct buf key = BUF_INIT;
    (void)c;
    make_key(&key, service, address);
    struct opened *opened = map_get(&by->open, buf_span(&key));
    if (opened) {
        opened->client->connections--;
        if (--opened->connections == 0) {
            map_remove(&by->open, buf_span(&key));
            free(opened);
        }
    }
    buf_fini(&key);
}

void counts_forget(struct counts *c, struct counting *by)
{
    size_t at = 0;
    (void)c;
    for (struct opened *opened; (opened = map_next(&by->open, &at));) {
        opened->client->connections -= opened->connections;
        free(opened);
    }
    map_fini(&by->open);
}
