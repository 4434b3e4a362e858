/* Messages in files of their own: queue/<ID>.
 *
 * Large messages begin here, and those that are not finished within seconds are copied
 * here from the intake log. A file is one record (envelope.h), whole and synced before it
 * has its name, never changed and never moved while it is needed. All lie in one directory,
 * so that a batch of them costs one directory sync.
 *
 * A file that is damaged goes to corrupt/ and stays there; names that are not ours are
 * left alone. Called by those who may wait for the disk. */
#ifndef QUEUE_SPOOL_H
#define QUEUE_SPOOL_H

#include "lib/queue/envelope.h"
#include "lib/queue/newfile.h"

/* Zeros are none. */
struct spool {
    struct newfile_home home;
    bool dirty; /* something was removed and not synced */
};

/* directory: queue/, borrowed for the life of the spool
 * scratch:   a directory of the process's own in the same file system, for those who write; else -1 */
struct spool spool_open(int directory, int scratch);

/* --- writing ------------------------------------------------------------------ */

/* A file on its way. Zeros are none. */
struct spool_file {
    struct queue_id id;
    struct newfile file;
    struct stored_hash *hash; /* owned; of what was written */
    uint64_t written;         /* octets */
    uint64_t text_end;        /* octets there must be behind the text */
    uint64_t length;          /* octets of the whole file */
    bool ended;               /* spool_end() was good */
    enum store_result result; /* of spool_commit(); before it never STORE_OK */
};

/* Begins a file with its head. waits
 * result: STORE_OK; STORE_FULL, STORE_FAILED (why): nothing is left */
enum store_result spool_begin(struct spool *s, struct spool_file *f, const struct queue_id *id, struct span envelope,
                              uint64_t text_size, struct buf *why);
/* The text, in pieces that come to text_size octets. waits. result: as above; on an error drop it */
enum store_result spool_put(struct spool_file *f, struct span text, struct buf *why);
/* END; the kernel begins to write to the disk. All of the text must be there (checked). */
enum store_result spool_end(struct spool_file *f, struct buf *why);
/* Makes n files that were ended safe, with one directory sync for all, and tells for each what became of it in result: STORE_OK: on stable storage (also where it was before);
 * STORE_FULL, STORE_FAILED (why, of the last such): nothing is left of it. waits
 * The files are closed. */
void spool_commit(struct spool *s, struct spool_file *const *files, size_t n, struct buf *why);
/* Gives a file up. Harmless after spool_commit() and on zeros. */
void spool_drop(struct spool_file *f);

/* --- reading ------------------------------------------------------------------ */

enum spool_found {
    SPOOL_GOOD,
    SPOOL_GONE,    /* there is no such file */
    SPOOL_DAMAGED, /* it is not what it must be */
    SPOOL_ERROR,   /* it cannot be read now */
};

/* Opens a message and proves its head; the text lies from st->text_offset on.
 * fd: set to a descriptor for reading, the caller's, where SPOOL_GOOD; st is made in a. waits
 * result: SPOOL_GOOD; SPOOL_GONE, SPOOL_DAMAGED, SPOOL_ERROR (why) */
enum spool_found spool_get(struct spool *s, struct arena *a, const struct queue_id *id, struct stored *st, int *fd,
                           struct buf *why);
/* Reads all of it and proves the text too. waits
 * result: SPOOL_GOOD; SPOOL_DAMAGED, SPOOL_ERROR (why) */
enum spool_found spool_prove(int fd, const struct stored *st, struct buf *why);

/* Removes a message; certain only after spool_sync(). One that is gone is good.
 * result: false with why */
bool spool_remove(struct spool *s, const struct queue_id *id, struct buf *why);
/* Syncs the directory where something was removed. waits
 * result: false with why: some removals may come back after a power cut */
bool spool_sync(struct spool *s, struct buf *why);

/* Moves a damaged message to the directory corrupt, synced. waits
 * name: set to what it is called there; result: false with why: it stays where it is */
bool spool_set_aside(struct spool *s, int corrupt, const struct queue_id *id, struct buf *name, struct buf *why);

/* Calls message for each name that is a queue ID, unknown for every other one. No order. waits
 * result: false with why where the directory cannot be read */
struct spool_visitor {
    void (*message)(const struct queue_id *id, void *context);
    void (*unknown)(const char *name, void *context);
};
bool spool_scan(struct spool *s, const struct spool_visitor *v, void *context, struct buf *why);

#endif
