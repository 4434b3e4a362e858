/* Who a table is made as. Private to postmap.
 *
 * Root never makes a file in a directory that belongs to somebody else: who owns the
 * directory can swap what is in it at any moment. */
#ifndef POSTMAP_OWNER_H
#define POSTMAP_OWNER_H

#include "lib/base/buf.h"

#include <sys/types.h>

/* Whom root must become to make a table.
 * directory, source: who owns them; keeps_root: -o
 * uid:    set to whom to become; 0: root stays root
 * result: false with why where -o asks for what must not be */
bool owner_choose(uid_t directory, uid_t source, bool keeps_root, uid_t *uid, struct buf *why);

/* Becomes a user for good, with its own group only. result: false with why */
bool owner_become(uid_t uid, struct buf *why);

#endif
