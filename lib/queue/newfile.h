/* A file that gets its name only when it is whole and on stable storage.
 *
 * Unnamed (O_TMPFILE) where the file system can do that, else under a temporary name
 * (".new-" and random digits) until then: whoever reads a directory takes no notice of
 * such names. Called by those who may wait for the disk. */
#ifndef QUEUE_NEWFILE_H
#define QUEUE_NEWFILE_H

#include "lib/base/buf.h"

/* How new files are made in a directory's file system. */
enum newfile_way {
    NEWFILE_UNNAMED,   /* O_TMPFILE, linked in place by way of /proc/self/fd */
    NEWFILE_TEMPORARY, /* a temporary name, renamed */
};

struct newfile {
    int directory; /* borrowed */
    int fd;        /* owned until newfile_link(); for writing and reading */
    char temporary[32]; /* its name; empty: it has none */
};

enum store_result {
    STORE_OK,
    STORE_FULL,   /* no space, no inode or a quota: nothing is left of what was begun; 4.3.1 */
    STORE_FAILED, /* an error of the disk or the system: 4.3.0 and an alarm */
    STORE_EXISTS, /* the name is taken */
};

/* STORE_FULL for the errors that say so, else STORE_FAILED. */
enum store_result store_result_of(int error);

/* Tries which way works, by making a file and linking it. waits */
enum newfile_way newfile_probe(int directory);

/* result: STORE_OK, STORE_FULL, STORE_FAILED (why: one phrase) */
enum store_result newfile_open(struct newfile *f, int directory, enum newfile_way way, struct buf *why);
/* Writes all at an offset. waits
 * result: STORE_OK, STORE_FULL, STORE_FAILED */
enum store_result store_write(int fd, struct span octets, uint64_t offset, struct buf *why);
/* Syncs the file and gives it its name, which is safe only after store_sync_directory(). f->fd stays open
 * and is the caller's. waits
 * result: STORE_OK; STORE_EXISTS, STORE_FULL, STORE_FAILED (why): as newfile_drop(), there is no file */
enum store_result newfile_name(struct newfile *f, const char *name, struct buf *why);
/* The same, and syncs the directory. f->fd stays open and is the caller's. waits
 * result: STORE_OK; STORE_EXISTS, STORE_FULL, STORE_FAILED: as newfile_drop(), there is no file */
enum store_result newfile_link(struct newfile *f, const char *name, struct buf *why);
/* Gives it up. Harmless after newfile_link(). */
void newfile_drop(struct newfile *f);

/* Syncs a directory. result: false with why */
bool store_sync_directory(int directory, struct buf *why);
/* Appends "what: strerror". */
void store_put_error(struct buf *why, const char *what, int error);

#endif
