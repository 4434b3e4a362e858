#include "deliver/deliver.h"
#include "lib/log/log.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <signal.h>
#include <unistd.h>

enum { NSS_ROOM = 16 * 1024, PATH_ROOM = 1024, CHILD_CHANNEL = 3, CHILD_LOG = 2 };

const char *identity_refused(const struct deliver *d, const struct identity *id)
{
    if (id->uid == 0)
        return "no mailbox belongs to root: let an alias for root name a user";
    if (geteuid() != 0)
        return id->uid == geteuid() ? NULL : "the mailbox belongs to another user than the one the server runs as";
    if (id->uid == (uid_t)-1 || id->gid == (gid_t)-1) /* to the system: as it is, which is root */
        return "the mailbox belongs to no user or group";
    if (id->user == NULL && id->gid == 0)
        return "no mailbox belongs to the group of root";
    if (id->user == NULL && id->uid < d->virtual->virtual_minimum_uid)
        return "the uid of the mailbox is below virtual_minimum_uid";
    return NULL;
}

int identity_of_user(struct arena *a, const char *name, struct identity *id)
{
    char *room = arena_alloc(a, NSS_ROOM);
    struct passwd entry, *user = NULL;
    int error = getpwnam_r(name, &entry, room, NSS_ROOM, &user);
    if (!user)
        return error == 0 || error == ENOENT || error == ESRCH ? 0 : -1;
    *id = (struct identity){user->pw_uid, user->pw_gid, arena_text(a, span_text(user->pw_name)),
                            arena_text(a, span_text(user->pw_dir)), arena_text(a, span_text(user->pw_shell))};
    return 1;
}

/* Gives root up for good: all three ids of each kind, and the groups before them. */
static bool become(const struct identity *id)
{
    if (geteuid() != 0)
        return true;
    if (id->user ? initgroups(id->user, id->gid) != 0 : setgroups(0, NULL) != 0)
        return false;
    return setresgid(id->gid, id->gid, id->gid) == 0 && setresuid(id->uid, id->uid, id->uid) == 0 &&
           getgid() == id->gid && getuid() == id->uid && getuid() != 0;
}

/* In the child; async-signal-safe but for initgroups, in a process with one thread. */
_Noreturn static void run_child(const struct identity *id, int libexec, const char *program, int channel, int log)
{
    char home[PATH_ROOM], *arguments[2] = {NULL, NULL};
    char *environment[] = {home, (char[]){"PATH=/usr/local/bin:/usr/bin:/bin"}, NULL};
    char name[32];
    snprintf(home, sizeof home, "HOME=%s", id->home);
    snprintf(name, sizeof name, "%s", program);
    arguments[0] = name;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    /* Away from the numbers that are about to be used. */
    channel = fcntl(channel, F_DUPFD, 10);
    log = log < 0 ? open("/dev/null", O_WRONLY) : fcntl(log, F_DUPFD, 10);
    libexec = fcntl(libexec, F_DUPFD, 10);
    if (channel < 0 || libexec < 0 || log < 0 || dup2(channel, CHILD_CHANNEL) < 0 || dup2(log, CHILD_LOG) < 0)
        _exit(71);
    close_range(CHILD_CHANNEL + 1, ~0u, CLOSE_RANGE_CLOEXEC);
    if (!become(id))
        _exit(77);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* after the change of uid, which clears it */
    /* By the directory's descriptor: its path may be out of the owner's reach. */
    syscall(SYS_execveat, libexec, program, arguments, environment, 0);
    _exit(72);
}

pid_t spawn(const struct deliver *d, const char *program, const struct identity *id, int log, int *channel_fd)
{
    int ends[2];
    if (!channel_pair(ends))
        return -1;
    log_flush();
    pid_t pid = fork();
    if (pid == 0)
        run_child(id, proc_directory(d->proc, "libexec"), program, ends[1], log);
    int error = errno;
    close(ends[1]);
    if (pid < 0)
        close(ends[0]);
    *channel_fd = pid < 0 ? -1 : ends[0];
    errno = error;
    return pid;
}
