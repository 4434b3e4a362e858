#include "cli/postqueue/postqueue.h"

#include "lib/io/loop.h"
#include "lib/log/log.h"
#include "lib/param/facts.h"
#include "lib/param/param.h"
#include "lib/wire/channel.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    CONFIG_MAX = 4 << 20,
    ANSWER_S = 60,    /* how long qmgr may take for one answer */
    EXIT_TEMP = 75,   /* sysexits.h: try again later */
    EXIT_DENIED = 77, /* the same: not allowed */
    EXIT_USE = 64,    /* the same: wrong command line */
    EXIT_DOWN = 69,   /* the same: the server is down */
};

enum what { LIST, LIST_JSON, FLUSH };

/* One run. */
struct run {
    const char *directory; /* of the configuration */
    enum what what;
    struct msg_tool_flush flush;
    bool long_ids;
    struct arena arena;
};

CHANNEL_CALL_DECLARE(tool_list, tool_listed);
CHANNEL_CALL_DECLARE(tool_flush, tool_done);

static void __attribute__((format(printf, 1, 2))) complain(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s: ", program_invocation_short_name);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

/* --- the configuration ---------------------------------------------------------------- */

/* Goes to the queue directory that main.cf names. */
static bool enter_queue(struct run *r)
{
    struct settings s = SETTINGS_INIT;
    struct buf text = BUF_LIMITED(CONFIG_MAX), why = BUF_INIT;
    const char *path = arena_printf(&r->arena, "%s/main.cf", r->directory);
    struct span queue, value;
    bool good = settings_load_file(path, CONFIG_MAX, &text, &why);
    if (good) {
        settings_parse(&s, buf_span(&text), span_text(path), NULL);
        settings_set_fact(&s, "config_directory", span_text(r->directory));
        facts_gather(&s);
        good = param_expand_name(&r->arena, &s, SPAN("queue_directory"), &queue, &why);
    }
    if (!good)
        complain("fatal: %s: %s", path, buf_text(&why));
    if (good && param_expand_name(&r->arena, &s, SPAN("enable_long_queue_ids"), &value, NULL))
        r->long_ids = span_eq_nocase(value, SPAN("yes"));
    if (good && chdir(arena_text(&r->arena, queue)) != 0) {
        complain("fatal: %.*s: %s", SPAN_ARG(queue), strerror(errno));
        good = false;
    }
    settings_fini(&s);
    buf_fini(&text);
    buf_fini(&why);
    return good;
}

/* --- the server -------------------------------------------------------------------------- */

/* By a path from inside, because a socket's path may not be longer than 107 octets.
 * result: -1 with errno */
static int connect_to(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "public/%s", name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static void ignore_frame(struct channel *c, struct frame *f, void *context)
{
    (void)c, (void)f, (void)context;
}

static int list_by_server(struct run *r, struct channel *c, struct printer *p)
{
    struct msg_tool_listed part = {.more = 1};
    for (uint64_t begin = 1; part.more; begin = 0) {
        struct arena a = ARENA_INIT;
        enum call_result got = CHANNEL_CALL(c, &a, clock_after(ANSWER_S), tool_list,
                                            &(struct msg_tool_list){.begin = begin}, tool_listed, &part);
        if (got != CALL_OK || part.error.n) {
            complain("fatal: %.*s",
                     SPAN_ARG(got == CALL_OK ? part.error : SPAN("the queue manager does not answer")));
            arena_fini(&a);
            return got == CALL_OK ? EXIT_DENIED : EXIT_TEMP;
        }
        for (size_t i = 0; i < part.messages.n; i++)
            print_message(p, &part.messages.at[i]);
        arena_fini(&a);
    }
    (void)r;
    return EXIT_SUCCESS;
}

static int flush_by_server(struct run *r, struct channel *c)
{
    struct msg_tool_done done;
    enum call_result got =
        CHANNEL_CALL(c, &r->arena, clock_after(ANSWER_S), tool_flush, &r->flush, tool_done, &done);
    if (got == CALL_OK && done.class == 2)
        return EXIT_SUCCESS;
    complain("fatal: %.*s", SPAN_ARG(got == CALL_OK ? done.text : SPAN("the queue manager does not answer")));
    return got != CALL_OK || done.class == 4 ? EXIT_TEMP : EXIT_DENIED;
}

static int list_without_server(struct printer *p)
{
    struct buf why = BUF_INIT;
    complain("warning: Mail system is down -- accessing queue directly");
    bool good = direct_list(p, &why);
    if (!good)
        complain("fatal: %s", buf_text(&why));
    buf_fini(&why);
    return good ? EXIT_SUCCESS : EXIT_DOWN;
}

static int act(struct run *r)
{
    static const struct channel_handler handler = {ignore_frame, NULL};
    struct printer p;
    int status, fd = connect_to(r->what == FLUSH ? "qmgr" : "showq");
    print_begin(&p, stdout, r->what == LIST_JSON, r->long_ids);
    if (fd < 0 && errno != ENOENT && errno != ECONNREFUSED) {
        complain("fatal: cannot reach the queue manager: %s", strerror(errno));
        return EXIT_DOWN;
    }
    if (fd < 0 && r->what == FLUSH) {
        complain("fatal: Cannot flush mail queue - mail system is down");
        return EXIT_DOWN;
    }
    if (fd < 0) {
        status = list_without_server(&p);
    } else {
        struct loop *l = loop_new();
        struct channel *c = channel_open(l, fd, "qmgr", &handler, NULL);
        status = r->what == FLUSH ? flush_by_server(r, c) : list_by_server(r, c, &p);
        channel_close(&c);
        loop_free(&l);
    }
    if (status == EXIT_SUCCESS && r->what != FLUSH)
        print_end(&p);
    return status;
}

/* --- the command line ---------------------------------------------------------------------- */

static int usage(void)
{
    fprintf(stderr, "usage: postqueue [-c config_dir] [-v] [-f | -i queue_id | -j | -p | -s site]\n");
    return EXIT_USE;
}

static bool take_options(struct run *r, int argc, char **argv)
{
    int modes = 0;
    for (int option; (option = getopt(argc, argv, "c:fi:jps:v")) != -1;) {
        modes += strchr("fijps", option) != NULL;
        if (option == 'c')
            r->directory = optarg;
        else if (option == 'f' || option == 'i' || option == 's')
            r->flush = (struct msg_tool_flush){.kind = option == 'f'   ? TOOL_ALL
                                                       : option == 'i' ? TOOL_ID
                                                                       : TOOL_SITE,
                                               .name = span_text(optarg)};
        else if (option == 'j')
            r->what = LIST_JSON;
        else if (option == '?')
            return false;
    }
    if (r->flush.kind)
        r->what = FLUSH;
    /* mailq lists without being told to. */
    bool is_mailq = strcmp(program_invocation_short_name, "mailq") == 0;
    return optind == argc && (modes == 1 || (modes == 0 && is_mailq));
}

int main(int argc, char **argv)
{
    struct run r = {.directory = getenv("MAIL_CONFIG"), .what = LIST, .arena = ARENA_INIT};
    if (!take_options(&r, argc, argv))
        return usage();
    if (!r.directory)
        r.directory = "/etc/merpati";
    int status = enter_queue(&r) ? act(&r) : EXIT_FAILURE;
    arena_fini(&r.arena);
    return fflush(stdout) == 0 ? status : EXIT_FAILURE;
}
