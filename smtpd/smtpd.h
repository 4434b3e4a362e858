/* The SMTP server: what its files share.
 *
 * One server per process, one session per client on a coroutine of its own, one
 * transaction from MAIL to its end. RFC 5321; extensions PIPELINING (2920), SIZE
 * (1870), 8BITMIME (6152), SMTPUTF8 (6531), CHUNKING (3030), ENHANCEDSTATUSCODES
 * (2034), DSN (3461). */
#ifndef SMTPD_SMTPD_H
#define SMTPD_SMTPD_H

#include "lib/base/arena.h"
#include "lib/io/conn.h"
#include "lib/log/log.h"
#include "lib/mail/date.h"
#include "lib/mail/path.h"
#include "lib/mail/transcript.h"
#include "lib/param/param.h"
#include "lib/wire/anvil.msg.h"
#include "lib/wire/submit.msg.h"
#include "smtpd/reply.h"

struct recipients; /* smtpd/recipients.h */
struct restrictions; /* smtpd/restrict.h */
struct body;         /* smtpd/body.h */
struct matchlist;    /* lib/table/matchlist.h */

/* The other processes, as the session sees them; a table, so that tests put in their own.
 * Each call waits until its answer or the deadline and returns a declared struct. */
struct smtpd_services {
    /* class 0, 4 or 5, as cleanup answers; a lost cleanup is class 4. Texts are made in a. */
    struct msg_submitted (*submit)(void *context, struct arena *a, const struct msg_submit *m, mono_ms deadline);
    struct msg_submitted (*room)(void *context, struct arena *a, uint64_t size, mono_ms deadline);
    /* A file for a large text. result: the descriptor (the caller's) and its handle, or -1 */
    int (*spool)(void *context, uint64_t size, uint64_t *handle, mono_ms deadline);
    void (*spool_drop)(void *context, uint64_t handle);
    /* Tells anvil what a client did (CLIENT_*). result: its counts; zeros where anvil does not answer */
    struct msg_client_counts (*client_event)(void *context, struct span address, unsigned kind, mono_ms deadline);
    void (*client_left)(void *context, struct span address);
    /* A fresh queue ID, made in a. */
    struct span (*draw_id)(void *context, struct arena *a);
    void *context;
};

/* What the process has for all its sessions; read-only for them. */
struct server {
    struct loop *loop;
    const struct params_main *main;
    const struct params_smtpd *mine;
    struct smtpd_services services;
    struct recipients *recipients;
    struct restrictions *restrictions;
    struct matchlist *mynetworks;
    struct matchlist *bare_newline_exclusions;
    struct matchlist *limit_exceptions;
    struct date_zone zone;
    const char *service; /* name in master.cf */
};

/* Who is at the other end. */
struct client {
    struct span name;    /* reverse name that resolves back, or "unknown" */
    struct span address; /* as text, IPv6 without brackets */
    struct span port;    /* as text */
    bool is_mine;        /* in mynetworks */
    bool unlimited;      /* in smtpd_client_event_limit_exceptions */
    bool counted;        /* anvil has counted this connection */
    bool may_send_bare;  /* in smtpd_forbid_bare_newline_exclusions */
};

/* What a session has used up; each member is tested at its limit and one beyond. */
struct budget {
    uint64_t errors;      /* commands refused since the last good delivery; smtpd_hard_error_limit */
    uint64_t junk;        /* EHLO, NOOP, RSET, VRFY ... since the last delivery; smtpd_junk_command_limit */
};

/* One mail transaction, from an accepted MAIL to its end; lives in its own arena. */
struct transaction {
    struct arena arena;    /* owns all below */
    struct span sender;    /* internal form */
    struct span sender_text; /* as sent, for logs */
    struct span id;        /* queue ID; empty before the first accepted recipient */
    struct msg_recipient *recipients; /* grows in arena */
    size_t count;
    size_t octets;         /* of the recipients, as submit carries them */
    size_t refused;        /* recipients over smtpd_recipient_limit, or over what submit carries */
    bool rejected;         /* a recipient was refused by a rule */
    uint64_t size;         /* announced by SIZE; 0: not */
    unsigned flags;        /* SUBMIT_* */
    unsigned encoding;     /* 8: BODY=8BITMIME */
    struct span ret, envid;
    struct body *body;     /* text so far, where BDAT has begun; owned */
};

enum session_end { END_NOT, END_QUIT, END_LOST, END_TIMEOUT, END_ERRORS, END_CANCELLED, END_REFUSED };

enum { COMMANDS_MAX = 16 };

struct session {
    struct server *server;
    struct conn *conn;
    struct log_source log;
    struct arena arena;   /* the session's */
    struct arena call;    /* reset for each command */
    struct client client;
    struct span helo;     /* argument of HELO or EHLO; empty: neither yet */
    bool esmtp;           /* EHLO */
    struct transaction *tx; /* NULL: none */
    struct budget budget;
    const char *last;     /* verb of the last command, for "lost connection after" */
    enum session_end end;
    struct { unsigned good, all; } counts[COMMANDS_MAX]; /* by row of the command table */
    unsigned commands_good, commands_all;
    struct transcript transcript; /* for a notice to the postmaster */
    unsigned troubles;            /* 1 << PARAM_notify_class_*: what went wrong in it */
};

/* One whole conversation; owns fd. waits */
void smtpd_session(struct server *server, int fd, const struct client *client, uint64_t number);

/* A handler of one command. args: what stands behind the verb, trimmed; borrowed.
 * result: the reply to send; code 0: none. waits where its services do */
typedef struct reply (*smtpd_handler)(struct session *s, struct span args);

enum command_flag {
    COMMAND_NEEDS_HELLO = 1, /* only where smtpd_helo_required and HELO has not come */
    COMMAND_NEEDS_MAIL = 2,
    COMMAND_IS_JUNK = 4,     /* counted against smtpd_junk_command_limit */
    COMMAND_LAST = 8,        /* must be the last of a pipelined group: RFC 2920 3.1 */
    COMMAND_IN_CHUNKS = 16,  /* allowed once BDAT has begun */
    COMMAND_FLUSHES = 32,    /* a transcript over smtpd_history_flush_threshold begins anew behind it */
};

struct command {
    struct span verb;
    smtpd_handler handle;
    unsigned flags;
    const char *log_name; /* as counted in the disconnect line */
};
extern const struct command smtpd_commands[];

/* hello.c */
struct reply smtpd_helo(struct session *s, struct span args);
struct reply smtpd_ehlo(struct session *s, struct span args);
/* envelope.c */
struct reply smtpd_mail(struct session *s, struct span args);
struct reply smtpd_rcpt(struct session *s, struct span args);
/* data.c */
struct reply smtpd_data(struct session *s, struct span args);
struct reply smtpd_bdat(struct session *s, struct span args);
/* other.c */
struct reply smtpd_rset(struct session *s, struct span args);
struct reply smtpd_noop(struct session *s, struct span args);
struct reply smtpd_vrfy(struct session *s, struct span args);
struct reply smtpd_help(struct session *s, struct span args);
struct reply smtpd_quit(struct session *s, struct span args);
struct reply smtpd_etrn(struct session *s, struct span args);

/* limits.c: the counts and rates of a client over all its sessions.
 * result: true: over a limit, *r is the reply. waits for anvil */
bool limit_connection(struct session *s, struct reply *r);
bool limit_message(struct session *s, struct reply *r);
bool limit_recipient(struct session *s, struct reply *r);
void limit_connection_ended(struct session *s);

/* transaction.c */
struct transaction *tx_new(void);
/* The one end of a transaction; NULL is harmless. Nulls *tx. */
void tx_end(struct session *s, struct transaction **tx);
/* Takes it out of the session: whatever happens next, the session has none. */
struct transaction *tx_take(struct session *s);

/* The declared reply in this session's words. */
struct reply say(struct session *s, enum reply_id id, struct span what);
/* Logs "ID: reject: VERB from client: reply; from=<> to=<> proto= helo=<>" and returns the reply. */
struct reply refuse(struct session *s, const char *verb, struct reply r, struct span recipient);
/* The session's end: reply, then no more commands. */
struct reply hang_up(struct session *s, enum session_end end, struct reply r);
/* "name[address]" */
const char *client_text(struct session *s);
/* 4xx for 5xx, where soft_bounce is on. */
void soften(struct session *s, struct reply *r);
/* Counts a command that brings nothing against smtpd_junk_command_limit. */
void count_junk(struct session *s);
/* Whether this client's bare CR and LF are refused (smtpd_forbid_bare_newline). */
bool refuses_bare(const struct session *s);

#endif
