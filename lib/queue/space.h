/* Whether there is room for more mail: free blocks and inodes of the queue's file system.
 *
 * Asked before a message is accepted, so that a full disk is answered before DATA. Any
 * process may call; statfs may wait for the disk on network file systems. */
#ifndef QUEUE_SPACE_H
#define QUEUE_SPACE_H

#include "lib/queue/newfile.h"

struct space_limits {
    uint64_t minimum_free;  /* queue_minfree: octets that stay free */
    uint64_t message_limit; /* message_size_limit: one and a half of it must be free; 0: no limit */
};

enum { SPACE_INODES_MIN = 16 }; /* file systems that count inodes keep these free */

/* directory: any directory of the file system; wanted: octets of the message, as far as known
 * result: STORE_OK; STORE_FULL (why); STORE_FAILED (why): it cannot be found out */
enum store_result space_check(int directory, const struct space_limits *limits, uint64_t wanted, struct buf *why);

struct statvfs;
/* The same from figures, for space_check() and its test. */
enum store_result space_judge(const struct statvfs *figures, const struct space_limits *limits, uint64_t wanted,
                              struct buf *why);

#endif
