#include "lib/queue/intake.h"
#include "lib/base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    INTAKE_MAGIC = 0x696e746b,
    BATCH_WRITE = 1 << 20, /* octets gathered before they are written, synced or not */
};

enum segment_state {
    SEGMENT_FREE,    /* no record in it */
    SEGMENT_CURRENT, /* being written */
    SEGMENT_CLOSED,  /* may hold records that are needed */
    SEGMENT_BROKEN,  /* an I/O error: never written again */
};

struct entry {
    uint32_t number;
    enum segment_state state;
    uint64_t generation;
};

struct intake {
    uint32_t magic;
    struct intake_config config;
    struct newfile_home home;
    struct entry *entries; /* owned */
    size_t count, cap;
    uint32_t last_number; /* the highest there is or was */
    struct buf damage;    /* files that are no segments, in words */

    int fd; /* of the current segment, owned; -1: there is none */
    struct segment_header header;
    uint64_t committed; /* octets into the segment: behind the last synced record */
    uint64_t written;   /* behind the last octet written */
    struct buf batch;   /* records behind written */
    struct buf offsets; /* uint64_t: where the records since the last commit begin in this segment */
    size_t pending;     /* records since the last commit */
    enum store_result batch_result; /* what went wrong with the batch before its commit */
    struct buf batch_why;
};

static struct entry *entry_find(const struct intake *i, uint32_t number)
{
    for (size_t at = 0; at < i->count; at++) {
        if (i->entries[at].number == number)
            return &i->entries[at];
    }
    return NULL;
}

static size_t count_state(const struct intake *i, enum segment_state state)
{
    size_t n = 0;
    for (size_t at = 0; at < i->count; at++)
        n += i->entries[at].state == state;
    return n;
}

static void entry_add(struct intake *i, uint32_t number, enum segment_state state, uint64_t generation)
{
    if (i->count == i->cap) {
        i->cap = i->cap ? i->cap * 2 : 16;
        i->entries = reallocarray(i->entries, i->cap, sizeof *i->entries);
        CHECK(i->entries != NULL);
    }
    i->entries[i->count++] = (struct entry){number, state, generation};
    if (number > i->last_number)
        i->last_number = number;
}

/* --- opening ------------------------------------------------------------------ */

static bool note_record(uint64_t offset, uint64_t length, const struct stored *s, struct span record, void *context)
{
    (void)offset, (void)length, (void)record;
    *(bool *)context |= s != NULL;
    return s == NULL; /* one is enough */
}

static void found_segment(uint32_t number, void *context)
{
    struct intake *i = context;
    struct segment_header h;
    struct buf why = BUF_INIT;
    bool has_record = false;
    int fd = segment_open(i->config.directory, i->config.slot, number, false, &h, &why);
    if (fd < 0 || !segment_scan(fd, &h, note_record, &has_record, &why)) {
        buf_printf(&i->damage, "%s%lu: %s", i->damage.len ? "; " : "", (unsigned long)number, buf_text(&why));
        if (number > i->last_number)
            i->last_number = number;
    } else {
        entry_add(i, number, has_record ? SEGMENT_CLOSED : SEGMENT_FREE, h.bond.generation);
    }
    if (fd >= 0)
        close(fd);
    buf_fini(&why);
}

struct intake *intake_open(const struct intake_config *config, struct buf *why)
{
    CHECK(config->segment_bytes >= SEGMENT_SIZE_MIN && config->segment_bytes <= SEGMENT_SIZE_MAX);
    struct intake *i = calloc(1, sizeof *i);
    CHECK(i != NULL);
    *i = (struct intake){.magic = INTAKE_MAGIC, .config = *config, .fd = -1};
    newfile_sweep(config->directory);
    i->home = newfile_probe(config->directory, config->directory);
    if (!segment_each_number(config->directory, found_segment, i, why))
        intake_close(&i);
    return i;
}

void intake_close(struct intake **where)
{
    struct intake *i = *where;
    if (!i)
        return;
    *where = NULL;
    CHECK_MAGIC(i, INTAKE_MAGIC);
    if (i->fd >= 0)
        close(i->fd);
    buf_fini(&i->damage);
    buf_fini(&i->batch);
    buf_fini(&i->offsets);
    buf_fini(&i->batch_why);
    free(i->entries);
    i->magic = 0;
    free(i);
}

const char *intake_damage(const struct intake *i)
{
    return i->damage.len ? buf_text(&i->damage) : NULL;
}

bool intake_current(const struct intake *i, uint32_t *segment, uint64_t *generation)
{
    if (i->fd < 0)
        return false;
    *segment = i->header.number;
    *generation = i->header.bond.generation;
    return true;
}

/* --- segments ----------------------------------------------------------------- */

/* A new segment file. result: as segment_make; it is in entries as SEGMENT_FREE */
static enum store_result make_segment(struct intake *i, struct buf *why)
{
    struct segment_header h = {.slot = i->config.slot, .size = i->config.segment_bytes};
    enum store_result result = STORE_EXISTS;
    for (int tries = 0; result == STORE_EXISTS && tries < 100; tries++) {
        h.number = ++i->last_number;
        segment_fresh_bond(&h.bond);
        buf_clear(why);
        result = segment_make(&i->home, &h, why);
    }
    if (result == STORE_OK)
        entry_add(i, h.number, SEGMENT_FREE, h.bond.generation);
    return result == STORE_EXISTS ? STORE_FAILED : result;
}

static struct entry *free_segment(const struct intake *i)
{
    for (size_t at = 0; at < i->count; at++) {
        if (i->entries[at].state == SEGMENT_FREE)
            return &i->entries[at];
    }
    return NULL;
}

/* Makes some free segment the current one. */
static enum store_result open_current(struct intake *i, struct buf *why)
{
    struct entry *e;
    while ((e = free_segment(i))) {
        i->fd = segment_open(i->config.directory, i->config.slot, e->number, true, &i->header, why);
        /* A generation for this use; it becomes safe with the first batch. */
        if (i->fd >= 0 && segment_renew(i->fd, &i->header, why) == STORE_OK)
            break;
        e->state = SEGMENT_BROKEN;
        if (i->fd >= 0)
            close(i->fd);
        i->fd = -1;
    }
    if (!e) {
        enum store_result made = make_segment(i, why);
        return made == STORE_OK ? open_current(i, why) : made;
    }
    e->state = SEGMENT_CURRENT;
    e->generation = i->header.bond.generation;
    i->committed = i->written = SEGMENT_DATA;
    return STORE_OK;
}

static void leave_current(struct intake *i, enum segment_state state)
{
    entry_find(i, i->header.number)->state = state;
    close(i->fd);
    i->fd = -1;
}

static bool wants_spare(const struct intake *i)
{
    return i->fd >= 0 && i->written > i->header.size / 2 && !free_segment(i);
}

bool intake_is_prepared(const struct intake *i)
{
    return i->fd >= 0 && !wants_spare(i);
}

enum store_result intake_prepare(struct intake *i, struct buf *why)
{
    enum store_result result = i->fd < 0 ? open_current(i, why) : STORE_OK;
    if (result == STORE_OK && wants_spare(i))
        result = make_segment(i, why);
    return result;
}

/* --- records ------------------------------------------------------------------ */

bool intake_takes(size_t envelope, uint64_t text)
{
    return envelope <= SEGMENT_RECORD_MAX && text <= SEGMENT_RECORD_MAX &&
           stored_length(envelope, text) <= SEGMENT_RECORD_MAX;
}

size_t intake_pending(const struct intake *i)
{
    return i->pending;
}

/* The records since the last commit do not count: takes away the headers of those that were
 * written, so that no later scan finds them (their senders were told that they are not stored).
 * Where even that fails, a message may come twice, as after a lost answer. */
static void void_batch(struct intake *i)
{
    static const char zeros[STORED_HEADER];
    struct buf ignored = BUF_INIT;
    for (size_t at = 0; at < i->offsets.len; at += sizeof(uint64_t)) {
        uint64_t offset;
        memcpy(&offset, i->offsets.data + at, sizeof offset);
        (void)store_write(i->fd, span_of(zeros, sizeof zeros), offset, &ignored);
    }
    buf_fini(&ignored);
    buf_clear(&i->offsets);
    buf_clear(&i->batch);
    i->written = i->committed;
}

static void fail_batch(struct intake *i, enum store_result result, struct span why)
{
    void_batch(i);
    if (result == STORE_FAILED)
        leave_current(i, SEGMENT_BROKEN);
    if (i->batch_result != STORE_FAILED) { /* the worst counts */
        i->batch_result = result;
        buf_clear(&i->batch_why);
        buf_put(&i->batch_why, why);
    }
}

static void write_batch(struct intake *i)
{
    struct buf why = BUF_INIT;
    if (i->batch.len > 0 && i->batch_result == STORE_OK) {
        enum store_result result = store_write(i->fd, buf_span(&i->batch), i->written, &why);
        if (result == STORE_OK) {
            i->written += i->batch.len;
            buf_clear(&i->batch);
        } else {
            fail_batch(i, result, buf_span(&why));
        }
    }
    buf_fini(&why);
}

/* Zeros up to the next block, so that no later batch writes into a block of this one. */
static void pad_batch(struct intake *i)
{
    static const char zeros[SEGMENT_BLOCK];
    uint64_t end = i->written + i->batch.len;
    uint64_t n = -end & (SEGMENT_BLOCK - 1);
    if (end > i->committed && n <= i->header.size - end)
        buf_put(&i->batch, span_of(zeros, (size_t)n));
}

/* Writes and syncs what belongs to the current segment. */
static void sync_batch(struct intake *i)
{
    if (i->fd >= 0 && i->batch_result == STORE_OK)
        pad_batch(i);
    write_batch(i);
    if (i->batch_result != STORE_OK || i->fd < 0 || i->written == i->committed)
        return;
    if (fdatasync(i->fd) != 0) {
        struct buf why = BUF_INIT;
        store_put_error(&why, "sync of the intake log", errno);
        fail_batch(i, STORE_FAILED, buf_span(&why));
        buf_fini(&why);
        return;
    }
    i->committed = i->written;
    buf_clear(&i->offsets);
}

/* Whether the current segment has room for length more octets; goes on to the next where not. */
static enum store_result find_room(struct intake *i, uint64_t length, struct buf *why)
{
    if (i->fd >= 0 && i->written + i->batch.len + length > i->header.size) {
        sync_batch(i);
        if (i->batch_result == STORE_OK)
            leave_current(i, SEGMENT_CLOSED);
    }
    if (i->batch_result != STORE_OK) {
        buf_put(why, buf_span(&i->batch_why));
        return i->batch_result;
    }
    return i->fd >= 0 ? STORE_OK : open_current(i, why);
}

enum store_result intake_append(struct intake *i, const struct queue_id *id, struct span envelope, struct span text,
                                struct intake_place *place, struct buf *why)
{
    CHECK_MAGIC(i, INTAKE_MAGIC);
    CHECK(intake_takes(envelope.n, text.n));
    uint64_t length = stored_length(envelope.n, text.n);
    enum store_result result = find_room(i, length, why);
    if (result != STORE_OK)
        return result;
    uint64_t offset = i->written + i->batch.len;
    *place = (struct intake_place){.slot = i->config.slot, .segment = i->header.number,
                                   .generation = i->header.bond.generation, .offset = offset, .length = length};
    stored_put(&i->batch, &i->header.bond, id, envelope, text);
    buf_put(&i->offsets, span_of(&offset, sizeof offset));
    i->pending++;
    if (i->batch.len >= BATCH_WRITE)
        write_batch(i); /* an error is told at the commit */
    return STORE_OK;
}

enum store_result intake_commit(struct intake *i, struct buf *why)
{
    CHECK_MAGIC(i, INTAKE_MAGIC);
    sync_batch(i);
    enum store_result result = i->batch_result;
    if (result != STORE_OK)
        buf_put(why, buf_span(&i->batch_why));
    buf_clear(&i->batch_why);
    i->batch_result = STORE_OK;
    i->pending = 0;
    return result;
}

/* --- recycling ---------------------------------------------------------------- */

static enum store_result remove_segment(struct intake *i, struct entry *e, struct buf *why)
{
    char name[SEGMENT_NAME_MAX];
    segment_put_name(name, e->number);
    if (unlinkat(i->config.directory, name, 0) != 0 && errno != ENOENT) {
        store_put_error(why, "removing the segment", errno);
        return STORE_FAILED;
    }
    if (!store_sync_directory(i->config.directory, why))
        return STORE_FAILED;
    *e = i->entries[--i->count];
    return STORE_OK;
}

static enum store_result renew_segment(struct intake *i, struct entry *e, struct buf *why)
{
    struct segment_header h;
    int fd = segment_open(i->config.directory, i->config.slot, e->number, true, &h, why);
    if (fd < 0)
        return STORE_FAILED;
    enum store_result result = segment_renew(fd, &h, why);
    if (result == STORE_OK && fdatasync(fd) != 0) {
        store_put_error(why, "sync of the segment", errno);
        result = STORE_FAILED;
    }
    close(fd);
    e->state = result == STORE_OK ? SEGMENT_FREE : SEGMENT_BROKEN;
    e->generation = h.bond.generation;
    return result == STORE_OK ? STORE_OK : STORE_FAILED;
}

enum store_result intake_recycle(struct intake *i, uint32_t segment, uint64_t generation, struct buf *why)
{
    CHECK_MAGIC(i, INTAKE_MAGIC);
    struct entry *e = entry_find(i, segment);
    if (!e || e->state == SEGMENT_CURRENT)
        return STORE_EXISTS;
    if (generation < e->generation) /* done before; the answer was lost */
        return STORE_OK;
    if (generation > e->generation)
        return STORE_EXISTS;
    if (e->state == SEGMENT_FREE)
        return STORE_OK;
    if (e->state == SEGMENT_BROKEN || count_state(i, SEGMENT_FREE) >= i->config.spare_max)
        return remove_segment(i, e, why);
    return renew_segment(i, e, why);
}

bool intake_fetch(struct intake *i, struct arena *a, const struct intake_place *place, struct stored *s,
                  struct span *text, struct buf *why)
{
    struct segment_header h;
    if (place->slot != i->config.slot) {
        buf_puts(why, "another slot's message");
        return false;
    }
    int fd = segment_open(i->config.directory, place->slot, place->segment, false, &h, why);
    if (fd < 0)
        return false;
    bool good = h.bond.generation == place->generation;
    if (!good)
        buf_puts(why, "the segment has been used anew");
    else
        good = segment_read(a, fd, &h, place->offset, place->length, s, text, why);
    close(fd);
    return good;
}
