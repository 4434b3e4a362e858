/* sendmail, and mailq and newaliases where they are links to it. */
#include "cli/sendmail/sendmail.h"
#include "lib/mail/address.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

static const char DEFAULT_DIRECTORY[] = "/etc/merpati";

/* Whoever started us may have left little: no standard descriptors, odd signals, a small file limit. */
static void settle_in(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= 2);
    if (fd > 2)
        close(fd);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a write over the limit fails instead */
    umask(077);
}

/* Another program of ours, from where this one is, called by one of its names.
 * result: only where it cannot be run */
static int become(const char *program, const char *name, const char *const *more, const struct options *o)
{
    char path[PATH_MAX];
    const char *arguments[8] = {name};
    size_t n = 1;
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    path[length > 0 ? (size_t)length : 0] = 0;
    size_t slash = span_rfind(span_text(path), '/');
    snprintf(path + slash, sizeof path - slash, "/%s", program);
    if (o->config_directory && setenv("MAIL_CONFIG", o->config_directory, 1) != 0)
        return fatal(EX_OSERR, "setenv: %s", strerror(errno));
    for (; *more && n + 1 < sizeof arguments / sizeof *arguments; more++)
        arguments[n++] = *more;
    arguments[n] = NULL;
    char *argv[sizeof arguments / sizeof *arguments];
    memcpy(argv, arguments, sizeof argv);
    execv(path, argv);
    return fatal(EX_OSERR, "%s: %s", path, strerror(errno));
}

static int flush_queue(const struct options *o)
{
    if (o->flush_id)
        return become("postqueue", "postqueue", (const char *const[]){"-i", o->flush_id, NULL}, o);
    if (o->flush_site)
        return become("postqueue", "postqueue", (const char *const[]){"-s", o->flush_site, NULL}, o);
    return become("postqueue", "postqueue", (const char *const[]){"-f", NULL}, o);
}

/* The message on standard input, into the file. result: 0, or an exit status: said */
static int read_message(const struct config *c, const struct options *o, int fd)
{
    struct input input = {.fd = STDIN_FILENO};
    struct text_rules rules = {c->endings, o->ignore_dots, c->size_limit};
    struct drop_writer to;
    if (!drop_write_begin(&to, fd, &o->envelope))
        return fatal(EX_UNAVAILABLE, "too many recipients");
    enum text_result result = text_read(&input, &rules, &to);
    int error = drop_write_end(&to);
    input_fini(&input);
    if (result == TEXT_TOO_BIG)
        return fatal(EX_UNAVAILABLE, "message file too big: message_size_limit is %llu",
                     (unsigned long long)c->size_limit);
    if (result == TEXT_ERROR)
        return fatal(EX_IOERR, "read standard input: %s", strerror(input.error));
    return error ? fatal(EX_TEMPFAIL, "no memory for the message: %s", strerror(error)) : 0;
}

static int send_mail(const struct config *c, const struct options *o)
{
    struct receipt r = {0};
    int fd = handin_open();
    if (fd < 0)
        return fatal(EX_TEMPFAIL, "no memory for the message: %s", strerror(errno));
    int status = read_message(c, o, fd);
    if (status == 0) {
        handin(c->queue, fd, &r);
        status = handin_status(&r);
        if (status)
            fatal(status, "%s: %s", buf_text(&r.dsn), buf_text(&r.text));
        else if (o->verbose)
            fprintf(stderr, r.id.len ? "sendmail: queued as %s\n" : "sendmail: left in maildrop%s\n", buf_text(&r.id));
    }
    receipt_fini(&r);
    close(fd);
    return status;
}

static int run(struct arena *a, const struct options *o)
{
    struct config c;
    const char *directory = o->config_directory ? o->config_directory : getenv("MAIL_CONFIG");
    if (o->mode == MODE_LIST)
        return become("postqueue", "postqueue", (const char *const[]){"-p", NULL}, o);
    if (o->mode == MODE_ALIASES)
        return become("postmap", "newaliases", (const char *const[]){NULL}, o);
    if (o->mode == MODE_FLUSH)
        return flush_queue(o);
    int status = config_read(a, directory ? directory : DEFAULT_DIRECTORY, &c);
    if (status)
        return status;
    return o->mode == MODE_SMTP ? smtp_talk(&c, STDIN_FILENO, STDOUT_FILENO, handin) : send_mail(&c, o);
}

int main(int argc, char **argv)
{
    struct arena a = ARENA_INIT;
    struct options o;
    settle_in();
    int status = options_read(&a, program_invocation_short_name, argc, argv, &o);
    if (status == 0) {
        /* As other mail programs have it: the name to show may come from the environment. */
        struct span name = span_text(getenv("NAME"));
        if (o.envelope.full_name.n == 0 && name.n <= DROP_ADDRESS_MAX && address_is_clean(name))
            o.envelope.full_name = name;
        status = run(&a, &o);
    }
    arena_fini(&a);
    return status;
}
