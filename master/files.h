/* The files that the configuration names: opened for reading, never read, and watched.
 *
 * When one of them is replaced or rewritten, whoever uses it is told, and gets a new
 * descriptor. Opening may wait for the disk. */
#ifndef MASTER_FILES_H
#define MASTER_FILES_H

#include "lib/io/loop.h"
#include "master/config.h"

struct files;

/* changed: called when a path has a new descriptor (or none any more) */
struct files *files_new(struct loop *l, void (*changed)(const char *path, void *context), void *context);
/* Closes all. Nulls *f. */
void files_free(struct files **f);

/* The file, opened now if it was not yet; watched from now on.
 * result: a descriptor, borrowed; -1 with *error (an errno) */
int files_get(struct files *f, const char *path, int *error);
/* Watches a path without opening it: changed() is called when another file stands there (a log
 * that was rotated). */
void files_watch(struct files *f, const char *path);
/* Closes those that the configuration does not name (but those of files_watch()). */
void files_keep_only(struct files *f, const struct config *c);

#endif
