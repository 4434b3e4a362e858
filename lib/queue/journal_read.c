#include "lib/base/check.h"
#include "lib/queue/journal.h"
#include "lib/queue/journal_format.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

/* --- format ------------------------------------------------------------------- */

uint64_t journal_head_sum(const struct segment_head *head)
{
    return XXH3_64bits(head, offsetof(struct segment_head, sum));
}

uint32_t journal_record_sum(const struct record_head *head, struct span body, uint64_t number, uint64_t at)
{
    uint64_t seed = number << 28 ^ at;
    uint64_t of_head =
        XXH3_64bits_withSeed((const char *)head + sizeof head->sum, sizeof *head - sizeof head->sum, seed);
    return (uint32_t)XXH3_64bits_withSeed(body.p, body.n, of_head);
}

uint32_t journal_id_sum(struct span id)
{
    return (uint32_t)XXH3_64bits(id.p, id.n);
}

void journal_file_name(char name[JOURNAL_FILE_NAME], uint64_t number)
{
    snprintf(name, JOURNAL_FILE_NAME, "%08llu", (unsigned long long)number);
}

/* --- one segment ---------------------------------------------------------------- */

/* A segment being read. */
struct parse {
    struct span octets; /* of the whole file, or up to the limit */
    uint64_t number;
    bool last;         /* no other segment follows: its tail may be torn */
    bool limited;      /* all of octets had been synced, to the last */
    int64_t closed_us; /* when the segment behind it was begun; INT64_MAX where none was */
    uint32_t highest;  /* batch of any good record, once it was looked for */
    const struct journal_reader *reader;
    struct arena arena;
    uint64_t end; /* octets that are good */
    uint64_t entries, base;
    unsigned damaged;
    bool torn;
};

/* result: whether a good record begins at this place */
static bool record_at(const struct parse *p, size_t at, struct record_head *head, struct span *body)
{
    if (at > p->octets.n || p->octets.n - at < sizeof *head)
        return false;
    memcpy(head, p->octets.p + at, sizeof *head);
    if (head->length == 0 || head->length > JOURNAL_ENTRY_MAX || head->batch == 0 ||
        head->length > p->octets.n - at - sizeof *head)
        return false;
    *body = span_of(p->octets.p + at + sizeof *head, head->length);
    return journal_record_sum(head, *body, p->number, at) == head->sum;
}

/* The place of the next good record from at on. result: false: there is none */
static bool record_find(const struct parse *p, size_t *at, struct record_head *head)
{
    struct span body;
    for (; *at + sizeof *head <= p->octets.n; *at += RECORD_ALIGN)
        if (record_at(p, *at, head, &body))
            return true;
    return false;
}

/* The highest batch of the good records from at on. */
static uint32_t highest_batch(const struct parse *p, size_t at)
{
    struct record_head head;
    uint32_t most = 0;
    while (record_find(p, &at, &head)) {
        if (head.batch > most)
            most = head.batch;
        at += record_size(head.length);
    }
    return most;
}

/* The queue ID of a record that is not good, where at least that can be told. */
static struct span salvage_id(const struct parse *p, size_t at)
{
    struct record_head head;
    struct wire_field field;
    if (at > p->octets.n || p->octets.n - at < sizeof head)
        return SPAN_NONE;
    memcpy(&head, p->octets.p + at, sizeof head);
    struct span body = span_skip(p->octets, at + sizeof head);
    if (wire_next_field(&body, &field) != 1 || field.tag != 1 || field.value.n > JOURNAL_ENTRY_MAX ||
        journal_id_sum(field.value) != head.id_sum)
        return SPAN_NONE;
    return field.value;
}

static void report_damage(struct parse *p, size_t from, size_t to, struct span id, int64_t before_us)
{
    char what[160];
    p->damaged++;
    snprintf(what, sizeof what, "journal segment %08llu: octets %zu to %zu cannot be read",
             (unsigned long long)p->number, from, to);
    if (p->reader->damaged)
        p->reader->damaged(id, before_us, what, p->reader->context);
}

static bool is_zeros(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i])
            return false;
    return true;
}

/* No good record stands at this place. result: where reading goes on; the end where it does not */
static size_t parse_bad(struct parse *p, size_t at)
{
    struct record_head next;
    size_t found = at + RECORD_ALIGN;
    if (!record_find(p, &found, &next)) {
        /* Nothing behind it: the natural end, a torn tail, or the end of a closed segment gone bad. */
        bool zeros = is_zeros(span_skip(p->octets, at));
        if (p->last)
            p->torn = !zeros;
        else if (!zeros || p->limited)
            report_damage(p, at, p->octets.n, salvage_id(p, at), p->closed_us);
        return p->octets.n;
    }
    /* The bad record belongs to the batch of the next good one at most. Once a later batch was
     * written, that batch had been synced: then it has gone bad since. */
    uint32_t batch = next.flags & RECORD_FIRST ? next.batch - 1 : next.batch;
    if (p->highest == 0)
        p->highest = highest_batch(p, found);
    if (p->last && p->highest <= batch) {
        p->torn = true;
        return p->octets.n;
    }
    struct record_head head;
    memcpy(&head, p->octets.p + at, sizeof head);
    bool whole = head.length <= JOURNAL_ENTRY_MAX && at + record_size(head.length) == found;
    report_damage(p, at, found, whole ? salvage_id(p, at) : SPAN_NONE, next.written_us);
    return found;
}

static void parse_record(struct parse *p, size_t at, const struct record_head *head, struct span body)
{
    struct msg_journal_entry e;
    arena_reset(&p->arena);
    if (!msg_journal_entry_get(&p->arena, body, &e)) {
        report_damage(p, at, at + record_size(head->length), salvage_id(p, at), head->written_us);
        return;
    }
    p->entries++;
    if (e.event != JOURNAL_BASE)
        p->reader->entry(&e, head->written_us, p->number, p->reader->context);
    else if (e.segment > p->base)
        p->base = e.segment;
}

static void parse_records(struct parse *p)
{
    size_t at = SEGMENT_BEGIN;
    p->end = at;
    while (at < p->octets.n) {
        struct record_head head;
        struct span body;
        if (!record_at(p, at, &head, &body)) {
            at = parse_bad(p, at);
            continue;
        }
        parse_record(p, at, &head, body);
        at += record_size(head.length);
        p->end = at;
    }
    arena_fini(&p->arena);
}

void journal_parse(struct span octets, uint64_t number, bool last, const struct journal_reader *reader)
{
    struct parse p = {
        .octets = octets, .number = number, .last = last, .closed_us = INT64_MAX, .reader = reader};
    parse_records(&p);
}

/* --- the segments of a directory -------------------------------------------------- */

/* A file in the directory. */
struct file {
    uint64_t number;
    struct segment_head head;
    bool has_head;
    bool used;      /* belongs to the journal as it stands */
    uint64_t limit; /* octets that count; 0: all that are good */
    bool hole;      /* the segment before it is missing */
};

struct directory {
    int dir;
    struct file *files; /* owned, by number */
    size_t count;
};

static int compare_files(const void *a, const void *b)
{
    uint64_t x = ((const struct file *)a)->number, y = ((const struct file *)b)->number;
    return x < y ? -1 : x > y;
}

static bool list_files(struct directory *d, struct buf *why)
{
    int fd = openat(d->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    if (!stream) {
        buf_printf(why, "journal directory: %s", strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    for (struct dirent *entry; (entry = readdir(stream));) {
        uint64_t number;
        if (!span_to_u64(span_text(entry->d_name), UINT64_MAX >> 28, &number) || number == 0)
            continue;
        if ((d->count & (d->count - 1)) == 0) {
            d->files = realloc(d->files, (d->count ? d->count * 2 : 1) * sizeof *d->files);
            CHECK(d->files != NULL);
        }
        d->files[d->count++] = (struct file){.number = number};
    }
    closedir(stream);
    if (d->count)
        qsort(d->files, d->count, sizeof *d->files, compare_files);
    return true;
}

enum load { LOAD_OK, LOAD_ERROR, LOAD_FOREIGN };

/* The octets of a segment; what the disk does not give back reads as something that is no record.
 * result: LOAD_FOREIGN: not a file of ours; LOAD_ERROR: some or all could not be read */
static enum load load_segment(const struct directory *d, uint64_t number, struct buf *octets)
{
    char name[JOURNAL_FILE_NAME];
    struct stat st;
    journal_file_name(name, number);
    buf_clear(octets);
    int fd = openat(d->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT || errno == ELOOP || errno == ENXIO ? LOAD_FOREIGN : LOAD_ERROR;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > JOURNAL_SEGMENT_MAX) {
        close(fd);
        return LOAD_FOREIGN;
    }
    size_t size = (size_t)st.st_size;
    while (octets->len < size) {
        char *room = buf_reserve(octets, size - octets->len);
        ssize_t got = room ? pread(fd, room, size - octets->len, (off_t)octets->len) : -1;
        if (got <= 0)
            break;
        buf_grown(octets, (size_t)got);
    }
    close(fd);
    if (octets->len == size)
        return LOAD_OK;
    while (octets->len < size)
        buf_putc(octets, 'x');
    return LOAD_ERROR;
}

/* Takes a good copy of the head. */
static bool read_head(struct span octets, uint64_t number, struct segment_head *head)
{
    for (size_t i = 0; i < SEGMENT_HEADS; i++) {
        struct span copy = span_slice(octets, i * sizeof *head, (i + 1) * sizeof *head);
        if (copy.n < sizeof *head)
            return false;
        memcpy(head, copy.p, sizeof *head);
        if (memcmp(head->magic, SEGMENT_MAGIC, sizeof head->magic) == 0 && head->number == number &&
            head->sum == journal_head_sum(head))
            return true;
    }
    return false;
}

static void ignore_entry(const struct msg_journal_entry *e, int64_t written_us, uint64_t segment,
                         void *context)
{
    (void)e, (void)written_us, (void)segment, (void)context;
}

/* Whether anything was ever synced into a segment; and what it says of the base. */
static bool is_begun(const struct directory *d, struct file *f, struct buf *octets, uint64_t *base)
{
    static const struct journal_reader nobody = {.entry = ignore_entry};
    enum load loaded = load_segment(d, f->number, octets);
    if (loaded == LOAD_FOREIGN)
        return false;
    struct parse p = {.octets = buf_span(octets), .number = f->number, .last = true, .reader = &nobody};
    f->has_head = read_head(p.octets, f->number, &f->head);
    if (!f->has_head && loaded == LOAD_OK && highest_batch(&p, SEGMENT_BEGIN) < 2)
        return false;
    parse_records(&p);
    *base = f->has_head && f->head.base > p.base ? f->head.base : p.base;
    return true;
}

static struct file *find_file(const struct directory *d, uint64_t number)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->files[i].number == number)
            return &d->files[i];
    return NULL;
}

/* Marks the segments that make up the journal, going back from the last one by what each says of the
 * one before it. */
static void mark_chain(struct directory *d, struct file *f, uint64_t base, struct buf *octets)
{
    for (;;) {
        uint64_t limit = 0;
        f->used = true;
        struct file *before = f > d->files ? f - 1 : NULL;
        if (f->has_head) {
            if (f->head.previous == 0 || f->head.previous < base)
                return;
            struct file *said = find_file(d, f->head.previous);
            f->hole = said == NULL;
            limit = said ? f->head.previous_end : 0;
            before = said ? said : before;
        } else {
            f->hole = true; /* its head went bad: what it says of the one before is not known */
        }
        if (!before || before->number < base)
            return;
        f = before;
        f->limit = limit;
        f->has_head = load_segment(d, f->number, octets) != LOAD_FOREIGN &&
                      read_head(buf_span(octets), f->number, &f->head);
    }
}

static void replay_hole(const struct file *f, const struct journal_reader *reader,
                        struct journal_summary *summary)
{
    char what[160];
    if (f->has_head)
        snprintf(what, sizeof what, "journal segment %08llu is missing",
                 (unsigned long long)f->head.previous);
    else
        snprintf(what, sizeof what, "journal segment %08llu: its head cannot be read",
                 (unsigned long long)f->number);
    summary->damaged++;
    if (reader->damaged)
        reader->damaged(SPAN_NONE, f->has_head ? f->head.begun_us : INT64_MAX, what, reader->context);
}

/* closed_us: as in struct parse; last: no segment follows */
static void replay_file(const struct directory *d, const struct file *f, bool last, int64_t closed_us,
                        const struct journal_reader *reader, struct journal_summary *summary,
                        struct buf *octets)
{
    if (f->hole)
        replay_hole(f, reader, summary);
    enum load loaded = load_segment(d, f->number, octets);
    /* Shorter than it should be: what is missing reads as bad. */
    while (octets->len < f->limit && !octets->full)
        buf_putc(octets, 'x');
    struct parse p = {.octets = span_slice(buf_span(octets), 0, f->limit ? f->limit : SIZE_MAX),
                      .number = f->number,
                      .last = last && loaded == LOAD_OK,
                      .limited = f->limit > 0,
                      .closed_us = closed_us,
                      .reader = reader};
    parse_records(&p);
    if (summary->segments++ == 0)
        summary->first = f->number;
    summary->last = f->number;
    summary->last_end = p.end;
    summary->entries += p.entries;
    summary->octets += p.end - SEGMENT_BEGIN;
    summary->damaged += p.damaged;
    summary->torn = p.torn;
}

/* When the segment behind the i-th was begun. */
static int64_t closed_at(const struct directory *d, size_t i)
{
    for (i++; i < d->count; i++)
        if (d->files[i].used)
            return d->files[i].has_head ? d->files[i].head.begun_us : INT64_MAX;
    return INT64_MAX;
}

bool journal_replay(int dir, const struct journal_reader *reader, struct journal_summary *summary,
                    struct buf *why)
{
    struct directory d = {.dir = dir};
    struct buf octets = BUF_LIMITED(JOURNAL_SEGMENT_MAX + 1);
    *summary = (struct journal_summary){0};
    if (!list_files(&d, why))
        return false;
    size_t last = d.count;
    while (last > 0 && !is_begun(&d, &d.files[last - 1], &octets, &summary->base))
        last--;
    if (last > 0)
        mark_chain(&d, &d.files[last - 1], summary->base, &octets);
    for (size_t i = 0; i < last; i++)
        if (d.files[i].used)
            replay_file(&d, &d.files[i], i + 1 == last, closed_at(&d, i), reader, summary, &octets);
    if (d.count)
        summary->highest = d.files[d.count - 1].number;
    free(d.files);
    buf_fini(&octets);
    return true;
}
