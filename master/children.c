#include "master/children.h"

#include "lib/base/check.h"
#include "lib/log/log.h"
#include "master/channels.h"
#include "master/exec.h"
#include "master/files.h"
#include "master/services.h"
#include "master/sockets.h"
#include "master/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void child_timer(struct timer *t, void *context);

/* Sends one message; body and result as of channel_notify(). */
#define CHILD_NOTIFY(c, X, m, fds, nfds)                                                           \
    child_notify_##X((c), (m), (fds), (nfds))
#define CHILD_NOTIFY_DECLARE(X)                                                                    \
    static void child_notify_##X(struct child *c, const struct msg_##X *m, const int *fds, unsigned nfds) \
    {                                                                                              \
        struct buf body = BUF_LIMITED(CHANNEL_FRAME_MAX);                                          \
        msg_##X##_put(&body, m);                                                                   \
        if (body.full)                                                                             \
            log_warning("message %s for %s does not fit", #X, c->crew->name);                     \
        else if (c->channel)                                                                       \
            channel_notify(c->channel, MSG_##X, buf_span(&body), fds, nfds);                       \
        buf_fini(&body);                                                                           \
    }                                                                                              \
    struct child_needs_semicolon_##X

CHILD_NOTIFY_DECLARE(listener);
CHILD_NOTIFY_DECLARE(file_opened);
CHILD_NOTIFY_DECLARE(directory);
CHILD_NOTIFY_DECLARE(boot);
CHILD_NOTIFY_DECLARE(settings);
CHILD_NOTIFY_DECLARE(stop);

const char *child_path(const struct child *c, struct buf *room)
{
    buf_clear(room);
    buf_printf(room, "%s/%s", c->master->libexec_path, c->plan->program->name);
    return buf_text(room);
}

/* --- what it is given --------------------------------------------------------------- */

static void give_listeners(struct child *c)
{
    for (unsigned i = 0; i < c->plan->nsockets; i++) {
        const struct socket_plan *s = &c->plan->sockets[i];
        int fd = sockets_get(c->master->sockets, s->key);
        if (fd >= 0)
            CHILD_NOTIFY(c, listener, (&(struct msg_listener){span_text(s->name), s->kind}), &fd, 1);
    }
}

static void give_file(struct child *c, const char *path, int fd, int error)
{
    CHILD_NOTIFY(c, file_opened, (&(struct msg_file_opened){span_text(path), (uint64_t)error}), &fd, fd >= 0 ? 1 : 0);
}

static void give_files(struct child *c)
{
    for (unsigned i = 0; i < c->plan->nfiles; i++) {
        int error = 0, fd = files_get(c->master->files, c->plan->files[i], &error);
        give_file(c, c->plan->files[i], fd, error);
    }
}

/* result: a descriptor, or -1 with why */
static int open_directory(const struct child *c, const char *name, struct buf *why)
{
    if (strcmp(name, "libexec") == 0)
        return fcntl(c->master->frame.libexec, F_DUPFD_CLOEXEC, 0);
    return spool_open_directory(name, c->plan->program->name, c->slot, c->master->frame.as_root, why);
}

/* result: false where one of them cannot be had (logged) */
static bool give_directories(struct child *c)
{
    struct span rest = span_text(c->plan->wall->directories), word;
    struct buf why = BUF_INIT;
    bool good = true;
    while (good && span_next_token(&rest, SPAN(" "), &word)) {
        char name[64];
        if (span_starts(word, SPAN("/")))
            continue; /* the wall opens paths of the system itself */
        snprintf(name, sizeof name, "%.*s", (int)span_find(word, ':'), word.p);
        int fd = open_directory(c, name, &why);
        good = fd >= 0;
        if (good) {
            CHILD_NOTIFY(c, directory, (&(struct msg_directory){span_text(name)}), &fd, 1);
            close(fd);
        }
    }
    if (!good)
        log_error("service %s: %s", c->crew->name, buf_text(&why));
    buf_fini(&why);
    return good;
}

/* The share of the service's limit that falls to one of its processes. */
static uint64_t share_of_limit(const struct child *c)
{
    const struct plan *p = c->plan;
    if (p->program->kind != PROGRAM_HOST || p->limit == 0)
        return p->limit;
    unsigned place = c->slot % p->processes;
    return p->limit / p->processes + (place < p->limit % p->processes ? 1 : 0);
}

/* qmgr delivers to them; deliver runs the commands of those that are pipes. */
static bool knows_services(const struct child *c)
{
    return strcmp(c->plan->program->name, "qmgr") == 0 || strcmp(c->plan->program->name, "deliver") == 0;
}

static void send_boot(struct child *c)
{
    const struct master *m = c->master;
    struct msg_boot boot = {
        .service = span_text(c->plan->name),
        .incarnation = c->incarnation,
        .slot = c->slot,
        .limit = share_of_limit(c),
        .generation = c->config->generation,
        .arguments = c->plan->arguments,
        .flags = (m->frame.as_root ? BOOT_ROOT : 0) | (m->verbose || c->plan->verbose ? BOOT_VERBOSE : 0),
        .log_target = span_text(m->log_target),
        .wakeup = (uint64_t)c->plan->wakeup,
    };
    int fds[] = {c->plan->settings, m->log_fd};
    if (knows_services(c))
        boot.services = c->config->services;
    CHILD_NOTIFY(c, boot, &boot, fds, 2);
}

void child_tell_settings(struct child *c)
{
    struct msg_settings settings = {.generation = c->crew->config->generation};
    config_release(&c->config);
    c->config = c->crew->config;
    c->config->users++;
    c->plan = c->crew->plan;
    if (knows_services(c))
        settings.services = c->config->services;
    give_files(c);
    CHILD_NOTIFY(c, settings, &settings, &c->plan->settings, 1);
}

static bool plan_has_file(const struct plan *p, const char *path)
{
    for (unsigned i = 0; i < p->nfiles; i++)
        if (strcmp(p->files[i], path) == 0)
            return true;
    return false;
}

void children_tell_file(struct master *m, const char *path, int fd, int error)
{
    size_t at = 0;
    bool log = strcmp(path, m->log_target) == 0;
    for (struct child *c; (c = map_next(&m->children, &at));)
        if (log || plan_has_file(c->plan, path))
            give_file(c, path, fd, error);
}

/* --- what it says ------------------------------------------------------------------- */

static void heard_ready(struct channel *channel, struct frame *f, void *context)
{
    (void)channel, (void)f;
    struct child *c = context;
    if (c->state != CHILD_STARTING)
        return;
    c->state = CHILD_READY;
    c->since = c->ready_at = c->heard = clock_mono();
    timer_set(c->master->loop, &c->timer, c->since + 1000 * ALIVE_MOST_S, child_timer, c);
    crew_child_ready(c);
}

static void heard_alive(struct channel *channel, struct frame *f, void *context)
{
    (void)channel;
    struct child *c = context;
    struct arena scratch = ARENA_INIT;
    struct msg_alive m;
    if (msg_alive_get(&scratch, f->body, &m)) {
        c->heard = loop_now(c->master->loop);
        c->sessions = m.sessions;
        c->lag_ms = m.lag_ms;
    }
    arena_fini(&scratch);
}

static void heard_idle(struct channel *channel, struct frame *f, void *context)
{
    (void)channel;
    struct child *c = context;
    struct arena scratch = ARENA_INIT;
    struct msg_idle m;
    /* Channels that were on their way when it said so are not closed. */
    if (msg_idle_get(&scratch, f->body, &m) && m.taken == c->given) {
        c->open = 0;
        c->since = loop_now(c->master->loop);
        if (c->state == CHILD_READY)
            crew_child_idle(c);
    }
    arena_fini(&scratch);
}

static void heard_trouble(struct channel *channel, struct frame *f, void *context)
{
    (void)channel;
    struct child *c = context;
    struct arena scratch = ARENA_INIT;
    struct msg_trouble m;
    c->in_trouble = true;
    if (msg_trouble_get(&scratch, f->body, &m))
        log_warning("service %s, process %ld: %.*s", c->crew->name, (long)c->pid, SPAN_ARG(m.text));
    arena_fini(&scratch);
}

static void heard_wanted(struct channel *channel, struct frame *f, void *context)
{
    (void)channel;
    channels_wanted(context, f);
}

static const struct message_handler from_child[] = {
    {MSG_ready, heard_ready},     {MSG_alive, heard_alive},          {MSG_idle, heard_idle},
    {MSG_trouble, heard_trouble}, {MSG_channel_wanted, heard_wanted}, {0, NULL},
};

static void child_frame(struct channel *channel, struct frame *f, void *context)
{
    struct child *c = context;
    if (!channel_dispatch(from_child, channel, f, c))
        log_warning("unexpected message 0x%04x from service %s, process %ld", f->type, c->crew->name, (long)c->pid);
}

/* It ended, which SIGCHLD will tell, or it closed the channel, and is of no use then. Its state
 * stays: nobody has asked it to end. */
static void child_lost(struct channel *channel, void *context)
{
    struct child *c = context;
    channel_close(&channel);
    c->channel = NULL;
    timer_set(c->master->loop, &c->timer, clock_after_ms(KILL_AFTER_MS), child_timer, c);
}

/* --- its end ------------------------------------------------------------------------ */

static void child_kill(struct child *c)
{
    if (kill(c->pid, SIGKILL) != 0)
        log_warning("kill process %ld: %s", (long)c->pid, strerror(errno));
}

void child_stop(struct child *c, int64_t grace_ms)
{
    mono_ms by = clock_after_ms(grace_ms + KILL_AFTER_MS);
    if (c->state == CHILD_STOPPING && c->stop_by <= by)
        return;
    c->state = CHILD_STOPPING;
    c->since = loop_now(c->master->loop);
    c->stop_by = by;
    CHILD_NOTIFY(c, stop, (&(struct msg_stop){(uint64_t)grace_ms}), NULL, 0);
    timer_set(c->master->loop, &c->timer, by, child_timer, c);
}

void child_retire(struct child *c)
{
    c->retired = true;
    if (c->state == CHILD_STOPPING)
        return;
    if (c->plan->program->kind == PROGRAM_HOST && c->state == CHILD_READY)
        child_stop(c, 1000 * (int64_t)RELOAD_GRACE_S);
    else if (c->open == 0)
        child_stop(c, 1000 * (int64_t)RELOAD_GRACE_S);
    else /* its callers are of the old generation too; they end before it must */
        timer_set(c->master->loop, &c->timer, clock_after(RELOAD_GRACE_S + 30), child_timer, c);
}

static void watch_alive(struct child *c, mono_ms now)
{
    bool speaks = c->plan->program->kind != PROGRAM_WORKER;
    mono_ms due = c->heard + 1000 * ALIVE_MOST_S;
    if (speaks && now >= due) {
        log_warning("watchdog: service %s, process %ld has not come back to its loop for %lld seconds; killing it "
                    "and its %llu sessions", c->crew->name, (long)c->pid, (long long)((now - c->heard) / 1000),
                    (unsigned long long)c->sessions);
        child_kill(c);
        return;
    }
    if (speaks)
        timer_set(c->master->loop, &c->timer, due, child_timer, c);
}

/* A worker that nobody has called for a while ends; another is started when one is wanted. */
static bool is_idle_too_long(const struct child *c, mono_ms now, mono_ms *due)
{
    *due = c->since + 1000 * c->config->main.max_idle;
    return c->plan->program->calls == CALLS_OWN && c->open == 0 && now >= *due;
}

static void child_timer(struct timer *t, void *context)
{
    struct child *c = context;
    mono_ms now = clock_mono(), due;
    (void)t;
    if (c->state == CHILD_STOPPING || !c->channel) {
        child_kill(c);
    } else if (c->state == CHILD_STARTING) {
        log_warning("service %s, process %ld is not ready after %d seconds; killing it", c->crew->name, (long)c->pid,
                    START_MOST_S);
        child_kill(c);
    } else if (c->retired) {
        child_stop(c, 1000 * (int64_t)WORK_GRACE_S);
    } else if (is_idle_too_long(c, now, &due)) {
        child_stop(c, 0);
    } else if (c->plan->program->calls == CALLS_OWN) {
        timer_set(c->master->loop, &c->timer, c->open || due <= now ? clock_after(c->config->main.max_idle) : due,
                  child_timer, c);
    } else {
        watch_alive(c, now);
    }
}

static void child_free(struct child *c)
{
    list_remove(&c->node);
    timer_stop(&c->timer);
    channel_close(&c->channel);
    config_release(&c->config);
    free(c);
}

/* In Postfix's words, which log tools know. */
static void log_end(const struct child *c, int status)
{
    struct buf path = BUF_INIT;
    child_path(c, &path);
    if (WIFSIGNALED(status))
        log_warning("process %s pid %ld killed by signal %d", buf_text(&path), (long)c->pid, WTERMSIG(status));
    else if (WEXITSTATUS(status))
        log_warning("process %s pid %ld exit status %d", buf_text(&path), (long)c->pid, WEXITSTATUS(status));
    buf_fini(&path);
}

enum { WORKED_MS = 1000 };

/* An end that nobody asked for, before or soon after it was ready. Who is killed from outside
 * has not failed. */
static bool child_has_failed(const struct child *c, int status)
{
    if (c->state == CHILD_STOPPING || (c->state == CHILD_READY && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
        return false;
    return c->state == CHILD_STARTING || c->in_trouble || clock_mono() < c->ready_at + WORKED_MS;
}

static void child_ended(struct master *m, pid_t pid, int status)
{
    struct child *c = map_remove(&m->children, span_of(&pid, sizeof pid));
    if (!c)
        return;
    bool failed = child_has_failed(c, status);
    struct crew *crew = c->crew;
    if (c->state != CHILD_STOPPING || WIFSIGNALED(status))
        log_end(c, status);
    if (failed) {
        struct buf path = BUF_INIT;
        log_warning("%s: bad command startup -- throttling", child_path(c, &path));
        buf_fini(&path);
    }
    channels_forget(m, c);
    child_free(c);
    crew_child_gone(crew, failed);
}

void children_reap(struct master *m)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        child_ended(m, pid, status);
}

/* --- its beginning ------------------------------------------------------------------ */

static struct child *child_new(struct crew *crew, unsigned slot, uint64_t incarnation)
{
    struct child *c = calloc(1, sizeof *c);
    CHECK(c != NULL);
    *c = (struct child){.master = crew->master,
                        .crew = crew,
                        .config = crew->config,
                        .plan = crew->plan,
                        .slot = slot,
                        .incarnation = incarnation,
                        .since = clock_mono()};
    c->config->users++;
    list_push(&crew->children, &c->node);
    return c;
}

static bool child_fork(struct child *c)
{
    int ends[2];
    if (!channel_pair(ends))
        return false;
    log_flush();
    c->pid = fork();
    if (c->pid == 0)
        exec_child(c, ends[1]);
    int error = errno;
    close(ends[1]);
    if (c->pid < 0) {
        close(ends[0]);
        errno = error;
        return false;
    }
    struct buf name = BUF_INIT;
    static const struct channel_handler handler = {child_frame, child_lost};
    buf_printf(&name, "%s/%u", c->plan->program->name, c->slot);
    c->channel = channel_open(c->master->loop, ends[0], buf_text(&name), &handler, c);
    buf_fini(&name);
    return true;
}

struct child *child_start(struct crew *crew, unsigned slot)
{
    struct master *m = crew->master;
    struct buf why = BUF_INIT;
    uint64_t incarnation = lock_next_number(&m->lock, &why);
    if (incarnation == 0) {
        log_error("no process of service %s can be started: %s", crew->name, buf_text(&why));
        buf_fini(&why);
        return NULL;
    }
    struct child *c = child_new(crew, slot, incarnation);
    if (!child_fork(c)) {
        log_error("start of a process of service %s: %s", crew->name, strerror(errno));
        child_free(c);
        return NULL;
    }
    map_set(&m->children, span_of(&c->pid, sizeof c->pid), c);
    timer_set(m->loop, &c->timer, clock_after(START_MOST_S), child_timer, c);
    give_listeners(c);
    give_files(c);
    if (give_directories(c))
        send_boot(c);
    else
        child_stop(c, 0);
    return c;
}
