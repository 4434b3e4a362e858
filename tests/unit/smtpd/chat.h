/* A conversation with a real session: the server side runs smtpd_session() on a thread with
 * services of its own, the test speaks line by line from the other end of a socket pair. */
#ifndef TESTS_SMTPD_CHAT_H
#define TESTS_SMTPD_CHAT_H

#include "lib/param/param.h"
#include "lib/table/matchlist.h"
#include "smtpd/recipients.h"
#include "smtpd/restrict.h"
#include "smtpd/smtpd.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

struct chat {
    int fd;   /* the client's end */
    FILE *in; /* reads from it */
    int server_fd;
    pthread_t thread;
    struct server server;
    struct client client;
    struct settings settings;
    struct params_main main;
    struct params_smtpd mine;
    struct params_rewrite rewrite;
    struct arena arena;
    struct tables *tables;
    /* what cleanup was given last, and what it is to answer */
    struct buf text;
    struct msg_submit submit; /* texts in arena */
    unsigned submits;
    struct msg_submitted answer, room;
    unsigned ids;
    int spool; /* the file that was given */
    uint64_t connections, events[CLIENT_KINDS];
    unsigned left;
    bool ended; /* the session is over */
};

static inline void chat_keep_text(struct chat *chat, const struct msg_submit *m)
{
    char block[4096];
    ssize_t n;
    buf_clear(&chat->text);
    buf_put(&chat->text, m->text);
    for (off_t at = 0; m->spool && (n = pread(chat->spool, block, sizeof block, at)) > 0; at += n)
        buf_put(&chat->text, span_of(block, (size_t)n));
}

static inline struct msg_submitted chat_submit(void *context, struct arena *a, const struct msg_submit *m, mono_ms d)
{
    struct chat *chat = context;
    struct buf copy = BUF_INIT;
    (void)d, (void)a;
    chat->submits++;
    msg_submit_put(&copy, m);
    cr_assert(msg_submit_get(&chat->arena, arena_dup(&chat->arena, buf_span(&copy)), &chat->submit));
    buf_fini(&copy);
    chat_keep_text(chat, m);
    struct msg_submitted answer = chat->answer;
    answer.id = chat->submit.id;
    return answer;
}

static inline struct msg_submitted chat_room(void *context, struct arena *a, uint64_t size, mono_ms d)
{
    (void)a, (void)size, (void)d;
    return ((struct chat *)context)->room;
}

static inline int chat_spool(void *context, uint64_t size, uint64_t *handle, mono_ms d)
{
    struct chat *chat = context;
    (void)size, (void)d;
    chat->spool = open(P_tmpdir, O_TMPFILE | O_RDWR, 0600);
    *handle = 1;
    return dup(chat->spool);
}

static inline void chat_spool_drop(void *context, uint64_t handle)
{
    (void)context, (void)handle;
}

static inline struct msg_client_counts chat_event(void *context, struct span address, unsigned kind, mono_ms d)
{
    struct chat *chat = context;
    (void)address, (void)d;
    chat->events[kind]++;
    return (struct msg_client_counts){chat->connections, chat->events[kind]};
}

static inline void chat_left(void *context, struct span address)
{
    (void)address;
    ((struct chat *)context)->left++;
}

static inline struct span chat_draw_id(void *context, struct arena *a)
{
    return span_text(arena_printf(a, "ID%u", ++((struct chat *)context)->ids));
}

static inline void *chat_serve(void *argument)
{
    struct chat *chat = argument;
    smtpd_session(&chat->server, chat->server_fd, &chat->client, 1);
    return NULL;
}

static inline void chat_load(struct chat *chat, const char *settings)
{
    static const char base[] = "compatibility_level = 3.6\nmyhostname = mx.example.test\nmydomain = example.test\n"
                               "mydestination = example.test, $myhostname\nmynetworks = 192.0.2.0/24\n"
                               "local_recipient_maps = inline:{ alice=x, bob=x, postmaster=x }\n"
                               "virtual_alias_maps =\nalias_maps =\nrecipient_delimiter = +\n"
                               "virtual_mailbox_domains = virtual.test\n"
                               "virtual_mailbox_maps = inline:{ { carol@virtual.test = carol/ } }\n"
                               "smtpd_error_sleep_time = 0\nsmtpd_timeout = 10s\n";
    struct param_errors errors = {0};
    struct buf why = BUF_INIT;
    cr_assert(settings_parse(&chat->settings, span_text(base), SPAN("main.cf"), &errors));
    cr_assert(settings_parse(&chat->settings, span_text(settings), SPAN("main.cf"), NULL));
    cr_assert(params_main_load(&chat->arena, &chat->settings, &chat->main, &errors));
    cr_assert(params_smtpd_load(&chat->arena, &chat->settings, &chat->mine, &errors));
    cr_assert(params_rewrite_load(&chat->arena, &chat->settings, &chat->rewrite, &errors));
    chat->tables = tables_new(&table_files_by_path, NULL);
    chat->server.recipients =
        recipients_new(&chat->arena, &chat->settings, &chat->main, &chat->rewrite, chat->tables, &why);
    cr_assert(chat->server.recipients, "%s", buf_text(&why));
    chat->server.restrictions = restrictions_new(&chat->arena, &chat->mine, &why);
    cr_assert(chat->server.restrictions, "%s", buf_text(&why));
    param_errors_fini(&errors);
}

/* settings: lines of main.cf on top of the chat's own */
static inline void chat_open(struct chat *chat, const char *settings)
{
    int ends[2];
    memset(chat, 0, sizeof *chat);
    chat->server = (struct server){.main = &chat->main, .mine = &chat->mine, .service = "smtp", .zone = date_utc()};
    chat->server.services =
        (struct smtpd_services){chat_submit, chat_room, chat_spool, chat_spool_drop,
                                chat_event,  chat_left, chat_draw_id, chat};
    chat->client = (struct client){SPAN("unknown"), SPAN("198.51.100.7"), SPAN("1234"), .is_mine = false};
    chat_load(chat, settings);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    cr_assert_eq(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    chat->fd = ends[0];
    chat->server_fd = ends[1];
    chat->in = fdopen(dup(chat->fd), "r");
}

static inline void chat_start(struct chat *chat)
{
    cr_assert_eq(pthread_create(&chat->thread, NULL, chat_serve, chat), 0);
}

static inline void chat_say(struct chat *chat, const char *line)
{
    cr_assert_eq(write(chat->fd, line, strlen(line)), (ssize_t)strlen(line));
}

/* Reads one reply of any number of lines and wants its last line to begin with want. */
static inline void chat_want(struct chat *chat, const char *want)
{
    char line[1024];
    do
        cr_assert(fgets(line, sizeof line, chat->in), "connection closed, wanted \"%s\"", want);
    while (line[3] == '-');
    cr_assert(strncmp(line, want, strlen(want)) == 0, "wanted \"%s\", got \"%s\"", want, line);
    cr_assert(strlen(line) >= 2 && strcmp(line + strlen(line) - 2, "\r\n") == 0, "no CRLF: %s", line);
}

/* says, want, says, want, ... NULL */
static inline void chat_run(struct chat *chat, const char *const *script)
{
    for (; *script; script += 2) {
        chat_say(chat, script[0]);
        chat_want(chat, script[1]);
    }
}

#define CHAT(chat, ...) chat_run((chat), (const char *const[]){__VA_ARGS__, NULL, NULL})

static inline void chat_want_closed(struct chat *chat)
{
    char line[1024];
    cr_expect_null(fgets(line, sizeof line, chat->in), "still open: %s", line);
}

/* A server lives as long as its process and is never taken apart: what it holds stays reachable
 * here, so that it is not taken for a leak. */
static struct chat_server {
    struct arena arena;
    struct chat_server *before;
} *chat_servers;

static inline void chat_keep_server(struct chat *chat)
{
    struct chat_server *kept = malloc(sizeof *kept);
    cr_assert(kept != NULL);
    *kept = (struct chat_server){chat->arena, chat_servers};
    chat_servers = kept;
}

/* Closes the connection and waits for all that the session does behind that. */
static inline void chat_end(struct chat *chat)
{
    if (!chat->ended) {
        shutdown(chat->fd, SHUT_WR);
        pthread_join(chat->thread, NULL);
    }
    chat->ended = true;
}

static inline void chat_close(struct chat *chat)
{
    chat_end(chat);
    fclose(chat->in);
    close(chat->fd);
    buf_fini(&chat->text);
    settings_fini(&chat->settings);
    chat_keep_server(chat);
}

/* Greeting and EHLO done. */
static inline void chat_begin(struct chat *chat, const char *settings)
{
    chat_open(chat, settings);
    chat_start(chat);
    chat_want(chat, "220 ");
    CHAT(chat, "EHLO client.test\r\n", "250 ");
}

#endif
