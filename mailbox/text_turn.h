/* Turns a message's text, piece by piece, into the form that a mailbox or a command
 * wants: line ends, ">" before "From ", "." before dots, an empty line at the end. */
#ifndef MAILBOX_TEXT_TURN_H
#define MAILBOX_TEXT_TURN_H

#include "lib/base/buf.h"

struct text_turn {
    struct buf *out;     /* where the turned text is appended; borrowed */
    bool quote_from;     /* lines that start with "From " get a ">" before it */
    bool quote_dots;     /* lines that start with "." get another */
    bool blank_end;      /* an empty line behind all */
    struct span eol;     /* of each line; empty: LF */
    bool in_line;        /* private: the next octet does not begin a line */
    size_t matched;      /* private: octets of "From " held back at the start of a line */
};

/* The text has LF line ends. */
void text_turn_put(struct text_turn *t, struct span piece);
/* Ends the last line, if it is not. */
void text_turn_end(struct text_turn *t);

#endif
