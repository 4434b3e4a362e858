#include "dnsd/engine.h"
#include "dnsd/hosts.h"
#include "dnsd/lookups.h"
#include "dnsd/packet.h"
#include "lib/base/check.h"
#include "lib/log/log.h"
#include "lib/proc/proc.h"
#include "lib/proc/tables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SHARE_OF_SERVICE = 75 /* per cent of dnsd_query_limit */ };

struct daemon {
    struct proc *proc;
    const struct params_dnsd *params;
    struct engine *engine;
    struct lookups *lookups;
    struct sources *sources;     /* in sources_arena, which changes with them */
    struct arena *sources_arena;
    struct hosts hosts;
    struct map callers;          /* channel pointer -> struct caller */
    struct map shares;           /* service name -> struct service; for the life of the process */
};

/* What the callers of one service may do together. */
struct service {
    struct share share;
    char name[];
};

struct caller {
    struct channel *channel;
    struct asker asker;
};

static struct span key_of(struct channel *const *c)
{
    return span_of(c, sizeof *c);
}

/* --- files ------------------------------------------------------------------------------------- */

/* From the beginning, whatever was read of the descriptor before. */
static bool read_given(struct daemon *d, struct arena *a, const char *path, size_t most, struct span *text)
{
    struct buf got = BUF_LIMITED(most);
    int fd = proc_file(d->proc, path);
    ssize_t n = fd < 0 ? -1 : 0;
    for (char *room; fd >= 0 && got.len < most; buf_grown(&got, (size_t)n)) {
        size_t want = most - got.len < 65536 ? most - got.len : 65536;
        if (!(room = buf_reserve(&got, want)) || (n = pread(fd, room, want, (off_t)got.len)) <= 0)
            break;
    }
    int error = errno;
    if (fd >= 0)
        close(fd);
    if (n >= 0)
        *text = arena_dup(a, buf_span(&got));
    buf_fini(&got);
    errno = error;
    return n >= 0;
}

static bool read_for_sources(void *context, struct arena *a, const char *path, size_t most, struct span *text)
{
    return read_given(context, a, path, most, text);
}

static void warn(void *context, const char *line)
{
    (void)context;
    log_warning("%s", line);
}

static void read_hosts(struct daemon *d)
{
    struct arena scratch = ARENA_INIT;
    struct span text;
    if (d->params->dnsd_hosts_file.n == 0) {
        hosts_fini(&d->hosts);
        d->hosts = HOSTS_INIT;
    } else if (read_given(d, &scratch, d->params->dnsd_hosts_file.p, HOSTS_FILE_MAX, &text)) {
        hosts_fini(&d->hosts);
        d->hosts = HOSTS_INIT;
        hosts_parse(&d->hosts, text);
    } else {
        log_warning("%s: %s: what was read of it before stays in force", d->params->dnsd_hosts_file.p, strerror(errno));
    }
    arena_fini(&scratch);
}

static struct answer_limits answer_limits_of(const struct params_dnsd *params)
{
    return (struct answer_limits){.max_ttl = (uint32_t)params->dnsd_max_ttl,
                                  .max_negative_ttl = (uint32_t)params->dnsd_max_negative_ttl};
}

/* Where answers come from, anew. result: false with why; then it is as before */
static bool renew_sources(struct daemon *d, struct buf *why)
{
    const struct sources_reader reader = {.read = read_for_sources, .warn = warn, .context = d};
    struct arena *a = calloc(1, sizeof *a);
    CHECK(a != NULL);
    *a = (struct arena)ARENA_INIT;
    struct sources *s = ARENA_NEW(a, struct sources);
    struct arena *old = a;
    bool good = sources_make(a, d->params, &reader, s, why);
    if (good) {
        old = d->sources_arena;
        d->sources_arena = a;
        d->sources = s;
        if (d->engine && engine_set_sources(d->engine, s))
            lookups_renew(d->lookups);
    }
    if (old) {
        arena_fini(old);
        free(old);
    }
    return good;
}

static void renew_sources_or_stay(struct daemon *d)
{
    struct buf why = BUF_INIT;
    if (!renew_sources(d, &why))
        log_error("the old settings stay: %s", buf_text(&why));
    buf_fini(&why);
}

static void file_changed(struct proc *p, void *own, const char *path)
{
    struct daemon *d = own;
    (void)p;
    if (span_eq(span_text(path), d->params->dnsd_hosts_file))
        read_hosts(d);
    else
        renew_sources_or_stay(d);
}

/* --- questions ------------------------------------------------------------------------------------ */

static void tell(void *context, struct asker *to, uint64_t id, const struct msg_dns_reply *reply)
{
    const struct caller *caller = to->context;
    struct buf body = BUF_INIT;
    (void)context;
    msg_dns_reply_put(&body, reply);
    channel_reply(caller->channel, id, MSG_dns_reply, buf_span(&body), NULL, 0);
    buf_fini(&body);
}

static bool ask_engine(void *context, const char *name, unsigned type, struct lookup *lookup, struct buf *why)
{
    struct daemon *d = context;
    return engine_ask(d->engine, name, type, lookup, why);
}

static void answered(void *token, const struct raw_answer *raw)
{
    lookups_answered(token, raw);
}

/* In lower case, without a final dot.
 * result: false: there can be no such name */
static bool normal_name(struct arena *a, struct span name, struct span *normal)
{
    struct dname wire;
    if (name.n > 1 && name.p[name.n - 1] == '.')
        name = span_slice(name, 0, name.n - 1);
    if (name.n == 0 || !dname_parse(name, &wire))
        return false;
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] <= ' ' || name.p[i] >= 127 || name.p[i] == '\\')
            return false;
    struct buf lower = BUF_INIT;
    for (size_t i = 0; i < name.n; i++)
        buf_putc(&lower, (char)byte_lower((unsigned char)name.p[i]));
    *normal = arena_dup(a, buf_span(&lower));
    buf_fini(&lower);
    return true;
}

static void ask(struct daemon *d, struct caller *caller, uint64_t id, struct arena *a, const struct msg_dns_query *m)
{
    struct msg_dns_reply reply;
    struct span name;
    int64_t wait_ms = m->wait_ms == 0 || m->wait_ms > DNS_WAIT_MS ? DNS_WAIT_MS : (int64_t)m->wait_ms;
    if (!normal_name(a, m->name, &name)) {
        reply = answer_none(DNS_NO_NAME, SPAN("this can be no name in the DNS"));
    } else if (!answer_type_valid(m->type)) {
        reply = answer_none(DNS_MALFORMED, SPAN("records of this type cannot be asked for"));
    } else if (!(m->flags & DNS_ASK_HOSTS) || !hosts_answer(&d->hosts, a, name, (unsigned)m->type, &reply)) {
        lookups_ask(d->lookups, &caller->asker, id, name, (unsigned)m->type, wait_ms);
        return;
    }
    if (reply.canonical.n == 0)
        reply.canonical = m->name;
    tell(d, &caller->asker, id, &reply);
}

static void handle_query(struct channel *c, struct frame *f, void *context)
{
    struct daemon *d = context;
    struct caller *caller = map_get(&d->callers, key_of(&c));
    struct arena a = ARENA_INIT;
    struct msg_dns_query m;
    CHECK(caller != NULL);
    if (msg_dns_query_get(&a, f->body, &m)) {
        ask(d, caller, f->id, &a, &m);
    } else {
        struct msg_dns_reply reply = answer_none(DNS_TEMPORARY, SPAN("dnsd does not understand the question"));
        tell(d, &caller->asker, f->id, &reply);
    }
    arena_fini(&a);
}

static const struct message_handler requests[] = {{MSG_dns_query, handle_query}, {0, NULL}};

/* --- callers ------------------------------------------------------------------------------------------ */

static size_t share_of(const struct daemon *d)
{
    return (size_t)d->params->dnsd_query_limit * SHARE_OF_SERVICE / 100;
}

static struct service *service_of(struct daemon *d, struct span name)
{
    struct service *s = map_get(&d->shares, name);
    if (s)
        return s;
    s = calloc(1, sizeof *s + name.n + 1);
    CHECK(s != NULL);
    if (name.n)
        memcpy(s->name, name.p, name.n);
    s->share.most = share_of(d);
    map_set(&d->shares, span_of(s->name, name.n), s);
    return s;
}

static void caller_came(struct proc *p, void *own, struct channel *c, const struct msg_channel_given *who)
{
    struct daemon *d = own;
    struct caller *caller = calloc(1, sizeof *caller);
    (void)p;
    CHECK(caller != NULL);
    caller->channel = c;
    asker_init(&caller->asker, &service_of(d, who->service)->share, caller);
    map_set(&d->callers, key_of(&caller->channel), caller);
}

static void caller_left(struct proc *p, void *own, struct channel *c)
{
    struct daemon *d = own;
    struct caller *caller = map_remove(&d->callers, key_of(&c));
    (void)p;
    CHECK(caller != NULL);
    asker_forget(&caller->asker);
    free(caller);
}

/* --- life ---------------------------------------------------------------------------------------------- */

static void *start(struct proc *p)
{
    struct daemon *d = ARENA_NEW(proc_arena(p), struct daemon);
    struct buf why = BUF_INIT;
    d->proc = p;
    d->hosts = HOSTS_INIT;
    d->params = proc_params_dnsd(p);
    bool good = d->params && renew_sources(d, &why);
    if (d->params && !good)
        proc_trouble(p, "%s", buf_text(&why));
    buf_fini(&why);
    if (good)
        read_hosts(d);
    return good ? d : NULL;
}

/* In the sandbox: libunbound's thread, too, must not be anywhere else. */
static void begin(struct proc *p, void *own)
{
    struct daemon *d = own;
    d->engine = engine_new(proc_loop(p), answered);
    d->lookups = lookups_new(&(struct lookups_config){.loop = proc_loop(p),
                                                      .limit = (size_t)d->params->dnsd_query_limit,
                                                      .answers = answer_limits_of(d->params),
                                                      .ask = ask_engine,
                                                      .reply = tell,
                                                      .context = d});
    (void)engine_set_sources(d->engine, d->sources);
}

static void reload(struct proc *p, void *own)
{
    struct daemon *d = own;
    const struct params_dnsd *params = proc_params_dnsd(p);
    struct service *s;
    size_t at = 0;
    if (!params)
        return;
    d->params = params;
    while ((s = map_next(&d->shares, &at)))
        s->share.most = share_of(d);
    lookups_set_limits(d->lookups, (size_t)params->dnsd_query_limit, answer_limits_of(params));
    renew_sources_or_stay(d);
    read_hosts(d);
}

int main(void)
{
    static const struct proc_spec spec = {.program = "dnsd",
                                          .kind = PROC_BROKER,
                                          .requests = requests,
                                          .start = start,
                                          .begin = begin,
                                          .caller_came = caller_came,
                                          .caller_left = caller_left,
                                          .file_changed = file_changed,
                                          .reload = reload};
    return proc_main(&spec);
}
