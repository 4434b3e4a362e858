#include "dnsd/engine.h"

#include "dnsd/context.h"
#include "dnsd/report.h"
#include "lib/base/check.h"
#include "lib/log/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    CLASS_IN = 1,
    TYPE_DNSKEY = 48,
    RCODE_SERVFAIL = 2,
    CONTEXTS_MAX = 3,       /* with the one in use; of more, the oldest gives its questions back */
    RETRY_MS = 1000,        /* between two tries to make a resolver */
    LINES_MAX = 20,         /* of libunbound's log that are passed on, in LINES_MS */
    LINES_MS = 60000,
    LOG_BUFFER = 4096,
    PROBES_MAX = 5,
};

/* One question under way. */
struct question {
    struct list node;        /* among its context's */
    struct context *context;
    void *token;             /* NULL: our own, about a trust anchor */
    unsigned type;
    struct buf reason;       /* what libunbound's log said of its failure */
    char name[];
};

struct engine {
    struct loop *loop;
    engine_answered answered;
    const struct sources *sources; /* borrowed; NULL before the first */
    struct context *current;       /* NULL: to be made at the next question */
    struct list contexts;
    size_t ncontexts, open;
    mono_ms not_before;            /* no resolver could be made */
    struct buf why;                /* of that */
    FILE *log;                     /* libunbound's */
    int log_read;                  /* the pipe behind it */
    struct watch *log_watch;
    struct buf lines;
    unsigned lines_said;
    mono_ms lines_since;
    struct deferred clean_up;
};

/* --- its log ------------------------------------------------------------------------------------ */

/* The end that libunbound writes to. It keeps its log as long as the process lives. */
struct log_end {
    int fd;
};

/* In libunbound's thread: nothing but this. What does not fit is lost, and nobody waits. */
static ssize_t log_written(void *cookie, const char *data, size_t n)
{
    const struct log_end *end = cookie;
    ssize_t written = write(end->fd, data, n);
    (void)written;
    return (ssize_t)n;
}

static void say_line(struct engine *e, struct span text)
{
    mono_ms now = loop_now(e->loop);
    if (now - e->lines_since > LINES_MS) {
        e->lines_since = now;
        e->lines_said = 0;
    }
    if (e->lines_said++ < LINES_MAX)
        log_warning("libunbound: %.*s", SPAN_ARG(text));
    else if (e->lines_said == LINES_MAX + 1)
        log_warning("libunbound says more, which is not passed on for a minute");
}

static void take_line(struct engine *e, struct span line)
{
    struct report r;
    if (!report_parse(line, &r))
        return;
    if (r.name.n == 0) {
        say_line(e, r.text);
        return;
    }
    LIST_EACH (at, next, &e->contexts) {
        struct context *c = LIST_ENTRY(at, struct context, node);
        LIST_EACH (node, after, &c->questions) {
            struct question *q = LIST_ENTRY(node, struct question, node);
            if (q->type != r.type || !span_eq_nocase(span_text(q->name), r.name))
                continue;
            buf_clear(&q->reason);
            report_put_reason(&q->reason, r.reason);
        }
    }
}

static void read_log(struct engine *e)
{
    char *room;
    ssize_t n;
    while ((room = buf_reserve(&e->lines, LOG_BUFFER)) && (n = read(e->log_read, room, LOG_BUFFER)) > 0) {
        buf_grown(&e->lines, (size_t)n);
        struct span text = buf_span(&e->lines);
        for (size_t end; (end = span_find(text, '\n')) < text.n; text = span_skip(text, end + 1))
            take_line(e, span_slice(text, 0, end));
        buf_consume(&e->lines, e->lines.len - text.n);
        if (e->lines.len > LOG_BUFFER)
            buf_clear(&e->lines);
    }
}

static void log_event(struct watch *w, unsigned events, void *context)
{
    (void)w, (void)events;
    read_log(context);
}

static void open_log(struct engine *e)
{
    const cookie_io_functions_t io = {.write = log_written};
    struct log_end *end = calloc(1, sizeof *end);
    int fds[2];
    CHECK(end != NULL && pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0);
    e->log_read = fds[0];
    end->fd = fds[1];
    e->log = fopencookie(end, "w", io);
    CHECK(e->log != NULL && setvbuf(e->log, NULL, _IOLBF, LOG_BUFFER) == 0);
    e->log_watch = loop_watch(e->loop, e->log_read, LOOP_READ, log_event, e);
}

/* --- questions ------------------------------------------------------------------------------------ */

static bool ask(struct engine *e, struct question *q, struct buf *why);

static void question_free(struct question *q)
{
    list_remove(&q->node);
    buf_fini(&q->reason);
    free(q);
}

static struct span first_forwarder(const struct engine *e)
{
    return e->sources->nforwarders ? e->sources->forwarders[0].text : SPAN("of the root");
}

/* The keys of a trust anchor were asked for: whether any signature can be checked shows here. */
static void tell_of_probe(const struct engine *e, const struct question *q, const struct raw_answer *raw)
{
    if (raw->bogus)
        log_warning("the keys of the trust anchor \"%s\" cannot be verified (%.*s): domains below it are answered with "
                    "\"try again\". If the name servers (%.*s) do not pass on DNSSEC, name others in dnsd_forwarders, or "
                    "set dnsd_validation = no", q->name, SPAN_ARG(raw->why), SPAN_ARG(first_forwarder(e)));
}

static bool failed(const struct raw_answer *raw)
{
    return raw->failure.n || (raw->packet.n >= 4 && (span_at(raw->packet, 3) & 15) == RCODE_SERVFAIL);
}

/* The end of a question, or its second try where its resolver is the old one. */
static void question_done(struct engine *e, struct question *q, const struct raw_answer *raw)
{
    struct buf why = BUF_INIT;
    bool old = q->context != e->current;
    list_remove(&q->node);
    loop_defer(e->loop, &e->clean_up);
    if (old && q->token && failed(raw) && ask(e, q, &why)) {
        buf_fini(&why);
        return;
    }
    buf_fini(&why);
    e->open--;
    if (q->token)
        e->answered(q->token, raw);
    else
        tell_of_probe(e, q, raw);
    question_free(q);
}

static void question_fail(struct engine *e, struct question *q, struct span failure)
{
    question_done(e, q, &(struct raw_answer){.failure = failure});
}

static void resolved(void *context, int error, struct ub_result *result)
{
    struct question *q = context;
    struct engine *e = q->context->engine;
    if (error || !result) {
        question_fail(e, q, span_text(ub_strerror(error)));
        ub_resolve_free(result);
        return;
    }
    struct raw_answer raw = {.packet = span_of(result->answer_packet, (size_t)result->answer_len),
                             .secure = result->secure,
                             .bogus = result->bogus,
                             .ttl = result->ttl > 0 ? (uint32_t)result->ttl : 0};
    struct buf why = BUF_INIT;
    if (raw.bogus)
        report_put_bogus(&why, span_text(result->why_bogus));
    else
        buf_put(&why, buf_span(&q->reason));
    raw.why = buf_span(&why);
    question_done(e, q, &raw);
    buf_fini(&why);
    ub_resolve_free(result);
}

/* --- contexts --------------------------------------------------------------------------------------- */

static void context_event(struct watch *w, unsigned events, void *context)
{
    struct context *c = context;
    (void)w, (void)events;
    /* The thread writes why something failed before it says that it did. */
    read_log(c->engine);
    if (ub_process(c->ub) != UB_NOERROR) {
        log_error("libunbound's thread has ended");
        c->broken = true;
        if (c->engine->current == c)
            c->engine->current = NULL;
        loop_defer(c->engine->loop, &c->engine->clean_up);
    }
}

static void context_free(struct engine *e, struct context *c)
{
    list_remove(&c->node);
    e->ncontexts--;
    if (e->current == c)
        e->current = NULL;
    loop_unwatch(&c->watch);
    ub_ctx_delete(c->ub);
    /* Nobody will answer these. */
    LIST_EACH (node, after, &c->questions)
        question_fail(e, LIST_ENTRY(node, struct question, node), SPAN("the resolver was replaced"));
    free(c);
    /* The log is one for all, and goes with whoever had it first. */
    LIST_EACH (at, next, &e->contexts)
        (void)ub_ctx_debugout(LIST_ENTRY(at, struct context, node)->ub, e->log);
}

/* Ends what has nothing to do any more; of too many old ones the oldest. */
static void clean_up(struct deferred *d, void *context)
{
    struct engine *e = context;
    (void)d;
    LIST_EACH (node, after, &e->contexts) {
        struct context *c = LIST_ENTRY(node, struct context, node);
        if (c != e->current && (c->broken || list_empty(&c->questions) || e->ncontexts > CONTEXTS_MAX))
            context_free(e, c);
    }
}

static void probe(struct engine *e)
{
    const struct anchors *anchors = e->sources->anchors;
    struct buf why = BUF_INIT;
    for (size_t i = 0, asked = 0; e->sources->validate && i < anchors->n && asked < PROBES_MAX; i++)
        if (i == 0 || !span_eq_nocase(anchors->owners[i], anchors->owners[i - 1])) {
            (void)engine_ask(e, anchors->owners[i].p, TYPE_DNSKEY, NULL, &why);
            asked++;
        }
    buf_fini(&why);
}

static void context_make(struct engine *e)
{
    if (!e->sources || loop_now(e->loop) < e->not_before)
        return;
    buf_clear(&e->why);
    struct ub_ctx *ub = context_open(e->sources, e->log, &e->why);
    if (!ub) {
        log_error("the resolver cannot be set up: %s", buf_text(&e->why));
        e->not_before = clock_after_ms(RETRY_MS);
        return;
    }
    struct context *c = calloc(1, sizeof *c);
    CHECK(c != NULL);
    *c = (struct context){.engine = e, .ub = ub};
    list_init(&c->questions);
    c->watch = loop_watch_level(e->loop, ub_fd(ub), LOOP_READ, context_event, c);
    list_push(&e->contexts, &c->node);
    e->ncontexts++;
    e->current = c;
    loop_defer(e->loop, &e->clean_up);
    probe(e);
}

/* --- outside ------------------------------------------------------------------------------------------ */

static bool ask(struct engine *e, struct question *q, struct buf *why)
{
    if (!e->current)
        context_make(e);
    if (!e->current) {
        buf_printf(why, "the resolver cannot be set up: %s", buf_text(&e->why));
        return false;
    }
    int rc = ub_resolve_async(e->current->ub, q->name, (int)q->type, CLASS_IN, q, resolved, NULL);
    if (rc != UB_NOERROR) {
        buf_printf(why, "libunbound: %s", ub_strerror(rc));
        return false;
    }
    q->context = e->current;
    buf_clear(&q->reason);
    list_push(&q->context->questions, &q->node);
    return true;
}

bool engine_ask(struct engine *e, const char *name, unsigned type, void *token, struct buf *why)
{
    size_t n = strlen(name);
    struct question *q = calloc(1, sizeof *q + n + 1);
    CHECK(q != NULL);
    q->token = token;
    q->type = type;
    memcpy(q->name, name, n);
    list_init(&q->node);
    if (!ask(e, q, why)) {
        question_free(q);
        return false;
    }
    e->open++;
    return true;
}

bool engine_set_sources(struct engine *e, const struct sources *s)
{
    bool changed = !e->sources || !span_eq(e->sources->fingerprint, s->fingerprint);
    e->sources = s;
    if (!changed)
        return false;
    e->current = NULL;
    e->not_before = 0;
    loop_defer(e->loop, &e->clean_up);
    return true;
}

struct engine *engine_new(struct loop *l, engine_answered answered)
{
    struct engine *e = calloc(1, sizeof *e);
    CHECK(e != NULL);
    e->loop = l;
    e->answered = answered;
    e->clean_up = (struct deferred){.fn = clean_up, .context = e, .rank = LOOP_RANK_COMMIT};
    list_init(&e->contexts);
    open_log(e);
    return e;
}

void engine_free(struct engine **where)
{
    struct engine *e = *where;
    *where = NULL;
    if (!e)
        return;
    LIST_EACH (node, after, &e->contexts) {
        struct context *c = LIST_ENTRY(node, struct context, node);
        LIST_EACH (at, next, &c->questions)
            question_free(LIST_ENTRY(at, struct question, node));
        context_free(e, c);
    }
    loop_undefer(&e->clean_up);
    loop_unwatch(&e->log_watch);
    close(e->log_read);
    buf_fini(&e->lines);
    buf_fini(&e->why);
    free(e);
}

size_t engine_open(const struct engine *e)
{
    return e->open;
}

size_t engine_contexts(const struct engine *e)
{
    return e->ncontexts;
}
