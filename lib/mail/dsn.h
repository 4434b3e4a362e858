/* Delivery status: enhanced status codes, verdicts, and the parameters by which a
 * sender asks for notifications.
 *
 * A delivery's outcome is a struct verdict, passed by value: never a bare number,
 * never left over from an earlier call. Any process may call these; none waits. */
#ifndef MAIL_DSN_H
#define MAIL_DSN_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/mail/path.h"

/* An enhanced status code. Zeros: none. RFC 3463 2 */
struct dsn_code {
    unsigned char class;    /* 2, 4 or 5; 0: no code */
    unsigned short subject; /* 0..999 */
    unsigned short detail;  /* 0..999 */
};
#define DSN(class_, subject_, detail_) ((struct dsn_code){(class_), (subject_), (detail_)})

/* Reads the code at the start of text: "5.7.2" followed by a blank or the end.
 * code:   set to it; zeros where there is none
 * result: bytes it takes, 0 where text does not start with one */
size_t dsn_code_parse(struct span text, struct dsn_code *code);
/* The same, and cuts the code and the blanks around it off *text; where there is
 * none, gives fallback and only trims *text. */
struct dsn_code dsn_code_cut(struct span *text, struct dsn_code fallback);
/* Appends "5.7.2"; nothing for no code. */
void dsn_code_put(struct buf *out, struct dsn_code code);

enum verdict_class {
    VERDICT_OK,   /* done */
    VERDICT_TEMP, /* not now: to be tried again */
    VERDICT_PERM, /* never: the sender is told */
};

/* What became of one recipient. All spans are borrowed; who keeps a verdict copies
 * it by verdict_dup(). */
struct verdict {
    enum verdict_class class;
    struct dsn_code dsn;         /* its class agrees with class */
    unsigned smtp_code;          /* the remote reply's or our own three digits; 0: none */
    struct span text;            /* one line for people, without the codes */
    struct span relay;           /* "mx.example.com[192.0.2.1]:25", "local"; empty: none */
    struct span mta_type;        /* "dns" for a name, "x-unix"; empty: no remote server spoke */
    struct span mta;             /* name of the remote server */
    struct span diagnostic_type; /* "smtp", "x-unix"; empty: no diagnostic */
    struct span diagnostic;      /* its words, with its codes */
};

/* A verdict of our own words; a code whose class contradicts is corrected. */
struct verdict verdict_make(enum verdict_class class, struct dsn_code dsn, struct span text);
/* By the class of the code: 2 OK, 5 PERM, all else TEMP. */
enum verdict_class verdict_class_of(struct dsn_code dsn);
/* A copy whose texts live in a; a first text over 4,096 bytes is cut. */
struct verdict verdict_dup(struct arena *a, const struct verdict *v);

/* The words of a remote reply as a verdict: three digits, the enhanced code where
 * the reply has one whose class agrees, else class.0.0. 2xx is OK, 5xx PERM, all
 * else TEMP. text is borrowed. RFC 2034 4 */
struct verdict verdict_of_reply(unsigned smtp_code, struct span text);

enum dsn_notify {
    DSN_NOTIFY_SUCCESS = 1,
    DSN_NOTIFY_FAILURE = 2,
    DSN_NOTIFY_DELAY = 4,
    DSN_NOTIFY_NEVER = 8, /* alone */
};
enum dsn_ret { DSN_RET_NONE = 0, DSN_RET_FULL = 1, DSN_RET_HDRS = 2 };

enum { DSN_ENVID_MAX = 100, DSN_ORCPT_MAX = 500 }; /* bytes as sent; RFC 3461 4.4, 4.2 */

/* "NEVER" or a list of SUCCESS, FAILURE, DELAY. result: false: malformed (501 5.5.4). RFC 3461 4.1 */
bool dsn_notify_parse(struct span value, unsigned *notify);
/* The reverse, as sent to the next server; appends nothing for 0. */
void dsn_notify_put(struct buf *out, unsigned notify);
/* "FULL" or "HDRS". result: false: malformed. RFC 3461 4.3 */
bool dsn_ret_parse(struct span value, enum dsn_ret *ret);
/* envid:  set to the decoded value, printable ASCII, in a
 * result: false: malformed xtext, a control or other byte that is not printable, or too long. RFC 3461 4.4 */
bool dsn_envid_parse(struct arena *a, struct span value, struct span *envid);
/* "type;address" with an xtext address; type rfc822 or utf-8 (RFC 6533 3), in lower case after.
 * orcpt:  set to "type;address", the address decoded, without control characters, in a
 * result: false: malformed, another type, a control character, or too long. RFC 3461 4.2 */
bool dsn_orcpt_parse(struct arena *a, struct span value, struct span *orcpt);
/* Appends ORCPT's value again, the address encoded.
 * orcpt: "type;address" as dsn_orcpt_parse() gives it
 * utf8:  SMTPUTF8 was negotiated; without it non-ASCII goes out in the encoded form */
void dsn_orcpt_put(struct buf *out, struct span orcpt, bool utf8);

#endif
