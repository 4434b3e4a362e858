/* A message as qmgr holds it: one allocation, small enough for a million of them.
 *
 * The scheduler (schedule.h) owns the states and times; where it lies and what the
 * journal knows belongs to the modules that are named. Strings that only an attempt
 * needs are read from the stored form when it begins. */
#ifndef QMGR_MESSAGE_H
#define QMGR_MESSAGE_H

#include "lib/base/heap.h"
#include "lib/base/list.h"
#include "lib/queue/id.h"
#include "qmgr/text.h"

struct destination;

enum recipient_state {
    RECIPIENT_WAITING,   /* until its moment comes, or the message is released */
    RECIPIENT_RESOLVING, /* its moment has come; no route yet */
    RECIPIENT_READY,     /* in a job of its destination */
    RECIPIENT_ACTIVE,    /* in an attempt */
    RECIPIENT_DONE,      /* nothing more to do */
    RECIPIENT_DELIVERED, /* delivered, and the sender is owed a notification of that */
    RECIPIENT_FAILED,    /* failed for good; the sender is owed a notification */
};

/* One recipient; its number in the stored message is its index + 1. */
struct recipient {
    struct destination *destination; /* while ready or active */
    struct text *user;    /* what the transport is to see, where that differs from the address; owned */
    struct text *verdict; /* the last one: an encoded struct msg_verdict without number and times; owned */
    int64_t until_us;     /* waiting: its moment */
    uint32_t address;     /* octets into message.strings: the address, NUL, the original, NUL */
    uint32_t next;        /* the next of its job or attempt, index + 1; 0: the last */
    uint8_t state;        /* enum recipient_state */
    uint8_t notify;       /* DSN_NOTIFY_* bits */
    uint8_t flags;        /* RECIPIENT_HAS_* */
};
enum {
    RECIPIENT_HAS_ORIGINAL = 1, /* the original differs from the address */
    RECIPIENT_BEGUN = 2,        /* the journal says that an attempt is under way (journal.c) */
};

enum message_flag {
    MESSAGE_HELD = 1,
    MESSAGE_WARNED = 2,       /* the sender knows of the delay */
    MESSAGE_DELETED = 4,      /* goes as soon as nothing is under way */
    MESSAGE_FINISHED = 8,     /* over; its stored form is being removed */
    MESSAGE_NOTIFYING = 16,   /* a notification is under way: nothing else happens to it */
    MESSAGE_FILE = 64,        /* it is a file of its own (place tells where it was before) */
    MESSAGE_TRIED = 128,      /* one attempt or more has begun */
    MESSAGE_AGENT_DIED = 256, /* at its last attempt */
    MESSAGE_SETTLED = 512,    /* schedule: in its array */
};

/* Something of which the journal says something; see progress.h. */
struct standing {
    struct list node; /* in the order of base; itself while the journal says nothing of it */
    uint64_t base;    /* no older journal segment says anything of it */
    bool is_tomb;     /* it is in a struct tomb, not in a struct message */
};

/* Where the stored form lies. */
struct place {
    uint64_t generation, offset, length; /* in the segment, as lib/queue/intake.h says */
    uint32_t slot;
    uint32_t segment; /* 1 + its number; 0: it was never in the log */
};

struct message {
    struct queue_id id;
    struct heap_node retry;   /* schedule: key is the moment at which a recipient's time comes */
    struct list all;          /* schedule: every message there is */
    struct standing standing; /* progress */
    struct place place;       /* store */
    struct loaded *loaded;    /* load: envelope and text in memory, or NULL; owned */
    struct notice *notice;    /* notify: the notification that is under way, or NULL; owned */
    struct text *sender;      /* internal form; owned */
    int64_t arrival_us;       /* on the schedule's clock */
    int64_t active_us;        /* when the present run began */
    uint64_t size;            /* octets of the text */
    uint32_t recipient_count;
    uint32_t busy;     /* recipients that are resolving, ready or active */
    uint32_t waiting;  /* recipients that wait */
    uint32_t owed;     /* recipients of which the sender is to be told */
    uint32_t attempts; /* attempts that are under way */
    uint32_t copies;   /* store: further records of it in the log, beside the one at place */
    uint32_t flags;    /* MESSAGE_* */
    char *strings;     /* behind the recipients, same allocation */
    struct recipient recipients[];
};

/* Both as terminated text, borrowed. */
static inline const char *recipient_address(const struct message *m, const struct recipient *r)
{
    return m->strings + r->address;
}
static inline const char *recipient_original(const struct message *m, const struct recipient *r)
{
    const char *address = m->strings + r->address;
    return r->flags & RECIPIENT_HAS_ORIGINAL ? address + strlen(address) + 1 : address;
}
static inline bool recipient_is_over(const struct recipient *r)
{
    return r->state >= RECIPIENT_DONE;
}

#endif
