/* Message text as POP3 sends it: lines ended by CR LF, a dot before lines that begin with
 * one, and for TOP no more than the header and some lines. RFC 1939 3, 7
 *
 * Works on pieces of any size with a few octets of state, so that a large message takes
 * no more memory than a small one. None waits. */
#ifndef POP3BOX_TEXT_H
#define POP3BOX_TEXT_H

#include "lib/base/span.h"

struct pop3_text {
    bool whole;          /* RETR; else TOP */
    uint64_t lines_left; /* of the body, for TOP */
    bool in_body;
    bool done;           /* TOP has all that was asked for */
    char last;           /* octet before; '\n' at the start of a line */
    size_t line;         /* octets of the present line so far */
};

/* A message from its start. */
struct pop3_text pop3_text_whole(void);
struct pop3_text pop3_text_top(uint64_t lines);

/* Room that pop3_text_put() needs for n octets, and pop3_text_end() for n = 0. */
static inline size_t pop3_text_room(size_t n)
{
    return 2 * n + 8;
}
/* Converts the next piece. result: octets written to out */
size_t pop3_text_put(struct pop3_text *t, struct span piece, char *out);
/* Ends the last line and the message. result: octets written to out */
size_t pop3_text_end(const struct pop3_text *t, char *out);

#endif
