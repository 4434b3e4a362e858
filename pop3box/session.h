/* One POP3 session behind the login: the transaction and update states. RFC 1939 5, 6
 *
 * Blocking: the process serves this one session. What is deleted goes away at QUIT and
 * at nothing else. */
#ifndef POP3BOX_SESSION_H
#define POP3BOX_SESSION_H

#include "lib/io/conn.h"
#include "lib/log/log.h"
#include "lib/maildir/maildir.h"

struct pop3box_config {
    int64_t timeout;       /* seconds of silence */
    uint64_t line_limit;   /* octets of a command line */
    uint64_t error_limit;  /* bad commands; 0: no limit */
    struct span user;      /* for the log, as are the next */
    struct span client;
    const struct log_source *source;
};

/* Locks the mailbox, answers the login, talks until QUIT or the end of the connection, and closes it.
 * m stays the caller's, and holds the lock until it is closed. waits */
void pop3box_session_run(const struct pop3box_config *config, struct maildir *m, struct conn *conn);

/* The last word where there is no session: for the errors before it. Closes the connection. */
void pop3box_refuse(struct conn **conn);

#endif
