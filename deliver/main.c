#include "deliver/deliver.h"
#include "lib/log/log.h"
#include "lib/param/settings.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void child_ended(int signo, void *context)
{
    int status;
    pid_t pid;
    (void)signo, (void)context;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (WIFSIGNALED(status))
            log_warning("mailbox process %d was killed by signal %d", (int)pid, WTERMSIG(status));
        else if (WEXITSTATUS(status) != 0)
            log_warning("mailbox process %d: exit status %d", (int)pid, WEXITSTATUS(status));
    }
}

/* result: false after proc_trouble() */
static bool read_parameters(struct deliver *d)
{
    d->main = proc_params_main(d->proc);
    d->virtual = d->main ? proc_params_virtual(d->proc) : NULL;
    d->local = d->virtual ? proc_params_local(d->proc) : NULL;
    return d->local != NULL;
}

static void *start(struct proc *p)
{
    struct deliver *d = ARENA_NEW(proc_arena(p), struct deliver);
    struct span name = SPAN_NONE;
    struct buf why = BUF_INIT;
    d->proc = p;
    list_init(&d->owners);
    if (!read_parameters(d))
        return NULL;
    if (!param_expand_name(proc_arena(p), proc_settings(p), SPAN("syslog_name"), &name, &why))
        name = SPAN("postfix");
    d->log_name = arena_text(proc_arena(p), name);
    buf_fini(&why);
    loop_on_signal(proc_loop(p), SIGCHLD, child_ended, d);
    return d;
}

/* Processes that run were begun with the old settings; whoever asks from now on gets a new one. */
static void reload(struct proc *p, void *own)
{
    struct deliver *d = own, before = *d;
    (void)p;
    if (!read_parameters(d)) {
        d->main = before.main;
        d->virtual = before.virtual;
        d->local = before.local;
    }
}

static const struct message_handler requests[] = {
    {MSG_owner_wanted, handle_owner_wanted},
    {MSG_session_prepare, handle_session_prepare},
    {MSG_session_present, handle_session_present},
    {0, NULL},
};

int main(void)
{
    static const struct proc_spec spec = {
        .program = "deliver", .kind = PROC_BROKER, .requests = requests, .start = start, .reload = reload};
    return proc_main(&spec);
}
