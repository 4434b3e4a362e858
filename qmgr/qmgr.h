/* The queue manager: the only owner of what has become of a message.
 *
 * main.c makes one from what master gave the process; tests make one from directories
 * and socket pairs. Everything runs on one loop; the disk is waited for only where the
 * journal is synced, where old mail is read, and at the start. */
#ifndef QMGR_QMGR_H
#define QMGR_QMGR_H

#include "lib/wire/channel.h"
#include "lib/wire/control.msg.h"

struct qmgr;
struct settings;

struct qmgr_config {
    struct loop *loop;
    int intake, queue, corrupt, journal; /* directories, borrowed */
    const struct settings *settings;     /* borrowed during qmgr_new() and qmgr_reload() */
    const wire_list_service *services;   /* the delivery services; the same */
    uint64_t incarnation;                /* of this process: for the IDs of notifications */
    size_t journal_segment;              /* octets; 0: the usual */
    int64_t spill_after_s; /* unfinished for that long, a message becomes a file; 0: the usual */
    /* Asks for a channel to a service, as proc_want_channel() does. */
    void (*want_channel)(void *host, const char *service, const struct channel_handler *handler,
                         void *context, void (*made)(struct channel *c, unsigned slot, void *context));
    uint64_t (*next_number)(void *host); /* for log lines of others */
    void *host;
};

/* Reads the settings. result: owned; NULL with the reason in why */
struct qmgr *qmgr_new(const struct qmgr_config *config, struct buf *why);
/* Replays the journal and reads the log; the files of the queue are read in slices once the loop runs. waits
 * result: false with the reason in why */
bool qmgr_begin(struct qmgr *q, struct buf *why);
/* For tests: as if it had been killed. Nulls *q. */
void qmgr_free(struct qmgr **q);

/* New settings and services, in place. result: false: the old ones stay; why says what is wrong */
bool qmgr_reload(struct qmgr *q, const struct settings *settings, const wire_list_service *services,
                 struct buf *why);

/* A cleanup process has been connected, or has gone. incarnation: its own */
void qmgr_cleanup_came(struct qmgr *q, struct channel *c, uint64_t incarnation);
void qmgr_cleanup_left(struct qmgr *q, struct channel *c);
/* Notices from cleanup processes; the context is the struct qmgr. */
extern const struct message_handler qmgr_notices[];

/* Somebody from outside has connected to public/qmgr or public/showq; fd is taken over. */
void qmgr_tool_came(struct qmgr *q, int fd, unsigned uid);

#endif
