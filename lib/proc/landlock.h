/* Landlock by its system calls: from now on only these directories.
 *
 * Everything that the kernel's version knows is refused (files of any kind, TCP
 * ports, abstract sockets, signals out of the domain), then the given directories
 * are opened up again. What a version cannot refuse (TCP before ABI 4, scopes before
 * ABI 6) the filter refuses or the uid does. Used by wall.c alone. */
#ifndef PROC_LANDLOCK_H
#define PROC_LANDLOCK_H

#include "lib/base/buf.h"

struct landlock_rule {
    int fd;             /* a directory, borrowed */
    struct span rights; /* letters as in walls.def */
};

/* The kernel's Landlock version, 2 or higher; 0: it has none that is of use, or it is switched off. */
unsigned landlock_abi(void);

/* no_new_privs is set already.
 * may_dial: TCP ports stay open to it (the filter still refuses to listen)
 * result: false with the reason in why. A kernel without Landlock is no failure. */
bool landlock_enter(const struct landlock_rule *rules, unsigned n, bool may_dial, struct buf *why);

#endif
