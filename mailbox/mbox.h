/* Appending to an mbox: locked, all or nothing, once.
 *
 * Called by a process that runs as the owner of the mailbox; every call may wait for the
 * disk, none for a lock. Below the base no link is followed, unless the settings leave
 * that to the file system's own rights. */
#ifndef MAILBOX_MBOX_H
#define MAILBOX_MBOX_H

#include "mailbox/mbox_text.h"

enum { MBOX_LOCK_FLOCK = 1, MBOX_LOCK_FCNTL = 2, MBOX_LOCK_DOTLOCK = 4 };

struct mbox_settings {
    unsigned locks;       /* MBOX_LOCK_*: mailbox_delivery_lock */
    uint64_t size_limit;  /* octets of the whole file; 0: none */
    int64_t stale_s;      /* a dot lock older than this is nobody's: stale_lock_time */
    bool strict_owner;    /* the file belongs to the user: strict_mailbox_ownership */
    bool follow;          /* directories of the path may be links: the path is the user's own */
    bool may_lack_dotlock; /* a directory without room for a dot lock is no reason not to deliver */
};

enum mbox_result {
    MBOX_OK,
    MBOX_WAS_THERE, /* it had been delivered before */
    MBOX_BUSY,      /* somebody has the lock: try again soon */
    MBOX_FAILED,    /* dsn and why tell */
};

/* Appends one message.
 * path:   relative to base, which is an open directory
 * dsn:    set where it is MBOX_FAILED: 4.x.x or 5.x.x, static
 * why:    appended to where it is MBOX_BUSY or MBOX_FAILED, or where mail was delivered without
 *         what a crash would need (then for the log) */
enum mbox_result mbox_append(int base, struct span path, const struct mbox_settings *settings,
                             const struct mbox_message *m, const char **dsn, struct buf *why);

#endif
