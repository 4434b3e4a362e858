/* The queue as the disk has it, for when the server is down: the stored messages, and what the journal
 * says of them. */
#include "cli/postqueue/postqueue.h"

#include "lib/base/check.h"
#include "lib/base/map.h"
#include "lib/queue/journal.h"
#include "lib/queue/reader.h"
#include "lib/queue/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { NUMBERS_MAX = 1000000 }; /* a higher recipient number in the journal is nonsense */

/* What the journal says of one message. */
struct told {
    struct queue_id id;
    bool held, over; /* over: finished or deleted */
    uint32_t count;
    struct told_recipient {
        bool done;
        char *reason; /* owned; NULL: none */
    } * recipients;   /* owned, by number - 1 */
};

struct direct {
    struct printer *printer;
    struct map told; /* id -> struct told, owned */
    struct map seen; /* id -> struct queue_id, owned: a message can lie in two places */
    struct spool spool;
    bool incomplete;
};

static struct told *told_of(struct direct *d, struct span id)
{
    struct told *t = map_get(&d->told, id);
    struct queue_id parsed;
    if (t || !queue_id_parse(id, &parsed))
        return t;
    t = calloc(1, sizeof *t);
    CHECK(t != NULL);
    t->id = parsed;
    map_set(&d->told, queue_id_span(&t->id), t);
    return t;
}

static struct told_recipient *told_recipient(struct told *t, uint64_t number)
{
    if (number == 0 || number > NUMBERS_MAX)
        return NULL;
    if (number > t->count) {
        t->recipients = realloc(t->recipients, number * sizeof *t->recipients);
        CHECK(t->recipients != NULL);
        memset(t->recipients + t->count, 0, (number - t->count) * sizeof *t->recipients);
        t->count = (uint32_t)number;
    }
    return &t->recipients[number - 1];
}

static void take_entry(const struct msg_journal_entry *e, int64_t written_us, uint64_t segment, void *context)
{
    struct told *t = told_of(context, e->id);
    (void)written_us, (void)segment;
    if (!t)
        return;
    struct told_recipient *r = told_recipient(t, e->recipient);
    if (r && e->event >= JOURNAL_DONE && e->event <= JOURNAL_FAILED) {
        free(r->reason);
        r->reason = e->event == JOURNAL_DEFERRED ? strndup(e->text.n ? e->text.p : "", e->text.n) : NULL;
        r->done = e->event != JOURNAL_DEFERRED;
    }
    t->held = e->event == JOURNAL_HELD || (t->held && e->event != JOURNAL_RELEASED);
    t->over = t->over || e->event == JOURNAL_FINISHED || e->event == JOURNAL_DELETED;
    if (e->event == JOURNAL_STATE) {
        t->held = e->flags & JOURNAL_IS_HELD;
        t->over = e->flags & JOURNAL_IS_FINISHED;
    }
}

static void note_damage(struct span id, int64_t before_us, const char *what, void *context)
{
    (void)id, (void)before_us, (void)context;
    fprintf(stderr, "postqueue: warning: %s\n", what);
}

/* --- messages --------------------------------------------------------------------------- */

static bool is_seen(struct direct *d, const struct queue_id *id)
{
    if (map_get(&d->seen, queue_id_span(id)))
        return true;
    struct queue_id *copy = malloc(sizeof *copy);
    CHECK(copy != NULL);
    *copy = *id;
    map_set(&d->seen, queue_id_span(copy), copy);
    return false;
}

static void show(struct direct *d, const struct stored *st)
{
    struct told *t = map_get(&d->told, queue_id_span(&st->id));
    struct arena a = ARENA_INIT;
    const struct msg_stored_envelope *e = &st->envelope;
    struct msg_tool_message m = {.id = queue_id_span(&st->id),
                                 .state = t && t->held ? TOOL_IS_HELD : TOOL_IS_INCOMING,
                                 .arrival_us = e->arrival_us,
                                 .size = e->text_size,
                                 .sender = e->sender};
    if (is_seen(d, &st->id) || (t && t->over))
        return;
    m.recipients.at = arena_calloc(&a, e->recipients.n, sizeof *m.recipients.at);
    for (size_t i = 0; i < e->recipients.n; i++) {
        const struct told_recipient *r = t && i < t->count ? &t->recipients[i] : NULL;
        if (r && r->done)
            continue;
        struct msg_tool_recipient *to = &m.recipients.at[m.recipients.n++];
        to->address = e->recipients.at[i].address;
        if (r && r->reason) {
            to->reason = span_text(r->reason);
            m.state = m.state == TOOL_IS_HELD ? TOOL_IS_HELD : TOOL_IS_DEFERRED;
        }
    }
    if (m.recipients.n)
        print_message(d->printer, &m);
    arena_fini(&a);
}

static void found_message(const struct intake_place *at, const struct stored *st, struct span text,
                          void *context)
{
    (void)at, (void)text;
    show(context, st);
}

static void found_segment(uint32_t slot, uint32_t number, uint64_t generation, uint64_t messages,
                          void *context)
{
    (void)slot, (void)number, (void)generation, (void)messages, (void)context;
}

static void found_damage(uint32_t slot, const char *what, void *context)
{
    (void)context;
    fprintf(stderr, "postqueue: warning: intake/%lu: %s\n", (unsigned long)slot, what);
}

static void found_file(const struct queue_id *id, void *context)
{
    struct direct *d = context;
    struct arena a = ARENA_INIT;
    struct buf why = BUF_INIT;
    struct stored st;
    int fd = -1;
    if (spool_get(&d->spool, &a, id, &st, &fd, &why) == SPOOL_GOOD)
        show(d, &st);
    else
        fprintf(stderr, "postqueue: warning: %s: %s\n", id->text, buf_text(&why));
    if (fd >= 0)
        close(fd);
    buf_fini(&why);
    arena_fini(&a);
}

static void found_other(const char *name, void *context)
{
    (void)name, (void)context;
}

static void direct_fini(struct direct *d)
{
    size_t at = 0;
    for (struct told *t; (t = map_next(&d->told, &at));) {
        for (uint32_t i = 0; i < t->count; i++)
            free(t->recipients[i].reason);
        free(t->recipients);
        free(t);
    }
    at = 0;
    for (struct queue_id *id; (id = map_next(&d->seen, &at));)
        free(id);
    map_fini(&d->told);
    map_fini(&d->seen);
}

static int open_directory(const char *name, struct buf *why)
{
    int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        buf_printf(why, "%s: %s", name, strerror(errno));
    return fd;
}

static bool read_all(struct direct *d, int journal, int intake, int queue, struct buf *why)
{
    static const struct intake_visitor log_visitor = {found_message, found_segment, found_damage};
    static const struct spool_visitor file_visitor = {found_file, found_other};
    struct journal_reader reader = {take_entry, note_damage, d};
    struct journal_summary summary;
    if (!journal_replay(journal, &reader, &summary, why))
        return false;
    d->spool = spool_open(queue, -1);
    return intake_scan(intake, &log_visitor, d, why) && spool_scan(&d->spool, &file_visitor, d, why);
}

bool direct_list(struct printer *p, struct buf *why)
{
    struct direct d = {.printer = p};
    int journal = open_directory("journal", why), intake = -1, queue = -1;
    bool good = journal >= 0 && (intake = open_directory("intake", why)) >= 0 &&
                (queue = open_directory("queue", why)) >= 0 && read_all(&d, journal, intake, queue, why);
    direct_fini(&d);
    if (journal >= 0)
        close(journal);
    if (intake >= 0)
        close(intake);
    if (queue >= 0)
        close(queue);
    return good;
}
