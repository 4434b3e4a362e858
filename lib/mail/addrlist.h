/* Address lists: the values of From, To and the other address headers, and the
 * right hand sides of tables.
 *
 * RFC 5322 3.4 with the obsolete forms of 4.4: groups, comments, folds, display
 * names with stray dots, routes, empty elements; also, as tables and hands write
 * them, addresses that only blanks separate. Time is linear in the text, and
 * the number of tokens looked at is bounded (header_address_token_limit); what
 * lies behind the bound stays untouched. Any process may call these; only
 * addrlist_rewrite() may wait, where its function does. */
#ifndef MAIL_ADDRLIST_H
#define MAIL_ADDRLIST_H

#include "lib/base/arena.h"
#include "lib/mail/token.h"

enum { ADDRLIST_TOKEN_LIMIT = 10240 }; /* default of header_address_token_limit */

struct addrlist_scan {
    struct token_scan scan; /* private */
    struct token_scan bare; /* private: words outside of brackets, to be cut into addresses */
    size_t tokens_left;     /* private */
    bool cut;               /* the token limit was reached: the text behind was not looked at */
};

struct addrlist_item {
    struct span raw;     /* the address as it stands, without angle brackets; borrowed from the text */
    struct span address; /* internal form, in the arena; empty for "<>" */
    bool bracketed;      /* it stood in angle brackets */
    bool bad;            /* no address: malformed, or a control character in it; address is empty */
};

/* text: folded or not; borrowed. token_limit: 0 means ADDRLIST_TOKEN_LIMIT */
void addrlist_init(struct addrlist_scan *list, struct span text, size_t token_limit);
/* Cuts the next address; empty elements, empty groups and display names are passed over.
 * result: false at the end */
bool addrlist_next(struct addrlist_scan *list, struct arena *a, struct addrlist_item *item);

/* Replaces addresses within a header's value and leaves every other byte as it is.
 * fn:     asked for each good address that is not empty, internal form in and out;
 *         fills replacement and returns 1, or 0 to keep the address, or -1 to give up
 * result: how many were replaced; -1: fn gave up. Nothing is appended to out for 0 and -1 */
int addrlist_rewrite(struct buf *out, struct span value, size_t token_limit,
                     int (*fn)(struct span address, struct buf *replacement, void *context), void *context);

#endif
