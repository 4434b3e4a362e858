#include "lib/proc/submit.h"

#include <errno.h>
#include <unistd.h>

enum { PIECE = 4096 };

CHANNEL_CALL_DECLARE(submit, submitted);

/* Where the text goes: memory or a spool file. */
struct sink {
    struct buf *memory; /* NULL: the file */
    int fd;
    uint64_t at;        /* octets written */
};

static bool put(struct sink *s, struct span piece)
{
    if (s->memory) {
        buf_put(s->memory, piece);
        return !s->memory->full;
    }
    while (piece.n) {
        ssize_t n = pwrite(s->fd, piece.p, piece.n, (off_t)s->at);
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0) {
            s->at += (uint64_t)n;
            piece = span_skip(piece, (size_t)n);
        }
    }
    return true;
}

static bool put_file(struct sink *s, const struct submit_text *t)
{
    char piece[PIECE];
    for (uint64_t done = 0; done < t->size;) {
        size_t room = t->size - done < sizeof piece ? (size_t)(t->size - done) : sizeof piece;
        ssize_t n = pread(t->fd, piece, room, (off_t)(t->offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 || !put(s, span_of(piece, (size_t)n)))
            return false;
        done += (uint64_t)n;
    }
    return true;
}

static bool put_all(struct sink *s, const struct submit_text *t)
{
    return put(s, t->head) && (t->fd >= 0 ? put_file(s, t) : put(s, t->middle)) && put(s, t->tail);
}

/* A spool file of cleanup with the text in it. result: its handle, or 0 */
static uint64_t spool(struct channel *cleanup, struct arena *a, const struct submit_text *t, uint64_t size,
                      mono_ms deadline)
{
    struct buf body = BUF_INIT;
    struct frame reply = {0};
    struct msg_spool_made made = {0};
    msg_spool_wanted_put(&body, &(struct msg_spool_wanted){.size = size});
    enum call_result result = channel_call(cleanup, MSG_spool_wanted, buf_span(&body), NULL, 0, deadline,
                                           MSG_spool_made, a, &reply);
    buf_fini(&body);
    if (result != CALL_OK || !msg_spool_made_get(a, reply.body, &made))
        return 0;
    struct sink sink = {.fd = frame_take_fd(&reply, 0)};
    bool good = sink.fd >= 0 && made.handle && put_all(&sink, t);
    if (sink.fd >= 0)
        close(sink.fd);
    return good ? made.handle : 0;
}

struct msg_submitted proc_submit(struct proc *p, struct arena *a, const struct msg_submit *given,
                                 const struct submit_text *t, mono_ms deadline)
{
    struct msg_submitted answer = {.class = 4, .dsn = SPAN("4.3.0"), .text = SPAN("the cleanup service does not answer")};
    const struct msg_submitted lost = answer;
    struct msg_submit m = *given;
    struct buf text = BUF_LIMITED(SUBMIT_INLINE_MAX);
    struct sink memory = {.memory = &text};
    uint64_t size = t->head.n + (t->fd >= 0 ? t->size : t->middle.n) + t->tail.n;
    struct channel *cleanup = proc_channel(p, "cleanup", deadline);
    bool good = cleanup != NULL;
    if (good && size <= SUBMIT_INLINE_MAX) {
        good = put_all(&memory, t);
        m.text = buf_span(&text);
    } else if (good) {
        m.spool = spool(cleanup, a, t, size, deadline);
        m.spool_size = size;
        good = m.spool != 0;
    }
    if (good && CHANNEL_CALL(cleanup, a, deadline, submit, &m, submitted, &answer) != CALL_OK)
        answer = lost;
    buf_fini(&text);
    return answer;
}
