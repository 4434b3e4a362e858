/* The $names of one delivery to a local recipient, in parameters that are about the
 * message: forward_path, luser_relay, command_execution_directory.
 *
 * What the names stand for came from outside: each value is filtered before it is put
 * in, and is not expanded in turn. Any process may call this; it does not wait. */
#ifndef MAIL_RECIPIENT_H
#define MAIL_RECIPIENT_H

#include "lib/base/buf.h"

/* Empty where there is none; all borrowed. */
struct recipient_names {
    struct span user;      /* local part without extension */
    struct span extension; /* behind the delimiter */
    struct span delimiter; /* that stands between them */
    struct span local;     /* local part */
    struct span domain;
    struct span recipient; /* the whole address */
    struct span home, shell; /* of the user of the system */
    struct span sender;
    struct span client_name, client_address, client_helo, client_protocol, sasl_username, sasl_method;
};

enum recipient_seen {
    RECIPIENT_SAW_EXTENSION = 1, /* the extension was put in */
    RECIPIENT_SAW_NOTHING = 2,   /* a name was asked for that has no value */
};

/* Appends text with its $names replaced.
 * filter: bytes that values may hold, each other becomes "_"; empty: values stay as they are
 * seen:   set to a set of enum recipient_seen; may be NULL
 * result: false: bad syntax in text (why) */
bool recipient_expand(struct buf *out, struct span text, const struct recipient_names *names, struct span filter,
                      unsigned *seen, struct buf *why);
/* Appends value with each byte that is not in filter as "_". */
void recipient_put_filtered(struct buf *out, struct span value, struct span filter);

#endif
