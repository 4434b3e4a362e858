/* Logging in: the login part, auth, deliver and the mailbox part of POP3 (and IMAP).
 *
 * The login part asks auth. Auth alone tells deliver to start a mailbox session, and
 * gives the login part a token that can be used once; the login part presents it to
 * deliver with the client's socket. */
#ifndef WIRE_LOGIN_MSG_H
#define WIRE_LOGIN_MSG_H

#include "lib/wire/message.h"

/* login part -> auth, request; answered by login_answer */
#define LOGIN(F)                                                                                             \
    F(1, bytes, service, "pop3, imap, smtp")                                                                 \
    F(2, bytes, user, "authentication name as given")                                                        \
    F(3, bytes, password, "in clear; never logged")                                                          \
    F(4, bytes, authorize_as, "SASL authorization name; empty: the same")                                    \
    F(5, bytes, client_address, "for the guessing limits")                                                   \
    F(6, bytes, mechanism, "USER, PLAIN")                                                                    \
    F(7, num, wants_mailbox, "1: a mailbox session is to be prepared and a token given")
MESSAGE(0x0501, login, LOGIN);
#define LOGIN_ANSWER(F)                                                                                      \
    F(1, num, class, "2: the credentials are good; 4: try again later; 5: they are not")                     \
    F(2, bytes, user, "the name to log")                                                                     \
    F(3, bytes, token, "presents the session to deliver, once, within a minute")                             \
    F(4, bytes, text, "for the log, where class is not 2")
MESSAGE(0x0502, login_answer, LOGIN_ANSWER);

/* auth -> deliver, request; answered by session_prepared */
#define SESSION_PREPARE(F)                                                                                   \
    F(1, bytes, token, "32 random octets in hex")                                                            \
    F(2, bytes, user, "whose mailbox")                                                                       \
    F(3, num, uid, "of the session")                                                                         \
    F(4, num, gid, "of the session")                                                                         \
    F(5, bytes, home, "home directory, or virtual_mailbox_base: what mailbox is relative to; empty: none")   \
    F(6, bytes, mailbox, "path of the Maildir (ends in /); absolute, or below home")                         \
    F(7, bytes, service, "pop3, imap")                                                                       \
    F(8, num, system_user, "1: uid, gid and home come from the system's users; deliver looks them up itself")
MESSAGE(0x0503, session_prepare, SESSION_PREPARE);
#define SESSION_PREPARED(F)                                                                                  \
    F(1, num, class, "2, 4 or 5")                                                                            \
    F(2, bytes, text, "why not")
MESSAGE(0x0504, session_prepared, SESSION_PREPARED);

/* login part -> deliver, notice with one descriptor: the client's socket (or one end of a pair) */
#define SESSION_PRESENT(F)                                                                                   \
    F(1, bytes, token, "from login_answer")                                                                  \
    F(2, bytes, unread, "what the client has already sent behind its last login command")                    \
    F(3, bytes, client_address, "for the log")                                                               \
    F(4, bytes, session, "session name for the log")                                                         \
    F(5, num, login_done, "1: the mailbox part is to say +OK to the login itself")                           \
    F(6, bytes, settings, "a pop3_settings message (or that of another protocol): deliver passes it on unread")
MESSAGE(0x0505, session_present, SESSION_PRESENT);

/* deliver -> the mailbox session that it started, notice, with the descriptor: all it needs to begin.
 * The session runs as the owner of the mailbox already (uid, gid, no other groups), with this
 * channel on descriptor 3 and the log's descriptor on 2; it ends its process when it is done. */
#define SESSION_BEGIN(F)                                                                                     \
    F(1, bytes, user, "whose mailbox")                                                                       \
    F(2, bytes, mailbox, "path of the Maildir; absolute, or below home")                                     \
    F(3, bytes, unread, "as in session_present")                                                             \
    F(4, bytes, client_address, "for the log")                                                               \
    F(5, bytes, session, "session name for the log")                                                         \
    F(6, bytes, home, "as in session_prepare")                                                               \
    F(7, bytes, settings, "as in session_present")                                                           \
    F(8, bytes, log_target, "as in boot")
MESSAGE(0x0506, session_begin, SESSION_BEGIN);

/* Inside session_present: what the POP3 login part tells the mailbox part about the server. */
#define POP3_SETTINGS(F)                                                                                     \
    F(1, num, timeout, "seconds that the client may be silent")                                              \
    F(2, num, line_limit, "octets of a command line without its ending")                                     \
    F(3, num, error_limit, "bad commands after which the session is ended; 0: no limit")                     \
    F(4, bytes, host, "this host's name, for log lines")                                                     \
    F(5, bytes, syslog_name, "postfix, as a rule")
MESSAGE(0x0507, pop3_settings, POP3_SETTINGS);

#endif
