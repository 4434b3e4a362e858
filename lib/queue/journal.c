#include "lib/queue/journal.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/queue/journal_format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    JOURNAL_MAGIC = 0x6a726e6c,
    PENDING_MAX = 256 << 20, /* octets put and not committed: journal_put beyond it is a bug of the owner */
    SEGMENTS_SPARE = 8,      /* segments beside the live ones before a round of repeating begins */
    TEXT_MAX = 500,          /* octets of a verdict's longer texts */
    NAME_MAX_OCTETS = 200,   /* of its names */
};

/* A segment being written or prepared. */
struct segment {
    int fd; /* -1: none */
    uint64_t number;
    size_t filled; /* octets of zeros written while it is prepared */
};

struct journal {
    uint32_t magic;
    int dir; /* borrowed */
    struct journal_options options;
    size_t size; /* of a segment */
    struct segment now, next;
    size_t end;                      /* octets of now that are durable; 0: not even its head */
    uint32_t batch;                  /* the last one that was synced */
    uint64_t previous, previous_end; /* what the head of now says */
    uint64_t oldest;                 /* the oldest segment that is needed */
    uint64_t highest;                /* the highest number ever given */
    struct buf pending; /* records put and not durable; their heads lack what depends on the place */
    bool broken;
    /* The round of repeating that is on its way, if any. */
    uint64_t round_end;  /* segments below it are repeated; 0: no round */
    size_t round_octets; /* put by the owner in this round */
    size_t live;         /* the same of the last round */
    bool retiring;       /* oldest is repeated; it goes once that is durable */
};

/* --- the system's calls -------------------------------------------------------- */

static int real_create(int dir, const char *name, void *context)
{
    (void)context;
    return openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
}

static ssize_t real_write(int fd, const void *p, size_t n, off_t at, void *context)
{
    (void)context;
    return pwrite(fd, p, n, at);
}

static int real_sync(int fd, bool directory, void *context)
{
    (void)context;
    /* fdatasync of a directory need not save a new name that fitted in without growing it. */
    return directory ? fsync(fd) : fdatasync(fd);
}

static int real_remove(int dir, const char *name, void *context)
{
    (void)context;
    return unlinkat(dir, name, 0);
}

static const struct journal_io real_io = {real_create, real_write, real_sync, real_remove, NULL};

static bool write_all(const struct journal *j, int fd, const char *p, size_t n, size_t at)
{
    const struct journal_io *io = j->options.io;
    while (n > 0) {
        ssize_t done = io->write(fd, p, n, (off_t)at, io->context);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        p += done;
        n -= (size_t)done;
        at += (size_t)done;
    }
    return true;
}

static bool sync_file(const struct journal *j, int fd)
{
    const struct journal_io *io = j->options.io;
    return io->sync(fd, false, io->context) == 0;
}

static bool sync_directory(const struct journal *j)
{
    const struct journal_io *io = j->options.io;
    return io->sync(j->dir, true, io->context) == 0;
}

static bool fail(struct buf *why, const char *what, uint64_t number)
{
    if (why)
        buf_printf(why, "journal segment %08llu: %s: %s", (unsigned long long)number, what, strerror(errno));
    return false;
}

/* --- segments -------------------------------------------------------------------- */

static void segment_close(struct segment *s)
{
    if (s->fd >= 0)
        close(s->fd);
    *s = (struct segment){.fd = -1};
}

static void segment_remove(const struct journal *j, uint64_t number)
{
    const struct journal_io *io = j->options.io;
    char name[JOURNAL_FILE_NAME];
    journal_file_name(name, number);
    (void)io->remove(j->dir, name, io->context); /* what stays is removed at the next start */
}

/* Makes the next segment where there is none, and fills it with up to most octets of zeros. */
static bool segment_prepare(struct journal *j, size_t most, struct buf *why)
{
    static const char zeros[16384];
    struct segment *s = &j->next;
    if (s->fd < 0) {
        char name[JOURNAL_FILE_NAME];
        journal_file_name(name, ++j->highest);
        *s = (struct segment){.fd = j->options.io->create(j->dir, name, j->options.io->context),
                              .number = j->highest};
        if (s->fd < 0)
            return fail(why, "create", j->highest);
    }
    for (size_t done = 0; done < most && s->filled < j->size;) {
        size_t n = j->size - s->filled < sizeof zeros ? j->size - s->filled : sizeof zeros;
        if (!write_all(j, s->fd, zeros, n, s->filled))
            return fail(why, "write", s->number);
        s->filled += n;
        done += n;
    }
    if (!sync_file(j, s->fd) || (s->filled == j->size && !sync_directory(j)))
        return fail(why, "sync", s->number);
    return true;
}

/* What cannot be prepared is given up; another one is tried later. */
static void segment_give_up_next(struct journal *j)
{
    if (j->next.fd < 0)
        return;
    segment_remove(j, j->next.number);
    segment_close(&j->next);
}

/* Goes on in the next segment; what stands in the present one up to its durable end counts. */
static bool segment_turn(struct journal *j, struct buf *why)
{
    if (j->next.fd < 0 || j->next.filled < j->size) {
        if (!segment_prepare(j, j->size, why)) {
            segment_give_up_next(j);
            return false;
        }
    }
    if (j->end > 0) {
        j->previous = j->now.number;
        j->previous_end = j->end;
    }
    segment_close(&j->now);
    j->now = j->next;
    j->next = (struct segment){.fd = -1};
    j->end = 0;
    j->batch = 0;
    return true;
}

static bool segment_write_heads(const struct journal *j)
{
    struct segment_head heads[SEGMENT_HEADS];
    memset(heads, 0, sizeof heads);
    memcpy(heads[0].magic, SEGMENT_MAGIC, sizeof heads[0].magic);
    heads[0].number = j->now.number;
    heads[0].previous = j->previous;
    heads[0].previous_end = j->previous_end;
    heads[0].base = j->oldest;
    heads[0].begun_us = clock_wall_us();
    heads[0].sum = journal_head_sum(&heads[0]);
    heads[1] = heads[0];
    return write_all(j, j->now.fd, (const char *)heads, sizeof heads, 0);
}

/* --- putting and committing --------------------------------------------------------- */

static struct span cut(struct span s, size_t most)
{
    return span_slice(s, 0, most);
}

void journal_cut_texts(struct msg_journal_entry *e)
{
    e->dsn = cut(e->dsn, 32);
    e->action = cut(e->action, 32);
    e->text = cut(e->text, TEXT_MAX);
    e->diagnostic = cut(e->diagnostic, TEXT_MAX);
    e->relay = cut(e->relay, NAME_MAX_OCTETS);
    e->remote_mta = cut(e->remote_mta, NAME_MAX_OCTETS);
}

uint64_t journal_put(struct journal *j, const struct msg_journal_entry *e)
{
    CHECK_MAGIC(j, JOURNAL_MAGIC);
    size_t at = j->pending.len;
    struct record_head head = {.id_sum = journal_id_sum(e->id), .written_us = clock_wall_us()};
    buf_put(&j->pending, span_of(&head, sizeof head));
    msg_journal_entry_put(&j->pending, e);
    CHECK(!j->pending.full);
    size_t length = j->pending.len - at - sizeof head;
    CHECK(length > 0 && length <= JOURNAL_ENTRY_MAX);
    head.length = (uint32_t)length;
    memcpy(j->pending.data + at, &head, sizeof head);
    while (j->pending.len < at + record_size(length))
        buf_putc(&j->pending, '\0');
    return j->now.number;
}

uint64_t journal_segment(const struct journal *j)
{
    return j->now.number;
}

bool journal_is_dirty(const struct journal *j)
{
    return j->pending.len > 0;
}

bool journal_is_broken(const struct journal *j)
{
    return j->broken;
}

/* Completes the heads of the pending records that fit into the segment from place end on.
 * result: octets of them */
static size_t seal_records(struct journal *j, size_t end)
{
    size_t done = 0;
    while (done < j->pending.len) {
        struct record_head head;
        memcpy(&head, j->pending.data + done, sizeof head);
        size_t size = record_size(head.length);
        if (end + done + size > j->size)
            break;
        head.batch = j->batch + 1;
        head.flags = done == 0 ? RECORD_FIRST : 0;
        head.sum = journal_record_sum(&head, span_of(j->pending.data + done + sizeof head, head.length),
                                      j->now.number, end + done);
        memcpy(j->pending.data + done, &head, sizeof head);
        done += size;
    }
    return done;
}

/* One batch into the present segment. */
static bool commit_batch(struct journal *j, struct buf *why)
{
    size_t end = j->end ? j->end : SEGMENT_BEGIN;
    size_t n = seal_records(j, end);
    if (n == 0)
        return segment_turn(j, why);
    if (j->end == 0 && !segment_write_heads(j))
        return fail(why, "write", j->now.number);
    if (!write_all(j, j->now.fd, j->pending.data, n, end))
        return fail(why, "write", j->now.number);
    if (!sync_file(j, j->now.fd))
        return fail(why, "sync", j->now.number);
    j->end = end + n;
    j->batch++;
    buf_consume(&j->pending, n);
    return true;
}

bool journal_commit(struct journal *j, struct buf *why)
{
    CHECK_MAGIC(j, JOURNAL_MAGIC);
    if (j->broken && !segment_turn(j, why))
        return false;
    j->broken = false;
    while (j->pending.len > 0)
        if (!commit_batch(j, why)) {
            j->broken = true;
            return false;
        }
    return true;
}

/* --- housekeeping ---------------------------------------------------------------------- */

uint64_t journal_octets(const struct journal *j)
{
    return (j->now.number - j->oldest + 1) * j->size;
}

static void put_base(struct journal *j, uint64_t base)
{
    journal_put(j, &(struct msg_journal_entry){.event = JOURNAL_BASE, .segment = base});
}

/* The oldest segment has been repeated, durably: it goes. */
static void retire_oldest(struct journal *j)
{
    segment_remove(j, j->oldest - 1);
    j->retiring = false;
    if (j->oldest >= j->round_end) {
        j->live = j->round_octets;
        j->round_end = 0;
    }
}

static void repeat_slice(struct journal *j)
{
    size_t before = j->pending.len;
    bool more = j->options.repeat && j->options.repeat(j->oldest, JOURNAL_SLICE, j->options.context);
    j->round_octets += j->pending.len - before;
    if (more)
        return;
    j->oldest++;
    put_base(j, j->oldest);
    j->retiring = true;
}

bool journal_work(struct journal *j)
{
    CHECK_MAGIC(j, JOURNAL_MAGIC);
    if (j->broken)
        return false;
    if ((j->next.fd < 0 ? j->end > j->size / 2 : j->next.filled < j->size)) {
        if (!segment_prepare(j, JOURNAL_SLICE, NULL))
            segment_give_up_next(j);
        return true;
    }
    if (j->round_end == 0 && j->now.number > j->oldest &&
        journal_octets(j) > 2 * j->live + SEGMENTS_SPARE * j->size) {
        j->round_end = j->now.number;
        j->round_octets = 0;
    }
    if (j->round_end == 0)
        return false;
    if (journal_is_dirty(j))
        return true;
    if (j->retiring)
        retire_oldest(j);
    else
        repeat_slice(j);
    return true;
}

/* --- opening ------------------------------------------------------------------------------ */

/* Files that a crash left behind: prepared and never begun, or repeated and not removed. */
static void remove_leftovers(const struct journal *j, const struct journal_summary *summary)
{
    for (uint64_t n = summary->last + 1; n <= summary->highest && n - summary->last < 1000; n++)
        segment_remove(j, n);
    for (uint64_t n = summary->base; n-- > 1 && summary->base - n < 1000;)
        segment_remove(j, n);
}

static struct journal *journal_new(int dir, const struct journal_options *options)
{
    struct journal *j = calloc(1, sizeof *j);
    CHECK(j != NULL);
    *j = (struct journal){.magic = JOURNAL_MAGIC,
                          .dir = dir,
                          .options = *options,
                          .size = options->segment_size ? options->segment_size : JOURNAL_SEGMENT_SIZE,
                          .now = {.fd = -1},
                          .next = {.fd = -1},
                          .pending = BUF_LIMITED(PENDING_MAX)};
    CHECK(j->size >= JOURNAL_SEGMENT_MIN && j->size <= JOURNAL_SEGMENT_MAX);
    if (!j->options.io)
        j->options.io = &real_io;
    return j;
}

struct journal *journal_open(int dir, const struct journal_options *options,
                             const struct journal_reader *reader, struct journal_summary *summary,
                             struct buf *why)
{
    if (!journal_replay(dir, reader, summary, why))
        return NULL;
    struct journal *j = journal_new(dir, options);
    j->previous = summary->last;
    j->previous_end = summary->last_end;
    j->highest = summary->highest;
    j->oldest = summary->first;
    j->live = summary->octets / 2; /* a guess, until a round has told */
    remove_leftovers(j, summary);
    if (!segment_turn(j, why)) {
        journal_close(&j);
        return NULL;
    }
    if (j->oldest == 0)
        j->oldest = j->now.number;
    if (summary->damaged)
        j->round_end = j->now.number; /* what is damaged is to go, or every start would report it */
    put_base(j, j->oldest);
    if (!journal_commit(j, why))
        journal_close(&j);
    return j;
}

void journal_close(struct journal **jp)
{
    struct journal *j = *jp;
    *jp = NULL;
    if (!j)
        return;
    CHECK_MAGIC(j, JOURNAL_MAGIC);
    segment_close(&j->now);
    if (j->next.fd >= 0 && j->next.filled < j->size)
        segment_give_up_next(j);
    segment_close(&j->next);
    buf_fini(&j->pending);
    j->magic = 0;
    free(j);
}
