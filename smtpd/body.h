/* The text of one message on its way in.
 *
 * Kept in memory while it is small, else in a file that cleanup gave; line ends are
 * LF. What is wrong with it is noted while it is read to its end, and decides the
 * reply there. Owned by the transaction. */
#ifndef SMTPD_BODY_H
#define SMTPD_BODY_H

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/wire/submit.msg.h"

struct session;

enum body_fault {
    BODY_SOUND,
    BODY_BARE_LF,   /* a line that ended in LF alone */
    BODY_BARE_CR,   /* a CR that ended nothing */
    BODY_TOO_LARGE, /* over message_size_limit */
    BODY_NO_SPACE,  /* no file for it, or the file system is full */
};

struct body {
    struct buf text;       /* all of it, or what is not in the file yet */
    int file;              /* -1: in memory */
    uint64_t handle;       /* names the file to cleanup */
    uint64_t filed;        /* octets in the file */
    uint64_t size;         /* octets so far, without what we put on top */
    enum body_fault fault; /* the first; nothing is kept after it */
    bool chunks;           /* comes by BDAT */
    mono_ms begun;         /* BDAT: when the first chunk came */
    bool after_cr;         /* BDAT: the last octet was CR */
    bool line_begun;       /* DATA: in the middle of a line longer than a piece */
};

/* limit: message_size_limit; 0: none */
struct body *body_new(void);
/* Takes a part of the text; may ask cleanup for a file. waits */
void body_put(struct session *s, struct body *b, struct span part);
/* Takes octets of BDAT: CRLF becomes LF; what is bare is dealt with as in DATA. waits */
void body_put_chunk(struct session *s, struct body *b, struct span octets);
/* Puts the first fault down; later ones do not matter. */
void body_note(struct body *b, enum body_fault fault);
/* All that is left in memory goes to the file, where there is one. waits */
void body_finish(struct session *s, struct body *b);
/* Where the text is, for cleanup. */
void body_describe(const struct body *b, struct msg_submit *m);
/* Gives the file up, where there is one. NULL is harmless. Nulls *b. */
void body_free(struct session *s, struct body **b);

#endif
