/* The messages of the SASL mechanisms that carry a password in clear.
 *
 * Shared by every server that logs users in. Any process may call these; none waits. */
#ifndef MAIL_SASL_H
#define MAIL_SASL_H

#include "lib/base/span.h"

enum {
    SASL_LINE_MAX = 12288,  /* octets of a base64 line without its ending. RFC 4954 4, RFC 5034 4 */
    SASL_NAME_MAX = 255,    /* octets of a user's name. RFC 4616 2 */
    SASL_PASSWORD_MAX = 1024, /* octets */
};

struct sasl_plain {
    struct span authorize_as; /* empty: the same as user */
    struct span user;
    struct span password;
};

/* Takes the decoded message of PLAIN apart: authorization name NUL user NUL password.
 * plain:  borrowed from message
 * result: false where it is none, or a part is over its limit. RFC 4616 2 */
bool sasl_plain_parse(struct span message, struct sasl_plain *plain);

/* Whether a name and a password as they came (by PLAIN, LOGIN or otherwise) are within the limits:
 * neither is empty, and neither holds NUL. */
bool sasl_credentials_are_sound(struct span user, struct span password);

#endif
