/* A session host that does on command what a test of master needs. Installed in a directory of
 * its own under the names of real hosts ("smtpd", "pop3d"), whose walls it then has.
 *
 * It greets with "220 (or, as pop3d, +OK) name pid incarnation slot limit generation" and knows
 *
 *     call SERVICE        asks SERVICE over a channel who it is
 *     call SERVICE crash  makes it abort instead
 *     chain N             lets cleanup let qmgr ask for N channels to local at once, and shows their slots
 *     file PATH           the first line of a file that the configuration names
 *     value NAME          a setting, unexpanded
 *     spin                never comes back to its loop
 *     crash               aborts
 *     quit */
#include "lib/io/conn.h"
#include "lib/param/settings.h"
#include "lib/proc/proc.h"
#include "lib/wire/submit.msg.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

CHANNEL_CALL_DECLARE(room_wanted, submitted);

enum { LINE_MOST = 1000, CHAIN = 100, CRASH = 999 };

static void call_service(struct proc *p, struct conn *c, const char *service, uint64_t size)
{
    struct arena a = ARENA_INIT;
    struct msg_room_wanted ask = {.size = size};
    struct msg_submitted got;
    struct channel *to = proc_channel(p, service, clock_after(20));
    if (!to) {
        conn_printf(c, "no channel\r\n");
    } else {
        enum call_result result = CHANNEL_CALL(to, &a, clock_after(20), room_wanted, &ask, submitted, &got);
        conn_printf(c, result == CALL_OK ? "said %.*s\r\n" : "lost %.*s\r\n", SPAN_ARG(got.text));
    }
    arena_fini(&a);
}

static void show_file(struct proc *p, struct conn *c, const char *path)
{
    char text[200] = "";
    int fd = proc_file(p, path);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (n < 0)
        conn_printf(c, "error %s\r\n", strerror(errno));
    else
        conn_printf(c, "file %.*s\r\n", (int)span_find(span_text(text), '\n'), text);
    if (fd >= 0)
        close(fd);
}

static void obey(struct proc *p, struct conn *c, char *line)
{
    char *word = line, *argument = strchr(line, ' ');
    if (argument)
        *argument++ = 0;
    char *second = argument ? strchr(argument, ' ') : NULL;
    if (second)
        *second++ = 0;
    if (strcmp(word, "call") == 0) {
        call_service(p, c, argument, second ? CRASH : 0);
    } else if (strcmp(word, "chain") == 0) {
        call_service(p, c, "cleanup", CHAIN + strtoul(argument, NULL, 10));
    } else if (strcmp(word, "file") == 0) {
        show_file(p, c, argument);
    } else if (strcmp(word, "value") == 0) {
        const struct setting *s = settings_get(proc_settings(p), span_text(argument));
        conn_printf(c, "value %.*s\r\n", SPAN_ARG(s ? s->value : SPAN_NONE));
    } else if (strcmp(word, "spin") == 0) {
        for (volatile unsigned n = 0;; n++)
            ;
    } else if (strcmp(word, "crash") == 0) {
        abort();
    } else {
        conn_printf(c, "what?\r\n");
    }
}

static void accepted(struct proc *p, void *own, struct proc_client *client)
{
    const struct msg_boot *b = proc_boot(p);
    struct conn *c = conn_new(client->fd);
    enum line_ending ending;
    struct span line;
    (void)own;
    conn_set_deadline(c, clock_after(300));
    bool pop3 = strcmp(program_invocation_short_name, "pop3d") == 0;
    conn_printf(c, "%s %.*s %ld %llu %llu %llu %llu\r\n", pop3 ? "+OK" : "220", SPAN_ARG(b->service), (long)getpid(),
                (unsigned long long)b->incarnation, (unsigned long long)b->slot, (unsigned long long)b->limit,
                (unsigned long long)b->generation);
    while (conn_read_line(c, LINE_MOST, &line, &ending) == CONN_OK && !span_eq(line, SPAN("quit"))) {
        char *text = strndup(line.p, line.n);
        obey(p, c, text);
        free(text);
    }
    conn_close(&c);
}

static void *start(struct proc *p)
{
    return p;
}

int main(int argc, char **argv)
{
    static const struct message_handler none[] = {{0, NULL}};
    const char *slash = strrchr(argv[0], '/');
    struct proc_spec spec = {.program = slash ? slash + 1 : argv[0],
                             .kind = PROC_HOST,
                             .requests = none,
                             .start = start,
                             .accepted = accepted};
    (void)argc;
    return proc_main(&spec);
}
