#include "lib/base/check.h"
#include "lib/log/log.h"
#include "lib/param/facts.h"
#include "lib/param/param.h"
#include "lib/proc/proc_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Decodes the frame's message X into a variable m, its lists in a scratch arena. */
#define DECODE(X, m)                                                                                \
    struct msg_##X m;                                                                              \
    if (!msg_##X##_get(&p->arena, f->body, &m)) {                                                  \
        log_warning("malformed message %s from master", #X);                                       \
        return;                                                                                    \
    }

static void take_listener(struct channel *c, struct frame *f, void *context)
{
    (void)c;
    struct proc *p = context;
    DECODE(listener, m);
    CHECK(p->nlisteners < PROC_LISTENERS_MAX);
    p->listeners[p->nlisteners++] = (struct proc_listener){
        .proc = p, .fd = frame_take_fd(f, 0), .kind = (unsigned)m.kind, .name = arena_text(&p->arena, m.name)};
}

/* The log was rotated. */
static void take_log(struct proc *p, int fd)
{
    if (fd < 0)
        return;
    log_set_fd(fd);
    if (p->log_fd >= 0)
        close(p->log_fd);
    p->log_fd = fd;
}

static void take_file(struct channel *c, struct frame *f, void *context)
{
    (void)c;
    struct proc *p = context;
    DECODE(file_opened, m);
    if (p->booted && span_eq(m.path, p->boot.log_target)) {
        take_log(p, frame_take_fd(f, 0));
        return;
    }
    struct proc_path *file = map_get(&p->files, m.path);
    if (!file) {
        file = ARENA_NEW(&p->arena, struct proc_path);
        file->path = arena_text(&p->arena, m.path);
        file->fd = -1;
        map_set(&p->files, span_text(file->path), file);
    }
    if (file->fd >= 0)
        close(file->fd);
    file->fd = frame_take_fd(f, 0);
    file->error = file->fd < 0 && m.error == 0 ? ENOENT : (int)m.error;
    proc_tables_changed(p, file->path);
    if (p->running && p->spec->file_changed)
        p->spec->file_changed(p, p->own, file->path);
}

static void take_directory(struct channel *c, struct frame *f, void *context)
{
    (void)c;
    struct proc *p = context;
    DECODE(directory, m);
    CHECK(p->ndirectories < PROC_DIRECTORIES_MAX);
    p->directories[p->ndirectories++] =
        (struct proc_path){.path = arena_text(&p->arena, m.name), .fd = frame_take_fd(f, 0)};
}

/* Replaces the settings by those in the memory file. */
static bool read_settings(struct proc *p, int fd)
{
    struct stat st;
    struct buf why = BUF_INIT;
    bool good = false;
    void *map = MAP_FAILED;
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0)
        map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map != MAP_FAILED) {
        struct settings fresh = SETTINGS_INIT;
        good = settings_read(&fresh, span_of(map, (size_t)st.st_size), &why);
        munmap(map, (size_t)st.st_size);
        if (good) {
            settings_fini(&p->settings);
            p->settings = fresh;
        }
    }
    if (fd >= 0)
        close(fd);
    if (!good)
        log_warning("the settings from master cannot be read: %s", buf_text(&why));
    buf_fini(&why);
    return good;
}

/* A boot message that outlives its frame. */
static void keep_boot(struct proc *p, const struct msg_boot *m)
{
    struct buf copy = BUF_INIT;
    msg_boot_put(&copy, m);
    bool good = msg_boot_get(&p->arena, arena_dup(&p->arena, buf_span(&copy)), &p->boot);
    CHECK(good);
    buf_fini(&copy);
}

static void open_log(struct proc *p, int fd)
{
    char name[128];
    struct span root, program;
    struct buf why = BUF_INIT;
    const struct setting *host = settings_get(&p->settings, SPAN(FACT_HOSTNAME));
    enum log_target target = span_eq(p->boot.log_target, SPAN("stdout"))   ? LOG_TO_STDOUT
                             : span_eq(p->boot.log_target, SPAN("syslog")) ? LOG_TO_SYSLOG
                                                                           : LOG_TO_FILE;
    if (!param_expand_name(&p->arena, &p->settings, SPAN("syslog_name"), &root, &why) || root.n == 0)
        root = SPAN("postfix");
    /* The SMTP client has two names, as Postfix has two programs. */
    if (!param_expand_name(&p->arena, &p->settings, SPAN("process_name"), &program, &why) || program.n == 0)
        program = span_text(p->spec->program);
    snprintf(name, sizeof name, "%.*s/%.*s", SPAN_ARG(root), SPAN_ARG(program));
    log_open(target, fd >= 0 ? fd : 2, host ? host->value.p : "localhost", name, (uint64_t)getpid());
    log_set_verbose((p->boot.flags & BOOT_VERBOSE) != 0);
    buf_fini(&why);
}

static void take_boot(struct channel *c, struct frame *f, void *context)
{
    (void)c;
    struct proc *p = context;
    DECODE(boot, m);
    keep_boot(p, &m);
    int settings = frame_take_fd(f, 0), log = frame_take_fd(f, 1);
    bool good = read_settings(p, settings);
    p->log_fd = log;
    open_log(p, log);
    p->booted = good;
    if (!good)
        proc_exit(p, 1);
}

static void take_settings(struct channel *c, struct frame *f, void *context)
{
    (void)c;
    struct proc *p = context;
    DECODE(settings, m);
    if (!read_settings(p, frame_take_fd(f, 0)))
        return;
    struct msg_boot boot = p->boot;
    boot.generation = m.generation;
    boot.services = m.services;
    keep_boot(p, &boot);
    if (p->running && p->spec->reload)
        p->spec->reload(p, p->own);
}

static void take_channel(struct channel *c, struct frame *f, void *context)
{
    (void)c;
    struct proc *p = context;
    DECODE(channel_given, m);
    int fd = frame_take_fd(f, 0);
    if (fd >= 0)
        proc_serve_channel(p, fd, &m);
}

static void take_stop(struct channel *c, struct frame *f, void *context)
{
    (void)c;
    struct proc *p = context;
    DECODE(stop, m);
    proc_stop_begin(p, (int64_t)m.grace_ms);
}

static const struct message_handler from_master[] = {
    {MSG_listener, take_listener}, {MSG_file_opened, take_file}, {MSG_directory, take_directory},
    {MSG_boot, take_boot},         {MSG_settings, take_settings}, {MSG_channel_given, take_channel},
    {MSG_stop, take_stop},         {0, NULL},
};

void proc_master_frame(struct channel *c, struct frame *f, void *context)
{
    channel_dispatch(from_master, c, f, context);
}

bool proc_boot_receive(struct proc *p)
{
    const mono_ms give_up = clock_after(60);
    while (!p->booted && !channel_is_closed(p->master) && clock_mono() < give_up)
        loop_step(p->loop, give_up);
    return p->booted;
}
