/* What the two parts of the POP3 server share: command lines and capabilities.
 *
 * The login part (pop3d) and the mailbox part (pop3box) are programs of their own; a
 * client sees one server. Any process may call these; none waits. */
#ifndef MAIL_POP3_H
#define MAIL_POP3_H

#include "lib/base/buf.h"

enum {
    POP3_ARGUMENTS_MAX = 2, /* of a command in the transaction state */
};

/* A command line taken apart; all spans are borrowed from it. */
struct pop3_line {
    struct span word;                     /* letters, to be compared without case */
    struct span rest;                     /* all behind the space that follows the word: a password may hold spaces */
    struct span at[POP3_ARGUMENTS_MAX];   /* the same as words */
    unsigned n;                           /* how many; POP3_ARGUMENTS_MAX + 1 where there are more */
};

/* result: false where it is no command: nothing there, no letter first, or an octet below 0x20 in it.
 * RFC 1939 3 */
bool pop3_line_parse(struct span line, struct pop3_line *parsed);

/* The number of a message. result: 1..most; 0 where it is none of that */
size_t pop3_message_number(struct span text, size_t most);

/* Appends the whole answer to CAPA, the same before and after the login. RFC 2449 5 */
void pop3_put_capabilities(struct buf *out);

#endif
