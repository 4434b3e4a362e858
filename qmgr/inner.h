/* What the modules of qmgr share. One struct qmgr a process; each part belongs to the module named. */
#ifndef QMGR_INNER_H
#define QMGR_INNER_H

#include "lib/log/log.h"
#include "lib/param/param.h"
#include "lib/queue/journal.h"
#include "lib/queue/reader.h"
#include "lib/queue/spool.h"
#include "lib/wire/attempt.msg.h"
#include "lib/wire/envelope.msg.h"
#include "lib/wire/queue.msg.h"
#include "lib/wire/tool.msg.h"
#include "qmgr/qmgr.h"
#include "qmgr/schedule.h"

#define SECOND_US INT64_C(1000000)

/* What the parameters say; replaced as a whole at a reload. */
struct rules {
    struct arena arena; /* owns what params_* point to, and the settings */
    struct settings settings;
    struct params_main main;
    struct params_qmgr qmgr;
    struct schedule_params schedule;
};

struct qmgr {
    struct qmgr_config config;
    struct loop *loop;
    struct rules *rules; /* owned */
    struct schedule schedule;
    int64_t clock_base_us; /* the schedule's clock less the monotonic one */
    struct deferred pump;  /* looks for what is due */
    struct timer pump_timer, second;
    bool ending; /* in qmgr_free(): answers mean nothing any more */

    /* progress.c */
    struct journal *journal;
    struct list standings; /* struct standing, by base */
    struct list after;     /* struct after: what is to be done once the journal is synced */
    struct deferred commit;
    struct timer commit_timer, work_timer;
    bool working; /* the journal's housekeeping has more to do */

    /* past.c: what the journal told at the start; ends when the store has been read */
    struct past_all *past; /* owned; NULL later */

    /* store.c */
    struct intake_reader *reader;
    struct spool spool;
    struct map cleaners;          /* channel -> struct cleaner; owned */
    struct map segments;          /* slot, number, generation -> struct segment; owned */
    struct map tombs;             /* id -> struct tomb; owned */
    struct list removed;          /* struct trace: files removed, their directory not synced */
    struct waiting_spill *spills; /* ring of messages that may have to be spilled */
    size_t spill_first, spill_count, spill_cap;
    size_t fresh;            /* messages without MESSAGE_TRIED */
    struct file_list *files; /* queue files that are still to be read; NULL: all are */
    struct timer files_timer;
    struct map notices; /* notify.c: new ID -> struct notice; owned by their messages */

    /* load.c */
    struct list loads; /* struct loaded, the one that was used longest ago first */
    size_t load_octets, load_count;

    /* agent.c, route.c, notify.c: channels */
    struct map services;           /* name -> struct service; owned */
    struct list beginning;         /* struct attempt: the journal is to say first that they begin */
    struct link *rewrite, *bounce; /* owned */
    struct list resolving;         /* struct resolving that wait for their turn */
    unsigned resolving_now;        /* requests under way */
    unsigned resolving_waiting;    /* members of resolving */
    struct queue_id_source ids;

    /* tool.c */
    struct list tools; /* struct tool; owned */
    size_t tool_count;
    struct list walks; /* struct walk: flushes and the like under way; owned */
};

/* The schedule's clock at this step: the wall clock at the start, gone on by the monotonic one. */
int64_t qmgr_now(const struct qmgr *q);
/* What is to be added to it for the wall clock. */
int64_t qmgr_wall_offset(const struct qmgr *q);
/* Something may be due: have a look at the end of this step. */
void qmgr_kick(struct qmgr *q);

#endif
