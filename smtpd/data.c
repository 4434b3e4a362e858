#include "lib/mail/date.h"
#include "smtpd/body.h"
#include "smtpd/notice.h"
#include "smtpd/restrict.h"
#include "smtpd/smtpd.h"

enum {
    SUBMIT_WAIT_S = 600, /* for cleanup's answer: it may be held back while delivery catches up */
    PIECE = 8192,        /* octets of a line taken at a time */
};

/* --- the top of the text ----------------------------------------------------------- */

static const char *protocol(const struct session *s)
{
    if (s->tx->flags & SUBMIT_SMTPUTF8)
        return "UTF8SMTP";
    return s->esmtp ? "ESMTP" : "SMTP";
}

/* Our trace line: RFC 5321 4.4. The helo name is the client's own word, so it stands before what
 * we know about it. */
static void put_received(struct session *s, struct body *b)
{
    const struct transaction *tx = s->tx;
    const struct params_main *main = s->server->main;
    struct buf line = BUF_INIT;
    bool v6 = span_find(s->client.address, ':') < s->client.address.n;
    buf_printf(&line, "Received: from %.*s (%.*s [%s%.*s])\n\tby %.*s (%.*s) with %s id %.*s",
               SPAN_ARG(s->helo.n ? s->helo : s->client.name), SPAN_ARG(s->client.name), v6 ? "IPv6:" : "",
               SPAN_ARG(s->client.address), SPAN_ARG(main->myhostname), SPAN_ARG(main->mail_name), protocol(s),
               SPAN_ARG(tx->id));
    /* With one recipient the line names it; with more it would tell each of the others. */
    if (tx->count == 1)
        buf_printf(&line, "\n\tfor <%.*s>; ", SPAN_ARG(tx->recipients[0].original));
    else
        buf_puts(&line, ";\n\t");
    date_put(&line, clock_wall_us(), &s->server->zone);
    buf_putc(&line, '\n');
    buf_put(&b->text, buf_span(&line)); /* beside the size, which is what the client sent */
    buf_fini(&line);
}

/* --- the end of the text ------------------------------------------------------------- */

static struct reply fault_reply(struct session *s, enum body_fault fault)
{
    static const enum reply_id replies[] = {
        [BODY_SOUND] = REPLY_ok,           [BODY_BARE_LF] = REPLY_bare_lf,   [BODY_BARE_CR] = REPLY_bare_cr,
        [BODY_TOO_LARGE] = REPLY_data_too_large, [BODY_NO_SPACE] = REPLY_no_space,
    };
    return say(s, replies[fault], SPAN_NONE);
}

static struct reply submitted_reply(struct session *s, const struct msg_submitted *m)
{
    if (m->class == 0)
        return say(s, REPLY_queued, m->id);
    if (m->class == 4 && m->text.n == 0)
        return say(s, REPLY_no_queue, SPAN_NONE);
    return reply_make(&s->call, m->class == 4 ? 451 : 550, m->dsn, m->text);
}

static struct reply submit(struct session *s, const struct transaction *tx, const struct body *b)
{
    const struct smtpd_services *services = &s->server->services;
    struct msg_submit m = {
        .id = tx->id,
        .sender = tx->sender,
        .recipients = {tx->recipients, tx->count},
        .flags = tx->flags | (s->client.is_mine ? SUBMIT_LOCAL_REWRITE : 0),
        .arrival_us = (uint64_t)clock_wall_us(),
        .ret = tx->ret,
        .envid = tx->envid,
        .client_name = s->client.name,
        .client_address = s->client.address,
        .helo = s->helo,
        .protocol = s->esmtp ? SPAN("ESMTP") : SPAN("SMTP"),
        .encoding = tx->encoding,
    };
    body_describe(b, &m);
    struct msg_submitted answer = services->submit(services->context, &s->call, &m, clock_after(SUBMIT_WAIT_S));
    return submitted_reply(s, &answer);
}

/* The transaction is over whatever comes of it: it was taken out of the session first. */
static struct reply end_of_data(struct session *s, struct transaction *tx)
{
    struct body *b = tx->body;
    struct reply r;
    body_finish(s, b);
    if (b->fault != BODY_SOUND) {
        r = refuse(s, b->chunks ? "BDAT" : "DATA", fault_reply(s, b->fault), SPAN_NONE);
        /* Who sends bare line ends may be smuggling: what follows is not to be trusted. */
        if (b->fault == BODY_BARE_LF || b->fault == BODY_BARE_CR)
            hang_up(s, END_REFUSED, r);
        return r;
    }
    r = submit(s, tx, b);
    if (!reply_is_error(&r)) {
        s->budget.errors = 0;
        s->budget.junk = 0;
        notice_forgive(s);
    }
    return r;
}

/* --- DATA: RFC 5321 4.1.1.4 ------------------------------------------------------------ */

/* The text must keep up smtpd_min_data_rate on the whole, so that a slow client cannot hold a
 * session for ever. */
static void data_deadline(struct session *s, mono_ms begun, uint64_t octets)
{
    const struct params_smtpd *mine = s->server->mine;
    mono_ms step = clock_after(mine->smtpd_timeout);
    if (mine->smtpd_min_data_rate > 0) {
        int64_t allowed = (int64_t)(octets / mine->smtpd_min_data_rate) + mine->smtpd_timeout;
        mono_ms whole = begun + allowed * 1000;
        if (whole < step)
            step = whole;
    }
    conn_set_deadline(s->conn, step);
}

/* One piece of a line into the body, its dot-stuffing removed. */
static void put_piece(struct session *s, struct body *b, struct span piece, bool ends)
{
    if (!b->line_begun && piece.n && piece.p[0] == '.')
        piece = span_skip(piece, 1);
    b->line_begun = !ends;
    body_put(s, b, piece);
    if (ends)
        body_put(s, b, SPAN("\n"));
}

/* Reads up to CRLF . CRLF and nothing else: a dot beside a bare CR or LF is text, which the
 * policy then refuses or keeps. result: false where the connection ended first */
static bool read_data(struct session *s, struct body *b)
{
    const bool strict = refuses_bare(s);
    const mono_ms begun = clock_mono();
    bool after_crlf = true;
    for (;;) {
        struct span piece;
        enum line_ending ending;
        bool bare_cr;
        data_deadline(s, begun, b->size);
        if (conn_read_piece(s->conn, PIECE, &piece, &ending, &bare_cr) != CONN_OK)
            return false;
        if (after_crlf && !b->line_begun && ending == LINE_CRLF && span_eq(piece, SPAN(".")))
            return true;
        if (strict && bare_cr)
            body_note(b, BODY_BARE_CR);
        if (strict && ending == LINE_BARE_LF)
            body_note(b, BODY_BARE_LF);
        put_piece(s, b, piece, ending != LINE_CUT);
        after_crlf = ending == LINE_CRLF;
    }
}

/* result: code 0 where there is something to send a text for */
static struct reply check_transaction(struct session *s)
{
    struct reply r;
    if (s->tx->count == 0)
        return s->tx->rejected ? say(s, REPLY_no_valid_recipients, SPAN_NONE)
                                 : say(s, REPLY_recipient_first, SPAN_NONE);
    if (restrict_data(s, &r))
        return refuse(s, "DATA", r, SPAN_NONE);
    return REPLY_NONE;
}

struct reply smtpd_data(struct session *s, struct span args)
{
    if (args.n)
        return say(s, REPLY_syntax, SPAN("DATA"));
    struct reply r = check_transaction(s);
    if (r.code)
        return r;
    struct body *b = s->tx->body = body_new();
    put_received(s, b);
    notice_say(s, SPAN("354 End data with <CR><LF>.<CR><LF>\r\n"));
    bool whole = read_data(s, b);
    struct transaction *tx = tx_take(s);
    r = whole ? end_of_data(s, tx) : REPLY_NONE;
    tx_end(s, &tx);
    return r;
}

/* --- BDAT: RFC 3030 2 -------------------------------------------------------------------- */

struct chunk {
    uint64_t size;
    bool last;
};

static bool parse_chunk(struct span args, struct chunk *chunk)
{
    struct span size, word;
    *chunk = (struct chunk){0};
    if (!span_next_token(&args, SPAN(" "), &size) || !span_to_u64(size, INT64_MAX, &chunk->size))
        return false;
    if (!span_next_token(&args, SPAN(" "), &word))
        return true;
    chunk->last = span_eq_nocase(word, SPAN("LAST"));
    return chunk->last && span_trim(args).n == 0;
}

/* Reads the octets of a chunk; they belong to it whatever is thought of the command.
 * b: NULL: they are dropped. result: false where the connection ended first */
static bool read_chunk(struct session *s, uint64_t size, struct body *b)
{
    /* The rate is that of the whole text: chunks do not begin it anew. */
    const mono_ms begun = b ? b->begun : clock_mono();
    const uint64_t before = b ? b->size : 0;
    uint64_t done = 0;
    while (done < size) {
        struct span octets;
        data_deadline(s, begun, before + done);
        if (conn_read_bytes(s->conn, size - done > PIECE ? PIECE : (size_t)(size - done), &octets) != CONN_OK)
            return false;
        done += octets.n;
        if (b)
            body_put_chunk(s, b, octets);
    }
    return true;
}

/* A chunk that cannot be taken is read and dropped, so that its octets are never commands. */
static struct reply refuse_chunk(struct session *s, const struct chunk *chunk, struct reply r)
{
    const uint64_t limit = s->server->main->message_size_limit;
    if (limit && chunk->size > limit) /* so much is not read for nothing */
        return hang_up(s, END_REFUSED, r);
    return read_chunk(s, chunk->size, NULL) ? r : REPLY_NONE;
}

struct reply smtpd_bdat(struct session *s, struct span args)
{
    struct chunk chunk;
    /* Without a size nobody can tell where the next command begins. */
    if (!parse_chunk(args, &chunk))
        return hang_up(s, END_REFUSED, say(s, REPLY_syntax, SPAN("BDAT count [LAST]")));
    if (!s->tx)
        return refuse_chunk(s, &chunk, say(s, REPLY_mail_first, SPAN_NONE));
    if (!s->tx->body) {
        struct reply r = check_transaction(s);
        if (r.code)
            return refuse_chunk(s, &chunk, r);
        s->tx->body = body_new();
        s->tx->body->chunks = true;
        s->tx->body->begun = clock_mono();
        put_received(s, s->tx->body);
    }
    struct body *b = s->tx->body;
    if (chunk.size == 0 && !chunk.last)
        count_junk(s);
    if (!read_chunk(s, chunk.size, b))
        return REPLY_NONE;
    if (!chunk.last && b->fault == BODY_SOUND)
        return say(s, REPLY_chunk_ok, span_text(arena_printf(&s->call, "%llu", (unsigned long long)chunk.size)));
    /* The last chunk, or one after which nothing can be mended: RFC 3030 2 lets the client see it now. */
    struct transaction *tx = tx_take(s);
    struct reply r = end_of_data(s, tx);
    tx_end(s, &tx);
    return r;
}
