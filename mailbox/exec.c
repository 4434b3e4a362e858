#include "mailbox/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <paths.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_TRY_AGAIN = 75, SIGNALS = 65 };

/* As in Postfix: what a command may hold that is run without a shell. */
static const struct span plain = SPAN_INIT("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ1234567890!@%-_=+:,./ \t");

char **exec_words(struct arena *a, struct span text, const char *extra)
{
    size_t n = 0;
    char **argv = arena_calloc(a, text.n / 2 + 3, sizeof *argv);
    struct span word;
    while (span_next_token(&text, SPAN(" \t\r\n"), &word))
        argv[n++] = memcpy(arena_alloc(a, word.n + 1), word.p, word.n);
    if (extra)
        argv[n++] = memcpy(arena_alloc(a, strlen(extra) + 1), extra, strlen(extra) + 1);
    return n ? argv : NULL;
}

char **exec_split(struct arena *a, struct span command)
{
    for (size_t i = 0; i < command.n; i++)
        if (span_find(plain, command.p[i]) == plain.n)
            return NULL;
    return exec_words(a, command, NULL);
}

static void default_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    for (int signo = 1; signo < SIGNALS; signo++)
        signal(signo, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

_Noreturn static void run(const struct exec_order *order, int in, int out)
{
    char shell[] = _PATH_BSHELL, option[] = "-c";
    setsid();
    /* Away from the three numbers that are about to be used. */
    in = fcntl(in, F_DUPFD, 10);
    out = fcntl(out, F_DUPFD, 10);
    if (in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
        _exit(EXIT_TRY_AGAIN);
    close_range(3, ~0u, 0);
    default_signals();
    if (order->directory && chdir(order->directory) != 0) {
        dprintf(2, "cannot change to directory %s: %s", order->directory, strerror(errno));
        _exit(EXIT_TRY_AGAIN);
    }
    if (order->argv)
        execvpe(order->argv[0], order->argv, order->environment);
    /* What is not found may be a word of the shell's own. */
    if (order->command && (!order->argv || (errno == ENOENT && !strchr(order->argv[0], '/')))) {
        char *argv[] = {shell, option, NULL, NULL};
        memcpy(&argv[2], &order->command, sizeof argv[2]);
        execve(shell, argv, order->environment);
    }
    dprintf(2, "cannot execute %s: %s", order->argv ? order->argv[0] : shell, strerror(errno));
    _exit(EXIT_TRY_AGAIN);
}

pid_t exec_start(const struct exec_order *order, int in, int out)
{
    pid_t pid = fork();
    if (pid == 0)
        run(order, in, out);
    return pid;
}
