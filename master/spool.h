/* The queue directory: which directories there are, whose they are, and what lies below them.
 *
 * Paths are relative to the queue directory, which is the current one. May wait for the disk. */
#ifndef MASTER_SPOOL_H
#define MASTER_SPOOL_H

#include "lib/base/buf.h"

/* Makes the queue directory itself and enters it. result: false with why */
bool spool_enter(const char *path, struct buf *why);

/* Makes what is missing and sets owners and modes right. result: false with why */
bool spool_prepare(bool as_root, struct buf *why);

/* Words about a file system that the queue should not lie on; NULL: it is a good one. */
const char *spool_file_system_warning(void);

/* A directory for a process: "queue", or its own "intake/<slot>", which is made.
 * result: a descriptor, or -1 with why */
int spool_open_directory(const char *name, const char *program, unsigned slot, bool as_root, struct buf *why);

#endif
