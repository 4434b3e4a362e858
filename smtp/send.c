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

enum talk send_text(struct delivery *d, struct session *s)
{
    struct wire_form wire = {.dots = true, .limit = s->smtp->mine->smtp_line_length_limit};
    struct buf room = BUF_INIT, out = BUF_INIT;
    struct span chunk;
    enum talk talk = TALK_OK;
    const mono_ms begun = clock_mono();
    s->doing = "sending message body";
    for (uint64_t at = 0; talk == TALK_OK && at < d->text.size; at += chunk.n) {
        if (!text_read(&d->text, at, &room, &chunk)) {
            log_line(&d->log, LOG_LEVEL_WARNING, "%.*s: reading the message: %s", SPAN_ARG(d->m->id), strerror(errno));
            talk = TALK_LOCAL;
            break;
        }
        buf_clear(&out);
        wire_form_put(&wire, chunk, &out);
        set_deadline(s, begun, at);
        talk = talk_of(conn_write(s->conn, buf_span(&out)));
    }
    buf_clear(&out);
    wire_form_end(&wire, &out);
    if (talk == TALK_OK)
        talk = talk_of(conn_write(s->conn, buf_span(&out)));
    if (talk != TALK_OK)
        s->spent = true;
    note_broken_line(d, &wire);
    buf_fini(&room);
    buf_fini(&out);
    return talk;
}
