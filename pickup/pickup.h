/* The state of the pickup process. */
#ifndef PICKUP_PICKUP_H
#define PICKUP_PICKUP_H

#include "lib/base/map.h"
#include "lib/proc/proc.h"
#include "pickup/maildrop.h"
#include "pickup/submission.h"

enum {
    CLIENTS_MAX = 500,     /* connections at a time */
    CLIENTS_OF_ONE = 100,  /* of one user */
    CLIENT_WAIT_S = 30,    /* for the offer: sendmail has read the whole message before it connects */
    WAKEUP_S = 60,         /* where master.cf does not say */
    TOLD_MAX = 10000,      /* files in maildrop/ that are remembered */
};

struct pickup {
    struct proc *proc;
    struct submission_config config;
    struct pickup_services services;
    struct queue_id_source ids;
    struct timer work;     /* set while there is something to do */
    bool busy;             /* a submission is being taken: other clients wait */
    bool stopping;

    struct list clients;   /* struct client (clients.c) */
    struct list offers;    /* the same, those whose offer waits for its turn */
    size_t client_count;

    int maildrop;          /* directory, borrowed; -1: there is none */
    DIR *walk;             /* NULL: none under way */
    struct timer wakeup;
    struct map told;       /* queue IDs of files that were left alone -> told or done (scan.c) */
    struct arena told_arena;
};

/* work.c: what is waiting gets its turn, one submission at a time */
void pickup_work(struct pickup *p);
/* Looks through maildrop/ now, and then at every wakeup. */
void pickup_wake_up(struct pickup *p);
/* Ends the process after the submission in hand. */
void pickup_stop(struct pickup *p);

/* services.c: the other processes */
struct pickup_services services_open(struct proc *p);

/* clients.c: the socket */
void clients_accept(struct pickup *p, const struct proc_client *client);
/* Takes the first offer that waits. result: false where none does */
bool clients_take_offer(struct pickup *p);
/* Nothing more is taken: those that wait are told that they have not been touched. */
void clients_dismiss(struct pickup *p);

/* scan.c: maildrop/ */
void scan_begin(struct pickup *p);
/* Takes the next file. result: false where no walk is under way any more */
bool scan_take_next(struct pickup *p);

#endif
