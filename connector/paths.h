/* Which sockets may be connected to.
 *
 * Pure; no call waits. */
#ifndef CONNECTOR_PATHS_H
#define CONNECTOR_PATHS_H

#include "lib/base/arena.h"
#include "lib/param/settings.h"
#include "lib/param/value.h"

enum { PATHS_MAX = 107 /* octets of a socket's path; the system takes no more */ };

struct paths {
    struct span queue_directory; /* what relative paths begin at */
    const struct param_list *directories;
    struct span *named; /* absolute paths that settings name as unix:path; in an arena */
    size_t n;
};

/* The paths that settings name. */
void paths_collect(struct arena *a, const struct settings *settings, struct paths *p);

/* The path as it is connected to, absolute, in a.
 * result: empty: it must not be (also: too long, "..", NUL) */
struct span paths_allow(struct arena *a, const struct paths *p, struct span path);

#endif
