/* Whose login it is: the hash to check against, and where the mailbox is.
 *
 * A login name may come with or without its domain: "bob" is also looked for as
 * bob@$merpati_login_domain, and bob@$merpati_login_domain as "bob". Hashes come from the
 * password file, then from pop3d_auth_maps. Lookups in tables may wait. */
#ifndef AUTH_ACCOUNT_H
#define AUTH_ACCOUNT_H

#include "auth/passwd.h"
#include "lib/table/maps.h"

/* The parameters that matter here. */
struct account_config {
    struct span login_domain;
    struct span auth_maps;            /* pop3d_auth_maps */
    struct span virtual_mailbox_maps;
    struct span virtual_mailbox_base;
    struct span virtual_uid_maps, virtual_gid_maps;
    uint64_t virtual_minimum_uid;
    struct span home_mailbox;
    struct span mail_spool_directory;
};

enum account_result {
    ACCOUNT_FOUND,
    ACCOUNT_NONE,
    ACCOUNT_TEMP, /* a table does not answer; or the mailbox is of a kind that cannot be served */
};

struct account {
    struct span names[2]; /* under which it is looked for, in lower case, as given first */
    unsigned nnames;
    struct span hash;     /* empty: none */
    const struct passwd_entry *entry; /* its line of the password file, or NULL; borrowed until the next reload */
};

/* As in session_prepare (lib/wire/login.msg.h). */
struct mailbox {
    struct span user; /* the name to log */
    uint64_t uid, gid;
    struct span home, path;
    bool system_user;
};

struct accounts;

/* ts: for the tables; config: what it points to lives as long as the accounts do */
struct accounts *accounts_new(struct tables *ts, const struct account_config *config);
void accounts_free(struct accounts **as);
/* Takes over a freshly read password file; the old one ends. */
void accounts_set_file(struct accounts *as, struct passwd_file *f);

/* Who a login name means. acc: filled; what it points to is made in a or borrowed
 * result: ACCOUNT_FOUND, ACCOUNT_NONE (names are set), ACCOUNT_TEMP (why says). waits for tables */
enum account_result accounts_find(struct accounts *as, struct arena *a, struct span user, struct account *acc,
                                  struct buf *why);
/* The mailbox of who was found: a virtual mailbox, else that of the line in the password file, else a
 * system user's (whom deliver looks up).
 * result: ACCOUNT_FOUND, ACCOUNT_TEMP (why says). waits for tables */
enum account_result accounts_find_mailbox(struct accounts *as, struct arena *a, const struct account *acc,
                                          struct mailbox *box, struct buf *why);

#endif
