/* What the files of lib/proc share; for no one else. */
#ifndef PROC_PROC_INNER_H
#define PROC_PROC_INNER_H

#include "lib/base/map.h"
#include "lib/param/settings.h"
#include "lib/proc/proc.h"
#include "lib/table/table.h"

enum { PROC_CONTROL_FD = 3, PROC_LISTENERS_MAX = 64, PROC_DIRECTORIES_MAX = 16 };

struct proc_listener {
    struct proc *proc;
    int fd;
    unsigned kind;
    const char *name;
    struct watch *watch;
};

/* A file or directory that was given. */
struct proc_path {
    const char *path;
    int fd;    /* -1: it could not be opened */
    int error; /* errno then */
};

/* A request that came while a worker was at another; a copy. */
struct proc_waiting {
    struct list node;
    struct channel *channel; /* NULL: the caller has gone meanwhile */
    struct frame frame;      /* body points behind this struct */
    char body[];
};

/* A channel to a service that this process asked for by proc_channel(). */
struct proc_service {
    struct proc *proc;
    const char *name;
    struct channel *channel; /* NULL: lost or not made yet */
    struct list waiters;     /* struct service_waiter: sessions that wait for it */
    bool asked;
};

struct proc {
    const struct proc_spec *spec;
    struct loop *loop;
    struct arena arena;
    struct channel *master;
    struct msg_boot boot;
    struct settings settings;
    struct tables *tables; /* NULL before proc_tables() */
    void *own;
    bool booted, running, stopping, busy;
    int status;

    struct proc_listener listeners[PROC_LISTENERS_MAX];
    unsigned nlisteners;
    struct proc_path directories[PROC_DIRECTORIES_MAX];
    unsigned ndirectories;
    struct map files;    /* path -> struct proc_path */
    struct map services; /* name -> struct proc_service */

    size_t callers;      /* channels given to us that are open */
    int log_fd;          /* owned; -1: standard error */
    uint64_t taken;      /* channels given to us in all */
    size_t sessions;     /* coroutines of accepted() */
    uint64_t last_number;
    uint64_t served;
    struct list waiting; /* struct proc_waiting */
    struct channel *current; /* workers: whose request is in hand; NULL: none */
    bool current_left;   /* its other end has gone meanwhile */
    struct deferred next; /* takes the next waiting request */
    struct timer alive, accept_again, grace;
};

/* boot.c: the master's side of the conversation until boot has come.
 * result: false: master has gone or sent nonsense */
bool proc_boot_receive(struct proc *p);
/* One frame from master, before or after boot. */
void proc_master_frame(struct channel *c, struct frame *f, void *context);

/* tables.c: a new descriptor for a file goes to the tables that read it. */
void proc_tables_changed(struct proc *p, const char *path);

/* serve.c */
void proc_serve_channel(struct proc *p, int fd, const struct msg_channel_given *who);
void proc_serve_listeners(struct proc *p);
void proc_close_listeners(struct proc *p);
void proc_stop_begin(struct proc *p, int64_t grace_ms);
void proc_next_waiting(struct deferred *d, void *context);
/* host_co.c in session hosts, host_blocking.c elsewhere. Runs accepted() for one client. */
void proc_session_start(struct proc *p, const struct proc_client *client);
/* Asks every session to end. */
void proc_sessions_cancel(struct proc *p);

#endif
