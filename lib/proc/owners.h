/* Channels to mailbox processes, for the workers that deliver (local, virtual, pipe).
 *
 * What is done as somebody is done by a process that deliver has started as that somebody. A worker asks
 * for one for each purpose, keeps the channel while it is of use, and sends requests to it, many at a time.
 * A process that owes answers and says nothing for too long (a file system that hangs) is given up: its
 * requests are answered as lost, and the delivery is repeated; what it has stored meanwhile is found then. */
#ifndef PROC_OWNERS_H
#define PROC_OWNERS_H

#include "lib/proc/proc.h"
#include "lib/wire/mailbox.msg.h"

enum {
    OWNERS_MAX = 400,    /* channels; those without a request in hand make room for others */
    OWNERS_WAIT_S = 60,  /* for deliver to give a channel */
};

struct owners;
struct owner;

/* patience_s: how long a process that owes answers may say nothing; command_s: how much longer where it runs
 * commands. Lives as long as the process. */
struct owners *owners_new(struct proc *p, int64_t patience_s, int64_t command_s);

/* The channel to a process for that; deliver is asked where there is none yet.
 * variant: two of the same purpose that differ in it have two channels
 * made:    what deliver said, texts in a; class 4 where it does not answer
 * waits:   for deliver, OWNERS_WAIT_S at most
 * result:  good until the next wait; NULL where made->class is not 2, or there is no home */
struct owner *owner_get(struct owners *all, const struct msg_owner_wanted *wanted, struct span variant,
                        struct arena *a, struct msg_owner_made *made);

/* Sends a request with one descriptor (-1: none), which stays the caller's. answer is called once, with NULL
 * where the process was lost or given up, maybe inside this call. */
void owner_request(struct owner *o, uint16_t type, struct span body, int fd, channel_answer answer, void *context);

#endif
