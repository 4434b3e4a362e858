/* A file that gets its name only when it is whole and on stable storage.
 *
 * Unnamed (O_TMPFILE) where the file system can do that, else under a temporary name
 * (".new-" and random digits) in a directory that belongs to the process alone, which
 * removes what an earlier process left there. Files can be read by their group. Called by
 * those who may wait for the disk. */
#ifndef QUEUE_NEWFILE_H
#define QUEUE_NEWFILE_H

#include "lib/base/buf.h"

/* Where new files go and how they are made. */
struct newfile_home {
    int directory; /* where they get their names; borrowed */
    int scratch;   /* for temporary names, in the same file system; may be the same; borrowed */
    bool unnamed;  /* O_TMPFILE works, and linking by way of /proc/self/fd */
};

struct newfile {
    struct newfile_home home;
    int fd; /* owned until newfile_link(); for writing */
    char temporary[32]; /* its name in home.scratch; empty: it has none */
};

enum store_result {
    STORE_OK,
    STORE_FULL,   /* no space, no inode or a quota: nothing is left of what was begun; 4.3.1 */
    STORE_FAILED, /* an error of the disk or the system: 4.3.0 and an alarm */
    STORE_EXISTS, /* the name is taken */
};

/* STORE_FULL for the errors that say so, else STORE_FAILED. */
enum store_result store_result_of(int error);

/* Tries how files can be made there, by making one and linking it in scratch. waits */
struct newfile_home newfile_probe(int directory, int scratch);
/* Removes the temporary files of a process that is gone. waits */
void newfile_sweep(int scratch);

/* result: STORE_OK, STORE_FULL, STORE_FAILED (why: one phrase) */
enum store_result newfile_open(struct newfile *f, const struct newfile_home *home, struct buf *why);
/* A file that never gets a name, for writing and reading, in home->scratch.
 * result: as above; fd is the caller's */
enum store_result newfile_scratch(const struct newfile_home *home, int *fd, struct buf *why);
/* Writes all at an offset. waits
 * result: STORE_OK, STORE_FULL, STORE_FAILED */
enum store_result store_write(int fd, struct span octets, uint64_t offset, struct buf *why);
/* Syncs the file and gives it its name, which is safe only after store_sync_directory(). f->fd stays open
 * and is the caller's. waits
 * result: STORE_OK; STORE_EXISTS, STORE_FULL, STORE_FAILED (why): as newfile_drop(), there is no file */
enum store_result newfile_name(struct newfile *f, const char *name, struct buf *why);
/* The same, and syncs the directory. waits. result: as above */
enum store_result newfile_link(struct newfile *f, const char *name, struct buf *why);
/* Gives it up. Harmless where its fd is -1. */
void newfile_drop(struct newfile *f);

/* Syncs a directory. result: false with why */
bool store_sync_directory(int directory, struct buf *why);
/* Appends "what: strerror". */
void store_put_error(struct buf *why, const char *what, int error);

#endif
