/* A submission file: what sendmail hands to pickup, by descriptor or in maildrop/.
 *
 *     header    32 octets: magic, octets of envelope, zeros, octets of text, zeros
 *     envelope  drop (lib/wire/pickup.msg.h)
 *     text      the message with LF line ends, ending in one
 *
 * Numbers are little endian. The header is written last, and the file is as long as it
 * says: what is not finished is not a submission. Whoever reads one has it from any user
 * of the system: no length is used before it was compared with the file, and no envelope
 * is taken that holds a control character. Any process may call these; files wait for
 * the disk. */
#ifndef QUEUE_DROP_H
#define QUEUE_DROP_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/wire/pickup.msg.h"

enum {
    DROP_HEADER = 32,            /* octets */
    DROP_ENVELOPE_MAX = 1 << 20, /* octets of an envelope */
    DROP_ADDRESS_MAX = 2048,     /* octets of an address, a name or an envelope ID */
};

/* Being written. */
struct drop_writer {
    int fd;            /* borrowed */
    size_t envelope;   /* octets */
    uint64_t text;     /* octets so far */
    struct buf out;    /* waits to be written */
    int error;         /* errno of the first error; 0: none. Sticky */
};

/* Begins at the file's start, which is empty.
 * result: false where the envelope is over DROP_ENVELOPE_MAX (nothing was written) */
bool drop_write_begin(struct drop_writer *w, int fd, const struct msg_drop *envelope);
/* More text. Errors are kept for drop_write_end(). */
void drop_write(struct drop_writer *w, struct span text);
/* The last: the file is a submission now. Frees what w holds.
 * result: 0, or the errno of the first error */
int drop_write_end(struct drop_writer *w);
/* Copies a finished submission into an empty file. result: 0, or an errno */
int drop_copy(int from, int to);

/* One that was read. */
struct drop {
    struct msg_drop envelope; /* its spans live in the arena */
    uint64_t text_at;         /* octets into the file */
    uint64_t text_size;       /* octets */
};

enum drop_result {
    DROP_OK,
    DROP_UNFINISHED, /* no header, or shorter than it says */
    DROP_MALFORMED,  /* no submission at all, or an envelope that cannot be taken: why says */
};

/* Where the parts are. header: the first octets of a file, at most DROP_HEADER are looked at;
 * size: octets of the whole file
 * result: as above; envelope: its octets */
enum drop_result drop_read_header(struct span header, uint64_t size, size_t *envelope, struct drop *d);
/* Decodes and checks an envelope. a: for its list; spans are borrowed from octets
 * result: DROP_OK, DROP_MALFORMED (why) */
enum drop_result drop_read_envelope(struct arena *a, struct span octets, struct msg_drop *m, struct buf *why);
/* Both from a file of size octets. result: as above; a file that cannot be read is DROP_MALFORMED */
enum drop_result drop_read(struct arena *a, int fd, uint64_t size, struct drop *d, struct buf *why);
/* Reads n octets at an offset. result: false with errno (0: the file ends before) */
bool drop_read_octets(int fd, char *to, size_t n, uint64_t at);

#endif
