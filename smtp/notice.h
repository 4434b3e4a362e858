/* Postmaster notices about sessions with servers in which something went wrong (notify_classes: protocol, data). */
#ifndef SMTP_NOTICE_H
#define SMTP_NOTICE_H

#include "smtp/smtp.h"

/* A line that was said, or heard; nothing of a message's text. */
void notice_said(struct session *s, struct span line);
void notice_heard(struct session *s, struct span line);
/* The server refused something by this code. */
void notice_refused(struct session *s, unsigned code);
/* The conversation broke off. */
void notice_broken(struct session *s, enum talk talk);
/* The session is done with a message from this sender: sends the notice that is due and forgets what was said.
 * Waits for cleanup. */
void notice_flush(struct session *s, struct span sender);

#endif
