/* pop3box - a POP3 session behind the login. See DESIGN beside this file. */
#include "lib/base/check.h"
#include "lib/log/log.h"
#include "lib/proc/wall.h"
#include "lib/wire/channel.h"
#include "lib/wire/login.msg.h"
#include "pop3box/session.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { CHANNEL_FD = 3, LOG_FD = 2, BEGIN_WAIT_S = 60 };
enum { DEFAULT_TIMEOUT_S = 600, DEFAULT_LINE_LIMIT = 512 };

/* What deliver said. */
struct begin {
    struct arena arena;
    struct msg_session_begin m;
    int fd; /* the client's socket; -1: nothing came yet */
};

static void take_frame(struct channel *c, struct frame *f, void *context)
{
    (void)c;
    struct begin *b = context;
    if (f->type == MSG_session_begin && b->fd < 0 &&
        msg_session_begin_get(&b->arena, arena_dup(&b->arena, f->body), &b->m))
        b->fd = frame_take_fd(f, 0);
}

static void receive_begin(struct loop *loop, struct begin *b)
{
    static const struct channel_handler handler = {take_frame, NULL};
    struct channel *c = channel_open(loop, CHANNEL_FD, "deliver", &handler, b);
    const mono_ms give_up = clock_after(BEGIN_WAIT_S);
    while (b->fd < 0 && !channel_is_closed(c) && clock_mono() < give_up)
        loop_step(loop, give_up);
    channel_close(&c);
}

static struct log_source open_log(struct arena *a, const struct msg_session_begin *m, const struct msg_pop3_settings *set)
{
    uint64_t number = (uint64_t)getpid();
    (void)span_to_u64(m->session, UINT64_MAX, &number);
    enum log_target target = span_eq(m->log_target, SPAN("stdout"))   ? LOG_TO_STDOUT
                             : span_eq(m->log_target, SPAN("syslog")) ? LOG_TO_SYSLOG
                                                                      : LOG_TO_FILE;
    log_open(target, LOG_FD, arena_text(a, set->host),
             arena_printf(a, "%.*s/pop3box", SPAN_ARG(set->syslog_name.n ? set->syslog_name : SPAN("postfix"))), number);
    return log_source_numbered(number);
}

/* A client that has gone without a word would hold the lock until the timeout. */
static void notice_dead_clients(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {{SOL_SOCKET, SO_KEEPALIVE, 1}, {IPPROTO_TCP, TCP_KEEPIDLE, 30}, {IPPROTO_TCP, TCP_KEEPINTVL, 15},
                   {IPPROTO_TCP, TCP_KEEPCNT, 3}, {IPPROTO_TCP, TCP_USER_TIMEOUT, 90 * 1000}};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof options[i].value);
    (void)fcntl(fd, F_SETFL, O_NONBLOCK | fcntl(fd, F_GETFL));
}

/* Opens the mailbox and goes behind the wall. result: false: said in the log */
static bool open_mailbox(struct arena *a, const struct msg_session_begin *m, struct maildir *box)
{
    struct buf why = BUF_INIT;
    bool is_absolute = m->mailbox.n && m->mailbox.p[0] == '/';
    int base = is_absolute ? AT_FDCWD : open(arena_text(a, m->home), O_PATH | O_DIRECTORY | O_CLOEXEC);
    bool good = base != -1;
    if (!good)
        buf_printf(&why, "open directory %.*s: %s", SPAN_ARG(m->home), strerror(errno));
    good = good && maildir_open(box, base, m->mailbox, true, &why) == MAILDIR_OK;
    if (base >= 0)
        close(base);
    good = good && wall_enter("pop3box", &box->root, (const char *const[]){"mailbox"}, 1, &why);
    if (!good)
        log_error("user=<%.*s>: %s", SPAN_ARG(m->user), buf_text(&why));
    buf_fini(&why);
    return good;
}

static void run(struct begin *b)
{
    struct msg_pop3_settings set = {0};
    if (!msg_pop3_settings_get(&b->arena, b->m.settings, &set))
        set = (struct msg_pop3_settings){0};
    struct log_source source = open_log(&b->arena, &b->m, &set);
    struct pop3box_config config = {.timeout = set.timeout ? (int64_t)set.timeout : DEFAULT_TIMEOUT_S,
                                    .line_limit = set.line_limit ? (size_t)set.line_limit : DEFAULT_LINE_LIMIT,
                                    .error_limit = set.error_limit,
                                    .user = b->m.user,
                                    .client = b->m.client_address,
                                    .source = &source};
    struct maildir box = {.root = -1, .parts = {-1, -1, -1}, .lock = -1};
    notice_dead_clients(b->fd);
    struct conn *conn = conn_new(b->fd);
    conn_put_input(conn, b->m.unread);
    if (open_mailbox(&b->arena, &b->m, &box)) {
        maildir_clean(&box);
        pop3box_session_run(&config, &box, conn);
    } else {
        pop3box_refuse(&conn);
    }
    maildir_close(&box);
    log_flush();
}

int main(void)
{
    struct begin b = {.arena = ARENA_INIT, .fd = -1};
    signal(SIGPIPE, SIG_IGN);
    /* The session ends with the server; a session that is killed has deleted nothing. */
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
    struct loop *loop = loop_new();
    receive_begin(loop, &b);
    if (b.fd >= 0)
        run(&b);
    loop_free(&loop);
    arena_fini(&b.arena);
    return b.fd >= 0 ? 0 : 1;
}
