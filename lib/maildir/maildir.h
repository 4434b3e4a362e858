/* A Maildir, by descriptors: opening, listing, reading and removing.
 *
 * Delivery is in lib/maildir/deliver.h, the sizes of messages with other names in
 * lib/maildir/sizes.h. Called by processes that run as the owner of the mailbox; every
 * call may wait for the disk. Nothing here follows a symbolic link below the base, so a
 * path cannot lead out of it; what stands in the Maildir belongs to its owner and is
 * never trusted to be well formed. */
#ifndef MAILDIR_MAILDIR_H
#define MAILDIR_MAILDIR_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/maildir/name.h"

#include <sys/stat.h>

enum maildir_result {
    MAILDIR_OK,
    MAILDIR_GONE,   /* it is not there (any more) */
    MAILDIR_BUSY,   /* another session has the lock */
    MAILDIR_DENIED, /* permission, a link or a file where a directory is expected */
    MAILDIR_QUOTA,  /* the owner's quota, or a file size limit */
    MAILDIR_FULL,   /* the disk is full */
    MAILDIR_FAILED, /* any other error of the system */
};
/* What errno means here. */
enum maildir_result maildir_result_of(int error);
/* The enhanced status code of a delivery that ended so: 2.0.0 or 4.x.x. RFC 3463 */
const char *maildir_dsn(enum maildir_result result);

enum {
    MAILDIR_MESSAGES_MAX = 4 * 1000 * 1000, /* messages that one mailbox may have; with more it does not open */
    MAILDIR_TMP_AGE = 36 * 3600,            /* seconds after which what a crash has left in tmp/ is removed */
    MAILDIR_PATH_MAX = 4000,                /* octets */
};

/* The subdirectories. */
enum maildir_part { MAILDIR_NEW, MAILDIR_CUR, MAILDIR_TMP, MAILDIR_PARTS };

struct maildir {
    int root;                 /* the Maildir itself; owned, as are all */
    int parts[MAILDIR_PARTS]; /* new/, cur/, tmp/ */
    int lock;                 /* descriptor that holds the session lock, or -1 */
    bool no_tmpfile;          /* delivery: files without a name cannot be made or linked here */
};

/* Opens the Maildir at path, relative to the directory base (or absolute, where base is AT_FDCWD).
 * Below base no link is followed; an absolute path is the administrator's and may hold some.
 * create: makes what is missing, mode 0700
 * why:    what is wrong, with the path's part
 * result: MAILDIR_OK, MAILDIR_GONE (not created), MAILDIR_DENIED, MAILDIR_QUOTA, MAILDIR_FULL, MAILDIR_FAILED */
enum maildir_result maildir_open(struct maildir *m, int base, struct span path, bool create, struct buf *why);
/* Closes all descriptors, which gives the lock back. */
void maildir_close(struct maildir *m);

/* The lock of a POP3 session: one at a time, held until maildir_close() or the process's end.
 * result: MAILDIR_OK, MAILDIR_BUSY, or why it cannot be locked */
enum maildir_result maildir_lock(struct maildir *m, struct buf *why);

/* Removes files in tmp/ that nobody has touched for MAILDIR_TMP_AGE. */
void maildir_clean(struct maildir *m);

/* --- the messages ----------------------------------------------------------------- */

struct maildir_message {
    const char *name;      /* file name, terminated; owned by the list */
    int64_t seconds;       /* as in struct maildir_name */
    uint64_t size;         /* octets in the file */
    uint64_t virtual_size; /* octets as POP3 counts them: CRLF line ends, the last line ended */
    uint16_t length;       /* of name */
    uint16_t unique;       /* octets of name that are the unique part */
    uint16_t base;         /* octets of name before the flags */
    bool is_new;           /* in new/, else in cur/ */
    bool has_sizes;        /* both sizes are known */
    bool gone;             /* was removed by somebody else meanwhile */
    bool is_double;        /* another message has the same unique part */
};

struct maildir_list {
    struct maildir_message *at; /* owned; ordered by seconds, then unique part */
    size_t n, cap;
    struct arena names;
};
#define MAILDIR_LIST_INIT ((struct maildir_list){0})

/* All messages that are in new/ and cur/ now; sizes come from their names where those tell.
 * Directories that change meanwhile are read again, so that no message is missed because
 * another program renamed it. list: empty before
 * result: MAILDIR_OK, MAILDIR_DENIED, MAILDIR_FAILED (also for more than MAILDIR_MESSAGES_MAX) */
enum maildir_result maildir_list_read(struct maildir *m, struct maildir_list *list, struct buf *why);
void maildir_list_fini(struct maildir_list *list);

static inline struct span maildir_message_unique(const struct maildir_message *msg)
{
    return (struct span){msg->name, msg->unique};
}
/* Appends the unique-id. Two messages of a list never have the same; it is the same for the whole
 * life of a message. RFC 1939 7 */
void maildir_list_put_uidl(const struct maildir_list *list, size_t i, struct buf *out);

/* Opens the i-th message for reading. Where it was renamed meanwhile (new/ to cur/, other flags)
 * it is found again; where it is not there it is marked gone.
 * fd:     the caller's
 * result: MAILDIR_OK, MAILDIR_GONE, MAILDIR_DENIED, MAILDIR_FAILED */
enum maildir_result maildir_message_open(struct maildir *m, struct maildir_list *list, size_t i, int *fd);
/* Removes the i-th message; what is not there any more counts as removed. Lasts after maildir_sync(). */
enum maildir_result maildir_message_remove(struct maildir *m, struct maildir_list *list, size_t i);
/* Moves a message that is in new/ to cur/ and flags it as seen; one with flags keeps them. */
enum maildir_result maildir_message_mark_seen(struct maildir *m, struct maildir_list *list, size_t i);
/* Makes all removals last. */
enum maildir_result maildir_sync(struct maildir *m, struct buf *why);

/* Reads a whole message and counts. virtual_size: as in struct maildir_message
 * result: false with errno */
bool maildir_measure(int fd, uint64_t *size, uint64_t *virtual_size);

#endif
