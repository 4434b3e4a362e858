/* The frame of every process that master starts.
 *
 * proc_main() takes over descriptor 3 (the channel to master), receives what the
 * process is given, lets the program open its tables, enters the sandbox that
 * lib/proc/wall.h declares for it, and runs the loop. The program says what it is
 * in one struct proc_spec.
 *
 *   host    sessions on coroutines; accepted() runs on one for each connection
 *   broker  never waits; requests are handled as they come
 *   worker  may wait inside a handler; requests that come meanwhile are kept and
 *           handled afterwards, one at a time
 */
#ifndef PROC_PROC_H
#define PROC_PROC_H

#include "lib/io/loop.h"
#include "lib/wire/channel.h"
#include "lib/wire/control.msg.h"

#include <sys/socket.h>

struct settings; /* lib/param/settings.h */
struct proc;

enum proc_kind { PROC_HOST, PROC_BROKER, PROC_WORKER };

/* A client that has connected to one of the process's listening sockets. */
struct proc_client {
    int fd;                       /* the program's from now on; non-blocking */
    struct sockaddr_storage peer; /* its address; for LISTENER_UNIX see proc_peer_uid() */
    const char *listener;         /* name of the listener; lives as long as the process */
    unsigned kind;                /* LISTENER_* */
    uint64_t number;              /* unique to the session: for log lines */
};

struct proc_spec {
    const char *program; /* its folder's name; finds its row in lib/proc/wall.h */
    enum proc_kind kind;
    const struct message_handler *requests; /* what callers may ask; the context is the program's own */

    /* Before the sandbox: read parameters, open tables. Waits for nothing.
     * result: the program's own context, never NULL; or NULL after proc_trouble() */
    void *(*start)(struct proc *p);
    /* In the sandbox: open channels, set timers. May be NULL. */
    void (*begin)(struct proc *p, void *own);
    /* A caller's channel was given / has gone. May be NULL. */
    void (*caller_came)(struct proc *p, void *own, struct channel *c, const struct msg_channel_given *who);
    void (*caller_left)(struct proc *p, void *own, struct channel *c);
    /* Somebody has connected; owns client->fd. In a host runs on a coroutine of its own. May be NULL. */
    void (*accepted)(struct proc *p, void *own, struct proc_client *client);
    /* A file has a new descriptor (proc_file). May be NULL. */
    void (*file_changed)(struct proc *p, void *own, const char *path);
    /* New settings are in p (brokers). May be NULL. */
    void (*reload)(struct proc *p, void *own);
    /* Stop: take nothing new; proc_exit() when done. NULL: hosts wait for their sessions,
     * workers end after the request in hand, brokers at once. */
    void (*stop)(struct proc *p, void *own);
};

/* Returns the process's exit status. */
int proc_main(const struct proc_spec *spec);

/* What the process was given; borrowed, for as long as it lives (settings: until a reload). */
struct loop *proc_loop(struct proc *p);
const struct settings *proc_settings(const struct proc *p);
const struct msg_boot *proc_boot(const struct proc *p);
void *proc_own(struct proc *p);
/* Lives as long as the process. */
struct arena *proc_arena(struct proc *p);
/* Fresh numbers for sessions, unique over all processes of the queue directory. */
uint64_t proc_next_number(struct proc *p);

/* Says why the process cannot work, to the log and to master. */
void proc_trouble(struct proc *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Ends the process when the current callback returns to the loop. */
void proc_exit(struct proc *p, int status);

/* A file that master opened: a new descriptor of it, the caller's.
 * result: -1 with errno (ENOENT where the configuration did not name it) */
int proc_file(struct proc *p, const char *path);
/* A directory that the process was given; borrowed; -1 where it was not. */
int proc_directory(struct proc *p, const char *name);

/* The process's channel to a service, made at the first call and again after it was lost. waits
 * result: borrowed, good until the next wait; NULL where master has none (the reason is logged) */
struct channel *proc_channel(struct proc *p, const char *service, mono_ms deadline);
/* For those who never wait: asks master for one more channel; made is called once, with NULL
 * where there is none. The channel is then the caller's: it closes it.
 * slot: as in channel_wanted */
void proc_want_channel(struct proc *p, const char *service, unsigned slot, const struct channel_handler *handler,
                       void *context, void (*made)(struct channel *c, unsigned slot, void *context));

/* Peer credentials of a LISTENER_UNIX client. result: false where the system does not tell */
bool proc_peer_ids(int fd, unsigned *uid, unsigned *gid, int *pid);

/* The descriptor that log lines go to, borrowed: for a process that starts others. */
int proc_log_fd(const struct proc *p);

/* Sessions in hand (hosts). */
size_t proc_sessions(const struct proc *p);

#endif
