/* Who can receive mail here: rewriting and resolving of envelope addresses, and the
 * tables of those who exist. In-process (docs/design/rewrite-in-process.md); a proxy:
 * table makes a call wait. */
#ifndef SMTPD_RECIPIENTS_H
#define SMTPD_RECIPIENTS_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"

struct params_main;
struct params_rewrite;
struct settings;
struct tables;
struct recipients;

enum recipients_result {
    RECIPIENT_EXISTS,        /* or cannot be known here */
    RECIPIENT_NO_LOCAL,      /* not in local_recipient_maps */
    RECIPIENT_NO_ALIAS,      /* not in virtual_alias_maps */
    RECIPIENT_NO_MAILBOX,    /* not in virtual_mailbox_maps */
    RECIPIENT_NO_RELAY,      /* not in relay_recipient_maps */
    RECIPIENT_TO_ERROR,      /* routed to the error transport; why is its text, with a status code perhaps */
    RECIPIENT_TO_RETRY,      /* the same of retry */
    RECIPIENT_TEMP,          /* a lookup failed; why says */
};

enum recipients_class {
    CLASS_OURS,    /* local, virtual alias, virtual mailbox or relay domain: we are responsible */
    CLASS_OTHER,   /* any other domain: relaying */
    CLASS_TEMP,    /* a lookup failed; why says */
};

/* Made in a; tables are opened in tables and stay so as long as a.
 * result: NULL: why says which parameter is wrong */
struct recipients *recipients_new(struct arena *a, const struct settings *settings, const struct params_main *main,
                                  const struct params_rewrite *rewrite, struct tables *tables, struct buf *why);

/* The address as routing sees it (our domain appended where it has none, source routes undone); made in a. */
struct span recipients_canonical(struct recipients *r, struct arena *a, struct span address);
/* waits where a table does. why: text of a TEMP */
enum recipients_class recipients_class_of(struct recipients *r, struct arena *a, struct span address, struct buf *why);
enum recipients_result recipients_find(struct recipients *r, struct arena *a, struct span address, struct buf *why);

#endif
