/* Segments: the files of the intake log.
 *
 * A segment is written full of zeros once, when it is made, so that later writes change
 * no file system structure and one data sync is enough. It begins with two copies of its
 * header, each in a block of its own, then records (envelope.h) follow one another. What
 * was synced together ends with zeros up to the next block, so that no block with an
 * acknowledged message is ever written again. When nothing in a segment is needed any more
 * it is used anew: a header with a higher generation and another seed, by which all old
 * records have ceased to be. A generation names one use by one process.
 *
 * Several processes may have a segment open: one writes, the others read. Called by those
 * who may wait for the disk. */
#ifndef QUEUE_SEGMENT_H
#define QUEUE_SEGMENT_H

#include "lib/queue/envelope.h"
#include "lib/queue/newfile.h"

enum {
    SEGMENT_BLOCK = 4096, /* octets */
    SEGMENT_DATA = 2 * SEGMENT_BLOCK, /* where the first record begins */
    SEGMENT_RECORD_MAX = 256 * 1024, /* octets of the longest record; what is longer is a file of its own */
    SEGMENT_SIZE_MIN = 1 << 20,
    SEGMENT_NAME_MAX = 12, /* a number in decimal, terminated */
};
#define SEGMENT_SIZE_MAX (UINT64_C(1) << 32)

struct segment_header {
    uint32_t slot;   /* of the cleanup process whose log it belongs to */
    uint32_t number; /* its file's name in the slot's directory, in decimal */
    uint64_t size;   /* octets of the file */
    struct stored_bond bond;
};

/* Makes the file: zeros, header, all synced.
 * result: STORE_OK, STORE_FULL, STORE_EXISTS, STORE_FAILED (why) */
enum store_result segment_make(const struct newfile_home *home, const struct segment_header *h, struct buf *why);

/* Opens a segment of a slot's directory. writing: also for writing
 * result: a descriptor, the caller's; -1 with why where there is no file, or no good header in it */
int segment_open(int directory, uint32_t slot, uint32_t number, bool writing, struct segment_header *h,
                 struct buf *why);

/* Reads the header of an open file, the newer copy of those that are good; of a file that is cut off the
 * size is what is left. result: false with why */
bool segment_get_header(int fd, uint32_t slot, uint32_t number, struct segment_header *h, struct buf *why);

/* Gives it a higher generation and a fresh seed, in *h and in the file: its records are gone, for ever
 * once the file is synced. waits
 * result: STORE_OK; STORE_FULL, STORE_FAILED (why): then the segment must not be used */
enum store_result segment_renew(int fd, struct segment_header *h, struct buf *why);

/* Fills in a generation above the present one and a random seed. */
void segment_fresh_bond(struct stored_bond *bond);

/* One good record, or octets in which there should be some and is none.
 * offset: octets from the beginning of the file
 * s:      NULL: damage; then the length is that of the damaged part, and record is empty
 * record: the whole record, valid during the call as all that s points to
 * result: false: enough, do not go on */
typedef bool (*segment_found)(uint64_t offset, uint64_t length, const struct stored *s, struct span record,
                              void *context);

/* Reads all records. What lies behind the last good one is the free part, a torn tail included: to tell
 * it from damage in the middle, the scan looks two records' length further before it believes that.
 * result: false with why where the file cannot be read */
bool segment_scan(int fd, const struct segment_header *h, segment_found found, void *context, struct buf *why);

/* Reads one record whose place is known.
 * text: set to its text; it and all of s are made in a
 * result: false with why: damaged, or not there any more */
bool segment_read(struct arena *a, int fd, const struct segment_header *h, uint64_t offset, uint64_t length,
                  struct stored *s, struct span *text, struct buf *why);

/* The segment's file name. */
void segment_put_name(char name[SEGMENT_NAME_MAX], uint32_t number);
/* Calls found for each directory entry that is a number in our own form; others are left alone. No order.
 * result: false with why where the directory cannot be read */
bool segment_each_number(int directory, void (*found)(uint32_t number, void *context), void *context,
                         struct buf *why);

#endif
