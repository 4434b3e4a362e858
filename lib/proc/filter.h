/* The system call filter: an allow-list put together from named groups.
 *
 * What is not on the list fails with EPERM; what no mail program has an innocent use
 * for (ptrace, bpf, mount, io_uring, ...) ends the process. Made by libseccomp, exported
 * as a program, and installed by ourselves. Used by wall.c alone. */
#ifndef PROC_FILTER_H
#define PROC_FILTER_H

#include "lib/base/buf.h"

/* no_new_privs is set already.
 * groups: names separated by spaces; the base is always in
 * result: false with the reason in why */
bool filter_enter(const char *groups, struct buf *why);

#endif
