/* One address as the grammar writes it (addr-spec, with a source route before it),
 * to internal form: what the parsers of envelopes, headers and alias files share.
 *
 * Any process may call these; none waits. */
#ifndef MAIL_ADDRSPEC_H
#define MAIL_ADDRSPEC_H

#include "lib/base/buf.h"

enum addrspec_flags { ADDRSPEC_STRICT = 1 /* no comments, no blanks around tokens */ };

/* Appends the internal form (lib/mail/address.h) of text, which holds one address
 * without angle brackets; blanks alone append nothing. A route is dropped.
 *
 * Refused are: anything unclosed, delimiters outside quotes, quotes or backslashes
 * in the domain, a literal that is not the whole domain, a route to nowhere, a
 * quoted nothing, and quoted at signs that would become the separator in internal
 * form ("user@dom" without a domain). Blanks and comments between tokens are left
 * out, or are one space between two words of the local part.
 *
 * out:    empty when called
 * routed: set to whether there was a route; may be NULL
 * result: false for what is refused; out may have something appended then */
bool addrspec_put_internal(struct buf *out, struct span text, unsigned flags, bool *routed);

#endif
