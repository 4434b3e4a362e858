/* One submission, whichever way it came: judged, completed and handed to cleanup. */
#ifndef PICKUP_SUBMISSION_H
#define PICKUP_SUBMISSION_H

#include "lib/mail/date.h"
#include "lib/queue/drop.h"
#include "lib/queue/id.h"
#include "lib/wire/attempt.msg.h"
#include "lib/wire/channel.h"
#include "lib/wire/submit.msg.h"
#include "pickup/user.h"

/* What a submission needs of other processes; in tests, of the test. Each may wait. */
struct pickup_services {
    /* The password file's line of a user: TABLE_NOT_FOUND where there is none */
    enum table_result (*user)(void *context, unsigned uid, struct buf *line, struct buf *why);
    /* result: CALL_LOST also where cleanup cannot be reached at all (was_sent stays false then) */
    enum call_result (*submit)(void *context, struct arena *a, const struct msg_submit *m,
                               struct msg_submitted *answer, bool *was_sent);
    /* A file for a text over SUBMIT_INLINE_MAX. result: the caller's descriptor, or -1 */
    int (*spool)(void *context, uint64_t size, uint64_t *handle);
    void (*spool_drop)(void *context, uint64_t handle);
    /* Asks bounce to tell the sender. text: a file with the text in it. result: whether that is stored */
    bool (*notify)(void *context, struct arena *a, const struct msg_notify *m, int text);
    void *context;
};

struct submission_config {
    struct span myhostname, mail_name;
    uint64_t size_limit; /* message_size_limit; 0: none */
    struct user_policy policy;
    struct date_zone (*zone)(int64_t us);
};

/* A submission as it came. */
struct submission {
    int fd;             /* the file, borrowed */
    uint64_t size;      /* octets of it */
    unsigned uid;       /* who submits */
    struct queue_id id; /* for the message */
};

/* What became of it. */
struct outcome {
    unsigned class;    /* 0: stored; 4: try again; 5: refused */
    const char *dsn;   /* enhanced status code, where class is not 0; terminated */
    struct span text;  /* why, where class is not 0; in the arena given */
    bool untouched;    /* with class 4: surely nothing was stored */
    bool unserved;     /* with class 4: a service does not answer; others will fare no better */
    bool unreadable;   /* with class 5: the file was not a submission at all */
};

/* Does all of it, and logs, but for what is unreadable: the caller knows where that is.
 * a: for the answer and all that it takes. Waits for the services. */
struct outcome submission_take(const struct submission_config *config, const struct pickup_services *services,
                               const struct submission *s, struct arena *a);

/* After a refusal of something that its sender believes sent: has bounce tell the sender.
 * notice: queue ID for the notification, the same at every repetition
 * result: whether that is settled */
bool submission_tell_sender(const struct pickup_services *services, const struct submission *s,
                            const struct outcome *o, const struct queue_id *notice, struct arena *a);

#endif
