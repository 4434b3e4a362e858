/* A whole server in one directory, for "merpati run": made once, used again.
 *
 *     DIR/etc     main.cf and master.cf (the administrator's from then on), passwd, tables
 *     DIR/spool   the queue       DIR/mail   Maildirs       DIR/log   mail.log */
#ifndef CLI_MERPATI_INSTANCE_H
#define CLI_MERPATI_INSTANCE_H

#include "cli/merpati/accounts.h"
#include "cli/merpati/merpati.h"

enum { USERS_MAX = 1000, OPTIONS_MAX = 100, PORT_SMTP = 25, PORT_POP3 = 110, OFFSET_DEFAULT = 10000 };

/* What the arguments ask for. Texts are borrowed from them. */
struct wishes {
    const char *directory;    /* absolute once it is there */
    const char *listen;       /* an address; NULL: as it was, or 127.0.0.1 */
    const char *domain;       /* NULL: as it was, or example.test */
    int offset;               /* of ports; -1: as it was, or OFFSET_DEFAULT */
    const char *users[USERS_MAX]; /* NAME:PASSWORD */
    unsigned nusers;
    const char *options[OPTIONS_MAX]; /* name=value */
    unsigned noptions;
};

/* How it is now. Texts are made in the arena. */
struct instance {
    struct arena arena;
    const char *directory, *etc, *listen, *domain;
    int offset;
    struct accounts accounts;
    bool demo; /* the two demo accounts were made just now: their passwords are worth printing */
};

/* Makes what is missing in wishes->directory, which is there; sets accounts; builds tables.
 * result: false: said */
bool instance_make(struct instance *i, const struct wishes *w, const struct programs *p);
void instance_fini(struct instance *i);

/* An address as it stands before a port: 127.0.0.1, [::1] */
const char *instance_host(struct instance *i);

/* NAME:PASSWORD of the i-th demo account; NULL behind the last */
const char *demo_user(unsigned i);

#endif
