/* What master holds while it runs. Every file of this folder may look at it.
 *
 * A crew is the processes of one service; a child is one process. Nothing here
 * waits: master is a broker over its children's control channels. */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include "lib/base/list.h"
#include "lib/base/map.h"
#include "lib/io/loop.h"
#include "lib/wire/channel.h"
#include "master/config.h"
#include "master/lock.h"

struct sockets;
struct files;

enum child_state {
    CHILD_STARTING, /* has not said ready */
    CHILD_READY,
    CHILD_STOPPING, /* was told to stop, or is being killed */
};

struct child {
    struct list node;          /* in its crew */
    struct master *master;
    struct crew *crew;
    struct config *config;     /* holds it: one user */
    const struct plan *plan;   /* of config */
    pid_t pid;
    unsigned slot;
    uint64_t incarnation;
    struct channel *channel;   /* owned; NULL: lost, and it is killed if it does not end */
    enum child_state state;
    bool retired;              /* of an old generation: gets no new channels, and ends when it is idle */
    bool in_trouble;           /* has said why it cannot work */
    uint64_t given;            /* channels given to it in all */
    unsigned open;             /* of these perhaps still open */
    mono_ms since;             /* of its state, or of its last idle moment */
    mono_ms ready_at;          /* 0: not yet */
    mono_ms heard;             /* its last sign of life */
    mono_ms stop_by;           /* killed then, while it is stopping */
    uint64_t sessions, lag_ms; /* from its last sign of life */
    struct timer timer;        /* watchdog, idle end, end of a grace: the earliest of them */
};

/* Somebody waits for a channel to a process of the crew. */
struct request {
    struct list node;     /* in crew->requests */
    struct child *asker;
    uint64_t id;          /* of its request */
    unsigned slot;        /* 1 + the slot that is wanted; 0: any */
    mono_ms give_up;
};

struct crew {
    struct list node;     /* in master->crews */
    struct master *master;
    char *key, *name;     /* owned; "smtp/inet", "smtp" */
    struct config *config; /* holds it: one user */
    const struct plan *plan;
    bool gone;            /* the configuration has it no more; freed when its children have ended */
    struct list children;
    struct list requests;
    unsigned nrequests;
    unsigned failures;    /* ends in a row without work done */
    mono_ms failed_at;    /* the last of them */
    mono_ms not_before;   /* back-off: no start before this */
    struct timer timer;   /* start again; requests that waited too long */
};

struct master {
    struct loop *loop;
    struct config_frame frame;
    char *libexec_path;       /* for log lines; owned */
    struct config *config;    /* the current one; holds one user */
    struct queue_lock lock;
    struct list crews;
    struct map children;      /* pid -> struct child */
    struct sockets *sockets;
    struct files *files;
    int log_fd;               /* owned; what children get */
    const char *log_target;   /* as in boot; borrowed from the configuration or a literal */
    pid_t pid;                /* its own, before any fork of a child */
    bool verbose, foreground;
    int stopping;             /* 0; 1: hosts end; 2: all end */
    struct timer stop_timer;
    int64_t started;          /* wall clock */
    uint64_t reloads;         /* tried */
    int status_fd;            /* owned */
    int starter_fd;           /* owned; who started us waits at its other end; -1: nobody does */
    struct watch *status_watch;
    char *trouble;            /* why the last reload failed; NULL: it did not; owned */
};

enum {
    START_MOST_S = 60,        /* from start to ready */
    ALIVE_MOST_S = 30,        /* between two signs of life of hosts and brokers */
    RELOAD_GRACE_S = 300,     /* sessions and callers of an old generation */
    WORK_GRACE_S = 30,        /* what a retired worker has in hand when its callers do not leave */
    STOP_GRACE_MS = 3000,     /* sessions, when the server stops */
    KILL_AFTER_MS = 2000,     /* behind any grace */
    REQUESTS_MAX = 1000,      /* waiting for one service */
    REQUEST_MOST_S = 60,      /* one of them */
    SLOTS_MAX = 10000,
    HANDED_QUEUE_LOCK = 4,    /* descriptor of those that hold the queue */
};

#endif
