/* One configuration, read and checked as a whole: what is to run.
 *
 * A configuration never changes once it is made; reload makes a new one beside it,
 * and processes keep the one they were started with until they end. Reading may wait
 * for the disk; master does so only at start and at reload. */
#ifndef MASTER_CONFIG_H
#define MASTER_CONFIG_H

#include "lib/param/mastercf.h"
#include "lib/param/param.h"
#include "lib/wire/control.msg.h"
#include "master/programs.h"

#include <sys/socket.h>
#include <sys/types.h>

/* A socket that a service listens on. */
struct socket_plan {
    const char *name;  /* for the notice listener */
    unsigned kind;     /* LISTENER_* */
    const char *key;   /* "inet:127.0.0.1:25", "unix:public/pickup": the same socket has the same key */
    struct sockaddr_storage address; /* LISTENER_INET */
    socklen_t address_size;
    const char *path;  /* LISTENER_UNIX, LISTENER_PASS: below the queue directory */
    struct param_place place;
};

/* A service and how its processes are to be. */
struct plan {
    const char *name;      /* as in master.cf */
    const char *key;       /* "name/inet" or "name/unix": unique */
    enum service_type type;
    const struct program *program;
    const struct wall *wall;
    uint64_t limit;        /* most sessions or deliveries at a time; 0: no limit */
    unsigned processes;    /* most processes of one generation */
    int64_t wakeup;        /* seconds; 0: never */
    struct span arguments; /* behind the -o options, each ended by NUL */
    bool verbose;
    int settings;          /* a sealed memory file with the flat settings; owned */
    uid_t uid;             /* where the server was started as root */
    gid_t gid;
    struct socket_plan *sockets;
    unsigned nsockets;
    const char **files;    /* what the configuration names, for rows that get tables */
    unsigned nfiles;
    struct param_place place;
};

struct config {
    struct arena arena;
    const char *directory;    /* of main.cf and master.cf, absolute */
    struct settings settings; /* main.cf and facts */
    struct params_main main;
    struct params_master master;
    struct params_merpati own;
    struct mastercf mastercf;
    struct plan *plans;
    size_t nplans;
    wire_list_service services; /* for qmgr */
    const char *log_target;   /* "stdout", "syslog" or a path */
    const char *log_name;     /* syslog_name of the server itself */
    const char *log_host;
    uint64_t generation;      /* counts reloads, from 1 */
    size_t users;             /* processes that were started with it, and master itself */
};

/* What stays the same whatever the files say. */
struct config_frame {
    char *directory; /* owned */
    const char *const *options; /* "name=value" over what main.cf says, for as long as the server runs; NULL ends */
    int libexec;   /* directory of the programs, for a look whether they are there; borrowed */
    bool as_root;
    unsigned cores;
};

/* Reads and checks everything.
 * errors: what is wrong, each with file, line and remedy; warnings too
 * result: NULL where the server must not run like this. The caller ends it by config_release(). */
struct config *config_load(const struct config_frame *frame, struct param_errors *errors);
/* One user less; the last one frees it. Nulls *c. */
void config_release(struct config **c);

/* result: the plan, or NULL */
const struct plan *config_find(const struct config *c, const char *key);

#endif
