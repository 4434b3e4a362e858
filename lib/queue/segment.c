#include "lib/queue/segment.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum {
    SEGMENT_MAGIC = 0x5370724d, /* "MrpS" */
    SEGMENT_VERSION = 1,
    ZEROS_AT_ONCE = 1 << 18,
    WINDOW = 2 * SEGMENT_RECORD_MAX,
    LOOK_AHEAD = 2 * SEGMENT_RECORD_MAX, /* octets searched for a good record behind a bad place */
};

/* The header as it lies on the disk, little endian. */
struct disk_segment {
    uint32_t magic;
    uint32_t version;
    uint32_t slot;
    uint32_t number;
    uint64_t size;
    uint64_t generation;
    uint64_t seed;
    uint64_t hash; /* XXH3-64 of what is before */
};

void segment_put_name(char name[SEGMENT_NAME_MAX], uint32_t number)
{
    snprintf(name, SEGMENT_NAME_MAX, "%lu", (unsigned long)number);
}

void segment_fresh_bond(struct stored_bond *bond)
{
    /* The clock makes a generation that nobody outside knows and no earlier file of the name has had. */
    uint64_t now = (uint64_t)clock_wall_us();
    bond->generation = now > bond->generation ? now : bond->generation + 1;
    CHECK(getrandom(&bond->seed, sizeof bond->seed, 0) == (ssize_t)sizeof bond->seed);
}

/* --- header ------------------------------------------------------------------- */

static uint64_t header_hash(const struct disk_segment *d)
{
    return XXH3_64bits(d, offsetof(struct disk_segment, hash));
}

/* Both copies, not synced. */
static enum store_result write_header(int fd, const struct segment_header *h, struct buf *why)
{
    static const char zeros[SEGMENT_BLOCK];
    struct disk_segment d = {
        .magic = htole32(SEGMENT_MAGIC),
        .version = htole32(SEGMENT_VERSION),
        .slot = htole32(h->slot),
        .number = htole32(h->number),
        .size = htole64(h->size),
        .generation = htole64(h->bond.generation),
        .seed = htole64(h->bond.seed),
    };
    struct buf both = BUF_LIMITED(SEGMENT_DATA);
    d.hash = htole64(header_hash(&d));
    for (int copy = 0; copy < 2; copy++) {
        buf_put(&both, span_of(&d, sizeof d));
        buf_put(&both, span_of(zeros, sizeof zeros - sizeof d));
    }
    enum store_result result = store_write(fd, buf_span(&both), 0, why);
    buf_fini(&both);
    return result;
}

static bool header_copy_get(int fd, off_t at, uint32_t slot, uint32_t number, struct segment_header *h)
{
    struct disk_segment d;
    if (pread(fd, &d, sizeof d, at) != (ssize_t)sizeof d || le32toh(d.magic) != SEGMENT_MAGIC ||
        le32toh(d.version) != SEGMENT_VERSION || le64toh(d.hash) != header_hash(&d) || le32toh(d.slot) != slot ||
        le32toh(d.number) != number)
        return false;
    *h = (struct segment_header){slot, number, le64toh(d.size), {le64toh(d.generation), le64toh(d.seed)}};
    return h->size >= SEGMENT_SIZE_MIN && h->size <= SEGMENT_SIZE_MAX;
}

/* The newer of the copies that are good: a renewal may have been cut between the two. */
bool segment_get_header(int fd, uint32_t slot, uint32_t number, struct segment_header *h, struct buf *why)
{
    struct segment_header second;
    struct stat st;
    bool first = header_copy_get(fd, 0, slot, number, h);
    if (header_copy_get(fd, SEGMENT_BLOCK, slot, number, &second) &&
        (!first || second.bond.generation > h->bond.generation)) {
        *h = second;
        first = true;
    }
    if (!first) {
        buf_puts(why, "no good segment header");
        return false;
    }
    if (fstat(fd, &st) != 0 || st.st_size < SEGMENT_DATA) {
        buf_puts(why, "a segment that is cut off");
        return false;
    }
    if ((uint64_t)st.st_size < h->size)
        h->size = (uint64_t)st.st_size; /* cut off: what is left may be good */
    return true;
}

/* --- files ---------------------------------------------------------------------- */

static enum store_result write_zeros(int fd, uint64_t size, struct buf *why)
{
    enum store_result result = STORE_OK;
    char *zeros = calloc(1, ZEROS_AT_ONCE);
    CHECK(zeros != NULL);
    /* Asks for all at once, so that it lies together and a full disk is known early. */
    if (fallocate(fd, 0, 0, (off_t)size) != 0 && store_result_of(errno) == STORE_FULL) {
        store_put_error(why, "space for a segment", errno);
        result = STORE_FULL;
    }
    for (uint64_t at = 0; result == STORE_OK && at < size; at += ZEROS_AT_ONCE) {
        size_t n = size - at < ZEROS_AT_ONCE ? (size_t)(size - at) : ZEROS_AT_ONCE;
        result = store_write(fd, span_of(zeros, n), at, why);
    }
    free(zeros);
    return result;
}

enum store_result segment_make(const struct newfile_home *home, const struct segment_header *h, struct buf *why)
{
    struct newfile f;
    char name[SEGMENT_NAME_MAX];
    enum store_result result = newfile_open(&f, home, why);
    if (result != STORE_OK)
        return result;
    if ((result = write_zeros(f.fd, h->size, why)) != STORE_OK ||
        (result = write_header(f.fd, h, why)) != STORE_OK) {
        newfile_drop(&f);
        return result;
    }
    segment_put_name(name, h->number);
    result = newfile_link(&f, name, why);
    if (result == STORE_OK)
        close(f.fd);
    return result;
}

int segment_open(int directory, uint32_t slot, uint32_t number, bool writing, struct segment_header *h,
                 struct buf *why)
{
    char name[SEGMENT_NAME_MAX];
    segment_put_name(name, number);
    int fd = openat(directory, name, (writing ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        store_put_error(why, "opening the segment", errno);
        return -1;
    }
    if (!segment_get_header(fd, slot, number, h, why)) {
        close(fd);
        return -1;
    }
    return fd;
}

enum store_result segment_renew(int fd, struct segment_header *h, struct buf *why)
{
    segment_fresh_bond(&h->bond);
    return write_header(fd, h, why);
}

bool segment_each_number(int directory, void (*found)(uint32_t number, void *context), void *context,
                         struct buf *why)
{
    int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (!d) {
        store_put_error(why, "reading the directory", errno);
        if (fd >= 0)
            close(fd);
        return false;
    }
    for (const struct dirent *e; (e = readdir(d));) {
        struct span name = span_text(e->d_name);
        uint64_t number;
        if (span_to_u64(name, UINT32_MAX - 1, &number) && (name.n == 1 || name.p[0] != '0'))
            found((uint32_t)number, context);
    }
    closedir(d);
    return true;
}

/* --- records -------------------------------------------------------------------- */

/* The part of the file that is in memory. */
struct window {
    int fd;
    char *room;      /* WINDOW octets, owned */
    uint64_t at;     /* octets into the file where room begins */
    size_t n;        /* octets in room */
    uint64_t size;   /* of the file's part that counts */
    bool broken;     /* it cannot be read */
};

/* The octets at offset, as many as are in memory but need at least, unless the file ends before. */
static struct span window_get(struct window *w, uint64_t offset, size_t need)
{
    if (need > w->size - offset)
        need = (size_t)(w->size - offset);
    if (offset < w->at || offset + need > w->at + w->n) {
        uint64_t left = w->size - offset;
        ssize_t n;
        do
            n = pread(w->fd, w->room, left < WINDOW ? (size_t)left : WINDOW, (off_t)offset);
        while (n < 0 && errno == EINTR);
        w->broken |= n < 0;
        w->at = offset;
        w->n = n > 0 ? (size_t)n : 0;
    }
    return span_of(w->room + (offset - w->at), w->n - (size_t)(offset - w->at));
}

/* result: whether a good record stands at offset (then *record is all of it) */
static bool record_at(struct window *w, struct arena *a, const struct segment_header *h, uint64_t offset,
                      struct stored *s, struct span *record)
{
    struct stored_plan plan;
    uint64_t limit = w->size - offset < SEGMENT_RECORD_MAX ? w->size - offset : SEGMENT_RECORD_MAX;
    struct span octets = window_get(w, offset, STORED_HEADER);
    if (!stored_get_plan(octets, &h->bond, limit, &plan, NULL))
        return false;
    octets = window_get(w, offset, (size_t)plan.length);
    if (octets.n < plan.length || !stored_get(a, octets, &h->bond, s, NULL))
        return false;
    *record = span_slice(octets, 0, (size_t)plan.length);
    return true;
}

/* Zeros from offset, behind a good record, to the end of the block: the end of what was synced together.
 * result: where the next block begins, or offset */
static uint64_t skip_padding(struct window *w, uint64_t offset)
{
    size_t n = (size_t)(-offset & (SEGMENT_BLOCK - 1));
    struct span octets = window_get(w, offset, n);
    if (octets.n < n)
        return offset;
    for (size_t i = 0; i < n; i++) {
        if (octets.p[i] != 0)
            return offset;
    }
    return offset + n;
}

static void scan_records(struct window *w, const struct segment_header *h, segment_found found, void *context)
{
    struct arena a = ARENA_INIT;
    struct span record;
    struct stored s;
    uint64_t offset = SEGMENT_DATA, good_until = SEGMENT_DATA;
    bool twice = false; /* the bad place has been looked at again */
    while (!w->broken && offset + STORED_MIN <= w->size && offset - good_until <= LOOK_AHEAD) {
        if (!record_at(w, &a, h, offset, &s, &record)) {
            offset += STORED_ALIGN;
            continue;
        }
        if (offset > good_until && !twice) { /* somebody may be writing just there */
            twice = true;
            offset = good_until;
            w->n = 0;
            continue;
        }
        if (offset > good_until && !found(good_until, offset - good_until, NULL, SPAN_NONE, context))
            break;
        if (!found(offset, record.n, &s, record, context))
            break;
        offset = good_until = skip_padding(w, offset + record.n);
        twice = false;
        arena_reset(&a);
    }
    arena_fini(&a);
}

bool segment_scan(int fd, const struct segment_header *h, segment_found found, void *context, struct buf *why)
{
    struct window w = {.fd = fd, .room = malloc(WINDOW), .size = h->size};
    CHECK(w.room != NULL);
    scan_records(&w, h, found, context);
    free(w.room);
    if (w.broken)
        store_put_error(why, "reading the segment", EIO);
    return !w.broken;
}

bool segment_read(struct arena *a, int fd, const struct segment_header *h, uint64_t offset, uint64_t length,
                  struct stored *s, struct span *text, struct buf *why)
{
    if (offset < SEGMENT_DATA || offset % STORED_ALIGN != 0 || offset > h->size || length > h->size - offset ||
        length < STORED_MIN || length > SEGMENT_RECORD_MAX) {
        buf_puts(why, "no place in the segment");
        return false;
    }
    char *octets = arena_alloc(a, (size_t)length);
    ssize_t n;
    do
        n = pread(fd, octets, (size_t)length, (off_t)offset);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)length) {
        store_put_error(why, "reading the segment", n < 0 ? errno : EIO);
        return false;
    }
    if (!stored_get(a, span_of(octets, (size_t)length), &h->bond, s, why))
        return false;
    if (s->length != length) {
        buf_puts(why, "another message than the one that was here");
        return false;
    }
    *text = span_of(octets + s->text_offset, (size_t)s->text_size);
    return true;
}
