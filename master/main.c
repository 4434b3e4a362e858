/* master: the process that starts all others.
 *
 *     master [-c directory] [-d] [-t] [-v] [-x libexec] [-o name=value]...
 *
 *     -c directory  of main.cf and master.cf
 *     -d            stay in the foreground
 *     -t            check the configuration and whether a server runs; say nothing where all is well
 *     -v            log more
 *     -x libexec    where the programs are, instead of beside master itself
 *     -o name=value overrides a parameter of main.cf for as long as the server runs
 *
 * Ends with 0 after SIGTERM; with 1 where it could not start, having said why. */
#include "lib/log/log.h"
#include "master/children.h"
#include "master/files.h"
#include "master/lock.h"
#include "master/logs.h"
#include "master/master.h"
#include "master/plan.h"
#include "master/reload.h"
#include "master/services.h"
#include "master/sockets.h"
#include "master/spool.h"
#include "master/status.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CORES_MAX = 64, FIRST_KEPT = 16, OPTIONS_MAX = 100, PATH_ROOM = 1024 };

struct arguments {
    const char *directory, *libexec;
    const char *options[OPTIONS_MAX + 1]; /* NULL ends */
    unsigned noptions;
    bool foreground, check_only, verbose;
};

static bool read_arguments(int argc, char **argv, struct arguments *a)
{
    int option;
    *a = (struct arguments){.directory = getenv("MAIL_CONFIG")};
    if (!a->directory)
        a->directory = "/etc/merpati";
    while ((option = getopt(argc, argv, "c:do:tvx:")) != -1)
        switch (option) {
        case 'c':
            a->directory = optarg;
            break;
        case 'd':
            a->foreground = true;
            break;
        case 'o':
            if (a->noptions == OPTIONS_MAX)
                return false;
            a->options[a->noptions++] = optarg;
            break;
        case 't':
            a->check_only = true;
            break;
        case 'v':
            a->verbose = true;
            break;
        case 'x':
            a->libexec = optarg;
            break;
        default:
            return false;
        }
    return optind == argc;
}

/* Errors go to whoever started us, and warnings with them. result: how many were errors */
static size_t print_errors(const struct param_errors *errors)
{
    for (size_t i = 0; i < errors->count; i++)
        fprintf(stderr, "master: %s: %.*s\n", errors->at[i]->severity == PARAM_ERROR ? "fatal" : "warning",
                SPAN_ARG(errors->at[i]->text));
    return errors->fatal;
}

static bool said(const char *what, const struct buf *why)
{
    fprintf(stderr, "master: fatal: %s%s%s\n", what, *what ? ": " : "", buf_text(why));
    return false;
}

/* --- finding things ------------------------------------------------------------------- */

/* The path of a directory, for log lines: it may have been given as a descriptor (/proc/self/fd/7),
 * because its parents are out of reach. result: owned; lives as long as the process */
static char *path_of(int fd)
{
    char link[64], path[PATH_ROOM];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path);
    return strndup(n > 0 ? path : "?", n > 0 ? (size_t)n : 1);
}

static char *own_directory(void)
{
    char path[PATH_ROOM];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path);
    struct span whole = span_of(path, n > 0 ? (size_t)n : 0);
    return strndup(path, span_rfind(whole, '/'));
}

/* The directory of the programs: given, or the one that holds this program. */
static bool find_libexec(struct master *m, const char *given)
{
    char *own = own_directory();
    const char *path = given ? given : own;
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        fprintf(stderr, "master: fatal: %s: %s\n", path, strerror(errno));
    } else {
        /* Out of the way of the descriptors that children are given by number. */
        m->frame.libexec = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_KEPT);
        m->libexec_path = path_of(fd);
        close(fd);
    }
    free(own);
    return fd >= 0 && m->frame.libexec >= 0;
}

static bool find_configuration(struct master *m, const struct arguments *a)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    m->frame.directory = realpath(a->directory, NULL);
    if (!m->frame.directory) {
        fprintf(stderr, "master: fatal: %s: %s: name the directory of main.cf with -c\n", a->directory, strerror(errno));
        return false;
    }
    m->frame.options = a->options;
    m->frame.as_root = getuid() == 0;
    m->frame.cores = cores < 1 ? 1 : cores > CORES_MAX ? CORES_MAX : (unsigned)cores;
    return find_libexec(m, a->libexec);
}

static bool load_configuration(struct master *m)
{
    struct param_errors errors = PARAM_ERRORS_INIT;
    m->config = config_load(&m->frame, &errors);
    print_errors(&errors);
    param_errors_fini(&errors);
    if (m->config)
        m->config->generation = 1;
    return m->config != NULL;
}

/* --- starting ------------------------------------------------------------------------- */

static bool take_queue(struct master *m)
{
    struct buf why = BUF_INIT;
    bool good = spool_enter(m->config->main.queue_directory.p, &why) && spool_prepare(m->frame.as_root, &why) &&
                lock_take(&m->lock, &why);
    if (!good)
        said("", &why);
    buf_fini(&why);
    return good;
}

static bool open_sockets(struct master *m)
{
    struct param_errors errors = PARAM_ERRORS_INIT;
    m->sockets = sockets_new();
    bool good = sockets_open(m->sockets, m->config, &errors);
    print_errors(&errors);
    param_errors_fini(&errors);
    return good;
}

static bool open_log(struct master *m)
{
    struct buf why = BUF_INIT;
    bool good = logs_open(m, m->config, &why) || said("", &why);
    buf_fini(&why);
    return good;
}

static void file_changed(const char *path, void *context)
{
    struct master *m = context;
    int error = 0;
    if (strcmp(path, m->log_target) == 0) {
        logs_rotated(m);
        return;
    }
    int fd = files_get(m->files, path, &error);
    log_info("file %s has changed", path);
    children_tell_file(m, path, fd, error);
}

static void on_signal(int signo, void *context)
{
    struct master *m = context;
    if (signo == SIGCHLD) {
        children_reap(m);
    } else if (signo == SIGHUP) {
        if (!m->stopping)
            reload(m);
    } else {
        log_info("terminating on signal %d", signo);
        services_stop(m);
    }
}

static void watch_signals(struct master *m)
{
    loop_on_signal(m->loop, SIGCHLD, on_signal, m);
    loop_on_signal(m->loop, SIGHUP, on_signal, m);
    loop_on_signal(m->loop, SIGTERM, on_signal, m);
    if (m->foreground)
        loop_on_signal(m->loop, SIGINT, on_signal, m);
    else
        signal(SIGINT, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
}

/* Stays with whoever started us until the server can be asked for its status. */
static _Noreturn void wait_for_server(int fd)
{
    char word;
    ssize_t n;
    while ((n = read(fd, &word, 1)) < 0 && errno == EINTR)
        ;
    if (n != 1)
        fprintf(stderr, "master: fatal: the server has ended at once; see its log\n");
    _exit(n == 1 ? 0 : 1); /* the locks and sockets are the other's */
}

static void tell_starter(struct master *m)
{
    if (m->starter_fd < 0)
        return;
    (void)!write(m->starter_fd, "1", 1);
    close(m->starter_fd);
    m->starter_fd = -1;
}

/* Leaves whoever started us; result: false where that is not possible (said). */
static bool go_to_background(struct master *m)
{
    int ends[2];
    fflush(NULL);
    pid_t pid = pipe2(ends, O_CLOEXEC) == 0 ? fork() : -1;
    if (pid < 0) {
        fprintf(stderr, "master: fatal: going to the background: %s\n", strerror(errno));
        return false;
    }
    close(ends[pid > 0]);
    if (pid > 0)
        wait_for_server(ends[0]);
    m->starter_fd = ends[1];
    setsid();
    bool logs = open_log(m); /* under the new number, and while standard output is there */
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3 && nowhere >= 0; fd++)
        dup2(nowhere, fd);
    if (nowhere > 2)
        close(nowhere);
    lock_write_pid(&m->lock);
    return logs;
}

/* Everything that can fail has been tried before the first process starts. */
static bool prepare(struct master *m)
{
    return take_queue(m) && open_log(m) && open_sockets(m) && (m->foreground || go_to_background(m));
}

static void say_what_is_doubtful(void)
{
    const char *warning = spool_file_system_warning();
    if (warning)
        log_warning("%s", warning);
    if (wall_landlock_abi() == 0)
        log_warning("this kernel has no Landlock that is of use (Linux 5.19): processes are kept from files by their "
                    "users' rights alone");
}

/* Master's own wall: fewer capabilities, no core file, not to be traced. */
static bool enter_wall(void)
{
    struct buf why = BUF_INIT;
    bool in = wall_enter("master", NULL, NULL, 0, &why);
    if (!in)
        log_fatal("%s", buf_text(&why));
    buf_fini(&why);
    return in;
}

static int run(struct master *m)
{
    m->pid = getpid();
    m->started = clock_wall();
    m->loop = loop_new();
    log_attach(m->loop);
    watch_signals(m);
    m->files = files_new(m->loop, file_changed, m);
    if (m->log_target[0] == '/')
        files_watch(m->files, m->log_target);
    if (!status_open(m))
        log_warning("%s: %s: merpati status will not work", STATUS_PATH, strerror(errno));
    log_info("daemon started -- configuration %s", m->frame.directory);
    say_what_is_doubtful();
    tell_starter(m);
    services_apply(m);
    loop_run(m->loop);
    status_close(m);
    log_info("daemon stopped");
    log_flush();
    services_free(m);
    map_fini(&m->children);
    files_free(&m->files);
    loop_free(&m->loop);
    lock_end(&m->lock);
    return 0;
}

static void end(struct master *m)
{
    config_release(&m->config);
    sockets_free(&m->sockets);
    if (m->log_fd >= 0)
        close(m->log_fd);
    free(m->trouble);
    free(m->frame.directory);
    free(m->libexec_path);
}

/* result: the exit status */
static int check(struct master *m)
{
    struct buf why = BUF_INIT;
    pid_t pid = 0;
    if (chdir(m->config->main.queue_directory.p) == 0 && (pid = lock_holder()) > 0)
        fprintf(stderr, "master: a server runs with this queue directory: pid %ld\n", (long)pid);
    buf_fini(&why);
    return 0;
}

int main(int argc, char **argv)
{
    struct arguments a;
    struct master m = {.lock = QUEUE_LOCK_INIT, .log_fd = -1, .status_fd = -1, .starter_fd = -1};
    if (!read_arguments(argc, argv, &a)) {
        fprintf(stderr, "usage: master [-c directory] [-d] [-t] [-v] [-x libexec] [-o name=value]...\n");
        return 1;
    }
    list_init(&m.crews);
    m.foreground = a.foreground;
    m.verbose = a.verbose;
    umask(022);
    int status = 1;
    if (find_configuration(&m, &a) && load_configuration(&m)) {
        if (a.check_only)
            status = check(&m);
        else if (prepare(&m) && enter_wall())
            status = run(&m);
    }
    end(&m);
    return status;
}
