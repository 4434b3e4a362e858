/* One reply of a server, line by line: RFC 5321 4.2, enhanced codes RFC 2034.
 *
 * What servers say decides what becomes of mail, so everything here ends in one of two ways: a
 * reply with a code of 200 to 599 whose lines agree, or REPLY_BAD with the fault, after which
 * nothing more that comes from that server is believed. Pure; no call waits. */
#ifndef SMTP_REPLY_H
#define SMTP_REPLY_H

#include "lib/mail/dsn.h"

enum {
    REPLY_LINE_MAX = 2048,        /* octets of a line that are kept; a longer one is cut */
    REPLY_LINES_MAX = 500,        /* of one reply; one more is REPLY_BAD */
    REPLY_OCTETS_MAX = 64 * 1024, /* of one reply, what was cut included; one more is REPLY_BAD */
};

enum reply_result {
    REPLY_MORE, /* further lines belong to it */
    REPLY_DONE,
    REPLY_BAD, /* it is none; fault says why. Sticky */
};

enum reply_fault {
    REPLY_SOUND,
    REPLY_NO_CODE,   /* no three digits, or what follows them is neither blank, "-" nor the end */
    REPLY_BAD_CODE,  /* digits outside 200..599 */
    REPLY_MIXED,     /* its lines have codes of different classes */
    REPLY_TOO_MANY,  /* over REPLY_LINES_MAX */
    REPLY_TOO_LARGE, /* over REPLY_OCTETS_MAX */
};

struct reply {
    unsigned code;       /* of the last line */
    struct dsn_code dsn; /* the first enhanced code that agrees with the code; else class.0.0. 3xx: none */
    struct buf text;     /* owned; the lines with their codes, "\n" between them; bytes that are not printable
                          * are "?" */
    unsigned lines;
    size_t octets;
    enum reply_fault fault;
    bool done;
};
#define REPLY_INIT ((struct reply){.text = BUF_LIMITED(REPLY_OCTETS_MAX * 2)})

/* Empties it for the next reply; the memory stays. */
void reply_begin(struct reply *r);
void reply_fini(struct reply *r);

/* Takes the next line, without its line end; all behind REPLY_LINE_MAX is ignored.
 * dropped: octets of the line that the caller did not keep; they count as octets of the reply */
enum reply_result reply_take(struct reply *r, struct span line, size_t dropped);

/* Code divided by 100; 0 before REPLY_DONE. */
unsigned reply_class(const struct reply *r);
/* Appends it as one line, as logs and notifications show it: "550-5.1.1 no 550 5.1.1 such user". */
void reply_put(struct buf *out, const struct reply *r);
/* What is wrong with a bad one, in words. */
const char *reply_fault_text(enum reply_fault fault);

#endif
