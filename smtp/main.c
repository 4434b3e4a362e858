#include "lib/base/check.h"
#include "lib/io/co.h"
#include "lib/mail/routing.h"
#include "lib/proc/proc.h"
#include "lib/proc/tables.h"
#include "lib/table/maps.h"
#include "smtp/destination.h"
#include "smtp/generic.h"
#include "smtp/reuse.h"
#include "smtp/services.h"
#include "smtp/smtp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct host {
    struct proc *proc;
    struct smtp smtp;
    struct list jobs; /* struct job: attempts under way */
    bool stopping;
};

/* One attempt, on a coroutine of its own. */
struct job {
    struct list node;
    struct host *host;
    struct arena arena;      /* the attempt's and all that is made for it */
    struct channel *channel; /* NULL: qmgr's end has gone */
    uint64_t request;
    struct msg_attempt m;    /* borrows a copy in arena */
    int text;                /* owned; -1: the text is in m */
};

/* --- answers --------------------------------------------------------------------- */

static void job_end(struct job *j, const struct msg_attempted *answer)
{
    struct host *host = j->host;
    if (j->channel) {
        struct buf body = BUF_LIMITED(CHANNEL_FRAME_MAX);
        msg_attempted_put(&body, answer);
        channel_reply(j->channel, j->request, MSG_attempted, buf_span(&body), NULL, 0);
        buf_fini(&body);
    }
    list_remove(&j->node);
    if (j->text >= 0)
        close(j->text);
    arena_fini(&j->arena);
    free(j);
    if (host->stopping && list_empty(&host->jobs))
        proc_exit(host->proc, 0);
}

static void job_run(void *argument)
{
    struct job *j = argument;
    struct smtp *smtp = &j->host->smtp;
    struct delivery d = {
        .smtp = smtp,
        .arena = &j->arena,
        .log = log_source_numbered(proc_next_number(j->host->proc)),
        .m = &j->m,
        .text = {.inner = j->m.text, .fd = j->text, .offset = j->m.text_offset, .size = j->m.text_size},
        .open = j->m.recipients.n,
    };
    d.verdicts = arena_calloc(&j->arena, d.open + 1, sizeof *d.verdicts);
    d.kept = arena_calloc(&j->arena, d.open + 1, sizeof *d.kept);
    for (size_t i = 0; i < d.open; i++)
        d.verdicts[i].number = j->m.recipients.at[i].number;
    if (j->text < 0)
        d.text.size = j->m.text.n;
    delivery_run(&d);
    job_end(j, &(struct msg_attempted){.verdicts = {d.verdicts, j->m.recipients.n}, .unreachable = d.unreachable});
}

/* --- requests -------------------------------------------------------------------------- */

static void handle_attempt(struct channel *c, struct frame *f, void *context)
{
    struct host *host = context;
    struct job *j = calloc(1, sizeof *j);
    CHECK(j != NULL);
    j->host = host;
    j->channel = c;
    j->request = f->id;
    j->text = frame_take_fd(f, 0);
    list_push(&host->jobs, &j->node);
    /* What has no verdict counts as deferred. */
    if (!msg_attempt_get(&j->arena, arena_dup(&j->arena, f->body), &j->m)) {
        job_end(j, &(struct msg_attempted){0});
    } else if (!co_spawn(host->smtp.loop, "smtp delivery", job_run, j)) {
        log_warning("no stack for a delivery: %s", strerror(errno));
        job_end(j, &(struct msg_attempted){0});
    }
}

static void caller_left(struct proc *p, void *own, struct channel *c)
{
    struct host *host = own;
    (void)p;
    LIST_EACH (node, after, &host->jobs) {
        struct job *j = LIST_ENTRY(node, struct job, node);
        if (j->channel == c)
            j->channel = NULL;
    }
}

/* --- the process -------------------------------------------------------------------------- */

static void stop(struct proc *p, void *own)
{
    struct host *host = own;
    host->stopping = true;
    reuse_close(host->smtp.reuse);
    if (list_empty(&host->jobs))
        proc_exit(p, 0);
}

/* Which of the two the service's line in master.cf names. */
static bool is_lmtp(struct proc *p)
{
    struct span name = SPAN_NONE;
    struct buf why = BUF_INIT;
    bool found = param_expand_name(proc_arena(p), proc_settings(p), SPAN("process_name"), &name, &why);
    buf_fini(&why);
    return found && span_eq(name, SPAN("lmtp"));
}

static unsigned port_of(struct proc *p, const struct smtp *smtp)
{
    struct span service = smtp->mine->smtp_tcp_port;
    unsigned port = destination_port(service);
    if (port == 0)
        proc_trouble(p, "%s_tcp_port: \"%.*s\": give a number, or a service that is known", smtp->lmtp ? "lmtp" : "smtp",
                     SPAN_ARG(service));
    return port;
}

static void open_tables(struct proc *p, struct smtp *smtp)
{
    const struct params_smtp *mine = smtp->mine;
    smtp->discard = features_of(mine->smtp_discard_ehlo_keywords.text);
    if (mine->smtp_discard_ehlo_keyword_address_maps.n)
        smtp->discard_maps = maps_open(proc_tables(p), SPAN("smtp_discard_ehlo_keyword_address_maps"),
                                       mine->smtp_discard_ehlo_keyword_address_maps.text, TABLE_FOLD);
    smtp->generic = generic_open(proc_arena(p), proc_tables(p), smtp->main, mine);
}

static void *start(struct proc *p)
{
    struct host *host = ARENA_NEW(proc_arena(p), struct host);
    struct smtp *smtp = &host->smtp;
    host->proc = p;
    list_init(&host->jobs);
    smtp->loop = proc_loop(p);
    smtp->lmtp = is_lmtp(p);
    smtp->mine = smtp->lmtp ? proc_params_lmtp(p) : proc_params_smtp(p);
    if (!smtp->mine || !(smtp->main = proc_params_main(p)) || !(smtp->default_port = port_of(p, smtp)))
        return NULL;
    open_tables(p, smtp);
    smtp->zone = date_local_zone(clock_wall_us());
    smtp->reuse = reuse_new(smtp, smtp->loop);
    smtp->own_addresses = routing_own_addresses(proc_arena(p), proc_settings(p), smtp->main, &smtp->own_address_count);
    return services_open(p, smtp) ? host : NULL;
}

static const struct message_handler requests[] = {{MSG_attempt, handle_attempt}, {0, NULL}};

int main(void)
{
    static const struct proc_spec spec = {.program = "smtp",
                                          .kind = PROC_HOST,
                                          .requests = requests,
                                          .start = start,
                                          .caller_left = caller_left,
                                          .stop = stop};
    return proc_main(&spec);
}
