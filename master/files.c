#include "master/files.h"

#include "lib/base/check.h"
#include "lib/base/list.h"
#include "lib/base/map.h"
#include "lib/log/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SETTLE_MS = 100 }; /* several events about a file make one change */

struct watched {
    struct list node;
    char *path;     /* owned */
    size_t name;    /* where its last part begins */
    int directory;  /* the inotify watch; -1: none */
    int fd, error;  /* -1 with an errno where it is not open */
    bool unopened;  /* files_watch() */
    bool changed;
};

struct files {
    struct loop *loop;
    int inotify; /* -1: the kernel has none left; changes then wait for a reload */
    struct watch *watch;
    struct timer settle;
    struct list all;
    struct map by_path;
    void (*changed)(const char *path, void *context);
    void *context;
};

static void open_file(struct watched *w)
{
    struct stat st;
    if (w->fd >= 0)
        close(w->fd);
    w->error = 0;
    w->fd = open(w->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (w->fd < 0) {
        w->error = errno;
    } else if (fstat(w->fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        w->error = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
        close(w->fd);
        w->fd = -1;
    }
}

static void watch_directory(struct files *f, struct watched *w)
{
    char saved = w->path[w->name];
    if (f->inotify < 0)
        return;
    w->path[w->name] = 0;
    w->directory = inotify_add_watch(f->inotify, w->path, IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_ONLYDIR);
    w->path[w->name] = saved;
}

static struct watched *watched_add(struct files *f, const char *path)
{
    struct watched *w = calloc(1, sizeof *w);
    CHECK(w != NULL);
    *w = (struct watched){.path = strdup(path), .fd = -1, .directory = -1};
    CHECK(w->path != NULL);
    w->name = span_rfind(span_text(path), '/') + 1;
    list_push(&f->all, &w->node);
    map_set(&f->by_path, span_text(w->path), w);
    watch_directory(f, w);
    return w;
}

static void watched_free(struct files *f, struct watched *w)
{
    bool shared = false;
    list_remove(&w->node);
    map_remove(&f->by_path, span_text(w->path));
    LIST_EACH (node, after, &f->all)
        shared |= LIST_ENTRY(node, struct watched, node)->directory == w->directory;
    if (w->directory >= 0 && !shared)
        inotify_rm_watch(f->inotify, w->directory);
    if (w->fd >= 0)
        close(w->fd);
    free(w->path);
    free(w);
}

static void settled(struct timer *t, void *context)
{
    struct files *f = context;
    (void)t;
    LIST_EACH (node, after, &f->all) {
        struct watched *w = LIST_ENTRY(node, struct watched, node);
        if (!w->changed)
            continue;
        w->changed = false;
        if (!w->unopened)
            open_file(w);
        f->changed(w->path, f->context);
    }
}

static void mark(struct files *f, const struct inotify_event *event)
{
    bool all = event->mask & IN_Q_OVERFLOW;
    LIST_EACH (node, after, &f->all) {
        struct watched *w = LIST_ENTRY(node, struct watched, node);
        bool same = event->len && w->directory == event->wd && strcmp(w->path + w->name, event->name) == 0;
        /* A log that is written to is no change; one that stands anew is. */
        w->changed |= all || (same && !(w->unopened && (event->mask & IN_CLOSE_WRITE)));
        if (w->changed && !timer_is_set(&f->settle))
            timer_set(f->loop, &f->settle, clock_after_ms(SETTLE_MS), settled, f);
    }
}

static void inotify_event(struct watch *watch, unsigned events, void *context)
{
    struct files *f = context;
    union {
        struct inotify_event align;
        char room[4096];
    } batch;
    ssize_t n;
    (void)watch, (void)events;
    while ((n = read(f->inotify, batch.room, sizeof batch.room)) > 0)
        for (ssize_t at = 0; at < n;) {
            const struct inotify_event *event = (const struct inotify_event *)(const void *)(batch.room + at);
            mark(f, event);
            at += (ssize_t)(sizeof *event + event->len);
        }
}

struct files *files_new(struct loop *l, void (*changed)(const char *path, void *context), void *context)
{
    struct files *f = calloc(1, sizeof *f);
    CHECK(f != NULL);
    f->loop = l;
    f->changed = changed;
    f->context = context;
    list_init(&f->all);
    f->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (f->inotify >= 0)
        f->watch = loop_watch(l, f->inotify, LOOP_READ, inotify_event, f);
    else
        log_warning("changed files will be noticed at a reload only: inotify: %s", strerror(errno));
    return f;
}

void files_free(struct files **where)
{
    struct files *f = *where;
    *where = NULL;
    if (!f)
        return;
    LIST_EACH (node, after, &f->all)
        watched_free(f, LIST_ENTRY(node, struct watched, node));
    timer_stop(&f->settle);
    loop_unwatch(&f->watch);
    if (f->inotify >= 0)
        close(f->inotify);
    map_fini(&f->by_path);
    free(f);
}

int files_get(struct files *f, const char *path, int *error)
{
    struct watched *w = map_get(&f->by_path, span_text(path));
    if (!w || w->unopened) {
        w = w ? w : watched_add(f, path);
        w->unopened = false;
        open_file(w);
    }
    *error = w->error;
    return w->fd;
}

void files_watch(struct files *f, const char *path)
{
    if (!map_get(&f->by_path, span_text(path)))
        watched_add(f, path)->unopened = true;
}

static bool config_names(const struct config *c, const char *path)
{
    for (size_t i = 0; i < c->nplans; i++)
        for (unsigned k = 0; k < c->plans[i].nfiles; k++)
            if (strcmp(c->plans[i].files[k], path) == 0)
                return true;
    return false;
}

void files_keep_only(struct files *f, const struct config *c)
{
    LIST_EACH (node, after, &f->all) {
        struct watched *w = LIST_ENTRY(node, struct watched, node);
        if (!w->unopened && !config_names(c, w->path))
            watched_free(f, w);
    }
}
