/* Where access is decided: the lists of Postfix's restriction language.
 *
 * Each stage of the conversation asks once; what a list says is a reply that
 * refuses, or nothing. With smtpd_delay_reject (the default) the lists of client,
 * HELO and sender wait for the first RCPT, so that the log shows who was meant.
 * Every call may wait where a table does. */
#ifndef SMTPD_RESTRICT_H
#define SMTPD_RESTRICT_H

#include "smtpd/smtpd.h"

struct restrictions;

/* Reads the lists of the parameters; made in a.
 * result: NULL where a word is not known: why names the parameter and the word */
struct restrictions *restrictions_new(struct arena *a, const struct params_smtpd *mine, struct buf *why);

/* result: true: refused, *r is the reply */
bool restrict_hello(struct session *s, struct reply *r);
bool restrict_sender(struct session *s, struct reply *r);
/* address: rewritten; sent: as in the command, for the reply */
bool restrict_recipient(struct session *s, struct span address, struct span sent, struct reply *r);
bool restrict_data(struct session *s, struct reply *r);

#endif
