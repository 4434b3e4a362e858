/* The accounts of an instance: its password file, and the tables made from it.
 *
 * A line is "name@domain:hash". The file is kept as it is but for the accounts that
 * are set. */
#ifndef CLI_MERPATI_ACCOUNTS_H
#define CLI_MERPATI_ACCOUNTS_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"

struct accounts {
    struct arena arena; /* owns all names and lines */
    struct span *names, *lines;
    size_t n, cap;
};

enum { ACCOUNTS_FILE_MAX = 16 << 20, ACCOUNT_NAME_MAX = 200 };

#define ACCOUNTS_INIT ((struct accounts){0})

void accounts_fini(struct accounts *a);
/* Reads the file; none there is none of them. result: false with why */
bool accounts_load(struct accounts *a, const char *path, struct buf *why);
/* Adds the account or gives it another password (hashed here, yescrypt).
 * name: an address; result: false with why (a name that cannot be one, no hash to be had) */
bool accounts_set(struct accounts *a, struct span name, const char *password, struct buf *why);
/* Writes the file anew in one step, readable for its owner alone. result: false with why */
bool accounts_save(const struct accounts *a, const char *path, struct buf *why);

/* Replaces a file in one step. result: false with why */
bool file_replace(const char *path, struct span text, unsigned mode, struct buf *why);

#endif
