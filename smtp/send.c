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
};

static enum talk write_out(struct sending *x, uint64_t at)
{
    set_deadline(x->s, x->begun, at);
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
    return write_out(x, at);
}

static enum talk send_end(struct sending *x)
{
    if (x->downgrade) {
        buf_clear(&x->converted);
        downgrade_end(x->downgrade, &x->converted);
        wire_form_put(&x->wire, buf_span(&x->converted), &x->out);
    }
    wire_form_end(&x->wire, &x->out);
    return write_out(x, x->d->text.size);
}

/* Calls take for each chunk of the text. */
static enum talk each_chunk(struct sending *x, enum talk (*take)(struct sending *x, struct span chunk, uint64_t at))
{
    struct buf room = BUF_INIT;
    struct span chunk;
    struct delivery *d = x->d;
    enum talk talk = TALK_OK;
    for (uint64_t at = 0; talk == TALK_OK && at < d->text.size; at += chunk.n) {
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

enum talk send_text(struct delivery *d, struct session *s)
{
    struct sending x = {.d = d,
                        .s = s,
                        .wire = {.dots = true, .limit = s->smtp->mine->smtp_line_length_limit},
                        .begun = clock_mono()};
    s->doing = "sending message body";
    enum talk talk = begin_downgrade(&x);
    if (talk == TALK_OK)
        talk = each_chunk(&x, send_chunk);
    if (talk == TALK_OK)
        talk = send_end(&x);
    if (talk != TALK_OK)
        s->spent = true;
    note_broken_line(d, &x.wire);
    downgrade_free(&x.downgrade);
    buf_fini(&x.converted);
    buf_fini(&x.out);
    return talk;
}
