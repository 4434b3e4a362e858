/* Servers that say what a test wants, each on a thread behind a socket pair, and names that lead to
 * them: deliveries run against them as against the real world. */
#ifndef TESTS_SMTP_WORLD_H
#define TESTS_SMTP_WORLD_H

#include "lib/dns/dns.h"
#include "smtp/reuse.h"
#include "smtp/smtp.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* What a server says to a verb ("GREETING" at connect, "." at the end of data), each row once, in their order;
 * then, and to other verbs, what is usual. NULL: hangs up. */
struct line {
    const char *on, *say;
};
/* A server. lines end with on NULL; NULL: the connection is refused. */
struct server {
    const char *address;
    const struct line *lines;
    const char *keywords; /* lines of EHLO: "250-PIPELINING\r\n" */
};
/* A record of the DNS: MX ("10 mx.test"), A, AAAA, or a verdict in value: "!temporary", "!none", "!bogus". */
struct name {
    const char *name;
    unsigned type;
    const char *value;
};

enum { PEERS_MAX = 40, RECIPIENTS_MAX = 20 };

struct peer {
    const struct server *server;
    const struct endpoint *to; /* borrowed while connecting */
    bool lmtp, early;
    unsigned used[64]; /* of its lines: times */
    size_t accepted;
    int fd;
    pthread_t thread;
    struct buf heard; /* all that it was told */
};

struct world {
    struct smtp smtp;
    struct settings settings;
    struct params_main main;
    struct params_smtp mine;
    struct arena arena;
    const struct server *servers; /* ends with address NULL */
    const struct name *names;     /* ends with name NULL */
    struct peer peers[PEERS_MAX];
    size_t npeers, connects;
    uint64_t numbers;
    bool early;        /* servers say something ("TEXT") when the text begins */
    int text_fd;       /* the text is there, where text_size is not 0 */
    uint64_t text_size;
    struct msg_attempt m;
    struct msg_recipient recipients[RECIPIENTS_MAX];
    struct delivery d;
};

/* --- servers ------------------------------------------------------------------- */

static inline const char *peer_usual(const struct peer *p, const char *verb, char *room, size_t size)
{
    const char *keywords = p->server->keywords ? p->server->keywords : "250-PIPELINING\r\n";
    if (!strcmp(verb, "GREETING"))
        return "220 remote.test ESMTP\r\n";
    if (!strcmp(verb, "EHLO") || !strcmp(verb, "LHLO")) {
        snprintf(room, size, "250-remote.test\r\n%s250 HELP\r\n", keywords);
        return room;
    }
    return !strcmp(verb, "DATA") ? "354 go on\r\n" : !strcmp(verb, "QUIT") ? "221 bye\r\n" : "250 2.0.0 ok\r\n";
}

/* result: the code that was said; 0: it hung up */
static inline unsigned peer_say(struct peer *p, const char *verb)
{
    char room[2048];
    const char *say = peer_usual(p, verb, room, sizeof room);
    const struct line *lines = p->server->lines;
    for (size_t i = 0; lines && lines[i].on; i++)
        if (!strcmp(lines[i].on, verb) && p->used[i]++ == 0) {
            say = lines[i].say;
            break;
        }
    if (!say)
        return 0;
    size_t n = strlen(say);
    if (n && send(p->fd, say, n, MSG_NOSIGNAL) != (ssize_t)n)
        return 0;
    return n >= 3 ? (unsigned)(say[0] - '0') * 100 : 1;
}

/* result: whether the text came whole */
static inline bool peer_take_text(struct peer *p, FILE *in)
{
    char line[2048];
    bool said = !p->early;
    while (fgets(line, sizeof line, in)) {
        buf_puts(&p->heard, line);
        if (!said)
            peer_say(p, "TEXT");
        said = true;
        if (!strcmp(line, ".\r\n"))
            return true;
    }
    return false;
}

/* result: whether the chunk came whole */
static inline bool peer_take_chunk(struct peer *p, FILE *in, const char *line, bool *last)
{
    size_t n = strtoul(line + 5, NULL, 10);
    *last = strstr(line, " LAST\r\n") != NULL;
    for (int c; n && (c = getc(in)) != EOF; n--)
        buf_putc(&p->heard, (char)c);
    return n == 0;
}

static inline bool peer_answer_chunk(struct peer *p, FILE *in, const char *line)
{
    bool last;
    if (!peer_take_chunk(p, in, line, &last))
        return false;
    size_t answers = last && p->lmtp ? p->accepted : 1;
    for (size_t i = 0; i < answers; i++)
        if (!peer_say(p, last ? "." : "BDAT"))
            return false;
    return true;
}

static inline bool peer_answer(struct peer *p, FILE *in, const char *verb)
{
    unsigned class = peer_say(p, verb);
    if (!class || !strcmp(verb, "QUIT"))
        return false;
    if (!strcmp(verb, "MAIL"))
        p->accepted = 0;
    if (!strcmp(verb, "RCPT") && class == 200)
        p->accepted++;
    if (strcmp(verb, "DATA") || class != 300)
        return true;
    if (!peer_take_text(p, in))
        return false;
    size_t answers = p->lmtp ? p->accepted : 1;
    for (size_t i = 0; i < answers; i++)
        if (!peer_say(p, "."))
            return false;
    return true;
}

static inline void *peer_run(void *argument)
{
    struct peer *p = argument;
    FILE *in = fdopen(dup(p->fd), "r");
    char line[2048], verb[16];
    bool more = peer_say(p, "GREETING");
    while (more && fgets(line, sizeof line, in)) {
        buf_puts(&p->heard, line);
        if (sscanf(line, "%15[A-Z]", verb) != 1)
            strcpy(verb, "?");
        more = strcmp(verb, "BDAT") ? peer_answer(p, in, verb) : peer_answer_chunk(p, in, line);
    }
    fclose(in);
    shutdown(p->fd, SHUT_RDWR);
    return NULL;
}

static inline int world_connect(void *context, const struct endpoint *to, mono_ms deadline)
{
    struct world *w = context;
    int ends[2];
    (void)deadline;
    w->connects++;
    for (const struct server *s = w->servers; s && s->address; s++) {
        if (!span_eq(span_text(s->address), to->address))
            continue;
        if (!s->lines) {
            errno = ECONNREFUSED;
            return -1;
        }
        cr_assert(w->npeers < PEERS_MAX);
        struct peer *p = &w->peers[w->npeers++];
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        cr_assert_eq(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
        *p = (struct peer){.server = s, .fd = ends[0], .lmtp = w->smtp.lmtp, .early = w->early};
        cr_assert_eq(pthread_create(&p->thread, NULL, peer_run, p), 0);
        return ends[1];
    }
    errno = ETIMEDOUT;
    return -1;
}

/* --- names ------------------------------------------------------------------------ */

static inline void world_take_record(struct arena *a, const struct name *n, struct dns_answer *answer,
                                     struct dns_record *records)
{
    struct dns_record *r = &records[answer->count];
    struct addr addr = {0};
    *r = (struct dns_record){.type = (uint16_t)n->type};
    if (n->type == DNS_TYPE_SRV) {
        unsigned priority, weight, port;
        char host[256];
        cr_assert_eq(sscanf(n->value, "%u %u %u %255s", &priority, &weight, &port, host), 4);
        r->preference = (uint16_t)priority;
        r->weight = (uint16_t)weight;
        r->port = (uint16_t)port;
        r->name = arena_dup(a, span_text(host));
    } else if (n->type == DNS_TYPE_MX) {
        unsigned preference;
        char host[256];
        cr_assert_eq(sscanf(n->value, "%u %255s", &preference, host), 2);
        r->preference = (uint16_t)preference;
        r->name = arena_dup(a, span_text(host));
    } else {
        cr_assert(addr_parse(span_text(n->value), 0, &addr));
        r->data = arena_dup(a, addr_bytes(&addr));
    }
    answer->count++;
}

static inline enum dns_verdict world_verdict(const char *value)
{
    return !strcmp(value, "!temporary") ? DNS_TEMPORARY : !strcmp(value, "!bogus") ? DNS_BOGUS : DNS_NO_DATA;
}

static inline void world_ask(struct world *w, struct arena *a, struct span name, bool addresses, unsigned type,
                             struct dns_answer *answer)
{
    struct dns_record *records = arena_calloc(a, 64, sizeof *records);
    *answer = (struct dns_answer){.verdict = DNS_NO_NAME, .canonical = name, .records = records};
    for (const struct name *n = w->names; n && n->name; n++) {
        if (!span_eq_nocase(span_text(n->name), name))
            continue;
        bool fits = addresses ? n->type == DNS_TYPE_A || n->type == DNS_TYPE_AAAA : n->type == type;
        if (answer->verdict == DNS_NO_NAME)
            answer->verdict = DNS_NO_DATA;
        if (!fits)
            continue;
        if (n->value[0] == '!') {
            answer->verdict = world_verdict(n->value);
            return;
        }
        answer->verdict = DNS_OK;
        world_take_record(a, n, answer, records);
    }
}

static inline void world_lookup(void *context, struct arena *a, struct span name, unsigned type,
                                struct dns_answer *answer)
{
    world_ask(context, a, name, false, type, answer);
}

static inline void world_addresses(void *context, struct arena *a, struct span host, unsigned flags,
                                   struct dns_answer *answer)
{
    (void)flags;
    world_ask(context, a, host, true, 0, answer);
}

static inline uint64_t world_number(void *context)
{
    return ++((struct world *)context)->numbers;
}

/* --- the whole ------------------------------------------------------------------------ */

/* settings: lines of main.cf on top of the world's own */
static inline void world_open(struct world *w, const char *settings, bool lmtp)
{
    static const char base[] = "compatibility_level = 3.6\nmyhostname = me.test\nmydomain = test\n"
                               "inet_interfaces = 192.0.2.99\n";
    struct param_errors errors = {0};
    memset(w, 0, sizeof *w);
    cr_assert(settings_parse(&w->settings, span_text(base), SPAN("main.cf"), &errors));
    cr_assert(settings_parse(&w->settings, span_text(settings), SPAN("main.cf"), &errors));
    cr_assert(params_main_load(&w->arena, &w->settings, &w->main, &errors));
    cr_assert(lmtp ? params_smtp_load_lmtp(&w->arena, &w->settings, &w->mine, &errors)
                   : params_smtp_load(&w->arena, &w->settings, &w->mine, &errors));
    param_errors_fini(&errors);
    static struct ip own;
    cr_assert(ip_parse(SPAN("192.0.2.99"), &own));
    w->smtp = (struct smtp){.loop = loop_new(),
                            .main = &w->main,
                            .mine = &w->mine,
                            .lmtp = lmtp,
                            .default_port = lmtp ? 24 : 25,
                            .own_addresses = &own,
                            .own_address_count = 1,
                            .services = {.connect = world_connect,
                                         .lookup = world_lookup,
                                         .addresses = world_addresses,
                                         .number = world_number,
                                         .context = w}};
    w->smtp.reuse = reuse_new(&w->smtp, w->smtp.loop);
    w->m = (struct msg_attempt){.id = SPAN("ID1"), .sender = SPAN("sender@example.test"), .nexthop = SPAN("[192.0.2.1]"),
                                .text = SPAN("Subject: hello\n\nHello.\n")};
    w->recipients[0] = (struct msg_recipient){.number = 1, .address = SPAN("user@remote.test")};
    w->m.recipients.at = w->recipients;
    w->m.recipients.n = 1;
}

/* Runs the attempt w->m; its verdicts are in w->d.verdicts. */
static inline void world_deliver(struct world *w)
{
    size_t n = w->m.recipients.n;
    w->d = (struct delivery){.smtp = &w->smtp,
                             .arena = &w->arena,
                             .log = {"test", 1},
                             .m = &w->m,
                             .text = {.inner = w->m.text,
                                      .fd = w->text_size ? w->text_fd : -1,
                                      .size = w->text_size ? w->text_size : w->m.text.n},
                             .open = n};
    w->d.verdicts = arena_calloc(&w->arena, n, sizeof *w->d.verdicts);
    w->d.kept = arena_calloc(&w->arena, n, sizeof *w->d.kept);
    delivery_run(&w->d);
    cr_assert_eq(w->d.open, 0u);
}

/* All that the i-th connection was told, once it has ended. */
static inline const char *world_heard(struct world *w, size_t i)
{
    cr_assert(i < w->npeers, "only %zu connections", w->npeers);
    if (w->peers[i].thread)
        pthread_join(w->peers[i].thread, NULL);
    w->peers[i].thread = 0;
    return buf_text(&w->peers[i].heard);
}

static inline void world_close(struct world *w)
{
    reuse_free(&w->smtp.reuse);
    for (size_t i = 0; i < w->npeers; i++) {
        world_heard(w, i);
        close(w->peers[i].fd);
        buf_fini(&w->peers[i].heard);
    }
    loop_free(&w->smtp.loop);
    settings_fini(&w->settings);
    arena_fini(&w->arena);
}

/* Whether the verdict of the i-th recipient has this class and code, and its text holds words. */
#define WANT(w, i, class_, dsn_, words)                                                                          \
    do {                                                                                                         \
        const struct msg_verdict *v_ = &(w)->d.verdicts[i];                                                      \
        cr_expect_eq(v_->class, (class_), "class %d: %.*s", (int)v_->class, SPAN_ARG(v_->text));                 \
        cr_expect(span_eq(v_->dsn, span_text(dsn_)), "%.*s: %.*s", SPAN_ARG(v_->dsn), SPAN_ARG(v_->text));       \
        cr_expect(memmem(v_->text.p, v_->text.n, (words), strlen(words)) != NULL, "%.*s", SPAN_ARG(v_->text));   \
    } while (0)

#endif
