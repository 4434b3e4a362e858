/* The journal of an mbox: what was about to be appended where.
 *
 * A file ".<mailbox>.merpati" beside the mailbox, in which the last appends are told, a
 * slot of fixed size for each. It is written and used under the mailbox's lock only:
 *
 *     begun   on the disk before the mailbox is touched: offset, length, hash and first
 *             octets of what is appended, and the name of the delivery
 *     done    after the mailbox was synced; need not last, for what is whole at its place
 *             counts as done
 *     void    it failed, and was cut off again
 *
 * So a repeated delivery finds what it did before, and the rest of one that a crash cut
 * short is cut off by the next append. Slots have checksums: a torn one is as none. Where
 * no journal can be kept (a directory in which the user may not write) mail is delivered
 * all the same, and a crash may then repeat a delivery. */
#ifndef MAILBOX_MBOX_JOURNAL_H
#define MAILBOX_MBOX_JOURNAL_H

#include "lib/base/buf.h"

enum {
    MBOX_JOURNAL_SLOTS = 64,
    MBOX_JOURNAL_SLOT = 384, /* octets */
    MBOX_FIRST_MAX = 96,     /* octets that are kept of the beginning: sender, second of arrival and more */
};

enum mbox_append_state { MBOX_APPEND_BEGUN, MBOX_APPEND_DONE, MBOX_APPEND_VOID };

/* One append. Queue IDs hold letters and digits only. */
struct mbox_append_record {
    enum mbox_append_state state;
    uint64_t sequence;
    uint64_t inode;          /* of the mailbox */
    uint64_t offset, length; /* octets */
    uint64_t hash;           /* XXH3 of what is appended */
    uint64_t number;
    char queue_id[32];
    char first[MBOX_FIRST_MAX];
    size_t first_n;
};

struct mbox_journal {
    int fd;        /* -1: there is none */
    uint64_t last; /* sequence */
    struct mbox_append_record *at; /* owned; MBOX_JOURNAL_SLOTS of them; sequence 0: free */
};

/* Opens or makes it, and reads it.
 * mailbox: file name of the mailbox, terminated
 * result:  false: there is none (why); an empty journal then. waits */
bool mbox_journal_open(struct mbox_journal *j, int directory, const char *mailbox, struct buf *why);
void mbox_journal_close(struct mbox_journal *j);

/* The record of a delivery, or NULL. */
struct mbox_append_record *mbox_journal_find(struct mbox_journal *j, struct span queue_id, uint64_t number);
/* The latest, where it has only begun; else NULL. */
struct mbox_append_record *mbox_journal_open_end(struct mbox_journal *j);

/* Puts a record, whose sequence is given here, on the disk. result: false with errno. waits */
bool mbox_journal_begin(struct mbox_journal *j, const struct mbox_append_record *r);
/* Marks the record that was begun last (r NULL), or one that was found. */
void mbox_journal_end(struct mbox_journal *j, struct mbox_append_record *r, enum mbox_append_state state);

/* The form of a slot; for tests and the fuzzer. result: false: not one */
bool mbox_journal_parse(struct span slot, struct mbox_append_record *r);

#endif
