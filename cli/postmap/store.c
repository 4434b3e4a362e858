#include "cli/postmap/store.h"

#include <cdb.h>
#include <errno.h>
#include <unistd.h>

struct store_entry {
    struct span key, value; /* in the arena, each with a NUL behind it */
    bool is_gone;
    struct store_entry *next;
};

void store_init(struct store *s)
{
    *s = (struct store){0};
    s->last = &s->first;
}

void store_fini(struct store *s)
{
    map_fini(&s->by_key);
    arena_fini(&s->arena);
}

bool store_put(struct store *s, struct span key, struct span value, bool replaces)
{
    struct store_entry *e = map_get(&s->by_key, key);
    if (e && replaces)
        e->value = arena_dup(&s->arena, value);
    if (e)
        return false;
    e = ARENA_NEW(&s->arena, struct store_entry);
    e->key = arena_dup(&s->arena, key);
    e->value = arena_dup(&s->arena, value);
    map_set(&s->by_key, e->key, e);
    *s->last = e;
    s->last = &e->next;
    return true;
}

bool store_remove(struct store *s, struct span key)
{
    struct store_entry *e = map_remove(&s->by_key, key);
    if (e)
        e->is_gone = true;
    return e != NULL;
}

static bool fault(struct buf *why)
{
    buf_puts(why, strerror(errno));
    return false;
}

bool store_write(const struct store *s, bool has_nul, int fd, struct buf *why)
{
    struct cdb_make make;
    unsigned end = has_nul ? 1 : 0;
    if (cdb_make_start(&make, fd) < 0)
        return fault(why);
    int result = 0;
    for (const struct store_entry *e = s->first; e && result == 0; e = e->next) {
        if (!e->is_gone)
            result = cdb_make_add(&make, e->key.p, (unsigned)e->key.n + end, e->value.p, (unsigned)e->value.n + end);
    }
    int error = errno;
    int finished = cdb_make_finish(&make); /* frees, too */
    if (result < 0)
        errno = error;
    return (result == 0 && finished == 0 && fsync(fd) == 0) || fault(why);
}
