/* The text of a notification. RFC 3464, 6522; RFC 6533 where the message was SMTPUTF8
 *
 * Pure but for reading the original. What came from outside (addresses, replies of
 * servers, ENVID) is cleaned here: it cannot begin a line, and holds no control
 * character. */
#ifndef BOUNCE_REPORT_H
#define BOUNCE_REPORT_H

#include "bounce/original.h"
#include "bounce/texts.h"
#include "lib/mail/date.h"
#include "lib/wire/attempt.msg.h"

/* The parameters of the same names, and what belongs to them; all borrowed. */
struct report_config {
    struct span myhostname, mail_name;
    const struct texts *texts;
    uint64_t bounce_size_limit;   /* octets of a message that is returned whole; 0: no limit */
    bool enable_threaded_bounces;
    struct date_zone zone;        /* for dates */
};

enum report_use {
    REPORT_TO_SENDER,
    REPORT_DOUBLE, /* the message is a notification itself: to a postmaster, without the polite words */
    REPORT_COPY,   /* the same, with the headers alone */
};

/* What a report is to be. */
struct report_order {
    const struct msg_notify *about;
    const struct original *original;
    enum report_use use;
    struct span to;        /* internal form, with a domain */
    struct span given;     /* the same as it was given to us */
    struct span id;        /* its own queue ID */
    int64_t now_us;        /* wall clock */
};

/* A report in three parts: head, the original where it is returned whole, tail. */
struct report {
    struct buf head, tail;
    bool whole;     /* the original stands between them, as it is */
    bool eight_bit; /* there is a byte over 127 in it */
};

/* How many of the recipients asked to be told of this kind of thing, or did not say. */
size_t report_count(const struct msg_notify *about);
/* Whether a recipient did. RFC 3461 4.1 */
bool report_wants(const struct msg_notify *about, const struct msg_recipient *r);

/* Makes the report; report_fini() ends it. waits for the disk where the original is a file */
void report_make(const struct report_config *config, const struct report_order *order, struct report *report);
void report_fini(struct report *report);

#endif
