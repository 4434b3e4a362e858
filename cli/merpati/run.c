/* merpati run: a server of its own in one directory, in the foreground. */
#include "cli/merpati/instance.h"
#include "cli/merpati/merpati.h"
#include "cli/merpati/ready.h"

#include "lib/base/clock.h"

#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { READY_MOST_S = 60, LOOK_EVERY_MS = 50, NOBODY = 65534 };

static int usage(FILE *to)
{
    fputs("usage: merpati run [--dir DIR] [--listen ADDRESS] [--port-offset N] [--domain NAME]\n"
          "                   [--user NAME:PASSWORD]... [-o name=value]...\n"
          "Runs a mail server that lives in DIR alone, on ports 25+N and 110+N (N 10000 unless said) of\n"
          "ADDRESS (127.0.0.1). What is in DIR is used again: accounts, mail, and the configuration in\n"
          "DIR/etc, which is yours to edit. -o overrides a parameter for this run. Ctrl-C ends it.\n", to);
    return to == stdout ? 0 : 1;
}

/* result: -1: go on; else the exit status */
static int read_arguments(int argc, char **argv, struct wishes *w)
{
    static const struct option options[] = {{"dir", required_argument, NULL, 'D'},
                                            {"listen", required_argument, NULL, 'l'},
                                            {"port-offset", required_argument, NULL, 'p'},
                                            {"domain", required_argument, NULL, 'n'},
                                            {"user", required_argument, NULL, 'u'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option;
    uint64_t offset;
    *w = (struct wishes){.offset = -1};
    optind = 1;
    while ((option = getopt_long(argc, argv, "ho:", options, NULL)) != -1) {
        if (option == 'D')
            w->directory = optarg;
        else if (option == 'l')
            w->listen = optarg;
        else if (option == 'n')
            w->domain = optarg;
        else if (option == 'u' && w->nusers < USERS_MAX)
            w->users[w->nusers++] = optarg;
        else if (option == 'o' && w->noptions < OPTIONS_MAX)
            w->options[w->noptions++] = optarg;
        else if (option == 'p' && span_to_u64(span_text(optarg), 65535 - PORT_POP3, &offset))
            w->offset = (int)offset;
        else
            return option == 'h' ? usage(stdout) : usage(stderr);
    }
    return optind == argc ? -1 : usage(stderr);
}

/* --- where, and as whom -------------------------------------------------------------------- */

/* DIR where none was said. Root's own home is out of reach for the user that it will run as. */
static const char *default_directory(struct arena *a)
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (getuid() == 0)
        return "/var/lib/merpati-run";
    if (data && data[0] == '/')
        return arena_printf(a, "%s/merpati", data);
    return arena_printf(a, "%s/.local/share/merpati", home && home[0] == '/' ? home : "/tmp");
}

static bool make_path(const char *path)
{
    char part[PATH_MAX];
    if (strlen(path) >= sizeof part)
        return say("%s: the path is too long", path);
    for (size_t i = 1; i <= strlen(path); i++) {
        if (path[i] != '/' && path[i] != 0)
            continue;
        memcpy(part, path, i);
        part[i] = 0;
        if (mkdir(part, 0755) != 0 && errno != EEXIST)
            return say("%s: %s", part, strerror(errno));
    }
    return true;
}

/* Started by root it runs as the owner of DIR, or as nobody where that is root: it needs no right
 * of root's, and makes no user in the system. */
static bool give_up_root(const char *directory)
{
    struct stat st;
    uid_t uid = NOBODY;
    gid_t gid = NOBODY;
    struct passwd *nobody = getpwnam("nobody");
    if (getuid() != 0)
        return true;
    if (nobody) {
        uid = nobody->pw_uid;
        gid = nobody->pw_gid;
    }
    if (stat(directory, &st) != 0)
        return say("%s: %s", directory, strerror(errno));
    if (st.st_uid != 0) {
        uid = st.st_uid;
        gid = st.st_gid;
    } else if (chown(directory, uid, gid) != 0) {
        return say("%s: %s", directory, strerror(errno));
    }
    if (setgroups(0, NULL) != 0 || setgid(gid) != 0 || setuid(uid) != 0)
        return say("change to user %u: %s", (unsigned)uid, strerror(errno));
    if (access(directory, R_OK | W_OK | X_OK) != 0)
        return say("%s cannot be reached by user %u, as whom the server runs when root starts it: choose a --dir "
                   "below /var/lib or /srv, say", directory, (unsigned)uid);
    printf("Started by root, the server runs as user %u.\n", (unsigned)uid);
    return true;
}

static bool choose_directory(struct arena *a, struct wishes *w)
{
    const char *wished = w->directory ? w->directory : default_directory(a);
    char *real = make_path(wished) ? realpath(wished, NULL) : NULL;
    if (!real)
        return say("%s: %s", wished, strerror(errno));
    w->directory = arena_text(a, span_text(real));
    free(real);
    return give_up_root(w->directory) && (chdir(w->directory) == 0 || say("%s: %s", w->directory, strerror(errno)));
}

/* --- what to say ----------------------------------------------------------------------------- */

/* A name as it may be typed, and the password where it is the demo's. */
static void show_accounts(const struct instance *i)
{
    for (size_t k = 0; k < i->accounts.n; k++) {
        struct span name = i->accounts.names[k];
        const char *demo = NULL;
        for (unsigned d = 0; i->demo && demo_user(d); d++)
            if (span_starts(name, span_slice(span_text(demo_user(d)), 0, span_find(span_text(demo_user(d)), ':'))))
                demo = strchr(demo_user(d), ':') + 1;
        if (name.n)
            printf("  account  %.*s%s%s\n", SPAN_ARG(name), demo ? ", password " : "", demo ? demo : "");
    }
}

static struct span first_account(const struct instance *i)
{
    for (size_t k = 0; k < i->accounts.n; k++)
        if (i->accounts.names[k].n)
            return i->accounts.names[k];
    return SPAN("nobody@localhost");
}

/* Where the other commands are. */
static const char *own_directory(struct arena *a)
{
    char *path = realpath("/proc/self/exe", NULL);
    const char *directory = arena_text(a, span_slice(span_text(path), 0, span_rfind(span_text(path), '/')));
    free(path);
    return directory;
}

static void show_how_to_use(struct instance *i)
{
    const char *host = instance_host(i);
    struct span to = first_account(i);
    const char *password = i->demo ? "alicepw" : "PASSWORD";
    int smtp = PORT_SMTP + i->offset, pop3 = PORT_POP3 + i->offset;
    printf("\nTo send a mail:\n"
           "  printf 'Subject: hello\\n\\nHello.\\n' | curl -sS --crlf smtp://%s:%d --mail-from you@%s --mail-rcpt %.*s -T -\n"
           "  swaks --server %s:%d --from you@%s --to %.*s\n"
           "  printf 'Subject: hello\\n\\nHello.\\n' | %s/sendmail -C %s -f you@%s %.*s\n",
           host, smtp, i->domain, SPAN_ARG(to), host, smtp, i->domain, SPAN_ARG(to), own_directory(&i->arena), i->etc, i->domain, SPAN_ARG(to));
    printf("To fetch it:\n"
           "  curl -sS -u '%.*s:%s' pop3://%s:%d/      (a list)\n"
           "  curl -sS -u '%.*s:%s' pop3://%s:%d/1     (the first one)\n"
           "In a mail program: POP3 server %s, port %d, no encryption, the account's address as user name;\n"
           "SMTP server %s, port %d, no encryption, no login.\n",
           SPAN_ARG(to), password, host, pop3, SPAN_ARG(to), password, host, pop3, i->listen, pop3, i->listen, smtp);
}

static void show(struct instance *i)
{
    const char *host = instance_host(i);
    printf("\nMerpati runs in %s\n"
           "  SMTP     %s:%d\n"
           "  POP3     %s:%d\n"
           "  log      %s/log/mail.log\n",
           i->directory, host, PORT_SMTP + i->offset, host, PORT_POP3 + i->offset, i->directory);
    show_accounts(i);
    show_how_to_use(i);
    printf("Ctrl-C ends it.\nready\n");
    fflush(stdout);
}

/* --- its life -------------------------------------------------------------------------------- */

static pid_t start_master(const struct instance *i, const struct wishes *w, const struct programs *p)
{
    const char *arguments[2 * OPTIONS_MAX + 16] = {"master", "-d", "-c", i->etc, "-x"};
    char libexec[64];
    unsigned n = 5;
    snprintf(libexec, sizeof libexec, "/proc/self/fd/%d", p->libexec);
    arguments[n++] = libexec;
    if (w->listen) {
        arguments[n++] = "-o";
        char *option = NULL;
        arguments[n++] = asprintf(&option, "inet_interfaces=%s", w->listen) > 0 ? option : "";
    }
    for (unsigned k = 0; k < w->noptions; k++) {
        arguments[n++] = "-o";
        arguments[n++] = w->options[k];
    }
    return program_start(p->libexec, "master", arguments, true);
}

struct life {
    pid_t master;
    int signals;
    bool ended;
    int status; /* of master, once it has ended */
};

/* Handles what signals say, until the deadline at most: an end that is asked for goes on to master. */
static void look_at_signals(struct life *l, int wait_ms)
{
    struct signalfd_siginfo info;
    struct pollfd p = {.fd = l->signals, .events = POLLIN};
    if (poll(&p, 1, wait_ms) > 0 && read(l->signals, &info, sizeof info) == sizeof info &&
        info.ssi_signo != SIGCHLD)
        kill(l->master, info.ssi_signo == SIGHUP ? SIGHUP : SIGTERM);
    if (!l->ended && waitpid(l->master, &l->status, WNOHANG) == l->master)
        l->ended = true;
}

static bool wait_until_ready(struct life *l, const struct instance *i)
{
    mono_ms give_up = clock_after(READY_MOST_S);
    bool smtp = false, pop3 = false;
    while (!l->ended && !(smtp && pop3) && clock_mono() < give_up) {
        smtp = smtp || server_greets(i->listen, (uint16_t)(PORT_SMTP + i->offset), "220");
        pop3 = pop3 || server_greets(i->listen, (uint16_t)(PORT_POP3 + i->offset), "+OK");
        look_at_signals(l, smtp && pop3 ? 0 : LOOK_EVERY_MS);
    }
    if (!l->ended && !(smtp && pop3))
        say("%s does not answer after %d seconds; see %s/log/mail.log", smtp ? "POP3" : "SMTP", READY_MOST_S,
            i->directory);
    return smtp && pop3 && !l->ended;
}

static int live(struct instance *i, const struct wishes *w, const struct programs *p)
{
    struct life l = {0};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    fflush(stdout);
    l.master = start_master(i, w, p);
    if (l.master < 0)
        return 1;
    sigprocmask(SIG_BLOCK, &set, NULL);
    l.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    bool ready = wait_until_ready(&l, i);
    if (ready)
        show(i);
    else if (!l.ended)
        kill(l.master, SIGTERM);
    while (!l.ended)
        look_at_signals(&l, 1000);
    return ready && WIFEXITED(l.status) ? WEXITSTATUS(l.status) : 1;
}

int command_run(int argc, char **argv)
{
    struct arena a = ARENA_INIT;
    struct programs p;
    static struct wishes w;
    struct instance i = {.offset = -1};
    int status = read_arguments(argc, argv, &w);
    if (status >= 0)
        return status;
    umask(022);
    if (!programs_find(&p) || !choose_directory(&a, &w))
        return 1;
    status = instance_make(&i, &w, &p) ? live(&i, &w, &p) : 1;
    instance_fini(&i);
    arena_fini(&a);
    return status;
}
