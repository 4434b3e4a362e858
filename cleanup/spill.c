#include "cleanup/cleanup.h"
#include "lib/base/check.h"

#include <stdlib.h>

/* A message that is to become a file. */
struct spill {
    struct list node;
    struct queue_id id;
    struct intake_place place;
    struct spool_file file;
    struct buf error;
    bool begun;
};

void spill_add(struct cleanup *c, const struct msg_spill *m)
{
    struct spill *s = calloc(1, sizeof *s);
    CHECK(s != NULL);
    s->place = (struct intake_place){.slot = c->slot, .segment = (uint32_t)(m->segment - 1),
                                     .generation = m->generation, .offset = m->offset, .length = m->length};
    if (m->segment == 0 || m->segment > UINT32_MAX || !queue_id_parse(m->id, &s->id)) {
        free(s);
        return;
    }
    list_push(&c->spills, &s->node);
    loop_defer(proc_loop(c->proc), &c->commit);
}

/* Reads the record and writes its file, up to the commit. */
static void begin(struct cleanup *c, struct spill *s)
{
    struct arena a = ARENA_INIT;
    struct stored st;
    struct span text;
    bool good = intake_fetch(c->intake, &a, &s->place, &st, &text, &s->error);
    if (good && queue_id_compare(&st.id, &s->id) != 0) {
        buf_puts(&s->error, "another message lies there");
        good = false;
    }
    if (good) {
        /* The envelope goes over as it is, octet by octet. */
        const char *record = text.p - st.text_offset;
        struct span envelope = span_of(record + STORED_HEADER, (size_t)st.text_offset - STORED_HEADER - STORED_HASH);
        good = spool_begin(&c->spool, &s->file, &s->id, envelope, text.n, &s->error) == STORE_OK;
    }
    if (good) {
        good = spool_put(&s->file, text, &s->error) == STORE_OK && spool_end(&s->file, &s->error) == STORE_OK;
        if (!good)
            spool_drop(&s->file);
    }
    s->begun = good;
    arena_fini(&a);
}

size_t spill_begin(struct cleanup *c, struct spool_file **files, size_t room)
{
    size_t n = 0;
    LIST_EACH (node, after, &c->spills) {
        struct spill *s = LIST_ENTRY(node, struct spill, node);
        if (n == room)
            break;
        if (!s->begun && s->error.len == 0)
            begin(c, s);
        if (s->begun)
            files[n++] = &s->file;
    }
    return n;
}

void spill_tell(struct cleanup *c)
{
    LIST_EACH (node, after, &c->spills) {
        struct spill *s = LIST_ENTRY(node, struct spill, node);
        if (!s->begun && s->error.len == 0) /* its turn comes with the next commit */
            continue;
        if (s->begun && s->file.result != STORE_OK)
            buf_puts(&s->error, "it could not be made safe");
        struct buf body = BUF_INIT;
        msg_spilled_put(&body, &(struct msg_spilled){.id = queue_id_span(&s->id), .error = buf_span(&s->error)});
        if (c->qmgr)
            (void)channel_notify(c->qmgr, MSG_spilled, buf_span(&body), NULL, 0);
        buf_fini(&body);
        buf_fini(&s->error);
        list_remove(node);
        free(s);
    }
}
