/* What the files of deliver share. */
#ifndef DELIVER_DELIVER_H
#define DELIVER_DELIVER_H

#include "lib/proc/proc.h"
#include "lib/base/map.h"
#include "lib/proc/tables.h"
#include "lib/wire/login.msg.h"
#include "lib/wire/mailbox.msg.h"

#include <sys/types.h>

struct deliver {
    struct proc *proc;
    const struct params_main *main;
    const struct params_virtual *virtual;
    const struct params_local *local;
    const char *log_name; /* syslog_name */
    struct list owners;   /* struct owner */
    struct map tokens;    /* token -> struct session */
};

/* Who a process is to run as. */
struct identity {
    uid_t uid;
    gid_t gid;
    const char *user;  /* for the supplementary groups; NULL: none */
    const char *home;  /* base directory, or the user's home */
    const char *shell; /* the user's; NULL: none */
};

/* What somebody wants a process for, as deliver understands it. */
struct purpose {
    unsigned kind;          /* OWNER_* */
    struct identity id;
    const char *base;       /* directory that the process is given */
    const char *user;       /* whose .forward and mailbox; NULL: nobody's */
    const char *mailbox;    /* the one mailbox, below base; NULL: any */
    const char *service;    /* OWNER_PIPE: the service that asks; else NULL */
    struct span arguments;  /* OWNER_PIPE: its arguments */
    int64_t time_limit;     /* for commands, seconds */
};

/* What became of the question who that is. */
struct refusal {
    unsigned class;
    const char *dsn, *text; /* text NULL: not refused */
};

enum { OWNER_KEEP_S = 60 }; /* how long an owner's process is kept without work */

/* Starts libexec/program as that identity, with one end of a channel on descriptor 3 and log on 2
 * (-1: nothing). channel_fd: set to our end.
 * result: its process number, or -1 with errno */
pid_t spawn(const struct deliver *d, const char *program, const struct identity *id, int log, int *channel_fd);

/* Holds a wanted identity against the rules of DESIGN.
 * result: NULL, or why it is refused */
const char *identity_refused(const struct deliver *d, const struct identity *id);
/* The system's user of a name, texts in a. result: 1 found, 0 no such user, -1 cannot be told now */
int identity_of_user(struct arena *a, const char *name, struct identity *id);

/* The service at the other end, as master told it: the channel's name is "service/slot". Borrowed. */
struct span caller_service(const struct channel *c);
/* Holds a request against our own configuration. caller: name of the service that asks.
 * purpose: texts in a */
struct refusal purpose_of(const struct deliver *d, struct arena *a, const struct msg_owner_wanted *m,
                          struct span caller, struct purpose *purpose);
/* What the process is told. body: a mailbox_begin is put there */
void purpose_put_begin(const struct deliver *d, const struct purpose *purpose, struct buf *body);

/* owners.c */
void handle_owner_wanted(struct channel *c, struct frame *f, void *context);
/* sessions.c */
void handle_session_prepare(struct channel *c, struct frame *f, void *context);
void handle_session_present(struct channel *c, struct frame *f, void *context);

#endif
