/* Names of messages in a Maildir.
 *
 *     1719000000.4WFyJd0z.1.mail.example,S=2310,W=2368:2,S
 *     ^ seconds  ^ queue ID  ^ host      ^ octets      ^ flags
 *                         ^ recipient          ^ octets with CRLF line ends
 *
 * Ours carry both sizes, so that neither listing nor POP3 opens a file to know them.
 * The fields are those that other Maildir software writes and reads. The unique part,
 * before the first field, never changes: POP3's unique-id comes from it. Any process
 * may call these; none waits. */
#ifndef MAILDIR_NAME_H
#define MAILDIR_NAME_H

#include "lib/base/buf.h"

enum {
    MAILDIR_NAME_MAX = 255, /* octets of a file name */
    MAILDIR_HOST_MAX = 100, /* octets of the host's name that go into a file name */
    MAILDIR_UIDL_MAX = 70,  /* RFC 1939 7 */
};

/* A name taken apart; all spans are borrowed from it. */
struct maildir_name {
    struct span unique;    /* up to the first ",X=" or ':' */
    struct span base;      /* up to ':': unique part and fields */
    struct span flags;     /* letters behind ":2,"; empty where there are none */
    int64_t seconds;       /* the number it begins with; 0: it has none */
    uint64_t size;         /* octets in the file */
    uint64_t virtual_size; /* octets with CRLF line ends */
    bool has_size, has_virtual_size;
};

/* result: false where it names no message: empty, a leading '.', over MAILDIR_NAME_MAX octets, or
 * a '/' or control character in it */
bool maildir_name_parse(struct span file, struct maildir_name *name);

/* What tells one delivery from all others; the same at every repetition. */
struct maildir_label {
    int64_t seconds;       /* arrival, wall clock */
    struct span queue_id;
    struct span recipient; /* its number in the message, or another mark of this one delivery */
    struct span host;
};
/* Appends the unique part. Octets that may not stand in it ('/', ':', ',', those not printable)
 * become "\ooo". */
void maildir_name_put_unique(struct buf *out, const struct maildir_label *label);
/* Appends the fields with the sizes. */
void maildir_name_put_sizes(struct buf *out, uint64_t size, uint64_t virtual_size);

/* Appends the unique-id of a message: its unique part where that is one (1 to 70 octets, 0x21 to
 * 0x7E), else a hash of it. RFC 1939 7 */
void maildir_name_put_uidl(struct buf *out, struct span unique);

/* How names are ordered: by seconds, then by unique part. result: <0, 0, >0 */
int maildir_name_cmp(const struct maildir_name *a, const struct maildir_name *b);

#endif
