/* Delivery into a Maildir, in batches that share the sync of the directory.
 *
 *     begin, write ..., end    for each message: its text goes to a file without a name in
 *                              tmp/, and its way to the disk begins
 *     commit                   for all: sync each file, link each into new/, sync new/ once
 *
 * A delivery is repeated after a crash, under the same label. Where the message is there
 * already, in new/ or cur/ under any flags and with the same content, it is made to last
 * and counts as delivered. Where something else stands under its label, a name with a
 * mark of the content is used: rather two than none. After a crash nothing but files
 * without name is left, or, where the file system has none, files in tmp/ that
 * maildir_clean() removes. Called by who runs as the owner of the mailbox; every call
 * may wait for the disk. */
#ifndef MAILDIR_DELIVER_H
#define MAILDIR_DELIVER_H

#include "lib/maildir/maildir.h"

enum {
    MAILDIR_BATCH_MAX = 64, /* deliveries of one batch; each holds a descriptor */
};

struct maildir_batch;
struct maildir_delivery;

/* m is borrowed until maildir_batch_free(). */
struct maildir_batch *maildir_batch_new(struct maildir *m);
/* What was not committed leaves no trace. Nulls *b. */
void maildir_batch_free(struct maildir_batch **b);
size_t maildir_batch_count(const struct maildir_batch *b);

/* Begins a delivery; at most MAILDIR_BATCH_MAX in a batch (checked). Errors are sticky and come
 * out of maildir_delivery_result().
 * label:       copied
 * maybe_again: the delivery may have been done before: new/ and cur/ are searched. What stands in
 *              new/ under the very same name is found in any case.
 * result:      owned by the batch */
struct maildir_delivery *maildir_deliver_begin(struct maildir_batch *b, const struct maildir_label *label,
                                               bool maybe_again);
/* Message text, in pieces; CR LF becomes LF, whatever the pieces. */
void maildir_deliver_write(struct maildir_delivery *d, struct span text);
/* The same from a file. result: false where reading it failed (the delivery then fails as well) */
bool maildir_deliver_copy(struct maildir_delivery *d, int fd, int64_t offset, uint64_t octets);
/* The text is complete; a last line without LF gets one. */
void maildir_deliver_end(struct maildir_delivery *d);

/* Puts all deliveries that were ended in place. Once for a batch. */
void maildir_batch_commit(struct maildir_batch *b);

/* What became of it, after the commit.
 * why: set to words where it is not MAILDIR_OK; lives as long as the batch */
enum maildir_result maildir_delivery_result(const struct maildir_delivery *d, const char **why);
/* Its file name in new/, for the log; empty until it is committed. Lives as long as the batch. */
const char *maildir_delivery_name(const struct maildir_delivery *d);
/* Whether it was found to be delivered already. */
bool maildir_delivery_was_there(const struct maildir_delivery *d);

/* The header lines that a delivery puts before the message: Return-Path, X-Original-To (where
 * there is an original) and Delivered-To; addresses in internal form, control characters as '?'. */
void maildir_put_delivery_headers(struct buf *out, struct span sender, struct span original, struct span recipient);

#endif
