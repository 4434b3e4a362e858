/* A message in the form it has in an mbox: "From " line, header lines of the delivery,
 * the text with ">" before lines that start with "From ", an empty line at the end.
 *
 * The same message has the same form at every repetition: that is how a repeated
 * delivery knows its own. */
#ifndef MAILBOX_MBOX_TEXT_H
#define MAILBOX_MBOX_TEXT_H

#include "lib/base/buf.h"

struct mbox_message {
    struct span queue_id;
    uint64_t number;     /* of the recipient; with queue_id it names the delivery */
    int64_t arrival_us;  /* wall clock; the time in the "From " line, in local time */
    struct span sender;  /* internal form; empty: MAILER-DAEMON */
    struct span top;     /* header lines before the text, each ended */
    struct span text;    /* where fd is -1 */
    int fd;              /* file with the text, or -1; borrowed */
    uint64_t offset, size; /* octets of text in the file */
};

typedef bool (*mbox_sink)(struct span piece, void *context);

/* Calls sink for the whole, in pieces of any size.
 * result: false where sink said false (errno is its own), or the text cannot be read (errno). waits */
bool mbox_text_each(const struct mbox_message *m, mbox_sink sink, void *context);

/* Appends the "From " line alone. */
void mbox_text_put_first_line(struct buf *out, const struct mbox_message *m);

#endif
