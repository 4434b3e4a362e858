/* A password against its hash, with crypt(3)'s methods.
 *
 * yescrypt, bcrypt, sha512crypt and whatever else the system's libcrypt knows, with or
 * without "{CRYPT}", "{SHA512-CRYPT}" and the like in front. Every check costs the same
 * work, whether there is such a user or not: where there is no hash one is made up by the
 * method of another user. A worker's: takes the CPU for up to a second. */
#ifndef AUTH_VERIFY_H
#define AUTH_VERIFY_H

#include "lib/base/span.h"

enum verify_result {
    VERIFY_GOOD,
    VERIFY_BAD,      /* wrong, or there is no such user, or the account is locked ("!", "*", empty) */
    VERIFY_UNUSABLE, /* the hash is of no method that this system knows: the administrator's to mend */
};

struct verifier; /* working memory */

struct verifier *verifier_new(void);
void verifier_free(struct verifier **v);

/* A hash whose method and cost checks of unknown users are to have. */
void verifier_set_model(struct verifier *v, struct span hash);
/* The hash that a check without one computes against; borrowed. */
const char *verifier_model(const struct verifier *v);

/* hash: empty where there is no such user. Memory that held the password is wiped. */
enum verify_result verifier_check(struct verifier *v, struct span hash, struct span password);

#endif
