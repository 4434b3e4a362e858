/* pop3d - the POP3 server up to the login. See DESIGN beside this file. */
#include "lib/base/check.h"
#include "lib/io/addr.h"
#include "lib/param/facts.h"
#include "lib/proc/proc.h"
#include "lib/proc/tables.h"
#include "lib/wire/login.msg.h"
#include "pop3d/clients.h"
#include "pop3d/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { AUTH_WAIT_S = 60, DELIVER_WAIT_S = 20 };

struct daemon {
    struct proc *proc;
    struct pop3d_config config;
    struct clients clients;
    struct buf settings; /* of the mailbox part: an encoded pop3_settings */
};

/* What the services of one session need. */
struct peer {
    struct daemon *daemon;
    uint64_t number;
};

/* --- asking auth, presenting to deliver -------------------------------------------------------- */

/* The request holds the password, so it is wiped behind the call. */
static enum call_result ask_auth(struct channel *c, const struct msg_login *login, struct arena *a,
                                 struct msg_login_answer *answer)
{
    struct buf body = BUF_LIMITED(CHANNEL_FRAME_MAX);
    struct frame reply;
    msg_login_put(&body, login);
    enum call_result result = channel_call(c, MSG_login, buf_span(&body), NULL, 0, clock_after(AUTH_WAIT_S),
                                           MSG_login_answer, a, &reply);
    explicit_bzero(body.data, body.cap);
    buf_fini(&body);
    if (result == CALL_OK && !msg_login_answer_get(a, reply.body, answer))
        result = CALL_MALFORMED;
    return result;
}

static enum pop3d_verdict check(void *context, const struct pop3d_login *login, struct span client, struct buf *token,
                                struct buf *user, struct buf *why)
{
    struct peer *peer = context;
    struct arena a = ARENA_INIT;
    struct msg_login_answer answer = {0};
    struct msg_login request = {.service = SPAN("pop3"),
                                .user = login->user,
                                .password = login->password,
                                .authorize_as = login->authorize_as,
                                .client_address = client,
                                .mechanism = span_text(login->method),
                                .wants_mailbox = 1};
    struct channel *c = proc_channel(peer->daemon->proc, "auth", clock_after(AUTH_WAIT_S));
    enum pop3d_verdict verdict = POP3D_LATER;
    if (!c || ask_auth(c, &request, &a, &answer) != CALL_OK) {
        buf_puts(why, "the auth service does not answer");
    } else if (answer.class == 2) {
        buf_put(token, answer.token);
        buf_put(user, answer.user);
        verdict = POP3D_GOOD;
    } else {
        buf_put(why, answer.text);
        verdict = answer.class == 5 ? POP3D_BAD : POP3D_LATER;
    }
    arena_fini(&a);
    return verdict;
}

static bool present(void *context, struct span token, struct conn **conn, struct span client)
{
    struct peer *peer = context;
    struct channel *c = proc_channel(peer->daemon->proc, "deliver", clock_after(DELIVER_WAIT_S));
    if (!c || channel_is_closed(c))
        return false;
    struct buf unread = BUF_INIT, body = BUF_LIMITED(CHANNEL_FRAME_MAX);
    char session[24];
    int fd = conn_take_fd(conn, &unread);
    snprintf(session, sizeof session, "%llu", (unsigned long long)peer->number);
    msg_session_present_put(&body, &(struct msg_session_present){.token = token,
                                                                 .unread = buf_span(&unread),
                                                                 .client_address = client,
                                                                 .session = span_text(session),
                                                                 .login_done = 1,
                                                                 .settings = buf_span(&peer->daemon->settings)});
    /* The channel is open and does not wait; more input than fits a frame is more than a connection reads ahead. */
    CHECK(!body.full);
    channel_notify(c, MSG_session_present, buf_span(&body), &fd, 1);
    close(fd);
    buf_fini(&unread);
    buf_fini(&body);
    return true;
}

/* --- the process ---------------------------------------------------------------------------------- */

static void put_settings(struct daemon *d)
{
    struct buf why = BUF_INIT;
    const struct setting *host = settings_get(proc_settings(d->proc), SPAN(FACT_HOSTNAME));
    struct msg_pop3_settings m = {.timeout = (uint64_t)d->config.timeout,
                                  .line_limit = d->config.line_limit,
                                  .error_limit = d->config.error_limit,
                                  .host = host ? host->value : SPAN("localhost"),
                                  .syslog_name = SPAN("postfix")};
    (void)param_expand_name(proc_arena(d->proc), proc_settings(d->proc), SPAN("syslog_name"), &m.syslog_name, &why);
    msg_pop3_settings_put(&d->settings, &m);
    buf_fini(&why);
}

static void *start(struct proc *p)
{
    const struct params_pop3d *own = proc_params_pop3d(p);
    if (!own)
        return NULL;
    struct daemon *d = ARENA_NEW(proc_arena(p), struct daemon);
    *d = (struct daemon){.proc = p,
                         .clients.limit = own->pop3d_client_connection_count_limit,
                         .config = {.banner = own->pop3d_banner,
                                    .timeout = own->pop3d_timeout,
                                    .login_timeout = own->pop3d_login_timeout,
                                    .auth_attempts = own->pop3d_auth_attempts,
                                    .auth_delay = own->pop3d_auth_delay,
                                    .line_limit = own->pop3d_line_limit,
                                    .error_limit = own->pop3d_error_limit}};
    put_settings(d);
    return d;
}

static void accepted(struct proc *p, void *own, struct proc_client *client)
{
    (void)p;
    struct daemon *d = own;
    struct peer peer = {d, client->number};
    struct pop3d_services services = {check, present, &peer};
    struct log_source source = log_source_numbered(client->number);
    struct conn *conn = conn_new(client->fd);
    struct addr from = addr_of(&client->peer, sizeof client->peer);
    struct buf text = BUF_INIT;
    addr_put_host(&text, &from);
    if (clients_enter(&d->clients, buf_span(&text))) {
        pop3d_session_run(&d->config, &services, conn, buf_span(&text), &source);
        clients_leave(&d->clients, buf_span(&text));
    } else {
        log_line(&source, LOG_LEVEL_WARNING, "too many sessions from %s", buf_text(&text));
        conn_printf(conn, "-ERR [SYS/TEMP] Too many sessions from your address\r\n");
        conn_close(&conn);
    }
    buf_fini(&text);
}

int main(void)
{
    static const struct message_handler none[] = {{0, NULL}};
    static const struct proc_spec spec = {
        .program = "pop3d", .kind = PROC_HOST, .requests = none, .start = start, .accepted = accepted};
    return proc_main(&spec);
}
