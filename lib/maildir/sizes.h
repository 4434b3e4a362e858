/* Sizes of messages whose names do not tell them.
 *
 * Mail that other programs delivered is measured once; what was found is kept in the
 * file "merpati-sizes" of the Maildir, which other Maildir software does not look at.
 * A message in a Maildir never changes, so its unique part is all the proof that an
 * entry needs. The file is replaced as a whole and ends with a checksum: one that is
 * torn or foreign is as none.
 *
 *     merpati-sizes 1
 *     <octets> <octets with CRLF> <unique part>
 *     ...
 *     end <XXH3-64 of all before, 16 hexadecimal digits> */
#ifndef MAILDIR_SIZES_H
#define MAILDIR_SIZES_H

#include "lib/maildir/maildir.h"

enum {
    MAILDIR_SIZES_FILE_MAX = 512 * 1024 * 1024, /* octets; a larger file is not read */
};

/* What it cost. */
struct maildir_sizes_work {
    size_t known, measured, dropped; /* messages; dropped: unreadable, left out of the list */
};

/* Sets the sizes of all messages of the list, by the file, else by reading them. Where a message
 * was read the file is written anew; that it could not be is no error. waits for the disk */
struct maildir_sizes_work maildir_sizes_fill(struct maildir *m, struct maildir_list *list);

/* The text of the file, for tests and the fuzzer: calls fn for each entry.
 * result: false: not such a file (fn was not called) */
bool maildir_sizes_parse(struct span text, void (*fn)(struct span unique, uint64_t size, uint64_t virtual_size,
                                                      void *context), void *context);

#endif
