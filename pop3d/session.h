/* One POP3 conversation up to the password.
 *
 * Straight-line code over lib/io/conn.h: on a coroutine in the daemon, blocking in tests.
 * What lies outside the conversation (checking a password, handing the socket over) is
 * behind struct pop3d_services. */
#ifndef POP3D_SESSION_H
#define POP3D_SESSION_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/io/conn.h"
#include "lib/log/log.h"

/* The parameters that matter here; times in seconds. */
struct pop3d_config {
    struct span banner;
    int64_t timeout;       /* between two commands */
    int64_t login_timeout; /* from the connection to a good password */
    uint64_t auth_attempts;
    int64_t auth_delay;
    uint64_t line_limit;   /* octets of a command line */
    uint64_t error_limit;  /* bad commands; 0: no limit */
};

struct pop3d_login {
    struct span user, password, authorize_as;
    const char *method; /* "USER", "PLAIN", "LOGIN" */
};

enum pop3d_verdict {
    POP3D_GOOD,
    POP3D_BAD,   /* unknown user or wrong password: nobody is told which */
    POP3D_LATER, /* could not be checked */
};

struct pop3d_services {
    /* token: what presents the session, where the result is POP3D_GOOD
     * user:  the name to log
     * why:   for the log, where it is not
     * waits */
    enum pop3d_verdict (*check)(void *context, const struct pop3d_login *login, struct span client, struct buf *token,
                                struct buf *user, struct buf *why);
    /* Hands the connection over with what was read ahead; the other side says +OK to the login.
     * result: false where nobody takes it (*conn is still there) waits */
    bool (*present)(void *context, struct span token, struct conn **conn, struct span client);
    void *context;
};

/* Greets, talks, and ends the connection or hands it over.
 * client: the address as text; source: who log lines are from. waits */
void pop3d_session_run(const struct pop3d_config *config, const struct pop3d_services *services, struct conn *conn,
                       struct span client, const struct log_source *source);

#endif
