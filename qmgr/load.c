#include "qmgr/load.h"
#include "lib/base/check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static struct loaded *loaded_new(struct message *m)
{
    struct loaded *l = calloc(1, sizeof *l);
    CHECK(l != NULL);
    l->message = m;
    l->fd = -1;
    list_init(&l->node);
    return l;
}

static void loaded_free(struct loaded *l)
{
    if (l->fd >= 0)
        close(l->fd);
    arena_fini(&l->arena);
    free(l);
}

void load_drop(struct qmgr *q, struct message *m)
{
    struct loaded *l = m->loaded;
    if (!l)
        return;
    m->loaded = NULL;
    q->load_octets -= l->octets;
    q->load_count--;
    list_remove(&l->node);
    loaded_free(l);
}

/* Room for one more of this size: those that were used longest ago go. */
static void make_room(struct qmgr *q, size_t octets)
{
    while (!list_empty(&q->loads) &&
           (q->load_octets + octets > LOAD_OCTETS_MAX || q->load_count >= LOAD_COUNT_MAX))
        load_drop(q, LIST_ENTRY(q->loads.next, struct loaded, node)->message);
}

static void keep(struct qmgr *q, struct message *m, struct loaded *l)
{
    l->octets = l->arena.used + sizeof *l;
    make_room(q, l->octets);
    m->loaded = l;
    q->load_octets += l->octets;
    q->load_count++;
    list_push(&q->loads, &l->node);
}

bool load_keep(struct qmgr *q, struct message *m, struct span envelope, struct span text)
{
    if (q->load_octets + envelope.n + text.n > LOAD_OCTETS_MAX || q->load_count >= LOAD_COUNT_MAX)
        return false;
    struct loaded *l = loaded_new(m);
    if (!msg_stored_envelope_get(&l->arena, arena_dup(&l->arena, envelope), &l->envelope) ||
        l->envelope.recipients.n != m->recipient_count) {
        loaded_free(l);
        return false;
    }
    l->text = arena_dup(&l->arena, text);
    keep(q, m, l);
    return true;
}

static bool read_file(struct qmgr *q, struct message *m, struct loaded *l, bool *later, struct buf *why)
{
    struct stored st;
    enum spool_found found = spool_get(&q->spool, &l->arena, &m->id, &st, &l->fd, why);
    *later = found == SPOOL_ERROR;
    if (found != SPOOL_GOOD)
        return false;
    l->envelope = st.envelope;
    l->text_offset = st.text_offset;
    return true;
}

/* A text that is too long for a frame goes to agents as a descriptor: of a file in memory that nobody can
 * change, as the log itself holds other messages too. */
static bool to_memory_file(struct loaded *l, struct buf *why)
{
    l->fd = memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (l->fd >= 0 && store_write(l->fd, l->text, 0, why) == STORE_OK &&
        fcntl(l->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0)
        return true;
    buf_puts(why, "no memory for its text");
    return false;
}

static bool read_log(struct qmgr *q, struct message *m, struct loaded *l, struct buf *why)
{
    struct intake_place at = {.slot = m->place.slot,
                              .segment = m->place.segment - 1,
                              .generation = m->place.generation,
                              .offset = m->place.offset,
                              .length = m->place.length};
    struct stored st;
    if (!intake_reader_get(q->reader, &l->arena, &at, &st, &l->text, why))
        return false;
    l->envelope = st.envelope;
    return l->text.n <= SUBMIT_INLINE_MAX || to_memory_file(l, why);
}

struct loaded *load_get(struct qmgr *q, struct message *m, bool *later, struct buf *why)
{
    *later = false;
    if (m->loaded) {
        list_remove(&m->loaded->node);
        list_push(&q->loads, &m->loaded->node);
        return m->loaded;
    }
    struct loaded *l = loaded_new(m);
    bool good = m->flags & MESSAGE_FILE ? read_file(q, m, l, later, why) : read_log(q, m, l, why);
    if (good && l->envelope.recipients.n != m->recipient_count) {
        buf_puts(why, "its recipients are not those that were read before");
        good = false;
    }
    if (!good) {
        loaded_free(l);
        return NULL;
    }
    keep(q, m, l);
    return l;
}

const struct msg_recipient *load_recipient(const struct loaded *l, uint32_t index)
{
    CHECK(index < l->envelope.recipients.n);
    return &l->envelope.recipients.at[index];
}
