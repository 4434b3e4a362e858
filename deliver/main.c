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

static void *start(struct proc *p)
{
    struct deliver *d = ARENA_NEW(proc_arena(p), struct deliver);
    struct span name = SPAN_NONE;
    struct buf why = BUF_INIT;
    d->proc = p;
    list_init(&d->owners);
    if (!(d->main = proc_params_main(p)) || !(d->virtual = proc_params_virtual(p)))
        return NULL;
    if (!param_expand_name(proc_arena(p), proc_settings(p), SPAN("syslog_name"), &name, &why))
        name = SPAN("postfix");
    d->log_name = arena_text(proc_arena(p), name);
    buf_fini(&why);
    loop_on_signal(proc_loop(p), SIGCHLD, child_ended, d);
    return d;
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
        .program = "deliver", .kind = PROC_BROKER, .requests = requests, .start = start};
    return proc_main(&spec);
}
