/* One login request, from the name to the answer. */
#ifndef AUTH_LOGIN_H
#define AUTH_LOGIN_H

#include "auth/account.h"
#include "auth/verify.h"
#include "lib/wire/login.msg.h"

enum { LOGIN_TOKEN_BYTES = 32 }; /* random octets of a token; it is twice as long in hexadecimal digits */

struct login_services {
    struct accounts *accounts;
    struct verifier *verifier;
    /* Tells deliver of a session that may be presented. result: its class; why: where it is not 2. waits */
    uint64_t (*prepare)(void *context, const struct msg_session_prepare *session, struct arena *a, struct buf *why);
    void *context;
};

/* Checks the request; texts of the answer are made in a. An unknown name costs what a wrong password
 * costs. waits for tables and deliver; takes the CPU for the hash */
void login_handle(const struct login_services *services, struct arena *a, const struct msg_login *request,
                  struct msg_login_answer *answer);

#endif
