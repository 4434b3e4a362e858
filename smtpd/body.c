#include "smtpd/body.h"
#include "lib/base/check.h"
#include "smtpd/smtpd.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    SPOOL_WAIT_S = 60,        /* for cleanup to give a file */
    SPOOL_WRITE = 256 * 1024, /* octets gathered for one write to it */
};

struct body *body_new(void)
{
    struct body *b = calloc(1, sizeof *b);
    CHECK(b != NULL);
    b->file = -1;
    return b;
}

void body_note(struct body *b, enum body_fault fault)
{
    if (b->fault == BODY_SOUND)
        b->fault = fault;
}

static void write_out(struct body *b)
{
    struct span left = buf_span(&b->text);
    while (left.n && b->fault == BODY_SOUND) {
        ssize_t n = write(b->file, left.p, left.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            body_note(b, BODY_NO_SPACE);
            break;
        }
        b->filed += (uint64_t)n;
        left = span_skip(left, (size_t)n);
    }
    buf_clear(&b->text);
}

static void get_file(struct session *s, struct body *b)
{
    const struct smtpd_services *services = &s->server->services;
    b->file = services->spool(services->context, s->tx ? s->tx->size : 0, &b->handle, clock_after(SPOOL_WAIT_S));
    if (b->file < 0)
        body_note(b, BODY_NO_SPACE);
}

void body_put(struct session *s, struct body *b, struct span part)
{
    if (b->fault != BODY_SOUND)
        return;
    const uint64_t limit = s->server->main->message_size_limit;
    b->size += part.n;
    if (limit && b->size > limit) {
        body_note(b, BODY_TOO_LARGE);
        buf_fini(&b->text);
        return;
    }
    if (b->file < 0 && b->text.len + part.n > SUBMIT_INLINE_MAX)
        get_file(s, b);
    if (b->fault != BODY_SOUND)
        return;
    buf_put(&b->text, part);
    if (b->file >= 0 && b->text.len >= SPOOL_WRITE)
        write_out(b);
}

void body_put_chunk(struct session *s, struct body *b, struct span octets)
{
    const bool strict = refuses_bare(s);
    while (octets.n && b->fault == BODY_SOUND) {
        if (b->after_cr) {
            b->after_cr = false;
            if (octets.p[0] == '\n') {
                body_put(s, b, SPAN("\n"));
                octets = span_skip(octets, 1);
                continue;
            }
            if (strict)
                body_note(b, BODY_BARE_CR);
            body_put(s, b, SPAN("\r"));
        }
        size_t cr = span_find(octets, '\r');
        struct span plain = span_slice(octets, 0, cr);
        if (strict && span_find(plain, '\n') < plain.n)
            body_note(b, BODY_BARE_LF);
        body_put(s, b, plain);
        b->after_cr = cr < octets.n;
        octets = span_skip(octets, cr + 1);
    }
}

void body_finish(struct session *s, struct body *b)
{
    if (b->after_cr) { /* the last octet of all */
        b->after_cr = false;
        if (refuses_bare(s))
            body_note(b, BODY_BARE_CR);
        body_put(s, b, SPAN("\r"));
    }
    if (b->file >= 0)
        write_out(b);
}

void body_describe(const struct body *b, struct msg_submit *m)
{
    if (b->file < 0) {
        m->text = buf_span(&b->text);
    } else {
        m->spool = b->handle;
        m->spool_size = b->filed;
    }
}

void body_free(struct session *s, struct body **bp)
{
    struct body *b = *bp;
    *bp = NULL;
    if (!b)
        return;
    if (b->file >= 0) {
        const struct smtpd_services *services = &s->server->services;
        close(b->file);
        services->spool_drop(services->context, b->handle);
    }
    buf_fini(&b->text);
    free(b);
}
