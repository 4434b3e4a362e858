#include "master/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CONTROL = 3, FIRST_FREE = 16, VARIABLES_MAX = 64 };

static _Noreturn void give_up(const struct child *c, const char *what)
{
    dprintf(STDERR_FILENO, "master: start of %s: %s: %s\n", c->plan->program->name, what, strerror(errno));
    _exit(127);
}

/* Descriptors: 0 and 1 nowhere, 2 stays in the foreground, 3 the control channel, 4 the lock of the queue. */
static void arrange_descriptors(const struct child *c, int control)
{
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    int high = fcntl(control, F_DUPFD_CLOEXEC, FIRST_FREE);
    bool holds = c->plan->program->holds_queue;
    int lock = holds ? fcntl(c->master->lock.queue, F_DUPFD_CLOEXEC, FIRST_FREE) : -1;
    if (nowhere < 0 || high < 0 || (holds && lock < 0) || dup2(nowhere, 0) < 0 || dup2(nowhere, 1) < 0)
        give_up(c, "descriptors");
    if (!c->master->foreground)
        dup2(nowhere, 2);
    if (dup2(high, CONTROL) < 0 || (holds && dup2(lock, HANDED_QUEUE_LOCK) < 0))
        give_up(c, "descriptors");
    unsigned first = holds ? HANDED_QUEUE_LOCK + 1 : CONTROL + 1;
    /* All of ours close at exec by themselves; this is for what master inherited. */
    (void)syscall(SYS_close_range, first, ~0U, CLOSE_RANGE_CLOEXEC);
}

static void become_user(const struct child *c)
{
    struct buf why = BUF_INIT;
    if (!c->master->frame.as_root)
        return;
    if (!wall_prepare(c->plan->program->name, &why))
        give_up(c, buf_text(&why));
    if (setgroups(0, NULL) != 0 || setresgid(c->plan->gid, c->plan->gid, c->plan->gid) != 0 ||
        setresuid(c->plan->uid, c->plan->uid, c->plan->uid) != 0)
        give_up(c, "change of user");
}

/* As many descriptors as the wall allows it. Raised here, while the rights for it are there. */
static void raise_limits(const struct child *c)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    if (limit.rlim_max < c->plan->wall->files_max && c->master->frame.as_root)
        limit.rlim_max = c->plan->wall->files_max;
    limit.rlim_cur = limit.rlim_max < c->plan->wall->files_max ? limit.rlim_max : c->plan->wall->files_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* What import_environment names, and what the sanitizers read. */
static void make_environment(const struct child *c, char *variables[VARIABLES_MAX])
{
    static const char *const always[] = {"PATH=/usr/bin:/bin", NULL};
    static const char *const sanitizers[] = {"ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"};
    const struct param_list *names = &c->config->master.import_environment;
    size_t n = 0;
    for (size_t i = 0; always[i]; i++)
        variables[n++] = strdup(always[i]);
    for (size_t i = 0; i < names->n + 3 && n < VARIABLES_MAX - 1; i++) {
        const char *name = i < names->n ? names->at[i].p : sanitizers[i - names->n];
        const char *value = strchr(name, '=') ? NULL : getenv(name);
        char *text = NULL;
        if (strchr(name, '='))
            variables[n++] = strdup(name);
        else if (value && asprintf(&text, "%s=%s", name, value) > 0)
            variables[n++] = text;
    }
    variables[n] = NULL;
}

static void reset_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    for (int signo = 1; signo < NSIG; signo++)
        (void)signal(signo, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

void exec_child(const struct child *c, int control)
{
    char *variables[VARIABLES_MAX];
    char *arguments[] = {(char *)(uintptr_t)c->plan->program->name, (char *)(uintptr_t)c->plan->name, NULL};
    pid_t master = c->master->pid;
    /* A signal from the terminal is for master, which ends its children in order. */
    setsid();
    reset_signals();
    make_environment(c, variables);
    arrange_descriptors(c, control);
    raise_limits(c);
    become_user(c);
    /* After the change of user, which clears it. Without master a child has no business. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != master)
        give_up(c, "master has gone");
    syscall(SYS_execveat, c->master->frame.libexec, c->plan->program->name, arguments, variables, 0);
    give_up(c, "exec");
}
