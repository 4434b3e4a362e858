/* links: smtpd */
/* The SMTP conversation: what the client sends, all at once. The session must end by itself, keep
 * to one transaction at a time, and hand over only envelopes without line ends and control
 * characters. */
#include "lib/base/check.h"
#include "lib/param/param.h"
#include "lib/table/matchlist.h"
#include "smtpd/recipients.h"
#include "smtpd/restrict.h"
#include "smtpd/smtpd.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { INPUT_MAX = 60000 };

static struct server server;
static struct settings settings;
static struct params_main params;
static struct params_smtpd mine;
static struct params_rewrite rewriting;
static struct arena arena;

static void check_clean(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        CHECK(span_at(s, i) >= 0x20 && span_at(s, i) != 0x7f);
}

static struct msg_submitted submit(void *context, struct arena *a, const struct msg_submit *m, mono_ms deadline)
{
    (void)context, (void)a, (void)deadline;
    CHECK(m->recipients.n > 0 && m->id.n > 0);
    check_clean(m->sender);
    check_clean(m->envid);
    check_clean(m->helo);
    for (size_t i = 0; i < m->recipients.n; i++) {
        check_clean(m->recipients.at[i].address);
        check_clean(m->recipients.at[i].original);
        check_clean(m->recipients.at[i].orcpt);
    }
    /* A text that was taken holds no bare CR: what the client sent as a line end is LF now. */
    CHECK(span_find(m->text, '\r') == m->text.n);
    return (struct msg_submitted){.id = m->id};
}

static struct msg_submitted room(void *context, struct arena *a, uint64_t size, mono_ms deadline)
{
    (void)context, (void)a, (void)size, (void)deadline;
    return (struct msg_submitted){0};
}

static int spool(void *context, uint64_t size, uint64_t *handle, mono_ms deadline)
{
    (void)context, (void)size, (void)handle, (void)deadline;
    return -1;
}

static void spool_drop(void *context, uint64_t handle)
{
    (void)context, (void)handle;
}

static struct msg_client_counts client_event(void *context, struct span address, unsigned kind, mono_ms deadline)
{
    (void)context, (void)address, (void)kind, (void)deadline;
    return (struct msg_client_counts){0};
}

static void client_left(void *context, struct span address)
{
    (void)context, (void)address;
}

static struct span draw_id(void *context, struct arena *a)
{
    (void)context;
    return arena_dup(a, SPAN("ID"));
}

static void set_up(void)
{
    static const char text[] = "compatibility_level = 3.6\nmyhostname = mx.example.test\n"
                               "mydestination = example.test\nmynetworks = 127.0.0.1\n"
                               "local_recipient_maps = inline:{ alice=x }\nalias_maps =\nvirtual_alias_maps =\n"
                               "smtpd_error_sleep_time = 0\nsmtpd_forbid_unauth_pipelining = no\n"
                               "smtpd_client_connection_count_limit = 0\nmessage_size_limit = 20000\n";
    struct buf why = BUF_INIT;
    CHECK(settings_parse(&settings, span_text(text), SPAN("main.cf"), NULL));
    CHECK(params_main_load(&arena, &settings, &params, NULL));
    CHECK(params_smtpd_load(&arena, &settings, &mine, NULL));
    CHECK(params_rewrite_load(&arena, &settings, &rewriting, NULL));
    struct tables *tables = tables_new(&table_files_by_path, NULL);
    server = (struct server){.main = &params, .mine = &mine, .service = "smtp", .zone = date_utc()};
    server.services = (struct smtpd_services){submit,       room,        spool,   spool_drop,
                                              client_event, client_left, draw_id, NULL};
    server.recipients = recipients_new(&arena, &settings, &params, &rewriting, tables, &why);
    server.restrictions = restrictions_new(&arena, &mine, &why);
    CHECK(server.recipients && server.restrictions);
    log_open(LOG_TO_FILE, open("/dev/null", O_WRONLY), "host", "postfix/smtpd", 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int ends[2], large = 1 << 20;
    char drain[65536];
    if (!server.main)
        set_up();
    if (size > INPUT_MAX)
        return 0;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &large, sizeof large);
    setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &large, sizeof large);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    CHECK(write(ends[0], data, size) == (ssize_t)size);
    shutdown(ends[0], SHUT_WR);
    struct client client = {SPAN("unknown"), SPAN("192.0.2.9"), SPAN("1"), .is_mine = false};
    smtpd_session(&server, ends[1], &client, 1);
    while (read(ends[0], drain, sizeof drain) > 0)
        ;
    close(ends[0]);
    return 0;
}
