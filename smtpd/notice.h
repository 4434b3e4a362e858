/* Postmaster notices about sessions in which something went wrong (notify_classes).
 *
 * A session whose service asks for none of the classes keeps no transcript. */
#ifndef SMTPD_NOTICE_H
#define SMTPD_NOTICE_H

#include "smtpd/smtpd.h"

/* A line of the client's; never what it sends behind DATA, BDAT or a challenge of AUTH. */
void notice_heard(struct session *s, struct span line);
/* Writes to the client, and remembers it. text: replies with their line ends */
void notice_say(struct session *s, struct span text);
/* Remembers what kind of trouble a reply is. */
void notice_judge(struct session *s, const struct reply *r);
/* What went wrong before is forgiven: the client has sent a message. */
void notice_forgive(struct session *s);
/* Sends the notice that is due, and begins a new transcript, where the one there is has more than so many
 * lines. Waits for cleanup. */
void notice_flush(struct session *s, size_t lines);

#endif
