#include "lib/proc/proc.h"
#include "lib/base/check.h"
#include "lib/log/log.h"
#include "lib/proc/proc_inner.h"
#include "lib/proc/wall.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    ALIVE_EVERY_S = 5,
    NUMBERS_PER_PROCESS = 1000000, /* session numbers: incarnation * this + n */
};

struct loop *proc_loop(struct proc *p)
{
    return p->loop;
}

const struct settings *proc_settings(const struct proc *p)
{
    return &p->settings;
}

const struct msg_boot *proc_boot(const struct proc *p)
{
    return &p->boot;
}

void *proc_own(struct proc *p)
{
    return p->own;
}

struct arena *proc_arena(struct proc *p)
{
    return &p->arena;
}

int proc_log_fd(const struct proc *p)
{
    return p->log_fd >= 0 ? p->log_fd : 2;
}

size_t proc_sessions(const struct proc *p)
{
    return p->sessions;
}

uint64_t proc_next_number(struct proc *p)
{
    return p->boot.incarnation * NUMBERS_PER_PROCESS + p->last_number++ % NUMBERS_PER_PROCESS;
}

void proc_exit(struct proc *p, int status)
{
    p->status = status;
    p->running = false;
    loop_stop(p->loop);
}

static void tell_master(struct proc *p, uint16_t type, const struct buf *body)
{
    if (p->master)
        channel_notify(p->master, type, buf_span(body), NULL, 0);
}

void proc_trouble(struct proc *p, const char *format, ...)
{
    struct buf text = BUF_LIMITED(LOG_LINE_MAX), body = BUF_INIT;
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    log_error("%s", buf_text(&text));
    msg_trouble_put(&body, &(struct msg_trouble){.text = buf_span(&text)});
    tell_master(p, MSG_trouble, &body);
    buf_fini(&text);
    buf_fini(&body);
}

/* --- what the process was given ------------------------------------------------- */

int proc_file(struct proc *p, const char *path)
{
    const struct proc_path *file = map_get(&p->files, span_text(path));
    if (!file || file->fd < 0) {
        errno = file ? file->error : ENOENT;
        return -1;
    }
    return fcntl(file->fd, F_DUPFD_CLOEXEC, 0);
}

int proc_directory(struct proc *p, const char *name)
{
    for (unsigned i = 0; i < p->ndirectories; i++)
        if (span_eq(span_text(p->directories[i].path), span_text(name)))
            return p->directories[i].fd;
    return -1;
}

bool proc_peer_ids(int fd, unsigned *uid, unsigned *gid, int *pid)
{
    struct ucred ids;
    socklen_t size = sizeof ids;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &ids, &size) != 0)
        return false;
    *uid = ids.uid;
    *gid = ids.gid;
    *pid = ids.pid;
    return true;
}

/* --- channels to services --------------------------------------------------------- */

struct wanted {
    struct proc *proc;
    const struct channel_handler *handler;
    void *context;
    void (*made)(struct channel *c, unsigned slot, void *context);
    char service[64];
};

static struct channel *open_made(struct wanted *w, struct frame *reply, unsigned *slot)
{
    struct msg_channel_made m;
    struct arena scratch = ARENA_INIT;
    struct channel *c = NULL;
    int fd = -1;
    if (reply && reply->type == MSG_channel_made && msg_channel_made_get(&scratch, reply->body, &m)) {
        fd = frame_take_fd(reply, 0);
        *slot = (unsigned)m.slot;
        if (fd < 0)
            log_warning("no channel to service %s: %.*s", w->service, SPAN_ARG(m.error));
    }
    if (fd >= 0) {
        char name[96];
        snprintf(name, sizeof name, "%s/%u", w->service, *slot);
        c = channel_open(w->proc->loop, fd, name, w->handler, w->context);
    }
    arena_fini(&scratch);
    return c;
}

static void wanted_answered(struct frame *reply, void *context)
{
    struct wanted *w = context;
    unsigned slot = 0;
    struct channel *c = open_made(w, reply, &slot);
    w->made(c, slot, w->context);
    free(w);
}

void proc_want_channel(struct proc *p, const char *service, unsigned slot, const struct channel_handler *handler,
                       void *context, void (*made)(struct channel *c, unsigned slot, void *context))
{
    struct wanted *w = malloc(sizeof *w);
    struct buf body = BUF_INIT;
    CHECK(w != NULL);
    *w = (struct wanted){p, handler, context, made, ""};
    snprintf(w->service, sizeof w->service, "%s", service);
    msg_channel_wanted_put(&body, &(struct msg_channel_wanted){.service = span_text(service), .slot = slot});
    /* Where master has gone the process is about to end: nobody is told. */
    if (!channel_request(p->master, MSG_channel_wanted, buf_span(&body), NULL, 0, wanted_answered, w))
        free(w);
    buf_fini(&body);
}

static void service_frame(struct channel *c, struct frame *f, void *context)
{
    struct proc_service *s = context;
    log_warning("unexpected message 0x%04x from service %s", f->type, s->name);
    (void)c;
}

static void service_closed(struct channel *c, void *context)
{
    struct proc_service *s = context;
    s->channel = NULL;
    channel_close(&c);
}

/* One session's wait for a channel; on its stack. */
struct service_waiter {
    struct list node;
    struct note done;
};

static void service_made(struct channel *c, unsigned slot, void *context)
{
    struct proc_service *s = context;
    struct list *node;
    (void)slot;
    s->asked = false;
    s->channel = c;
    while ((node = list_shift(&s->waiters)))
        note_set(&LIST_ENTRY(node, struct service_waiter, node)->done);
}

static struct proc_service *service_find(struct proc *p, const char *name)
{
    struct proc_service *s = map_get(&p->services, span_text(name));
    if (s)
        return s;
    s = ARENA_NEW(&p->arena, struct proc_service);
    s->proc = p;
    s->name = arena_text(&p->arena, span_text(name));
    list_init(&s->waiters);
    map_set(&p->services, span_text(s->name), s);
    return s;
}

struct channel *proc_channel(struct proc *p, const char *service, mono_ms deadline)
{
    static const struct channel_handler handler = {service_frame, service_closed};
    struct proc_service *s = service_find(p, service);
    if (s->channel)
        return s->channel;
    struct service_waiter waiter = {.done = {0}};
    list_push(&s->waiters, &waiter.node);
    if (!s->asked) {
        s->asked = true;
        proc_want_channel(p, s->name, 0, &handler, s, service_made);
    }
    wait_note(p->loop, &waiter.done, deadline);
    list_remove(&waiter.node);
    return s->channel;
}

/* --- life --------------------------------------------------------------------------- */

static void tell_alive(struct timer *t, void *context)
{
    struct proc *p = context;
    struct buf body = BUF_INIT;
    msg_alive_put(&body, &(struct msg_alive){.sessions = p->sessions, .lag_ms = (uint64_t)loop_take_lag_ms(p->loop)});
    tell_master(p, MSG_alive, &body);
    buf_fini(&body);
    timer_set(p->loop, t, clock_after(ALIVE_EVERY_S), tell_alive, p);
}

/* Without master there is no service: a new one starts new processes, and waits for this one
 * to give up the lock of the queue. */
static void master_lost(struct channel *c, void *context)
{
    (void)c;
    proc_exit(context, 1);
}

static bool enter_sandbox(struct proc *p)
{
    int fds[PROC_DIRECTORIES_MAX];
    const char *names[PROC_DIRECTORIES_MAX];
    struct buf why = BUF_INIT;
    for (unsigned i = 0; i < p->ndirectories; i++) {
        fds[i] = p->directories[i].fd;
        names[i] = p->directories[i].path;
    }
    bool in = wall_enter(p->spec->program, fds, names, p->ndirectories, &why);
    if (!in)
        proc_trouble(p, "cannot enter the sandbox: %s", buf_text(&why));
    buf_fini(&why);
    return in;
}

static bool proc_begin(struct proc *p)
{
    struct buf body = BUF_INIT;
    p->own = p->spec->start(p);
    if (!p->own || !enter_sandbox(p))
        return false;
    log_attach(p->loop);
    p->running = true;
    if (p->spec->begin)
        p->spec->begin(p, p->own);
    if (p->spec->accepted)
        proc_serve_listeners(p);
    msg_ready_put(&body, &(struct msg_ready){.pid = (uint64_t)getpid()});
    tell_master(p, MSG_ready, &body);
    buf_fini(&body);
    if (p->spec->kind != PROC_WORKER)
        tell_alive(&p->alive, p);
    return true;
}

int proc_main(const struct proc_spec *spec)
{
    static const struct channel_handler master_handler = {proc_master_frame, master_lost};
    struct proc p = {.spec = spec};
    p.loop = loop_new();
    signal(SIGPIPE, SIG_IGN);
    list_init(&p.waiting);
    p.next = (struct deferred){.fn = proc_next_waiting, .context = &p, .rank = LOOP_RANK_RESUME};
    p.status = 1;
    if (fcntl(PROC_CONTROL_FD, F_GETFD) < 0) {
        fprintf(stderr, "%s: this program is started by the master of Merpati, not by hand\n", spec->program);
        return 1;
    }
    p.master = channel_open(p.loop, PROC_CONTROL_FD, "master", &master_handler, &p);
    bool booted = proc_boot_receive(&p);
    if (p.stopping) {
        p.status = 0;
    } else if (booted && proc_begin(&p)) {
        p.status = 0;
        if (p.running)
            loop_run(p.loop);
    }
    log_flush();
    channel_close(&p.master);
    /* Crash-only: nothing needs an orderly end. */
    _exit(p.status);
}
