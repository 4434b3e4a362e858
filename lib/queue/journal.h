/* The journal: qmgr's own record of what has become of the stored messages.
 *
 * Entries (lib/wire/journal.msg.h) are appended to numbered segments in one
 * directory; one fdatasync makes all of them durable that were put since the last
 * one. Segments are written full of zeros beforehand, so that a sync moves data
 * only. What is no longer needed leaves from the old end: the owner repeats at the new
 * end, in slices, all that stands about the messages of which the oldest segment speaks
 * and that still matter; then the segment goes. Old segments are not read for that.
 *
 *   torn tail     what was put behind the last sync may be there in part, or in any
 *                 order: the last segment ends at its first bad record. Normal.
 *   damage        a bad record that had been synced (something newer is good behind
 *                 it, or a later segment follows): reported, and reading goes on.
 *   I/O error     final for the segment: nothing is durable until a fresh segment
 *                 stands (journal_commit tries that), which then holds everything
 *                 that was put meanwhile, and says where the old one ends.
 *
 * A process is never killed by what a segment holds. It is assumed that a write
 * does not destroy older data in the same sector.
 *
 * qmgr is the only writer. Tools replay read-only. Disk waits happen in
 * journal_open, journal_commit and journal_work only. */
#ifndef QUEUE_JOURNAL_H
#define QUEUE_JOURNAL_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/wire/journal.msg.h"

#include <sys/types.h>

enum {
    JOURNAL_SEGMENT_SIZE = 4 << 20, /* octets, by default */
    JOURNAL_SEGMENT_MIN = 4096,     /* least size that may be asked for (tests) */
    JOURNAL_SEGMENT_MAX = 64 << 20, /* larger files are not ours */
    JOURNAL_ENTRY_MAX = 2048,       /* octets of an encoded entry */
    JOURNAL_SLICE = 256 * 1024,     /* octets written or repeated in one slice of journal_work */
};

/* What a replay found. */
struct journal_summary {
    uint64_t first, last; /* numbers of the segments in use; 0: none */
    uint64_t last_end;    /* octets of the last segment that are good */
    uint64_t entries;     /* entries given to the reader */
    uint64_t highest;     /* highest number of any file there */
    uint64_t base;        /* segments below it are not needed */
    uint64_t octets;       /* of good entries, in all segments */
    unsigned segments;     /* that are in use */
    unsigned damaged;     /* places where something is missing */
    bool torn;            /* the last segment ended in a torn record */
};

/* Where replayed entries go. */
struct journal_reader {
    /* An entry, in the order of writing; e is borrowed. written_us: when, wall clock; segment: where it lies
     */
    void (*entry)(const struct msg_journal_entry *e, int64_t written_us, uint64_t segment, void *context);
    /* Something that was synced cannot be read.
     * id: the message that it was about; empty: it cannot be told, any message that was
     *     stored before before_us may be meant (wall clock), unless JOURNAL_STATE comes later
     * what: for the alarm: file, place and reason */
    void (*damaged)(struct span id, int64_t before_us, const char *what, void *context);
    void *context;
};

/* Reads the journal in directory dir (borrowed). Changes nothing.
 * result: false with the reason in why where the directory cannot be listed */
bool journal_replay(int dir, const struct journal_reader *reader, struct journal_summary *summary,
                    struct buf *why);

/* One segment's octets, as replay reads them: for the fuzz target. last: no other follows. */
void journal_parse(struct span octets, uint64_t number, bool last, const struct journal_reader *reader);

/* The system calls that change anything; for tests that let them fail or look in between. */
struct journal_io {
    int (*create)(int dir, const char *name, void *context);
    ssize_t (*write)(int fd, const void *p, size_t n, off_t at, void *context);
    int (*sync)(int fd, bool directory, void *context);
    int (*remove)(int dir, const char *name, void *context);
    void *context;
};

struct journal_options {
    size_t segment_size;         /* 0: JOURNAL_SEGMENT_SIZE */
    const struct journal_io *io; /* NULL: the system's; borrowed for the life of the journal */
    /* A segment is on its way out: the owner puts all that stands (JOURNAL_STATE first) about the messages
     * that it still needs and of which it first spoke, or which it last repeated, in segment or below;
     * some of them, so that about octets are put. Must not commit. NULL: there are none.
     * result: true: there are more of them */
    bool (*repeat)(uint64_t segment, size_t octets, void *context);
    void *context;
};

struct journal;

/* Replays, removes what is not needed, and begins a fresh segment (durable on return).
 * result: owned; NULL with the reason in why */
struct journal *journal_open(int dir, const struct journal_options *options,
                             const struct journal_reader *reader, struct journal_summary *summary,
                             struct buf *why);
/* What was not committed is lost. Nulls *j. */
void journal_close(struct journal **j);

/* Takes an entry in; durable after the next good journal_commit(). Encoded it is at most
 * JOURNAL_ENTRY_MAX octets (checked); journal_cut_texts() sees to that.
 * result: the segment it will lie in, or one below */
uint64_t journal_put(struct journal *j, const struct msg_journal_entry *e);
/* Cuts the verdict's texts so that the entry surely fits. */
void journal_cut_texts(struct msg_journal_entry *e);
/* The segment that is being written. */
uint64_t journal_segment(const struct journal *j);
/* Whether something was put and is not durable. */
bool journal_is_dirty(const struct journal *j);
/* Whether an I/O error stands: no attempt may start until a commit succeeds. */
bool journal_is_broken(const struct journal *j);

/* Makes durable what was put: writes and syncs; after an I/O error begins a fresh segment first.
 * result: false with the reason in why: nothing put since the last good commit counts as durable */
bool journal_commit(struct journal *j, struct buf *why);

/* One slice of the housekeeping: prepares the next segment, has the oldest repeated, or removes it.
 * Not before the owner knows all that it needs: what it does not repeat is lost. To be called
 * between commits while it returns true; takes some milliseconds at most.
 * result: true: there is more to do (perhaps only after the next commit) */
bool journal_work(struct journal *j);

/* Octets of all segments, and of what was repeated in the last round: for the metrics. */
uint64_t journal_octets(const struct journal *j);

#endif
