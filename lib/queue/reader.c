#include "lib/queue/reader.h"
#include "lib/base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { OPEN_SEGMENTS = 32 };

struct scan {
    const struct intake_visitor *v;
    void *context;
    int directory; /* of the slot */
    uint32_t slot;
    struct segment_header header; /* of the segment being read */
    uint64_t messages;
};

static bool scan_found(uint64_t offset, uint64_t length, const struct stored *s, struct span record, void *context)
{
    struct scan *scan = context;
    if (!s) {
        struct buf what = BUF_INIT;
        buf_printf(&what, "segment %lu: %llu damaged octets at %llu", (unsigned long)scan->header.number,
                   (unsigned long long)length, (unsigned long long)offset);
        scan->v->damage(scan->slot, buf_text(&what), scan->context);
        buf_fini(&what);
        return true;
    }
    struct intake_place at = {.slot = scan->slot, .segment = scan->header.number,
                              .generation = scan->header.bond.generation, .offset = offset, .length = length};
    scan->messages++;
    scan->v->message(&at, s, span_slice(record, (size_t)s->text_offset, (size_t)(s->text_offset + s->text_size)),
                     scan->context);
    return true;
}

static void scan_segment(uint32_t number, void *context)
{
    struct scan *scan = context;
    struct buf why = BUF_INIT;
    int fd = segment_open(scan->directory, scan->slot, number, false, &scan->header, &why);
    bool good = fd >= 0;
    scan->messages = 0;
    if (good && (good = segment_scan(fd, &scan->header, scan_found, scan, &why)))
        scan->v->segment(scan->slot, number, scan->header.bond.generation, scan->messages, scan->context);
    if (!good) {
        struct buf what = BUF_INIT;
        buf_printf(&what, "segment %lu: %s", (unsigned long)number, buf_text(&why));
        scan->v->damage(scan->slot, buf_text(&what), scan->context);
        buf_fini(&what);
    }
    if (fd >= 0)
        close(fd);
    buf_fini(&why);
}

static int open_slot(int directory, uint32_t slot)
{
    char name[SEGMENT_NAME_MAX];
    segment_put_name(name, slot);
    return openat(directory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

bool intake_scan_slot(int directory, uint32_t slot, const struct intake_visitor *v, void *context, struct buf *why)
{
    struct scan scan = {.v = v, .context = context, .slot = slot};
    scan.directory = open_slot(directory, slot);
    if (scan.directory < 0) {
        if (errno == ENOENT)
            return true;
        store_put_error(why, "opening the slot's directory", errno);
        return false;
    }
    bool good = segment_each_number(scan.directory, scan_segment, &scan, why);
    close(scan.directory);
    return good;
}

struct scan_all {
    const struct intake_visitor *v;
    void *context;
    int directory;
};

static void scan_slot(uint32_t slot, void *context)
{
    struct scan_all *all = context;
    struct buf why = BUF_INIT;
    if (!intake_scan_slot(all->directory, slot, all->v, all->context, &why))
        all->v->damage(slot, buf_text(&why), all->context);
    buf_fini(&why);
}

bool intake_scan(int directory, const struct intake_visitor *v, void *context, struct buf *why)
{
    struct scan_all all = {v, context, directory};
    return segment_each_number(directory, scan_slot, &all, why);
}

/* --- single records ----------------------------------------------------------- */

struct opened {
    int fd; /* owned; -1: unused */
    struct segment_header header;
    uint64_t used; /* when, as a count */
};

struct intake_reader {
    int directory;
    uint64_t uses;
    struct opened open[OPEN_SEGMENTS];
};

struct intake_reader *intake_reader_new(int directory)
{
    struct intake_reader *r = calloc(1, sizeof *r);
    CHECK(r != NULL);
    r->directory = directory;
    for (int i = 0; i < OPEN_SEGMENTS; i++)
        r->open[i].fd = -1;
    return r;
}

static void forget(struct opened *o)
{
    if (o->fd >= 0)
        close(o->fd);
    o->fd = -1;
    o->used = 0;
}

void intake_reader_free(struct intake_reader **where)
{
    struct intake_reader *r = *where;
    *where = NULL;
    for (int i = 0; r && i < OPEN_SEGMENTS; i++)
        forget(&r->open[i]);
    free(r);
}

/* The one that is open, or else the place of the least recently used. */
static struct opened *find(struct intake_reader *r, const struct intake_place *at)
{
    struct opened *oldest = &r->open[0];
    for (int i = 0; i < OPEN_SEGMENTS; i++) {
        struct opened *o = &r->open[i];
        if (o->fd >= 0 && o->header.slot == at->slot && o->header.number == at->segment)
            return o;
        if (o->used < oldest->used)
            oldest = o;
    }
    forget(oldest);
    return oldest;
}

static bool open_segment(struct intake_reader *r, struct opened *o, const struct intake_place *at, struct buf *why)
{
    int slot = open_slot(r->directory, at->slot);
    if (slot < 0) {
        store_put_error(why, "opening the slot's directory", errno);
        return false;
    }
    forget(o);
    o->fd = segment_open(slot, at->slot, at->segment, false, &o->header, why);
    close(slot);
    return o->fd >= 0;
}

bool intake_reader_get(struct intake_reader *r, struct arena *a, const struct intake_place *at, struct stored *s,
                       struct span *text, struct buf *why)
{
    struct opened *o = find(r, at);
    if ((o->fd < 0 || o->header.bond.generation != at->generation) && !open_segment(r, o, at, why))
        return false;
    o->used = ++r->uses;
    if (o->header.bond.generation != at->generation) {
        buf_puts(why, "the segment has been used anew");
        return false;
    }
    return segment_read(a, o->fd, &o->header, at->offset, at->length, s, text, why);
}

void intake_reader_forget(struct intake_reader *r, uint32_t slot, uint32_t segment)
{
    for (int i = 0; i < OPEN_SEGMENTS; i++) {
        struct opened *o = &r->open[i];
        if (o->fd >= 0 && o->header.slot == slot && o->header.number == segment)
            forget(o);
    }
}
