/* One address in internal form, and what is done to it everywhere.
 *
 * Internal form is what an address means: the local part without quotes and
 * backslashes, the domain behind the last "@". It is what tables are asked for,
 * what the queue holds and what processes tell each other; the empty span is the
 * null address. External form, quoted where the grammar needs it, is made only
 * where an address leaves for SMTP or a header. Any process may call these; none
 * waits. */
#ifndef MAIL_ADDRESS_H
#define MAIL_ADDRESS_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"

/* Cuts at the last "@".
 * domain: borrowed, empty where there is no "@" or nothing behind it
 * result: whether there is an "@" */
bool address_split(struct span address, struct span *local, struct span *domain);
/* The domain alone; empty where there is none. */
struct span address_domain(struct span address);

/* Appends the external form, the same for RFC 5321 4.1.2 and RFC 5322 3.4.1:
 * the local part is quoted unless it is a dot-atom, the domain stands as it is.
 * "@example.com" becomes ""@example.com; the null address appends nothing. */
void address_put_external(struct buf *out, struct span address);

/* Whether a local part can only stand in quotes: it is no dot-atom. */
bool address_needs_quotes(struct span local);

/* Whether it holds no control character (NUL, CR, LF, TAB and DEL included). What
 * fails this may stand in no envelope, whatever its other form. */
bool address_is_clean(struct span s);

/* An address split for lookups that know extensions. */
struct address_parts {
    struct span user;      /* local part without extension; borrowed, like all of these */
    struct span extension; /* behind the delimiter; empty where there is none */
    char delimiter;        /* the byte between them; 0: the address has no extension */
    bool has_domain;       /* an "@" is there */
    struct span domain;    /* behind it */
};
/* Splits user, extension and domain as Postfix does: at the first byte that is in
 * delimiters (the value of recipient_delimiter), unless nothing stands before it;
 * postmaster, mailer-daemon and double-bounce have none, nor have owner-x and
 * x-request where "-" is a delimiter and owner_request_special is set. */
struct address_parts address_split_extension(struct span address, struct span delimiters,
                                             bool owner_request_special);

/* Copies with the ASCII letters lowered; all else stays as it is, so that other
 * alphabets compare by byte. NUL-terminated like all of an arena's texts. */
struct span address_dup_lower(struct arena *a, struct span s);

#endif
