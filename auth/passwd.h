/* The password file: lines "name:hash[:uid:gid:gecos:home:shell:extra]".
 *
 * The form of passwd(5) with the hash in it, as other mail servers read it. Blank lines
 * and lines that begin with '#' are skipped; of two lines for one name the first counts,
 * as in passwd(5); a line that is wrong is left out and counted. Names are compared in
 * lower case. Held in memory as a whole; none of these waits. */
#ifndef AUTH_PASSWD_H
#define AUTH_PASSWD_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/map.h"

enum {
    PASSWD_FILE_MAX = 64 * 1024 * 1024, /* octets; a larger file is refused */
    PASSWD_LINE_MAX = 4096,             /* octets; a longer line is wrong */
    PASSWD_NAME_MAX = 255,
};

struct passwd_entry {
    struct span name; /* lower case */
    struct span hash; /* with or without {SCHEME} */
    struct span home; /* absolute; empty: not given */
    int64_t uid, gid; /* -1: not given */
};

struct passwd_file {
    struct arena arena; /* owns all that stands below */
    struct map by_name; /* struct passwd_entry */
    const struct passwd_entry *first; /* of the file; NULL: it has none */
    size_t wrong;       /* lines left out */
    size_t wrong_line;  /* the number of the first of them */
};
#define PASSWD_FILE_INIT ((struct passwd_file){0})

/* f: empty before. result: false for a text over PASSWD_FILE_MAX */
bool passwd_file_parse(struct passwd_file *f, struct span text);
/* Reads a whole file and parses it; fd stays the caller's. result: false: why says */
bool passwd_file_read(struct passwd_file *f, int fd, struct buf *why);
/* Frees. */
void passwd_file_fini(struct passwd_file *f);

/* name: in lower case. result: borrowed, or NULL */
const struct passwd_entry *passwd_file_find(const struct passwd_file *f, struct span name);

#endif
