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
    const char *log_name; /* syslog_name */
    struct list owners;   /* struct owner */
    struct map tokens;    /* token -> struct session */
};

/* Who a process is to run as. */
struct identity {
    uid_t uid;
    gid_t gid;
    const char *user; /* for the supplementary groups; NULL: none */
    const char *home; /* base directory */
};

enum { OWNER_KEEP_S = 60 }; /* how long an owner's process is kept without work */

/* Starts libexec/program as that identity, with one end of a channel on descriptor 3 and the log
 * on 2. channel_fd: set to our end.
 * result: its process number, or -1 with errno */
pid_t spawn(const struct deliver *d, const char *program, const struct identity *id, int *channel_fd);

/* Holds a wanted identity against the rules of DESIGN.
 * result: NULL, or why it is refused */
const char *identity_refused(const struct deliver *d, const struct identity *id);
/* The system's user of a name, texts in a. result: 1 found, 0 no such user, -1 cannot be told now */
int identity_of_user(struct arena *a, const char *name, struct identity *id);

/* owners.c */
void handle_owner_wanted(struct channel *c, struct frame *f, void *context);
/* sessions.c */
void handle_session_prepare(struct channel *c, struct frame *f, void *context);
void handle_session_present(struct channel *c, struct frame *f, void *context);

#endif
