/* How an accepted message gets on stable storage: the candidates and the frame they run in. */
#ifndef EXPERIMENT_STORE_H
#define EXPERIMENT_STORE_H

#include "../common.h"

#include <stdbool.h>

enum {
    MAX_WORKERS = 128,
    MAX_INFLIGHT = 128,
    MAX_SLOTS = 8192, /* per worker: files of a pool or segments of a log */
};

struct config {
    const char *dir;   /* all data goes below this directory */
    size_t size;       /* bytes of message text */
    unsigned inflight; /* messages waiting for their acknowledgement, over all workers */
    bool maildir;      /* deliver into a Maildir; otherwise only remove */
};

/* What a store worker tells the deliverer about one message; small enough to be written to a pipe in one
 * piece. */
struct note {
    uint64_t id;
    uint32_t worker;
    uint32_t slot; /* candidate's own: which file of the pool, which segment */
};

/* One place of a pool, shared between the worker that fills it and the deliverer that empties it. */
struct slot {
    _Atomic uint32_t stored, removed;
};

struct totals {
    _Atomic bool stop;
    _Atomic uint64_t stored, delivered, syncs;
    struct hist ack;
    struct slot slot[MAX_WORKERS][MAX_SLOTS];
};

struct worker {
    const struct config *config;
    struct totals *totals;
    uint32_t index;
    const char *text;
    uint64_t next_id;
    int dir_fd;       /* where this worker's files are */
    int log_fd;       /* log candidates: the segment being filled */
    uint32_t slots;   /* how many places the pool has so far */
    uint32_t current; /* log candidates: index of the segment being filled */
    uint64_t offset;
    uint32_t generation;
    uint64_t in_segment; /* messages in the segment being filled */
};

struct candidate {
    const char *name;
    unsigned max_workers;                                            /* never more than messages in flight */
    void (*open)(struct worker *w);                                  /* called in the worker's own process */
    void (*store)(struct worker *w, struct note *n, unsigned count); /* every message durable on return */
    void (*remove)(const struct config *c, struct totals *t, const struct note *n);
};

struct result {
    double rate, cpu_ms, journal_ms, syncs, p50_us, p99_us;
};

extern const struct candidate candidates[];
extern const unsigned candidate_count;

/* Run one candidate for some seconds. */
struct result run_slice(const struct candidate *c, const struct config *config, double seconds);

/* Open, making it where needed, the directory of one worker. */
int worker_dir(const struct config *c, const char *candidate, uint32_t worker);

/* Count a sync and fail loudly when it fails. */
void sync_data(struct worker *w, int fd);
void sync_all(struct worker *w, int fd);

/* Write the whole text at an offset. */
void write_text(int fd, const char *text, size_t len, uint64_t offset);

/* A file per message. */
void file_open(struct worker *w);
void file_tmpfile(struct worker *w, struct note *n, unsigned count);
void file_rename(struct worker *w, struct note *n, unsigned count);
void file_direct(struct worker *w, struct note *n, unsigned count);
void file_batch(struct worker *w, struct note *n, unsigned count);
void file_remove(const struct config *c, struct totals *t, const struct note *n);

/* A pool of files that are overwritten in place. */
void recycled_open(struct worker *w);
void recycled_store(struct worker *w, struct note *n, unsigned count);
void recycled_remove(const struct config *c, struct totals *t, const struct note *n);

/* A preallocated log in recycled segments. */
void log_open(struct worker *w);
void log_store(struct worker *w, struct note *n, unsigned count);
void log_remove(const struct config *c, struct totals *t, const struct note *n);

#endif
