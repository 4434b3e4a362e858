#include "lib/base/clock.h"
#include "lib/log/log.h"
#include "pickup/pickup.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* What is remembered of a file in maildrop/. */
static char told[] = "told"; /* it is not ours to take: said once */
static char done[] = "done"; /* it was submitted, but could not be removed: not again */

/* result: whether this is new */
static bool remember(struct pickup *p, const struct queue_id *id, char *what)
{
    if (map_get(&p->told, queue_id_span(id)) == what)
        return false;
    if (p->told.count >= TOLD_MAX && what == told)
        return false;
    map_set(&p->told, arena_dup(&p->told_arena, queue_id_span(id)), what);
    return true;
}

static void leave_alone(struct pickup *p, const char *name, const struct drop_file *f, struct span why)
{
    /* What cannot be opened has no ID: its name makes one. */
    struct queue_id id = f->id;
    if (!id.text[0])
        id = queue_id_make(0, map_hash(span_text(name)));
    if (remember(p, &id, told))
        log_warning("maildrop/%s (uid=%u) is left alone: %.*s", name, f->uid, SPAN_ARG(why));
}

static void remove_file(struct pickup *p, const char *name, const struct drop_file *f)
{
    struct buf why = BUF_INIT;
    if (!maildrop_remove(p->maildrop, name, f, &why) && remember(p, &f->id, done))
        log_error("%s: maildrop/%s has been taken but cannot be removed: %s: remove it by hand", f->id.text, name,
                  buf_text(&why));
    buf_fini(&why);
}

/* result: false: there is no use in trying others now */
static bool take(struct pickup *p, const char *name, const struct drop_file *f)
{
    struct arena a = ARENA_INIT;
    struct submission s = {.fd = f->fd, .size = f->size, .uid = f->uid, .id = f->id};
    struct outcome o = submission_take(&p->config, &p->services, &s, &a);
    bool settled = o.class == 0 || (o.class == 5 && !o.unreadable &&
                                    submission_tell_sender(&p->services, &s, &o, &f->notice, &a));
    if (settled)
        remove_file(p, name, f);
    else if (o.unreadable)
        leave_alone(p, name, f, o.text);
    arena_fini(&a);
    return !o.unserved;
}

void scan_begin(struct pickup *p)
{
    if (p->walk || p->maildrop < 0)
        return;
    p->walk = maildrop_walk(p->maildrop);
    if (!p->walk)
        log_error("maildrop cannot be read: %s", strerror(errno));
}

static void scan_end(struct pickup *p)
{
    closedir(p->walk);
    p->walk = NULL;
}

bool scan_take_next(struct pickup *p)
{
    struct buf why = BUF_INIT;
    struct drop_file f;
    const char *found = p->walk ? maildrop_next(p->walk, clock_wall()) : NULL;
    char name[NAME_MAX + 1];
    bool go_on = found != NULL;
    if (found) {
        snprintf(name, sizeof name, "%s", found); /* the walk's own lasts until the next step only */
        enum maildrop_result result = maildrop_take(p->maildrop, name, &f, &why);
        if (result == MAILDROP_FOREIGN)
            leave_alone(p, name, &f, buf_span(&why));
        else if (result == MAILDROP_TAKEN && map_get(&p->told, queue_id_span(&f.id)) == done)
            remove_file(p, name, &f);
        else if (result == MAILDROP_TAKEN)
            go_on = take(p, name, &f);
        maildrop_close(&f);
    }
    if (!go_on && p->walk)
        scan_end(p);
    buf_fini(&why);
    return go_on;
}
