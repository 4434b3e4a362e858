/* Who submits: the system user behind a number, and what that user may do. */
#ifndef PICKUP_USER_H
#define PICKUP_USER_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/table/maps.h"
#include "lib/table/matchlist.h"

struct user {
    unsigned uid;
    bool known;            /* the system has a name for it */
    struct span login;     /* the name, or else the number as text: never empty */
    struct span full_name; /* from the password file; may be empty */
};

/* From a line of the password file; an empty or unusable line is that of an unknown user. a: for its texts */
struct user user_parse(struct arena *a, unsigned uid, struct span line);

/* What users may do; borrowed. */
struct user_policy {
    struct matchlist *submitters;  /* authorized_submit_users */
    struct maps *senders;          /* local_login_sender_maps */
    struct span null_sender_key;   /* empty_address_local_login_sender_maps_lookup_key */
    struct span delimiters;        /* recipient_delimiter: extensions of a sender do not count */
};

/* result: TABLE_FOUND: yes; TABLE_NOT_FOUND: no; TABLE_TEMP with why. May wait */
enum table_result user_may_submit(const struct user_policy *policy, const struct user *u, struct buf *why);
/* Whether the user may name this sender. A user without a name is looked up as "uid:" and the number. */
enum table_result user_may_send_as(const struct user_policy *policy, const struct user *u, struct span sender,
                                   struct buf *why);

#endif
