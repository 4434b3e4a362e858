/* Addresses in lookup tables: which keys are asked for in which order, and what
 * becomes of an address by canonical and virtual alias tables. As in Postfix
 * (canonical(5), virtual(5), transport(5), access(5), propagate_unmatched_extensions).
 *
 * All calls wait as maps_find() does. Worker and broker code; the arena holds results. */
#ifndef MAIL_MAILMAP_H
#define MAIL_MAILMAP_H

#include "lib/base/arena.h"
#include "lib/mail/rewrite.h"
#include "lib/table/maps.h"

struct mailmap_config {
    struct span recipient_delimiter; /* set of bytes; empty: addresses have no extensions */
    bool owner_request_special;
    struct rewrite_config rewrite; /* results are brought to standard form by it (REWRITE_LOCAL) */
    /* Whether a domain is local, so that the bare local part is a key: resolve_is_local() with
     * its configuration. May wait. NULL: none is. result: TABLE_FOUND, TABLE_NOT_FOUND, or
     * TABLE_TEMP with why */
    enum table_result (*is_local)(const void *context, struct span domain, struct buf *why);
    const void *local_context;
};

/* Keys, asked for in this order. The first is asked of all tables, the others only of
 * those with fixed keys. Keys are in external form; where the internal one differs, it is
 * asked for too, behind it. */
enum mailmap_keys {
    MAILMAP_FULL = 1,         /* user+ext@domain */
    MAILMAP_NO_EXTENSION = 2, /* user@domain */
    MAILMAP_LOCAL_PART = 4,   /* user+ext and user, where the domain is local */
    MAILMAP_AT_DOMAIN = 8,    /* @domain */
    MAILMAP_DOMAIN = 16,      /* domain */
    MAILMAP_DOT_PARENTS = 32, /* with MAILMAP_DOMAIN: then .example.com, .com */
    MAILMAP_PARENTS = 64,  /* with MAILMAP_DOMAIN: then example.com, com (parent_domain_matches_subdomains) */
    MAILMAP_USER_AT = 128, /* user+ext@ and user@ */

    MAILMAP_DEFAULT = MAILMAP_FULL | MAILMAP_NO_EXTENSION | MAILMAP_LOCAL_PART | MAILMAP_AT_DOMAIN,
    MAILMAP_TRANSPORT = MAILMAP_FULL | MAILMAP_NO_EXTENSION | MAILMAP_DOMAIN | MAILMAP_DOT_PARENTS,
    MAILMAP_ACCESS = MAILMAP_FULL | MAILMAP_NO_EXTENSION | MAILMAP_DOMAIN | MAILMAP_USER_AT,
};

/* Looks an address up.
 * maps:      NULL is an empty list
 * address:   internal form; the null address is never found
 * keys:      a set of enum mailmap_keys
 * value:     as maps_find()
 * extension: set to "+ext", borrowed from address, where the key that was found is the
 *            address without it; else empty; may be NULL
 * why:       as maps_find() */
enum table_result mailmap_find(const struct mailmap_config *config, struct maps *maps, unsigned keys,
                               struct span address, struct buf *value, struct span *extension,
                               struct buf *why);

struct mailmap_list {
    struct span *at; /* internal form, in the arena */
    size_t n;
};

/* Looks an address up by MAILMAP_DEFAULT and reads the value as a list of addresses:
 * "@other" stands for the same user there, each address gets its standard form, and
 * with propagate the extension that did not match is added to each.
 * result: TABLE_FOUND with at least one address; TABLE_TEMP also for a value without any */
enum table_result mailmap_map(const struct mailmap_config *config, struct maps *maps, struct span address,
                              bool propagate, struct arena *a, struct mailmap_list *list, struct buf *why);

/* Canonical mapping: maps until nothing changes, at most MAILMAP_CANONICAL_DEPTH times.
 * title:  the parameter's name, for why
 * mapped: set to the last address (the given one for TABLE_NOT_FOUND), in a
 * result: TABLE_FOUND: something was found; TABLE_TEMP also where the depth does not do */
enum { MAILMAP_CANONICAL_DEPTH = 10 };
enum table_result mailmap_canonical(const struct mailmap_config *config, struct maps *maps, struct span title,
                                    struct span address, bool propagate, struct arena *a, struct span *mapped,
                                    struct buf *why);

/* virtual_alias_expansion_limit, virtual_alias_recursion_limit, virtual_alias_address_length_limit */
struct mailmap_limits {
    size_t addresses; /* an expansion has at most; 1000 */
    size_t depth;     /* lookups for the sake of one of them, the last in vain; 1000 */
    size_t bytes;     /* of one address; 1000 */
};

/* Virtual alias expansion of one recipient: replaces addresses by what they map to until
 * none is found any more; an address that maps to itself stays.
 * title:  the parameter's name, for why
 * list:   set to the result, the given address where nothing was found
 * result: TABLE_FOUND or TABLE_NOT_FOUND (list valid); TABLE_TEMP: a lookup failed or a
 *         limit was passed (then the message is deferred with 4.6.0) */
enum table_result mailmap_expand(const struct mailmap_config *config, struct maps *maps, struct span title,
                                 const struct mailmap_limits *limits, struct span address, bool propagate,
                                 struct arena *a, struct mailmap_list *list, struct buf *why);

#endif
