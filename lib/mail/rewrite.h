/* Rewriting of addresses to their standard form, as Postfix's trivial-rewrite does it.
 *
 * Pure: internal form (lib/mail/address.h) in and out, no tables. Any process may
 * call this; it does not wait. */
#ifndef MAIL_REWRITE_H
#define MAIL_REWRITE_H

#include "lib/base/buf.h"

enum rewrite_context {
    REWRITE_LOCAL,  /* envelopes, and headers of mail that came from here (local_header_rewrite_clients) */
    REWRITE_REMOTE, /* headers of other mail */
};

/* The parameters of the same names; all spans are borrowed. */
struct rewrite_config {
    bool append_at_myorigin;
    bool append_dot_mydomain;
    bool swap_bangpath;
    bool allow_percent_hack;
    struct span myorigin; /* for REWRITE_LOCAL; empty: nothing is appended */
    struct span mydomain; /* the same */
    struct span
        remote_header_rewrite_domain; /* for REWRITE_REMOTE, in place of both; empty: nothing is appended */
};

/* Appends the standard form: site!user becomes user@site and user%domain user@domain
 * where no "@" is there and nothing in it needs quotes; "@myorigin" is appended to
 * what has no domain and ".mydomain" to a domain without a dot; a trailing dot of the
 * domain goes. The null address and a lone "@" give the null address. Broken domains
 * stay as they are: what is wrong with them is better told as it was written.
 * result: whether it differs from address */
bool rewrite_address(const struct rewrite_config *config, enum rewrite_context context, struct span address,
                     struct buf *out);

/* Turns the routing operator of an address without "@" into one: "a!b" to "b@a" (the
 * first "!"), or else "a%b" to "a@b" (the last "%"), as far as config allows them.
 * result: false where there is none (nothing appended) */
bool rewrite_put_route(const struct rewrite_config *config, struct span address, struct buf *out);

#endif
