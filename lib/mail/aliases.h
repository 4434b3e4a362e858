/* The right hand side of aliases(5), and the lines of .forward and :include: files:
 * addresses, "|command", /file/name and :include:/file/name.
 *
 * Only the syntax. Whether commands, files and inclusion are allowed there, how deep
 * inclusion nests (20) and as whom anything is done is the caller's to decide. Any
 * process may call these; none waits. */
#ifndef MAIL_ALIASES_H
#define MAIL_ALIASES_H

#include "lib/mail/addrlist.h"

enum aliases_form {
    ALIASES_VALUE, /* the value of a table entry: one list */
    ALIASES_FILE,  /* a file: each line a list of its own, lines that start with "#" are left out */
};

enum aliases_kind {
    ALIASES_ADDRESS,
    ALIASES_COMMAND, /* text is the command, without the "|" */
    ALIASES_TO_FILE, /* text is a path that starts with "/"; with "/" at its end a Maildir */
    ALIASES_INCLUDE, /* text is the path, which starts with "/" */
    ALIASES_BAD,     /* none of these; text is what stands there */
};

struct aliases_item {
    enum aliases_kind kind;
    struct span text; /* without quotes; an address in internal form, not rewritten; in the arena */
    bool final;       /* an address written with "\" before it: no alias or .forward is looked up for it */
};

struct aliases_scan {
    struct span rest;               /* private: what is not cut yet */
    enum aliases_form form;         /* private */
    struct addrlist_scan addresses; /* private: of the element being read */
    bool in_addresses, final;       /* private */
};

/* text: borrowed */
void aliases_init(struct aliases_scan *scan, struct span text, enum aliases_form form);
/* Cuts the next item. Parts are separated by commas outside quotes (and, in addresses,
 * outside comments and brackets). A command or path with blanks or commas stands in
 * double quotes, alone or with its "|" or ":include:"; within quotes a backslash takes
 * the next byte as it is. Control characters make a bad item.
 * result: false at the end */
bool aliases_next(struct aliases_scan *scan, struct arena *a, struct aliases_item *item);

#endif
