/* A queue manager in a small world: real directories, a cleanup process that is played by the test over the
 * real store, and agents, rewrite and bounce that answer as the test says. One loop for all. */
#ifndef TEST_QMGR_WORLD_H
#define TEST_QMGR_WORLD_H

#include "lib/log/log.h"
#include "lib/param/settings.h"
#include "lib/queue/intake.h"
#include "lib/queue/spool.h"
#include "lib/wire/attempt.msg.h"
#include "lib/wire/queue.msg.h"
#include "lib/wire/resolve.msg.h"
#include "lib/wire/tool.msg.h"
#include "qmgr/inner.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SLOT = 2, ATTEMPTS_KEPT = 4096 };

struct world;

/* An attempt or notification as somebody was asked for it. */
struct asked_of {
    char service[32], id[QUEUE_ID_MAX + 1], sender[128], nexthop[128], text[256], new_id[QUEUE_ID_MAX + 1];
    char to[256]; /* addresses, space separated */
    unsigned kind;
    uint64_t text_size;
    bool by_descriptor;
};

/* What the played processes answer; by the address before "@": ok..., later..., bad..., die..., else ok. */
struct player {
    struct world *w;
    struct channel *channel;
    char service[32];
};

struct world {
    char where[64];
    int top, intake, slot, queue, corrupt, journal;
    struct loop *loop;
    struct settings settings;
    struct qmgr *q;
    uint64_t incarnation;
    int log; /* descriptor of the lines so far */
    struct queue_id_source ids;

    struct intake *log_of_cleanup; /* the played cleanup's part of the log */
    struct spool spool;
    struct channel *to_qmgr, *of_qmgr; /* the two ends of its channel */
    unsigned spills, recycles, recycled;
    bool lazy_spill;   /* spill is only counted */
    bool lazy_recycle; /* recycle is only counted */

    struct list wishes; /* struct wish */
    struct player *players[64];
    size_t player_count;
    unsigned tried_once; /* tries of once@..., of which the first fails for now */
    bool no_agents, silent_agents; /* channels cannot be had; agents do not answer */
    bool silent_bounce;
    bool unreachable; /* agents say so of deferred mail */
    struct asked_of asked[ATTEMPTS_KEPT];
    size_t asked_count;
};

static inline int world_directory(struct world *w, const char *name)
{
    mkdirat(w->top, name, 0700);
    int fd = openat(w->top, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    return fd;
}

/* --- players --- */

static inline void copy_span(char *to, size_t size, struct span s)
{
    snprintf(to, size, "%.*s", SPAN_ARG(s));
}

static inline struct asked_of *note_asked(struct player *p)
{
    cr_assert_lt(p->w->asked_count, (size_t)ATTEMPTS_KEPT);
    struct asked_of *a = &p->w->asked[p->w->asked_count++];
    *a = (struct asked_of){0};
    snprintf(a->service, sizeof a->service, "%s", p->service);
    return a;
}

static inline void note_text(struct asked_of *a, struct frame *f, struct span text, uint64_t offset,
                             uint64_t size)
{
    a->text_size = size;
    copy_span(a->text, sizeof a->text, text);
    if (f->nfds == 1) {
        a->by_descriptor = true;
        ssize_t n = pread(f->fds[0], a->text, sizeof a->text - 1, (off_t)offset);
        cr_assert_gt(n, 0);
        a->text[(size_t)n < size ? (size_t)n : size] = '\0';
    }
}

static inline unsigned class_for(struct span address)
{
    return span_starts(address, SPAN("later")) ? 4 : span_starts(address, SPAN("bad")) ? 5 : 2;
}

static inline void play_attempt(struct player *p, struct channel *c, struct frame *f)
{
    struct arena a = ARENA_INIT;
    struct msg_attempt m;
    struct buf body = BUF_INIT;
    cr_assert(msg_attempt_get(&a, f->body, &m));
    struct asked_of *asked = note_asked(p);
    copy_span(asked->id, sizeof asked->id, m.id);
    copy_span(asked->sender, sizeof asked->sender, m.sender);
    copy_span(asked->nexthop, sizeof asked->nexthop, m.nexthop);
    note_text(asked, f, m.text, m.text_offset, m.text_size);
    struct msg_attempted answer = {.unreachable = p->w->unreachable};
    answer.verdicts.at = arena_calloc(&a, m.recipients.n, sizeof *answer.verdicts.at);
    bool die = false;
    for (size_t i = 0; i < m.recipients.n; i++) {
        struct span address =
            m.recipients.at[i].user.n ? m.recipients.at[i].user : m.recipients.at[i].address;
        unsigned class = span_starts(address, SPAN("once")) && p->w->tried_once++ == 0 ? 4 : class_for(address);
        size_t used = strlen(asked->to);
        snprintf(asked->to + used, sizeof asked->to - used, "%s%.*s", used ? " " : "", SPAN_ARG(address));
        die = die || span_starts(address, SPAN("die"));
        answer.verdicts.at[answer.verdicts.n++] =
            (struct msg_verdict){.number = m.recipients.at[i].number,
                                 .class = class,
                                 .dsn = class == 2   ? SPAN("2.0.0")
                                        : class == 4 ? SPAN("4.2.2")
                                                     : SPAN("5.1.1"),
                                 .text = class == 2   ? SPAN("delivered to maildir")
                                         : class == 4 ? SPAN("mailbox is full")
                                                      : SPAN("unknown user"),
                                 .relay = span_text(p->service)};
    }
    msg_attempted_put(&body, &answer);
    if (die)
        channel_close(&p->channel);
    else if (!p->w->silent_agents)
        channel_reply(c, f->id, MSG_attempted, buf_span(&body), NULL, 0);
    buf_fini(&body);
    arena_fini(&a);
}

/* The transport is what stands before the first dot of the domain; "error" and the like too. */
static inline void play_resolve(struct channel *c, struct frame *f)
{
    struct arena a = ARENA_INIT;
    struct msg_resolve m;
    struct msg_resolved answer = {0};
    struct buf body = BUF_INIT;
    cr_assert(msg_resolve_get(&a, f->body, &m));
    answer.recipients.at = arena_calloc(&a, m.recipients.n, sizeof *answer.recipients.at);
    for (size_t i = 0; i < m.recipients.n; i++) {
        struct span address = m.recipients.at[i].address;
        struct span domain = span_skip(address, span_rfind(address, '@') + 1);
        answer.recipients.at[answer.recipients.n++] =
            (struct msg_recipient){.number = m.recipients.at[i].number,
                                   .transport = span_slice(domain, 0, span_find(domain, '.')),
                                   .nexthop = domain,
                                   .user = address};
    }
    msg_resolved_put(&body, &answer);
    channel_reply(c, f->id, MSG_resolved, buf_span(&body), NULL, 0);
    buf_fini(&body);
    arena_fini(&a);
}

static inline void play_notify(struct player *p, struct channel *c, struct frame *f)
{
    struct arena a = ARENA_INIT;
    struct msg_notify m;
    struct buf body = BUF_INIT;
    cr_assert(msg_notify_get(&a, f->body, &m));
    struct asked_of *asked = note_asked(p);
    copy_span(asked->id, sizeof asked->id, m.id);
    copy_span(asked->new_id, sizeof asked->new_id, m.new_id);
    copy_span(asked->sender, sizeof asked->sender, m.sender);
    asked->kind = (unsigned)m.kind;
    note_text(asked, f, m.text, m.text_offset, m.text_size);
    for (size_t i = 0; i < m.recipients.n; i++) {
        size_t used = strlen(asked->to);
        snprintf(asked->to + used, sizeof asked->to - used, "%s%.*s:%.*s", used ? " " : "",
                 SPAN_ARG(m.recipients.at[i].address), SPAN_ARG(m.verdicts.at[i].dsn));
    }
    msg_submitted_put(&body, &(struct msg_submitted){.id = m.new_id});
    if (!p->w->silent_bounce)
        channel_reply(c, f->id, MSG_submitted, buf_span(&body), NULL, 0);
    buf_fini(&body);
    arena_fini(&a);
}

static inline void player_frame(struct channel *c, struct frame *f, void *context)
{
    struct player *p = context;
    if (f->type == MSG_attempt)
        play_attempt(p, c, f);
    else if (f->type == MSG_resolve)
        play_resolve(c, f);
    else if (f->type == MSG_notify)
        play_notify(p, c, f);
    else
        cr_assert_fail("message 0x%x", f->type);
}

static inline void player_closed(struct channel *c, void *context)
{
    struct player *p = context;
    p->channel = NULL;
    channel_close(&c);
}

/* A channel that qmgr wants: made in a later step, as master would. */
struct wish {
    struct timer timer;
    struct world *w;
    char service[32];
    const struct channel_handler *handler;
    void *context;
    void (*made)(struct channel *c, unsigned slot, void *context);
    struct list node;
};

static inline void grant_wish(struct timer *t, void *context)
{
    static const struct channel_handler handler = {player_frame, player_closed};
    struct wish *x = context;
    struct world *w = x->w;
    int fds[2];
    (void)t;
    if (w->no_agents && strcmp(x->service, "rewrite") != 0 && strcmp(x->service, "bounce") != 0) {
        x->made(NULL, 0, x->context);
    } else {
        struct player *p = calloc(1, sizeof *p);
        cr_assert(channel_pair(fds));
        p->w = w;
        snprintf(p->service, sizeof p->service, "%s", x->service);
        p->channel = channel_open(w->loop, fds[1], "qmgr", &handler, p);
        cr_assert_lt(w->player_count, sizeof w->players / sizeof *w->players);
        w->players[w->player_count++] = p;
        x->made(channel_open(w->loop, fds[0], x->service, x->handler, x->context), 0, x->context);
    }
    list_remove(&x->node);
    free(x);
}

static inline void world_want(void *host, const char *service, const struct channel_handler *handler,
                              void *context, void (*made)(struct channel *c, unsigned slot, void *context))
{
    struct wish *x = calloc(1, sizeof *x);
    x->w = host;
    x->handler = handler;
    x->context = context;
    x->made = made;
    snprintf(x->service, sizeof x->service, "%s", service);
    list_push(&x->w->wishes, &x->node);
    timer_set(x->w->loop, &x->timer, 0, grant_wish, x);
}

static inline uint64_t world_number(void *host)
{
    (void)host;
    return 4711;
}

/* --- the played cleanup --- */

static inline void spill_one(struct world *w, struct channel *c, const struct msg_spill *m)
{
    struct arena a = ARENA_INIT;
    struct stored st;
    struct span text;
    struct buf why = BUF_INIT, envelope = BUF_INIT, body = BUF_INIT;
    struct spool_file file = {0}, *files = &file;
    struct intake_place at = {SLOT, (uint32_t)m->segment - 1, m->generation, m->offset, m->length};
    cr_assert(intake_fetch(w->log_of_cleanup, &a, &at, &st, &text, &why), "%s", buf_text(&why));
    stored_put_envelope(&envelope, &st.envelope);
    cr_assert_eq(spool_begin(&w->spool, &file, &st.id, buf_span(&envelope), text.n, &why), STORE_OK);
    cr_assert_eq(spool_put(&file, text, &why), STORE_OK);
    cr_assert_eq(spool_end(&file, &why), STORE_OK);
    spool_commit(&w->spool, &files, 1, &why);
    cr_assert_eq(file.result, STORE_OK, "%s", buf_text(&why));
    msg_spilled_put(&body, &(struct msg_spilled){.id = m->id});
    channel_notify(c, MSG_spilled, buf_span(&body), NULL, 0);
    w->spills++;
    buf_fini(&why);
    buf_fini(&envelope);
    buf_fini(&body);
    arena_fini(&a);
}

static inline void recycle_one(struct world *w, struct channel *c, const struct msg_recycle *m)
{
    struct buf why = BUF_INIT, body = BUF_INIT;
    w->recycles++;
    if (!w->lazy_recycle &&
        intake_recycle(w->log_of_cleanup, (uint32_t)m->segment - 1, m->generation, &why) == STORE_OK) {
        w->recycled++;
        msg_recycled_put(&body, &(struct msg_recycled){.segment = m->segment, .generation = m->generation});
        channel_notify(c, MSG_recycled, buf_span(&body), NULL, 0);
    }
    buf_fini(&why);
    buf_fini(&body);
}

static inline void cleanup_frame(struct channel *c, struct frame *f, void *context)
{
    struct world *w = context;
    struct msg_spill spill;
    struct msg_recycle recycle;
    if (f->type == MSG_spill && w->lazy_spill)
        w->spills++;
    else if (f->type == MSG_spill && msg_spill_get(NULL, f->body, &spill))
        spill_one(w, c, &spill);
    if (f->type == MSG_recycle && msg_recycle_get(NULL, f->body, &recycle))
        recycle_one(w, c, &recycle);
}

static inline void qmgr_frame(struct channel *c, struct frame *f, void *context)
{
    cr_expect(channel_dispatch(qmgr_notices, c, f, ((struct world *)context)->q));
}

static inline void qmgr_end_closed(struct channel *c, void *context)
{
    struct world *w = context;
    qmgr_cleanup_left(w->q, c);
    w->of_qmgr = NULL;
    channel_close(&c);
}

static inline void say_intake(struct world *w)
{
    struct buf body = BUF_INIT;
    uint32_t segment;
    struct msg_intake m = {.slot = SLOT, .spills = 1};
    if (!w->to_qmgr)
        return;
    if (intake_current(w->log_of_cleanup, &segment, &m.generation))
        m.segment = segment + 1;
    msg_intake_put(&body, &m);
    channel_notify(w->to_qmgr, MSG_intake, buf_span(&body), NULL, 0);
    buf_fini(&body);
}

/* The cleanup process gets a channel. */
static inline void world_connect(struct world *w)
{
    static const struct channel_handler cleanup_handler = {cleanup_frame, NULL},
                                        qmgr_handler = {qmgr_frame, qmgr_end_closed};
    int fds[2];
    cr_assert(channel_pair(fds));
    w->to_qmgr = channel_open(w->loop, fds[0], "qmgr", &cleanup_handler, w);
    w->of_qmgr = channel_open(w->loop, fds[1], "cleanup", &qmgr_handler, w);
    qmgr_cleanup_came(w->q, w->of_qmgr, ++w->incarnation);
    say_intake(w);
}

/* A cleanup process begins; the one before it, if any, has gone. */
static inline void world_cleanup(struct world *w)
{
    struct buf why = BUF_INIT;
    struct intake_config config = {
        .directory = w->slot, .slot = SLOT, .segment_bytes = SEGMENT_SIZE_MIN, .spare_max = 2};
    intake_close(&w->log_of_cleanup);
    w->log_of_cleanup = intake_open(&config, &why);
    cr_assert_not_null(w->log_of_cleanup, "%s", buf_text(&why));
    cr_assert_eq(intake_prepare(w->log_of_cleanup, &why), STORE_OK, "%s", buf_text(&why));
    world_connect(w);
    buf_fini(&why);
}

struct mail {
    const char *sender;
    const char *to[8]; /* "address" or "address=original"; the transport is found as in play_resolve() */
    const char *text;
    unsigned notify; /* of every recipient */
    bool no_routes, no_hint, as_file;
    struct queue_id id; /* zeros: drawn */
    int64_t age_s;
};

static inline void fill_envelope(struct arena *a, struct world *w, const struct mail *mail,
                                 struct msg_stored_envelope *e)
{
    (void)w;
    *e = (struct msg_stored_envelope){.id = queue_id_span(&mail->id),
                                      .sender = span_text(mail->sender),
                                      .arrival_us = (uint64_t)(clock_wall_us() - mail->age_s * SECOND_US),
                                      .text_size = strlen(mail->text)};
    e->recipients.at = arena_calloc(a, 8, sizeof *e->recipients.at);
    for (size_t i = 0; i < 8 && mail->to[i]; i++) {
        struct span all = span_text(mail->to[i]), address = span_slice(all, 0, span_find(all, '='));
        struct span domain = span_skip(address, span_rfind(address, '@') + 1);
        struct msg_recipient *r = &e->recipients.at[e->recipients.n++];
        *r = (struct msg_recipient){.number = i + 1, .address = address, .notify = mail->notify};
        r->original = address.n < all.n ? span_skip(all, address.n + 1) : address;
        if (!mail->no_routes) {
            r->transport = span_slice(domain, 0, span_find(domain, '.'));
            r->nexthop = domain;
        }
    }
}

/* Stores a message and tells qmgr. result: its ID */
static inline struct queue_id world_mail(struct world *w, struct mail mail)
{
    struct arena a = ARENA_INIT;
    struct msg_stored_envelope e;
    struct buf envelope = BUF_INIT, body = BUF_INIT, why = BUF_INIT;
    struct intake_place at = {0};
    if (!mail.id.text[0])
        mail.id = queue_id_draw(&w->ids);
    fill_envelope(&a, w, &mail, &e);
    stored_put_envelope(&envelope, &e);
    struct msg_arrived arrived = {.id = queue_id_span(&mail.id), .envelope = buf_span(&envelope)};
    if (mail.as_file) {
        struct spool_file file = {0}, *files = &file;
        cr_assert_eq(spool_begin(&w->spool, &file, &mail.id, buf_span(&envelope), e.text_size, &why),
                     STORE_OK, "%s", buf_text(&why));
        cr_assert_eq(spool_put(&file, span_text(mail.text), &why), STORE_OK);
        cr_assert_eq(spool_end(&file, &why), STORE_OK);
        spool_commit(&w->spool, &files, 1, &why);
        cr_assert_eq(file.result, STORE_OK, "%s", buf_text(&why));
    } else {
        cr_assert_eq(
            intake_append(w->log_of_cleanup, &mail.id, buf_span(&envelope), span_text(mail.text), &at, &why),
            STORE_OK);
        cr_assert_eq(intake_commit(w->log_of_cleanup, &why), STORE_OK, "%s", buf_text(&why));
        say_intake(w);
        arrived.text = span_text(strlen(mail.text) <= SUBMIT_INLINE_MAX ? mail.text : "");
        arrived.segment = at.segment + 1;
        arrived.slot = SLOT;
        arrived.offset = at.offset;
        arrived.length = at.length;
        arrived.generation = at.generation;
    }
    msg_arrived_put(&body, &arrived);
    if (!mail.no_hint)
        channel_notify(w->to_qmgr, MSG_arrived, buf_span(&body), NULL, 0);
    buf_fini(&envelope);
    buf_fini(&body);
    buf_fini(&why);
    arena_fini(&a);
    return mail.id;
}

/* --- life --- */

static const char world_services[][2][16] = {
    {"local", "local"}, {"virtual", "virtual"}, {"smtp", "smtp"},      {"pipe", "pipe"},
    {"error", "error"}, {"retry", "error"},     {"discard", "discard"}};

static inline void world_start(struct world *w)
{
    struct msg_service services[7];
    wire_list_service list = {services, 7};
    struct buf why = BUF_INIT;
    for (size_t i = 0; i < 7; i++)
        services[i] = (struct msg_service){
            .name = span_text(world_services[i][0]), .program = span_text(world_services[i][1]), .limit = 20};
    struct qmgr_config config = {.loop = w->loop,
                                 .intake = w->intake,
                                 .queue = w->queue,
                                 .corrupt = w->corrupt,
                                 .journal = w->journal,
                                 .settings = &w->settings,
                                 .services = &list,
                                 .incarnation = ++w->incarnation,
                                 .journal_segment = 65536,
                                 .spill_after_s = 1,
                                 .want_channel = world_want,
                                 .next_number = world_number,
                                 .host = w};
    w->q = qmgr_new(&config, &why);
    cr_assert_not_null(w->q, "%s", buf_text(&why));
    cr_assert(qmgr_begin(w->q, &why), "%s", buf_text(&why));
    buf_fini(&why);
    world_cleanup(w);
}

static inline struct world *world_new(const char *main_cf)
{
    struct world *w = calloc(1, sizeof *w);
    struct param_errors errors = PARAM_ERRORS_INIT;
    snprintf(w->where, sizeof w->where, "/tmp/qmgr-test.XXXXXX");
    cr_assert_not_null(mkdtemp(w->where));
    w->top = open(w->where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    w->intake = world_directory(w, "intake");
    w->slot = world_directory(w, "intake/2");
    w->queue = world_directory(w, "queue");
    w->corrupt = world_directory(w, "corrupt");
    w->journal = world_directory(w, "journal");
    w->loop = loop_new();
    list_init(&w->wishes);
    w->log = memfd_create("log", MFD_CLOEXEC);
    w->ids.incarnation = 99;
    w->spool = spool_open(w->queue, w->slot);
    log_open(LOG_TO_FILE, w->log, "host", "postfix/qmgr", 1);
    settings_set_fact(&w->settings, ".hostname", SPAN("mx.example.org"));
    cr_assert(settings_parse(&w->settings, span_text(main_cf), SPAN("main.cf"), &errors));
    param_errors_fini(&errors);
    world_start(w);
    return w;
}

/* kill -9 of the queue manager; the played processes lose their channels. */
static inline void world_kill(struct world *w)
{
    struct list *node;
    qmgr_free(&w->q);
    while ((node = list_shift(&w->wishes))) {
        struct wish *x = LIST_ENTRY(node, struct wish, node);
        timer_stop(&x->timer);
        free(x);
    }
    channel_close(&w->of_qmgr);
    channel_close(&w->to_qmgr);
    for (size_t i = 0; i < w->player_count; i++) {
        channel_close(&w->players[i]->channel);
        free(w->players[i]);
    }
    w->player_count = 0;
    log_flush();
}

static inline void world_end(struct world *w)
{
    char command[128];
    world_kill(w);
    intake_close(&w->log_of_cleanup);
    settings_fini(&w->settings);
    loop_free(&w->loop);
    snprintf(command, sizeof command, "rm -rf %s", w->where);
    cr_expect_eq(system(command), 0);
    free(w);
}

/* All lines so far. */
static inline const char *world_log(struct world *w)
{
    static char text[1 << 20];
    log_flush();
    ssize_t n = pread(w->log, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static inline unsigned count_in_log(struct world *w, const char *what)
{
    unsigned n = 0;
    for (const char *at = world_log(w); (at = strstr(at, what)); at++)
        n++;
    return n;
}

static inline void world_run_ms(struct world *w, int64_t ms)
{
    mono_ms end = clock_after_ms(ms);
    while (clock_mono() < end)
        loop_step(w->loop, end);
}

/* Runs until the log has this text n times. */
static inline void world_until(struct world *w, const char *what, unsigned n)
{
    mono_ms end = clock_after_ms(50000); /* a ceiling: a busy machine with sanitizers is slow */
    while (count_in_log(w, what) < n && clock_mono() < end) {
        mono_ms soon = clock_after_ms(5);
        loop_step(w->loop, soon < end ? soon : end);
    }
    cr_assert_geq(count_in_log(w, what), n, "waited for \"%s\" in:\n%s", what, world_log(w));
}

static inline unsigned asked_times(const struct world *w, const char *service, const char *id)
{
    unsigned n = 0;
    for (size_t i = 0; i < w->asked_count; i++)
        n += strcmp(w->asked[i].service, service) == 0 && (!id || strcmp(w->asked[i].id, id) == 0);
    return n;
}

static inline bool has_file(int directory)
{
    int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY);
    char room[4096];
    bool any = false;
    (void)room;
    DIR *d = fdopendir(fd);
    for (struct dirent *e; (e = readdir(d));)
        any = any || e->d_name[0] != '.';
    closedir(d);
    return any;
}

#endif
