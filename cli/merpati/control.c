/* start, stop, reload, status: a server that runs by itself. */
#include "cli/merpati/merpati.h"

#include "lib/base/clock.h"
#include "lib/param/facts.h"
#include "lib/param/param.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { CONFIG_MAX = 4 << 20, STATUS_MAX = 4 << 20, STOP_MOST_S = 20, RELOAD_MOST_S = 60, LOOK_EVERY_MS = 50 };

/* "-c DIR", MAIL_CONFIG, /etc/merpati. result: NULL: said */
static const char *config_directory(int argc, char **argv)
{
    const char *directory = getenv("MAIL_CONFIG");
    int option;
    optind = 1;
    while ((option = getopt(argc, argv, "+c:")) == 'c')
        directory = optarg;
    if (option != -1 || optind != argc) {
        say("usage: merpati %s [-c CONFIG_DIRECTORY]", argv[0]);
        return NULL;
    }
    return directory ? directory : "/etc/merpati";
}

const char *queue_directory_of(struct arena *a, const char *directory)
{
    struct settings s = SETTINGS_INIT;
    struct buf text = BUF_LIMITED(CONFIG_MAX), why = BUF_INIT;
    const char *path = arena_printf(a, "%s/main.cf", directory), *found = NULL;
    struct span value;
    if (!settings_load_file(path, CONFIG_MAX, &text, &why)) {
        say("%s: %s", path, buf_text(&why));
    } else {
        settings_parse(&s, buf_span(&text), span_text(path), NULL);
        settings_set_fact(&s, "config_directory", span_text(directory));
        if (param_expand_name(a, &s, SPAN("queue_directory"), &value, &why))
            found = arena_text(a, value);
        else
            say("%s: queue_directory: %s", path, buf_text(&why));
    }
    settings_fini(&s);
    buf_fini(&text);
    buf_fini(&why);
    return found;
}

static void read_all(int fd, struct buf *text)
{
    for (;;) {
        char *room = buf_reserve(text, 65536);
        ssize_t n = room ? read(fd, room, 65536) : 0;
        if (n <= 0)
            return;
        buf_grown(text, (size_t)n);
    }
}

int status_ask(const char *queue_directory, struct buf *text)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "public/status"};
    *text = BUF_LIMITED(STATUS_MAX);
    /* From inside, because a socket's path may not be longer than 107 octets. */
    if (chdir(queue_directory) != 0)
        return errno == ENOENT ? 0 : (say("%s: %s", queue_directory, strerror(errno)), -1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int result = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        result = errno == ENOENT || errno == ECONNREFUSED ? 0 : -1;
        if (result < 0)
            say("%s/%s: %s", queue_directory, address.sun_path, strerror(errno));
    } else {
        read_all(fd, text);
    }
    if (fd >= 0)
        close(fd);
    return result;
}

/* The value behind "name=" in one line; empty where there is none. */
static struct span word_of(struct span line, const char *name)
{
    struct span word;
    size_t n = strlen(name);
    while (span_next_token(&line, SPAN(" "), &word))
        if (span_starts(word, span_text(name)) && word.n > n && word.p[n] == '=')
            return span_skip(word, n + 1);
    return SPAN_NONE;
}

uint64_t status_number(struct span text, const char *name)
{
    uint64_t number = 0;
    (void)span_to_u64(word_of(span_slice(text, 0, span_find(text, '\n')), name), INT64_MAX, &number);
    return number;
}

/* Finds the server. result: its pid; 0: none runs (said); -1: said */
static pid_t find_server(struct arena *a, int argc, char **argv, const char **queue, struct buf *text)
{
    const char *directory = config_directory(argc, argv);
    *text = BUF_INIT;
    *queue = directory ? queue_directory_of(a, directory) : NULL;
    int asked = *queue ? status_ask(*queue, text) : -1;
    if (asked == 0)
        say("no server runs with the configuration in %s", directory);
    return asked <= 0 ? asked : (pid_t)status_number(buf_span(text), "pid");
}

int command_start(int argc, char **argv)
{
    struct programs p;
    const char *directory = config_directory(argc, argv);
    if (!directory || !programs_find(&p))
        return 1;
    const char *const arguments[] = {"master", "-c", directory, NULL};
    return program_run(p.libexec, "master", arguments);
}

static bool signal_server(pid_t pid, int signo)
{
    return pid > 0 && (kill(pid, signo) == 0 || say("process %ld: %s", (long)pid, strerror(errno)));
}

int command_stop(int argc, char **argv)
{
    struct arena a = ARENA_INIT;
    struct buf text;
    const char *queue;
    pid_t pid = find_server(&a, argc, argv, &queue, &text);
    bool gone = false;
    if (signal_server(pid, SIGTERM)) {
        mono_ms give_up = clock_after(STOP_MOST_S);
        while (!(gone = kill(pid, 0) != 0) && clock_mono() < give_up)
            poll(NULL, 0, LOOK_EVERY_MS);
        if (!gone)
            say("process %ld has not ended after %d seconds", (long)pid, STOP_MOST_S);
    }
    buf_fini(&text);
    arena_fini(&a);
    return gone ? 0 : 1;
}

static struct span trouble_of(struct span text)
{
    struct span line;
    while (span_next_token(&text, SPAN("\n"), &line))
        if (span_starts(line, SPAN("trouble ")))
            return span_skip(line, 8);
    return SPAN_NONE;
}

int command_reload(int argc, char **argv)
{
    struct arena a = ARENA_INIT;
    struct buf text;
    const char *queue;
    pid_t pid = find_server(&a, argc, argv, &queue, &text);
    uint64_t before = status_number(buf_span(&text), "reloads");
    bool done = false;
    if (signal_server(pid, SIGHUP)) {
        mono_ms give_up = clock_after(RELOAD_MOST_S);
        while (!done && clock_mono() < give_up) {
            buf_fini(&text);
            if (status_ask(queue, &text) <= 0)
                break;
            done = status_number(buf_span(&text), "reloads") > before;
            if (!done)
                poll(NULL, 0, LOOK_EVERY_MS);
        }
        struct span trouble = trouble_of(buf_span(&text));
        if (!done)
            say("the server has not answered; see its log");
        else if (trouble.n)
            done = say("%.*s\nmerpati: the server goes on with the configuration it has", SPAN_ARG(trouble));
    }
    buf_fini(&text);
    arena_fini(&a);
    return done ? 0 : 1;
}

/* --- status --------------------------------------------------------------------------- */

static void show_server(struct span line)
{
    uint64_t started = status_number(line, "started");
    time_t when = (time_t)started;
    struct tm tm;
    char since[32] = "";
    if (localtime_r(&when, &tm))
        strftime(since, sizeof since, "%Y-%m-%d %H:%M:%S", &tm);
    printf("server      pid %.*s, configuration %.*s (generation %.*s), since %s\n", SPAN_ARG(word_of(line, "pid")),
           SPAN_ARG(word_of(line, "config")), SPAN_ARG(word_of(line, "generation")), since);
}

static void show_process(struct span line)
{
    printf("process     %-8.*s %-20.*s %-10.*s %4.*s %10.*s  %-10.*s %.*s sessions, %.*s callers\n",
           SPAN_ARG(word_of(line, "pid")), SPAN_ARG(word_of(line, "service")), SPAN_ARG(word_of(line, "program")),
           SPAN_ARG(word_of(line, "slot")), SPAN_ARG(word_of(line, "generation")), SPAN_ARG(word_of(line, "state")),
           SPAN_ARG(word_of(line, "sessions")), SPAN_ARG(word_of(line, "callers")));
}

static void show_status(struct span text)
{
    struct span line;
    bool headed = false;
    while (span_next_token(&text, SPAN("\n"), &line)) {
        if (span_starts(line, SPAN("server "))) {
            show_server(line);
        } else if (span_starts(line, SPAN("trouble "))) {
            printf("reload      failed: %.*s\n", SPAN_ARG(span_skip(line, 8)));
        } else if (span_starts(line, SPAN("listen "))) {
            printf("listening   %.*s\n", SPAN_ARG(span_skip(line, 7)));
        } else if (span_starts(line, SPAN("process "))) {
            if (!headed)
                printf("            %-8s %-20s %-10s slot generation  state\n", "pid", "service", "program");
            headed = true;
            show_process(line);
        }
    }
}

int command_status(int argc, char **argv)
{
    struct arena a = ARENA_INIT;
    struct buf text;
    const char *queue;
    pid_t pid = find_server(&a, argc, argv, &queue, &text);
    if (pid > 0)
        show_status(buf_span(&text));
    buf_fini(&text);
    arena_fini(&a);
    return pid > 0 ? 0 : 1;
}
