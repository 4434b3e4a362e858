#include "smtp/downgrade.h"
#include "smtp/smtp.h"

#include <errno.h>
#include <string.h>

/* The deadline of the next wait: so long at a standstill, or (smtp_per_request_deadline) so long in all, and
 * what has been sent at smtp_min_data_rate extends it. */
static void set_deadline(struct session *s, mono_ms begun, uint64_t sent)
{
    const struct params_smtp *mine = s->smtp->mine;
    mono_ms deadline = clock_after(mine->smtp_data_xfer_timeout);
    if (mine->smtp_per_request_deadline)
        deadline = begun + mine->smtp_data_xfer_timeout * 1000 + (int64_t)(sent * 1000 / mine->smtp_min_data_rate);
    conn_set_deadline(s->conn, deadline);
}

static enum talk talk_of(enum conn_result r)
{
    switch (r) {
    case CONN_OK:
        return TALK_OK;
    case CONN_TIMEOUT:
        return TALK_TIMEOUT;
    case CONN_CANCELLED:
        return TALK_CANCELLED;
    case CONN_EOF:
    case CONN_ERROR:
    case CONN_TOO_LONG:
        break;
    }
    return TALK_LOST;
}

static void note_broken_line(struct delivery *d, const struct wire_form *w)
{
    if (w->broken)
        log_line(&d->log, LOG_LEVEL_INFO, "%.*s: breaking line > %llu bytes with <CR><LF>SPACE", SPAN_ARG(d->m->id),
                 (unsigned long long)w->limit);
}

/* --- text on its way -------------------------------------------------------------- */

struct sending {
    struct delivery *d;
    struct session *s;
    struct wire_form wire;
    struct downgrade *downgrade; /* NULL: the server takes eight bits, or there are none */
    struct buf converted, out;
    mono_ms begun;
    bool by_chunks;     /* BDAT */
    bool refused;       /* one of them */
    size_t unanswered;  /* of them */
};

/* --- chunks ------------------------------------------------------------------------ */

enum {
    CHUNK_LEAST = 256 * 1024, /* octets; what is smaller goes with the next one */
    CHUNKS_UNANSWERED_MAX = 64,
};

static enum talk hear_chunk(struct sending *x)
{
    enum talk talk = session_hear(x->s, "sending message body", x->s->smtp->mine->smtp_data_xfer_timeout);
    if (talk != TALK_OK)
        return talk;
    x->unanswered--;
    x->refused = reply_class(&x->s->reply) != 2;
    x->s->spent |= x->refused;
    return TALK_OK;
}

/* The answers that there are; where more are missing than may be, it waits for them. */
static enum talk hear_chunks(struct sending *x, size_t most)
{
    enum talk talk = TALK_OK;
    while (talk == TALK_OK && !x->refused && x->unanswered > 0 && (x->unanswered > most || conn_poll_input(x->s->conn)))
        talk = hear_chunk(x);
    return talk;
}

static enum talk write_chunk(struct sending *x, bool last)
{
    struct session *s = x->s;
    size_t most = s->features & FEATURE_PIPELINING ? CHUNKS_UNANSWERED_MAX : 0;
    if (x->out.len < CHUNK_LEAST && !last)
        return TALK_OK;
    enum talk talk = hear_chunks(x, most);
    if (talk != TALK_OK || x->refused)
        return talk;
    if (x->unanswered == 0 && session_is_interrupted(s))
        return TALK_GARBLED;
    session_say(s, "BDAT %zu%s", x->out.len, last ? " LAST" : "");
    talk = talk_of(conn_write(s->conn, buf_span(&x->out)));
    buf_clear(&x->out);
    x->unanswered += !last; /* the answer to the last one is the caller's */
    return talk == TALK_OK && last ? hear_chunks(x, 0) : talk;
}

static enum talk write_out(struct sending *x, uint64_t at, bool last)
{
    set_deadline(x->s, x->begun, at);
    if (x->by_chunks)
        return write_chunk(x, last);
    enum talk talk = talk_of(conn_write(x->s->conn, buf_span(&x->out)));
    buf_clear(&x->out);
    return talk;
}

static enum talk send_chunk(struct sending *x, struct span chunk, uint64_t at)
{
    if (x->downgrade) {
        buf_clear(&x->converted);
        downgrade_put(x->downgrade, chunk, &x->converted);
        chunk = buf_span(&x->converted);
    }
    wire_form_put(&x->wire, chunk, &x->out);
    return write_out(x, at, false);
}

static enum talk send_end(struct sending *x)
{
    if (x->downgrade) {
        buf_clear(&x->converted);
        downgrade_end(x->downgrade, &x->converted);
        wire_form_put(&x->wire, buf_span(&x->converted), &x->out);
    }
    wire_form_end(&x->wire, &x->out);
    return write_out(x, x->d->text.size, true);
}

/* Calls take for each chunk of the text. */
static enum talk each_chunk(struct sending *x, enum talk (*take)(struct sending *x, struct span chunk, uint64_t at))
{
    struct buf room = BUF_INIT;
    struct span chunk;
    struct delivery *d = x->d;
    enum talk talk = TALK_OK;
    for (uint64_t at = 0; talk == TALK_OK && !x->refused && at < d->text.size; at += chunk.n) {
        if (text_read(&d->text, at, &room, &chunk)) {
            talk = take(x, chunk, at);
        } else {
            log_line(&d->log, LOG_LEVEL_WARNING, "%.*s: reading the message: %s", SPAN_ARG(d->m->id), strerror(errno));
            talk = TALK_LOCAL;
        }
    }
    buf_fini(&room);
    return talk;
}

static enum talk look_at_chunk(struct sending *x, struct span chunk, uint64_t at)
{
    (void)at;
    downgrade_put(x->downgrade, chunk, NULL);
    return TALK_OK;
}

/* The first pass over a text that must not go out with eight bits. RFC 6152 3 */
static enum talk begin_downgrade(struct sending *x)
{
    if ((x->s->features & FEATURE_8BITMIME) || !x->d->facts.eight_bit ||
        x->s->smtp->main->disable_mime_output_conversion)
        return TALK_OK;
    x->downgrade = downgrade_new();
    enum talk talk = each_chunk(x, look_at_chunk);
    downgrade_end(x->downgrade, NULL);
    return talk;
}

static enum talk send_all(struct sending *x)
{
    x->begun = clock_mono();
    x->s->doing = "sending message body";
    enum talk talk = begin_downgrade(x);
    if (talk == TALK_OK)
        talk = each_chunk(x, send_chunk);
    if (talk == TALK_OK && !x->refused)
        talk = send_end(x);
    if (talk != TALK_OK)
        x->s->spent = true;
    note_broken_line(x->d, &x->wire);
    downgrade_free(&x->downgrade);
    buf_fini(&x->converted);
    buf_fini(&x->out);
    return talk;
}

enum talk send_text(struct delivery *d, struct session *s)
{
    struct sending x = {.d = d, .s = s, .wire = {.dots = true, .limit = s->smtp->mine->smtp_line_length_limit}};
    return send_all(&x);
}

enum talk send_chunks(struct delivery *d, struct session *s, bool *refused)
{
    struct sending x = {.d = d, .s = s, .by_chunks = true, .wire = {.limit = s->smtp->mine->smtp_line_length_limit}};
    enum talk talk = send_all(&x);
    *refused = x.refused;
    return talk;
}
