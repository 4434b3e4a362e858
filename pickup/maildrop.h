/* Files in maildrop/: which may be taken, and how.
 *
 * Everybody may make files there, under any name, at any time, of any kind: links to files
 * of others, fifos, files that are still being written or that change names while they
 * are looked at. A file is taken by its descriptor only: what was opened, without following
 * a link, and is found to be a regular file with one name, made in this directory (it has
 * the directory's group where the directory gives it), and complete. Who submits is its owner.
 *
 * These wait for the disk. */
#ifndef PICKUP_MAILDROP_H
#define PICKUP_MAILDROP_H

#include "lib/base/buf.h"
#include "lib/queue/id.h"

#include <dirent.h>
#include <sys/types.h>

enum {
    MAILDROP_UNFINISHED_S = 86400, /* age of a hidden file (sendmail's before it is complete) that is removed */
};

/* One that was taken. */
struct drop_file {
    int fd;         /* owned; for reading */
    uint64_t size;  /* octets */
    unsigned uid;   /* its owner: who submits */
    struct queue_id id;     /* for the message; the same whenever this file is taken under this name */
    struct queue_id notice; /* the same for a notification about it */
    dev_t device;
    ino_t inode;
};

enum maildrop_result {
    MAILDROP_TAKEN,
    MAILDROP_GONE,    /* there is no such name any more */
    MAILDROP_FOREIGN, /* not ours to take: why says; id is set where it could be opened */
};

/* directory: maildrop/. why: for MAILDROP_FOREIGN */
enum maildrop_result maildrop_take(int directory, const char *name, struct drop_file *f, struct buf *why);
/* Removes the name, if it is still that file's. result: false where the file may still be there (why) */
bool maildrop_remove(int directory, const char *name, const struct drop_file *f, struct buf *why);
void maildrop_close(struct drop_file *f);

/* Opens the directory for one walk. result: NULL with errno; closedir() ends it */
DIR *maildrop_walk(int directory);
/* The next name that may be a submission; old hidden files are removed on the way.
 * result: borrowed until the next call; NULL at the end */
const char *maildrop_next(DIR *walk, int64_t now_s);

#endif
