#include "lib/log/log.h"
#include "lib/proc/proc.h"
#include "lib/proc/tables.h"
#include "lib/wire/lookup.msg.h"
#include "proxymap/unix_table.h"

static enum table_result find(struct proc *p, const struct msg_lookup *m, struct buf *value, struct buf *why)
{
    size_t colon = span_find(m->table, ':');
    if (span_eq(span_slice(m->table, 0, colon), SPAN("unix")))
        return unix_table_find(span_skip(m->table, colon + 1), m->key, value, why);
    struct table *t = table_open(proc_tables(p), m->table, (unsigned)m->flags);
    enum table_result result = table_find(t, m->key, value, why);
    table_close(&t);
    return result;
}

static void handle_lookup(struct channel *c, struct frame *f, void *context)
{
    static const unsigned results[] = {
        [TABLE_FOUND] = LOOKUP_FOUND, [TABLE_NOT_FOUND] = LOOKUP_NOT_FOUND, [TABLE_TEMP] = LOOKUP_TEMP};
    struct arena scratch = ARENA_INIT;
    struct msg_lookup m;
    struct msg_lookup_answer answer = {.result = LOOKUP_TEMP, .text = SPAN_INIT("malformed request")};
    struct buf value = BUF_LIMITED(CHANNEL_FRAME_MAX / 2), why = BUF_LIMITED(1024), body = BUF_INIT;
    if (msg_lookup_get(&scratch, f->body, &m)) {
        answer.result = results[find(context, &m, &value, &why)];
        answer.value = buf_span(&value);
        answer.text = buf_span(&why);
    }
    msg_lookup_answer_put(&body, &answer);
    channel_reply(c, f->id, MSG_lookup_answer, buf_span(&body), NULL, 0);
    buf_fini(&body);
    buf_fini(&value);
    buf_fini(&why);
    arena_fini(&scratch);
}

static void *start(struct proc *p)
{
    proc_tables(p);
    return p;
}

static const struct message_handler requests[] = {{MSG_lookup, handle_lookup}, {0, NULL}};

int main(void)
{
    static const struct proc_spec spec = {
        .program = "proxymap", .kind = PROC_WORKER, .requests = requests, .start = start};
    return proc_main(&spec);
}
