/* The words of notifications: the templates, read, expanded and ready to be put.
 *
 * Called from start() and when the file has changed; waits for the disk. */
#ifndef BOUNCE_TEXTS_H
#define BOUNCE_TEXTS_H

#include "lib/base/arena.h"
#include "lib/mail/notice_template.h"

/* One kind of notification; all spans live in the arena of its maker. */
struct notice_text {
    struct span charset, from, subject;
    struct span postmaster_subject;
    struct span text; /* $names expanded; lines with LF */
    bool eight_bit;   /* there is a byte over 127 in it */
};

struct texts {
    struct notice_text at[NOTICE_KINDS];
    struct notice_text builtin[NOTICE_KINDS]; /* where those above cannot be used */
};

/* Makes the texts. What is wrong with a template is told to the log, and the text built in takes its place.
 * file:   its name for the log; empty: none is configured
 * fd:     the file, borrowed, or -1 where it cannot be read (errno tells why)
 * origin: what From: addresses without a domain get */
void texts_make(struct arena *a, const struct settings *s, struct span file, int fd, struct span origin, struct texts *texts);

#endif
