#include "deliver/deliver.h"
#include "lib/base/check.h"
#include "lib/base/map.h"
#include "lib/log/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TOKEN_LIFE_S = 60, TOKENS_MAX = 10000, TOKEN_MIN = 32 };

/* A mailbox session that auth has prepared and nobody has begun. */
struct session {
    struct deliver *deliver;
    struct arena arena;
    struct span token;
    struct msg_session_prepare wanted; /* texts in arena */
    struct timer expiry;
};

static void session_free(struct session *s)
{
    map_remove(&s->deliver->tokens, s->token);
    timer_stop(&s->expiry);
    arena_fini(&s->arena);
    free(s);
}

static void session_expired(struct timer *t, void *context)
{
    (void)t;
    session_free(context);
}

static void answer_prepared(struct channel *c, uint64_t id, unsigned class, const char *text)
{
    struct buf body = BUF_INIT;
    msg_session_prepared_put(&body, &(struct msg_session_prepared){.class = class, .text = span_text(text)});
    channel_reply(c, id, MSG_session_prepared, buf_span(&body), NULL, 0);
    buf_fini(&body);
}

/* The identity that a prepared session is for. result: NULL, or why there is none */
static const char *identify(struct deliver *d, struct arena *a, const struct msg_session_prepare *m,
                            struct identity *id)
{
    const char *home = arena_text(a, m->home);
    *id = (struct identity){(uid_t)m->uid, (gid_t)m->gid, NULL, home, NULL};
    if (m->system_user) {
        int found = identity_of_user(a, arena_text(a, m->user), id);
        if (found <= 0)
            return found ? "the system's user database does not answer" : "no such user";
    }
    return identity_refused(d, id);
}

/* Only auth says whose mailbox is opened: a login part that could would need no password. */
static bool is_auth(const struct channel *c)
{
    if (span_eq(caller_service(c), SPAN("auth")))
        return true;
    log_warning("%s prepares a mailbox session, which is beyond its wall", channel_peer(c));
    return false;
}

void handle_session_prepare(struct channel *c, struct frame *f, void *context)
{
    struct deliver *d = context;
    if (!is_auth(c)) {
        answer_prepared(c, f->id, 5, "beyond the wall of the service that asks");
        return;
    }
    struct session *s = calloc(1, sizeof *s);
    struct identity id;
    const char *why = NULL;
    CHECK(s != NULL);
    s->deliver = d;
    struct span body = arena_dup(&s->arena, f->body);
    if (!msg_session_prepare_get(&s->arena, body, &s->wanted) || s->wanted.token.n < TOKEN_MIN ||
        span_find(s->wanted.home, '\0') < s->wanted.home.n || span_find(s->wanted.user, '\0') < s->wanted.user.n)
        why = "malformed request";
    else if (d->tokens.count >= TOKENS_MAX || map_get(&d->tokens, s->wanted.token))
        why = "too many sessions are being opened";
    else
        why = identify(d, &s->arena, &s->wanted, &id);
    if (why) {
        arena_fini(&s->arena);
        free(s);
        answer_prepared(c, f->id, 5, why);
        return;
    }
    s->token = s->wanted.token;
    map_set(&d->tokens, s->token, s);
    timer_set(proc_loop(d->proc), &s->expiry, clock_after(TOKEN_LIFE_S), session_expired, s);
    answer_prepared(c, f->id, 2, "");
}

static void child_frame(struct channel *c, struct frame *f, void *context)
{
    (void)context;
    log_warning("unexpected message 0x%04x from %s", f->type, channel_peer(c));
}

static void child_closed(struct channel *c, void *context)
{
    (void)context;
    channel_close(&c);
}

static void begin(struct deliver *d, const struct session *s, const struct identity *id,
                  const struct msg_session_present *m, int client)
{
    static const struct channel_handler handler = {child_frame, child_closed};
    struct buf body = BUF_INIT, program = BUF_INIT;
    int fd;
    buf_printf(&program, "%.*sbox", SPAN_ARG(s->wanted.service));
    pid_t pid = spawn(d, buf_text(&program), id, proc_log_fd(d->proc), &fd);
    if (pid < 0) {
        log_warning("cannot start a mailbox session: %s", strerror(errno));
    } else {
        struct channel *child = channel_open(proc_loop(d->proc), fd, buf_text(&program), &handler, NULL);
        msg_session_begin_put(&body, &(struct msg_session_begin){.user = s->wanted.user,
                                                                .mailbox = s->wanted.mailbox,
                                                                .unread = m->unread,
                                                                .client_address = m->client_address,
                                                                .session = m->session,
                                                                .home = span_text(id->home),
                                                                .settings = m->settings,
                                                                .log_target = proc_boot(d->proc)->log_target});
        channel_notify(child, MSG_session_begin, buf_span(&body), &client, 1);
    }
    buf_fini(&program);
    buf_fini(&body);
}

/* pop3 and imap are all the services there are: the name becomes part of a program's. */
static bool service_is_known(struct span service)
{
    return span_eq(service, SPAN("pop3")) || span_eq(service, SPAN("imap"));
}

void handle_session_present(struct channel *c, struct frame *f, void *context)
{
    struct deliver *d = context;
    struct arena scratch = ARENA_INIT;
    struct msg_session_present m;
    struct identity id;
    struct session *s = NULL;
    if (f->nfds == 1 && msg_session_present_get(&scratch, f->body, &m))
        s = map_get(&d->tokens, m.token);
    if (!s)
        log_warning("%s presented a session that nobody prepared", channel_peer(c));
    else if (service_is_known(s->wanted.service) && !identify(d, &scratch, &s->wanted, &id))
        begin(d, s, &id, &m, f->fds[0]);
    if (s)
        session_free(s); /* once only */
    arena_fini(&scratch);
}
