/* A stand-in for qmgr that says what cleanup tells it and tells cleanup what a test wants.
 *
 * Every notice is a log line: "heard intake ...", in the form of msg_X_log(). On its socket
 * public/qmgr it knows
 *
 *     spill ID SEGMENT GENERATION OFFSET LENGTH   (segment as in arrived)
 *     recycle SEGMENT GENERATION
 *     pressure MS
 *     deaf    closes its channels to cleanup */
#include "lib/io/conn.h"
#include "lib/log/log.h"
#include "lib/proc/proc.h"
#include "lib/wire/queue.msg.h"

enum { CLEANUPS = 64, LINE_MOST = 1000, WORDS = 6 };

struct hear {
    struct channel *cleanup[CLEANUPS];
};

#define HEAR(X)                                                                                     \
    static void hear_##X(struct channel *c, struct frame *f, void *own)                            \
    {                                                                                              \
        struct arena a = ARENA_INIT;                                                               \
        struct buf line = BUF_INIT;                                                                \
        struct msg_##X m;                                                                          \
        (void)own;                                                                                 \
        if (msg_##X##_get(&a, f->body, &m))                                                        \
            msg_##X##_log(&line, &m);                                                              \
        log_info("heard from %s: %s", channel_peer(c), buf_text(&line));                           \
        buf_fini(&line);                                                                           \
        arena_fini(&a);                                                                            \
    }                                                                                              \
    struct hear_needs_semicolon_##X
HEAR(intake);
HEAR(arrived);
HEAR(spilled);
HEAR(recycled);

static void tell(struct hear *h, uint16_t type, const struct buf *body)
{
    for (int i = 0; i < CLEANUPS; i++) {
        if (h->cleanup[i])
            (void)channel_notify(h->cleanup[i], type, buf_span(body), NULL, 0);
    }
}

static void obey(struct hear *h, struct span line)
{
    struct span word[WORDS] = {0};
    uint64_t n[WORDS] = {0};
    struct buf body = BUF_INIT;
    for (int i = 0; i < WORDS && span_next_token(&line, SPAN(" \r\n"), &word[i]); i++)
        (void)span_to_u64(word[i], UINT64_MAX, &n[i]);
    if (span_eq(word[0], SPAN("spill"))) {
        msg_spill_put(&body, &(struct msg_spill){.id = word[1], .segment = n[2], .generation = n[3], .offset = n[4],
                                                 .length = n[5]});
        tell(h, MSG_spill, &body);
    } else if (span_eq(word[0], SPAN("recycle"))) {
        msg_recycle_put(&body, &(struct msg_recycle){.segment = n[1], .generation = n[2]});
        tell(h, MSG_recycle, &body);
    } else if (span_eq(word[0], SPAN("pressure"))) {
        msg_pressure_put(&body, &(struct msg_pressure){.delay_ms = n[1]});
        tell(h, MSG_pressure, &body);
    } else if (span_eq(word[0], SPAN("deaf"))) {
        for (int i = 0; i < CLEANUPS; i++)
            channel_close(&h->cleanup[i]);
    }
    buf_fini(&body);
}

static void accepted(struct proc *p, void *own, struct proc_client *client)
{
    struct conn *c = conn_new(client->fd);
    enum line_ending ending;
    struct span line;
    (void)p;
    conn_set_deadline(c, clock_after(5));
    while (conn_read_line(c, LINE_MOST, &line, &ending) == CONN_OK)
        obey(own, line);
    conn_close(&c);
}

static void caller_came(struct proc *p, void *own, struct channel *c, const struct msg_channel_given *who)
{
    struct hear *h = own;
    (void)p;
    if (span_eq(who->service, SPAN("cleanup")) && who->slot < CLEANUPS)
        h->cleanup[who->slot] = c;
}

static void caller_left(struct proc *p, void *own, struct channel *c)
{
    struct hear *h = own;
    (void)p;
    for (int i = 0; i < CLEANUPS; i++) {
        if (h->cleanup[i] == c)
            h->cleanup[i] = NULL;
    }
}

static void *start(struct proc *p)
{
    return ARENA_NEW(proc_arena(p), struct hear);
}

static void reloaded(struct proc *p, void *own)
{
    (void)p, (void)own;
}

int main(void)
{
    static const struct message_handler requests[] = {{MSG_intake, hear_intake},
                                                      {MSG_arrived, hear_arrived},
                                                      {MSG_spilled, hear_spilled},
                                                      {MSG_recycled, hear_recycled},
                                                      {0, NULL}};
    static const struct proc_spec spec = {.program = "qmgr", .kind = PROC_BROKER, .requests = requests, .start = start,
                                          .accepted = accepted, .caller_came = caller_came, .caller_left = caller_left,
                                          .reload = reloaded};
    return proc_main(&spec);
}
