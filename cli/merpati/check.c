/* merpati check: configuration, permissions, users of the system. */
#include "cli/merpati/merpati.h"

#include "lib/proc/wall.h"

#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct check {
    const char *directory;
    bool fix;
    unsigned faults; /* that are left */
};

static bool read_arguments(int argc, char **argv, struct check *c)
{
    static const struct option options[] = {{"fix", no_argument, NULL, 'f'}, {NULL, 0, NULL, 0}};
    int option;
    c->directory = getenv("MAIL_CONFIG");
    if (!c->directory)
        c->directory = "/etc/merpati";
    optind = 1;
    while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        if (option == 'c')
            c->directory = optarg;
        else if (option == 'f')
            c->fix = true;
        else
            return say("usage: merpati check [-c CONFIG_DIRECTORY] [--fix]");
    }
    return optind == argc || say("usage: merpati check [-c CONFIG_DIRECTORY] [--fix]");
}

/* What root believes must be root's, and nobody else's to write. */
static void check_file(struct check *c, const char *name)
{
    struct arena a = ARENA_INIT;
    const char *path = *name ? arena_printf(&a, "%s/%s", c->directory, name) : c->directory;
    struct stat st;
    if (stat(path, &st) != 0) {
        c->faults++;
        say("%s: %s", path, strerror(errno));
    } else {
        if (st.st_uid != 0 && st.st_uid != getuid()) {
            c->faults++;
            say("%s belongs to user %u: whoever can write it commands the server; make it root's", path,
                (unsigned)st.st_uid);
        }
        if ((st.st_mode & 022) && c->fix && chmod(path, st.st_mode & 07755) == 0) {
            say("%s: others could write it; mended", path);
        } else if (st.st_mode & 022) {
            c->faults++;
            say("%s can be written by others: chmod go-w %s", path, path);
        }
    }
    arena_fini(&a);
}

static int make_user(const char *name)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        execl("/usr/sbin/useradd", "useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent",
              "--shell", "/usr/sbin/nologin", name, (char *)NULL);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The users of the walls are wanted only where the server is started as root. */
static void check_users(struct check *c)
{
    const struct wall *w;
    for (unsigned i = 0; getuid() == 0 && (w = wall_at(i)); i++) {
        if (!*w->user || getpwnam(w->user))
            continue;
        if (c->fix && make_user(w->user) == 0) {
            say("user %s made", w->user);
            continue;
        }
        c->faults++;
        say("there is no user %s, as whom %s runs%s", w->user, w->program,
            c->fix ? ", and useradd did not make it" : ": merpati check --fix makes it");
    }
}

int command_check(int argc, char **argv)
{
    struct check c = {.faults = 0};
    struct programs p;
    if (!read_arguments(argc, argv, &c) || !programs_find(&p))
        return 1;
    check_file(&c, "");
    check_file(&c, "main.cf");
    check_file(&c, "master.cf");
    check_users(&c);
    const char *const arguments[] = {"master", "-t", "-c", c.directory, NULL};
    if (program_run(p.libexec, "master", arguments) != 0)
        c.faults++;
    return c.faults ? 1 : 0;
}
