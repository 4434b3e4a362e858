/* Domain names and address literals, as they stand behind the "@" and in HELO.
 *
 * Any process may call these; none waits. */
#ifndef MAIL_DOMAIN_H
#define MAIL_DOMAIN_H

#include "lib/table/cidr.h"

enum { DOMAIN_NAME_MAX = 255, DOMAIN_LABEL_MAX = 63 };

/* Whether s can be a host or domain name as Postfix takes it: labels of letters,
 * digits, "-" (not at their ends) and "_", or of UTF-8; not all digits and dots; no
 * trailing dot. RFC 5321 2.3.5, 4.1.2, with "_" for those who have it */
bool domain_name_valid(struct span s);

/* "[192.0.2.1]" or "[IPv6:2001:db8::1]".
 * result: false for anything else; *ip is untouched then. RFC 5321 4.1.3 */
bool domain_literal_parse(struct span s, struct ip *ip);

#endif
