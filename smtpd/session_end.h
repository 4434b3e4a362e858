/* How a session ends: the last reply, and its lines in the log. */
#ifndef SMTPD_SESSION_END_H
#define SMTPD_SESSION_END_H

struct session;

/* Sends the reply that belongs to the session's end, where one is owed, and logs why it ended
 * and what it did: "disconnect from name[address] ehlo=1 mail=1 ... commands=5". */
void session_say_goodbye(struct session *s);

#endif
