/* The path of MAIL and RCPT with its parameters, as it comes over the wire.
 *
 * Takes what Postfix takes: RFC 5321 paths, and in lax mode the looser forms that
 * programs in the field send (no angle brackets, blanks, comments, odd dots).
 * Source routes are dropped. Control characters are refused in every mode, in
 * whatever quoting; so are forms that other servers read as another address
 * (delimiters outside quotes, unclosed quotes). Who may send what to where is
 * decided later, on the resolved address, never on this text. Lengths are bounded
 * by the command line only, as in Postfix (RFC 5321 4.5.3.1 allows more than its
 * minimum). Any process may call these; none waits. */
#ifndef MAIL_PATH_H
#define MAIL_PATH_H

#include "lib/base/arena.h"

enum { PATH_PARAMS_MAX = 100 }; /* parameters behind one path; RFC 5321 needs some ten */

enum path_flags {
    PATH_STRICT = 1,       /* strict_rfc821_envelopes: angle brackets, no comment, no blank */
    PATH_SMTPUTF8 = 2,     /* SMTPUTF8 was asked for: bytes over 127 must be UTF-8 */
    PATH_REQUIRE_UTF8 = 4, /* strict_smtputf8: bytes over 127 need SMTPUTF8 */
};

enum path_result {
    PATH_OK,
    PATH_NO_PREFIX,      /* not "FROM:" or "TO:", or nothing behind it: 501 5.5.4 */
    PATH_BAD_SYNTAX,     /* 501 5.1.7 (sender) or 5.1.3 (recipient) */
    PATH_BAD_BYTES,      /* control character in path or parameter: 501 5.1.7 or 5.1.3 */
    PATH_BAD_UTF8,       /* PATH_SMTPUTF8 and not UTF-8: as PATH_BAD_SYNTAX */
    PATH_NEEDS_SMTPUTF8, /* PATH_REQUIRE_UTF8 and SMTPUTF8 is not among the parameters: 553 5.6.7 */
    PATH_BAD_PARAM,      /* 501 5.5.4 */
    PATH_TOO_MANY,       /* over PATH_PARAMS_MAX parameters: 501 5.5.4 */
};

struct path_param {
    struct span name;  /* as sent; compare without case */
    struct span value; /* borrowed; not decoded */
    bool has_value;    /* "=" is there */
};

struct path {
    struct span address;       /* internal form (lib/mail/address.h), in the arena; empty: null path */
    struct span original;      /* what stood in the brackets, with route and quotes; borrowed.
                                  The ORCPT of a client that gives none, and what logs show */
    bool bracketed;            /* "<" and ">" were there */
    bool routed;               /* a source route was dropped */
    bool ascii;                /* address has no byte over 127 */
    struct path_param *params; /* in the arena, in the order sent */
    size_t param_count;
};

/* Parses what stands behind the verb of MAIL or RCPT.
 * args:   borrowed by *path
 * prefix: "FROM:" or "TO:", matched without case
 * flags:  a set of enum path_flags; an SMTPUTF8 parameter sets PATH_SMTPUTF8 by itself
 * path:   valid after PATH_OK only
 * result: as above; memory comes from a. RFC 5321 4.1.2, 4.1.1.11; RFC 6531 3.3 */
enum path_result path_parse(struct arena *a, struct span args, struct span prefix, unsigned flags,
                            struct path *path);

/* Parses an address alone, with or without angle brackets, where a protocol other
 * than MAIL and RCPT or a command line has one. */
enum path_result path_parse_address(struct arena *a, struct span text, unsigned flags, struct path *path);

/* result: the parameter of that name (without case), or NULL */
const struct path_param *path_find_param(const struct path *path, struct span name);

#endif
