/* What was said in an SMTP session, kept for a notice to the postmaster (notify_classes).
 *
 * Bounded: where a line more would not fit, the oldest go. What follows AUTH, and the answers
 * to a server's challenges, are never kept. For the server and the client alike; pure. */
#ifndef MAIL_TRANSCRIPT_H
#define MAIL_TRANSCRIPT_H

#include "lib/base/buf.h"
#include "lib/mail/date.h"
#include "lib/param/param.h"
#include "lib/wire/submit.msg.h"

enum {
    TRANSCRIPT_MAX = 8 * 1024, /* octets kept */
    TRANSCRIPT_LINE_MAX = 512, /* of one line; the rest of it is left out */
};

enum transcript_side {
    TRANSCRIPT_IN,  /* we heard it */
    TRANSCRIPT_OUT, /* we said it */
};

struct transcript {
    struct buf text;      /* "In:  line" and "Out: line", each with LF; owned */
    size_t lines;         /* in it */
    size_t forgotten;     /* lines that went before */
    bool auth;            /* an AUTH exchange is under way */
    enum transcript_side auth_side; /* of whoever sends credentials */
};
#define TRANSCRIPT_INIT ((struct transcript){0})

/* Adds what one side said: a command, or a reply of several lines (CRLF or LF between them).
 * Control characters and bytes over 127 become '?'. */
void transcript_add(struct transcript *t, enum transcript_side side, struct span said);
/* Forgets everything. */
void transcript_reset(struct transcript *t);
void transcript_fini(struct transcript *t);

/* The frame of a notice; all borrowed. */
struct transcript_notice {
    const struct params_main *main;
    struct span id;     /* its queue ID */
    const char *what;   /* "SMTP server", "SMTP client", "LMTP client" */
    struct span peer;   /* "name[address]" */
    const char *reason; /* why the session ended before its time; NULL: it did not */
    int64_t now_us;     /* wall clock */
    struct date_zone zone;
};

/* Fills in the envelope: from double_bounce_sender to error_notice_recipient. The text is not set.
 * to: the recipient that m then refers to. Texts are made in a */
void transcript_fill_envelope(struct arena *a, const struct transcript_notice *notice, struct msg_recipient *to,
                              struct msg_submit *m);
/* Appends the message, header and text, with LF line ends. */
void transcript_put_notice(struct buf *out, const struct transcript *t, const struct transcript_notice *notice);

/* The class of notify_classes that a reply of 4xx or 5xx belongs to, by its codes, as Postfix has them.
 * dsn:    enhanced status code; may be empty
 * result: 1 << PARAM_notify_class_*; 0: none */
unsigned transcript_class_of(unsigned code, struct span dsn);

#endif
