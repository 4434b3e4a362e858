/* The SMTP and LMTP client: what its files share.
 *
 * One struct smtp per process, one struct delivery per attempt (main.c runs each on a coroutine of
 * its own), one struct session per connection. RFC 5321; LMTP 2033; PIPELINING 2920; SIZE 1870;
 * 8BITMIME 6152; SMTPUTF8 6531; CHUNKING 3030; DSN 3461.
 *
 * What a server says or does to us is never an error of ours: it ends in a struct verdict. */
#ifndef SMTP_SMTP_H
#define SMTP_SMTP_H

#include "lib/io/addr.h"
#include "lib/io/conn.h"
#include "lib/log/log.h"
#include "lib/mail/transcript.h"
#include "lib/param/param.h"
#include "lib/table/cidr.h"
#include "lib/wire/attempt.msg.h"
#include "smtp/reply.h"
#include "smtp/text.h"

struct dns_answer; /* lib/dns/dns.h */
struct reuse;      /* smtp/reuse.h */
struct generic;    /* smtp/generic.h */
struct maps;       /* lib/table/maps.h */

/* One address of a server. Texts live in the arena of the delivery. */
struct endpoint {
    struct span host;    /* its name; our own for a UNIX socket; the address where it was given as such */
    struct span address; /* as text, or the path of a UNIX socket */
    struct addr addr;    /* with its port; len 0: a UNIX socket */
    unsigned port;       /* 0: a UNIX socket */
    unsigned preference; /* of the MX record */
    bool best;           /* one of the best of its domain: it must not be ourselves */
};

struct endpoint_list {
    struct endpoint *at; /* in the order in which they are tried */
    size_t n;
};

/* The other processes and the network, as a delivery sees them; a table, so that tests put in their own. */
struct smtp_services {
    /* Connects; waits until the deadline.
     * result: a connected socket, the caller's; -1 with errno */
    int (*connect)(void *context, const struct endpoint *to, mono_ms deadline);
    /* The records of a name; the addresses of a host. As dns_lookup(), dns_addresses(); wait. */
    void (*lookup)(void *context, struct arena *a, struct span name, unsigned type, struct dns_answer *answer);
    void (*addresses)(void *context, struct arena *a, struct span host, unsigned flags, struct dns_answer *answer);
    /* The number of a fresh session, for its log lines. */
    uint64_t (*number)(void *context);
    /* Hands a message of our own to cleanup (smtp/notice.h); waits. result: as cleanup answers */
    struct msg_submitted (*submit)(void *context, struct arena *a, const struct msg_submit *m, struct span text,
                                   mono_ms deadline);
    /* A fresh queue ID, made in a. */
    struct span (*draw_id)(void *context, struct arena *a);
    void *context;
};

/* What the process has for all its deliveries; read-only for them but for reuse. */
struct smtp {
    struct loop *loop;
    const struct params_main *main;
    const struct params_smtp *mine; /* of lmtp_... where it is LMTP */
    bool lmtp;
    unsigned default_port; /* smtp_tcp_port, lmtp_tcp_port */
    unsigned discard;      /* EHLO keywords that are not heeded: a set of enum feature */
    const struct ip *own_addresses; /* of inet_interfaces and proxy_interfaces */
    size_t own_address_count;
    struct smtp_services services;
    struct date_zone zone; /* for dates */
    struct reuse *reuse; /* smtp/reuse.h */
    struct maps *discard_maps; /* smtp_discard_ehlo_keyword_address_maps */
    struct generic *generic;   /* smtp/generic.h; NULL: addresses leave as they are */
};

/* What a server offers, as far as it matters to us. */
enum feature {
    FEATURE_ESMTP = 1,
    FEATURE_PIPELINING = 2,
    FEATURE_SIZE = 4,
    FEATURE_8BITMIME = 8,
    FEATURE_SMTPUTF8 = 16,
    FEATURE_DSN = 32,
    FEATURE_STARTTLS = 64,
    FEATURE_AUTH = 128,
    FEATURE_XFORWARD = 256,
    FEATURE_CHUNKING = 512,
};
/* The bits of a list of keywords. */
unsigned features_of(struct span list);
/* What a server wants to be told by XFORWARD. */
enum xforward {
    XFORWARD_NAME = 1,
    XFORWARD_ADDR = 2,
    XFORWARD_PROTO = 4,
    XFORWARD_HELO = 8,
    XFORWARD_IDENT = 16,
    XFORWARD_SOURCE = 32,
};
/* The attributes named behind the EHLO keyword: a set of enum xforward. */
unsigned xforward_of(struct span words);
/* The bit of an EHLO keyword, whatever its case; 0: it does not matter to us. */
unsigned feature_of(struct span keyword);

/* How a conversation can break off. */
enum talk {
    TALK_OK,
    TALK_LOST,      /* the connection */
    TALK_TIMEOUT,
    TALK_GARBLED,   /* the server said something that is no answer (session.reply tells) */
    TALK_LOCAL,     /* the message cannot be read */
    TALK_CANCELLED, /* this process is asked to end */
};

/* A connection to a server; owned by whoever holds it: a delivery, or the idle ones. */
struct session {
    struct smtp *smtp;
    struct conn *conn;
    struct arena arena;    /* owns the texts below */
    struct log_source log;
    struct endpoint to;    /* a copy */
    const char *name;      /* "mx.example.com[192.0.2.1]" */
    const char *relay;     /* "mx.example.com[192.0.2.1]:25" */
    unsigned features;     /* a set of enum feature */
    uint64_t size_limit;   /* octets; 0: none told */
    unsigned xforward;     /* a set of enum xforward */
    unsigned discard;      /* keywords that are not heeded of this server */
    unsigned deliveries;   /* begun over this connection, the present one included */
    mono_ms since;         /* when it was connected */
    const char *doing;     /* what failed, if it fails now: "sending MAIL FROM" */
    const char *unexpected; /* why the server's words are not believed; NULL: see reply.fault */
    struct reply reply;    /* the last one */
    struct buf line;       /* the one being read */
    bool spent;            /* it can serve no further message */
    struct transcript transcript; /* of the present message, where the postmaster wants to see such */
    unsigned troubles;     /* 1 << PARAM_notify_class_*: what went wrong with it */
    const char *broken;    /* how the conversation broke off; NULL: it did not */
};

/* Connects nothing: takes over a connected socket, whoever is at the other end.
 * number: of the session in log lines */
struct session *session_new(struct smtp *smtp, int fd, const struct endpoint *to, uint64_t number);
/* Says QUIT where that is proper, closes and frees. May wait for the answer (smtp_skip_quit_response). Nulls *s. */
void session_end(struct session **s);

/* The same without waiting for anything: also from the loop. */
void session_drop(struct session **s);

/* The greeting and EHLO, HELO or LHLO.
 * why:    set where the server does not want to talk to us: a verdict in a
 * result: TALK_OK: look at *refused */
enum talk session_hello(struct session *s, struct arena *a, struct span nexthop, bool *refused, struct verdict *why);

/* --- words: each sets s->doing and the deadline for what it does ------------------ */

/* Queues one command line; the CR LF is added. */
void session_say(struct session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Reads the next reply into s->reply. doing: a literal. seconds: for each wait. waits */
enum talk session_hear(struct session *s, const char *doing, int64_t seconds);
/* Whether something came that nobody has asked for: then the session is spent. */
bool session_is_interrupted(struct session *s);

/* The verdict where a conversation broke off. */
struct verdict session_trouble(struct session *s, struct arena *a, enum talk talk);
/* The verdict where the server said no; in_reply_to: "MAIL FROM command". Bad for s->reply of class 2 or 3. */
struct verdict session_refusal(struct session *s, struct arena *a, const char *in_reply_to);
/* A verdict of our own about this server. */
struct verdict session_verdict(struct session *s, struct dsn_code dsn, const char *text);

/* --- a delivery --------------------------------------------------------------------- */

/* One attempt: recipients that are open until each has its verdict. */
struct delivery {
    struct smtp *smtp;
    struct arena *arena;
    struct log_source log;
    uint64_t number;             /* of its log lines */
    struct msg_attempt *m;
    struct text text;
    struct text_facts facts;     /* valid once scanned */
    bool scanned;
    struct msg_verdict *verdicts; /* one for each recipient, in their order; class 0: open */
    bool *kept;         /* the same: left open for the next server */
    size_t open;        /* recipients without verdict, kept ones included */
    bool last_server;   /* there is none to try after this one */
    bool unreachable;   /* the destination could not be reached or refused to speak */
    struct verdict why; /* of the last server that did not work; class OK: none yet */
    unsigned uses;      /* messages over the present connection; 0: not connected */
    int64_t begun_us, connected_us; /* wall clock; connected 0: not connected */
};

/* The attempt as a whole: returns when each recipient has its verdict. waits */
void delivery_run(struct delivery *d);

/* Gives all open recipients this verdict; where another server may do better (a temporary trouble, and not
 * the last server) logs it and leaves them open.
 * unreachable: it speaks against the destination as such */
void delivery_fail(struct delivery *d, const struct verdict *v, bool unreachable);
/* The same for one. */
void delivery_fail_one(struct delivery *d, size_t recipient, const struct verdict *v);
/* The session's last reply took this recipient over. */
void delivery_sent(struct delivery *d, size_t recipient, const struct session *s);
/* What was left open for another server is open for this one. */
void delivery_next_server(struct delivery *d);
/* Whether a transaction that begins now is for it. */
static inline bool delivery_is_open(const struct delivery *d, size_t recipient)
{
    return d->verdicts[recipient].class == 0 && !d->kept[recipient];
}

/* Sends the message to the open recipients over a session that is ready for MAIL. waits */
void transact(struct delivery *d, struct session *s);
/* Tells where the message came from, where that is wanted (smtp_send_xforward_command). waits
 * result: how the conversation goes on; a refusal is logged and does not matter */
enum talk xforward(struct delivery *d, struct session *s);
/* Sends the text in its wire form, without the end of data. waits */
enum talk send_text(struct delivery *d, struct session *s);
/* The same by BDAT, the last chunk included; the answer to that one is not read yet. RFC 3030 2
 * refused: set where a chunk was refused (s->reply says how): the session is spent */
enum talk send_chunks(struct delivery *d, struct session *s, bool *refused);

#endif
