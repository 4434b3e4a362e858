/* The recipients of a message on their way into the store: standard form, canonical tables,
 * masquerading, virtual aliases, duplicates, blind copies, and where each goes.
 *
 * Lookups may wait as the tables do. One request at a time. */
#ifndef CLEANUP_RECIPIENTS_H
#define CLEANUP_RECIPIENTS_H

#include "lib/base/map.h"
#include "lib/proc/route.h"

enum { RECIPIENTS_MAX = 100000 }; /* of one message after expansion */

/* Parameters and tables; borrowed. */
struct recipients_config {
    const struct routing *routing;
    struct maps *virtual_alias_maps, *canonical_maps;
    struct maps *sender_canonical_maps, *recipient_canonical_maps, *sender_bcc_maps, *recipient_bcc_maps;
    unsigned canonical_classes, sender_canonical_classes, recipient_canonical_classes; /* 1u << PARAM_address_class_* */
    struct span *masquerade_domains, *masquerade_exceptions;
    size_t masquerade_domain_count, masquerade_exception_count;
    unsigned masquerade_classes;   /* 1u << PARAM_address_class_* */
    struct span always_bcc;        /* empty: none */
    struct mailmap_limits limits;  /* of virtual aliases */
    size_t duplicate_limit;        /* duplicate_filter_limit: recipients remembered; 0: no limit */
    bool keep_original;            /* enable_original_recipient */
    bool propagate_canonical, propagate_virtual; /* propagate_unmatched_extensions */
};

struct recipients {
    const struct recipients_config *config;
    struct arena *arena;
    struct msg_recipient *at; /* in the arena */
    size_t n;
    struct map seen;          /* of texts in the arena */
    struct span sender;       /* internal form, after mapping */
    struct buf why;           /* why it failed, one line for the log */
    bool expand, copy;        /* virtual aliases; blind copies */
};

enum recipients_result {
    RECIPIENTS_OK,
    RECIPIENTS_TEMP,     /* a lookup failed or a limit of expansion was passed (why) */
    RECIPIENTS_TOO_MANY, /* more than RECIPIENTS_MAX */
};

/* config, a: borrowed until recipients_fini() */
void recipients_init(struct recipients *r, const struct recipients_config *config, struct arena *a);
void recipients_fini(struct recipients *r);

/* The sender's standard form, mapped; the null sender stays. Kept in r. */
enum recipients_result recipients_set_sender(struct recipients *r, struct span sender);
/* One recipient as it was received: all that it becomes is added. */
enum recipients_result recipients_add(struct recipients *r, const struct msg_recipient *received);
/* After the last: blind copies, numbers, routes. A route that cannot be told now stays empty: qmgr asks again. */
enum recipients_result recipients_finish(struct recipients *r);

/* A header's address by the same tables (cleanup/head.h); context: struct recipients */
int recipients_rewrite_header(struct span address, enum rewrite_context where, bool is_sender, struct buf *replacement,
                              struct recipients *r);

#endif
