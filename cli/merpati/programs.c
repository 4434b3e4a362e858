#include "cli/merpati/merpati.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

bool say(const char *format, ...)
{
    va_list args;
    fflush(stdout);
    fputs("merpati: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return false;
}

bool programs_find(struct programs *p)
{
    /* In the build directory, and as installed. */
    static const char *const places[] = {"../libexec", "../libexec/merpati", "../lib/merpati"};
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    path[n > 0 ? (size_t)n : 0] = 0;
    path[span_rfind(span_text(path), '/')] = 0;
    p->libexec = -1;
    p->bin = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (p->bin < 0)
        return say("%s: %s", path, strerror(errno));
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        int fd = openat(p->bin, places[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0 && faccessat(fd, "master", X_OK, 0) == 0) {
            p->libexec = fd;
            return true;
        }
        if (fd >= 0)
            close(fd);
    }
    return say("the program \"master\" is neither in ../libexec nor in ../libexec/merpati of %s: build or install all of "
               "Merpati", path);
}

pid_t program_start(int directory, const char *name, const char *const *arguments, bool ends_with_us)
{
    pid_t us = getpid(), pid = fork();
    if (pid < 0)
        say("fork: %s", strerror(errno));
    if (pid != 0)
        return pid;
    if (ends_with_us && (prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) != 0 || getppid() != us))
        _exit(1);
    /* Master is given the directory by its number. */
    if (fcntl(directory, F_SETFD, 0) == 0)
        syscall(SYS_execveat, directory, name, arguments, environ, 0);
    say("%s: %s", name, strerror(errno));
    _exit(1);
}

int program_run(int directory, const char *name, const char *const *arguments)
{
    int status;
    pid_t pid = program_start(directory, name, arguments, false);
    if (pid < 0)
        return 1;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return 1;
    if (WIFSIGNALED(status))
        say("%s was killed by signal %d", name, WTERMSIG(status));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
