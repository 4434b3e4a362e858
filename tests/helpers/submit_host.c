/* A session host that submits mail to cleanup on command, for tests of cleanup and qmgr. Installed
 * under the name smtpd, whose walls it then has.
 *
 *     submit FLAGS SENDER RECIPIENTS SIZE   followed by SIZE octets of text; FLAGS a number, SENDER <> for
 *                                           none, RECIPIENTS with commas or - for none
 *     room SIZE
 *     flood COUNT SIZE                      that many messages at once, to flood@example.test
 *     quit
 *
 * Answers "CLASS DSN ID TEXT", or "lost". flood answers "COUNT stored, COUNT refused, COUNT lost". */
#include "lib/base/check.h"
#include "lib/io/conn.h"
#include "lib/proc/proc.h"
#include "lib/queue/id.h"
#include "lib/wire/submit.msg.h"

#include <stdlib.h>
#include <unistd.h>

CHANNEL_CALL_DECLARE(room_wanted, submitted);
CHANNEL_CALL_DECLARE(submit, submitted);

enum { LINE_MOST = 100000, WORDS = 5, PATIENCE_S = 60, FILE_ROOM = 20 << 20 };

struct host {
    struct proc *proc;
    struct queue_id_source ids;
};

static void say(struct conn *c, enum call_result result, const struct msg_submitted *m)
{
    if (result == CALL_OK)
        conn_printf(c, "%llu %.*s %.*s %.*s\r\n", (unsigned long long)m->class, SPAN_ARG(m->dsn.n ? m->dsn : SPAN("-")),
                    SPAN_ARG(m->id.n ? m->id : SPAN("-")), SPAN_ARG(m->text));
    else
        conn_printf(c, "lost\r\n");
}

static struct channel *cleanup_of(struct host *h)
{
    return proc_channel(h->proc, "cleanup", clock_after(PATIENCE_S));
}

/* A text that does not fit into the frame goes by a file of cleanup's. result: false: there is none */
static bool spool_text(struct channel *to, struct msg_submit *m)
{
    struct arena a = ARENA_INIT;
    struct buf body = BUF_INIT;
    struct frame reply;
    struct msg_spool_made made = {0};
    msg_spool_wanted_put(&body, &(struct msg_spool_wanted){.size = m->text.n});
    bool good = channel_call(to, MSG_spool_wanted, buf_span(&body), NULL, 0, clock_after(PATIENCE_S), MSG_spool_made, &a,
                             &reply) == CALL_OK &&
                msg_spool_made_get(&a, reply.body, &made);
    int fd = good ? frame_take_fd(&reply, 0) : -1;
    good = fd >= 0 && pwrite(fd, m->text.p, m->text.n, 0) == (ssize_t)m->text.n;
    if (fd >= 0)
        close(fd);
    m->spool = made.handle;
    m->spool_size = m->text.n;
    m->text = SPAN_NONE;
    buf_fini(&body);
    arena_fini(&a);
    return good;
}

static void add_recipients(struct arena *a, struct msg_submit *m, struct span list)
{
    struct span one;
    while (!span_eq(list, SPAN("-")) && span_next_token(&list, SPAN(","), &one)) {
        m->recipients.at = wire_list_more(a, m->recipients.at, m->recipients.n, sizeof *m->recipients.at);
        m->recipients.at[m->recipients.n++] = (struct msg_recipient){.address = one, .original = one};
    }
}

/* Reads size octets of text. */
static bool read_text(struct conn *c, size_t size, struct buf *text)
{
    struct span piece;
    text->max = FILE_ROOM;
    while (text->len < size && conn_read_bytes(c, size - text->len, &piece) == CONN_OK)
        buf_put(text, piece);
    return text->len == size && !text->full;
}

static void submit(struct host *h, struct conn *c, const struct span *word)
{
    struct arena a = ARENA_INIT;
    struct buf text = BUF_INIT;
    struct queue_id id = queue_id_draw(&h->ids);
    struct msg_submit m = {.id = queue_id_span(&id), .arrival_us = (uint64_t)clock_wall_us(),
                           .client_name = SPAN("localhost"), .client_address = SPAN("127.0.0.1")};
    struct msg_submitted got = {0};
    uint64_t size = 0;
    enum call_result result = CALL_LOST;
    (void)span_to_u64(word[1], UINT32_MAX, &m.flags);
    (void)span_to_u64(word[4], FILE_ROOM, &size);
    m.sender = span_eq(word[2], SPAN("<>")) ? SPAN_NONE : arena_dup(&a, word[2]);
    add_recipients(&a, &m, arena_dup(&a, word[3]));
    if (read_text(c, (size_t)size, &text)) {
        struct channel *to = cleanup_of(h);
        m.text = buf_span(&text);
        if (to && (m.text.n <= SUBMIT_INLINE_MAX || spool_text(to, &m)))
            result = CHANNEL_CALL(to, &a, clock_after(PATIENCE_S), submit, &m, submitted, &got);
    }
    say(c, result, &got);
    buf_fini(&text);
    arena_fini(&a);
}

static void room(struct host *h, struct conn *c, const struct span *word)
{
    struct arena a = ARENA_INIT;
    struct msg_room_wanted m = {0};
    struct msg_submitted got = {0};
    struct channel *to = cleanup_of(h);
    (void)span_to_u64(word[1], UINT64_MAX, &m.size);
    enum call_result result = to ? CHANNEL_CALL(to, &a, clock_after(PATIENCE_S), room_wanted, &m, submitted, &got) : CALL_LOST;
    say(c, result, &got);
    arena_fini(&a);
}

struct flood {
    unsigned open, stored, refused, lost;
    struct note done;
};

static void flood_answer(struct frame *reply, void *context)
{
    struct flood *flood = context;
    struct arena a = ARENA_INIT;
    struct msg_submitted m;
    if (!reply || !msg_submitted_get(&a, reply->body, &m))
        flood->lost++;
    else if (m.class == 0)
        flood->stored++;
    else
        flood->refused++;
    arena_fini(&a);
    if (--flood->open == 0)
        note_set(&flood->done);
}

static void run_flood(struct host *h, struct conn *c, const struct span *word)
{
    struct flood flood = {.open = 1};
    struct buf text = BUF_INIT;
    uint64_t count = 0, size = 0;
    struct msg_recipient r = {.address = SPAN("flood@example.test")};
    struct channel *to = cleanup_of(h);
    (void)span_to_u64(word[1], 100000, &count);
    (void)span_to_u64(word[2], SUBMIT_INLINE_MAX, &size);
    buf_puts(&text, "Subject: flood\n\n");
    while (text.len < size)
        buf_puts(&text, "some text that is one line of the flood\n");
    for (uint64_t i = 0; to && i < count; i++) {
        struct buf body = BUF_INIT;
        struct queue_id id = queue_id_draw(&h->ids);
        msg_submit_put(&body, &(struct msg_submit){.id = queue_id_span(&id), .sender = SPAN("s@example.test"),
                                                   .recipients = {&r, 1}, .text = buf_span(&text)});
        flood.open++;
        if (!channel_request(to, MSG_submit, buf_span(&body), NULL, 0, flood_answer, &flood)) {
            flood.open--;
            flood.lost++;
        }
        buf_fini(&body);
    }
    if (--flood.open > 0)
        (void)wait_note(proc_loop(h->proc), &flood.done, MONO_NEVER);
    conn_printf(c, "%u stored, %u refused, %u lost\r\n", flood.stored, flood.refused, flood.lost);
    buf_fini(&text);
}

static void accepted(struct proc *p, void *own, struct proc_client *client)
{
    struct conn *c = conn_new(client->fd);
    enum line_ending ending;
    struct span line;
    (void)p;
    conn_set_deadline(c, clock_after(300));
    conn_printf(c, "220 submit\r\n");
    while (conn_read_line(c, LINE_MOST, &line, &ending) == CONN_OK) {
        struct span word[WORDS] = {0}, rest = line;
        for (int i = 0; i < WORDS && span_next_token(&rest, SPAN(" "), &word[i]); i++)
            continue;
        struct buf kept = BUF_INIT; /* the line is gone at the next read */
        buf_put(&kept, line);
        for (int i = 0; i < WORDS; i++)
            word[i].p = word[i].p ? kept.data + (word[i].p - line.p) : NULL;
        if (span_eq(word[0], SPAN("submit")))
            submit(own, c, word);
        else if (span_eq(word[0], SPAN("room")))
            room(own, c, word);
        else if (span_eq(word[0], SPAN("flood")))
            run_flood(own, c, word);
        else
            conn_printf(c, "what?\r\n");
        bool over = span_eq(word[0], SPAN("quit"));
        buf_fini(&kept);
        if (over)
            break;
    }
    conn_close(&c);
}

static void *start(struct proc *p)
{
    struct host *h = ARENA_NEW(proc_arena(p), struct host);
    h->proc = p;
    h->ids.incarnation = proc_boot(p)->incarnation;
    return h;
}

int main(void)
{
    static const struct message_handler none[] = {{0, NULL}};
    static const struct proc_spec spec = {.program = "smtpd", .kind = PROC_HOST, .requests = none, .start = start,
                                          .accepted = accepted};
    return proc_main(&spec);
}
