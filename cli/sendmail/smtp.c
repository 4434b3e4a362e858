/* sendmail -bs: SMTP on standard input and output, for mail programs that submit that way.
 *
 * The messages go the way of all others from here: the sender is this user, no
 * restriction applies but theirs. RFC 5321 4.5.1 with PIPELINING, SIZE and 8BITMIME. */
#include "cli/sendmail/sendmail.h"
#include "lib/mail/path.h"

#include <errno.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

enum {
    LINE_MAX_OCTETS = 4096, /* of a command; RFC 5321 4.5.3.1.4 asks for 512 */
    RECIPIENTS_MAX = 1000,
};

struct talk {
    const struct config *config;
    smtp_give give;
    struct input input;
    int out;
    struct arena a;          /* of the transaction */
    struct msg_drop envelope;
    bool has_sender;
    bool lf_only;            /* the last command ended in LF alone: so does the client's text */
    bool ended, broken;
};

static void reply(struct talk *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void reply(struct talk *t, const char *format, ...)
{
    struct buf line = BUF_INIT;
    va_list args;
    va_start(args, format);
    buf_vprintf(&line, format, args);
    va_end(args);
    buf_puts(&line, "\r\n");
    for (struct span left = buf_span(&line); left.n > 0 && !t->broken;) {
        ssize_t n = write(t->out, left.p, left.n);
        if (n < 0 && errno != EINTR)
            t->broken = true;
        if (n > 0)
            left = span_skip(left, (size_t)n);
    }
    buf_fini(&line);
}

static void reset(struct talk *t)
{
    arena_reset(&t->a);
    t->envelope = (struct msg_drop){.flags = DROP_SENDER};
    t->has_sender = false;
}

/* --- commands --------------------------------------------------------------------------- */

static void do_helo(struct talk *t, struct span args)
{
    reset(t);
    if (args.n == 0)
        reply(t, "501 Syntax: HELO hostname");
    else
        reply(t, "250 %s", t->config->myhostname);
}

static void do_ehlo(struct talk *t, struct span args)
{
    reset(t);
    if (args.n == 0)
        reply(t, "501 Syntax: EHLO hostname");
    else
        reply(t, "250-%s\r\n250-PIPELINING\r\n250-SIZE %llu\r\n250-ENHANCEDSTATUSCODES\r\n250 8BITMIME",
              t->config->myhostname, (unsigned long long)t->config->size_limit);
}

/* result: false: refused */
static bool parse_path(struct talk *t, struct span args, struct span prefix, struct path *path)
{
    enum path_result result = path_parse(&t->a, args, prefix, 0, path);
    if (result == PATH_OK && path->address.n <= DROP_ADDRESS_MAX)
        return true;
    if (result == PATH_NO_PREFIX)
        reply(t, "501 5.5.4 Syntax: %.*s<address>", SPAN_ARG(prefix));
    else
        reply(t, "501 %s Bad address syntax", span_eq(prefix, SPAN("TO:")) ? "5.1.3" : "5.1.7");
    return false;
}

/* result: false: refused */
static bool take_mail_parameters(struct talk *t, const struct path *path)
{
    uint64_t size = 0;
    for (size_t i = 0; i < path->param_count; i++) {
        const struct path_param *p = &path->params[i];
        if (span_eq_nocase(p->name, SPAN("SIZE")) && span_to_u64(p->value, UINT64_MAX, &size)) {
            continue;
        } else if (span_eq_nocase(p->name, SPAN("BODY")) && span_eq_nocase(p->value, SPAN("8BITMIME"))) {
            t->envelope.encoding = 8;
        } else if (!span_eq_nocase(p->name, SPAN("BODY")) || !span_eq_nocase(p->value, SPAN("7BIT"))) {
            reply(t, "555 5.5.4 Unsupported option: %.*s", SPAN_ARG(p->name));
            return false;
        }
    }
    if (t->config->size_limit && size > t->config->size_limit) {
        reply(t, "552 5.3.4 Message size exceeds fixed limit");
        return false;
    }
    return true;
}

static void do_mail(struct talk *t, struct span args)
{
    struct path path;
    if (t->has_sender) {
        reply(t, "503 5.5.1 Error: nested MAIL command");
        return;
    }
    reset(t);
    if (!parse_path(t, args, SPAN("FROM:"), &path) || !take_mail_parameters(t, &path))
        return;
    t->envelope.sender = path.address;
    t->has_sender = true;
    reply(t, "250 2.1.0 Ok");
}

static void do_rcpt(struct talk *t, struct span args)
{
    wire_list_drop_recipient *to = &t->envelope.recipients;
    struct path path;
    if (!t->has_sender) {
        reply(t, "503 5.5.1 Error: need MAIL command");
    } else if (to->n >= RECIPIENTS_MAX) {
        reply(t, "452 4.5.3 Error: too many recipients");
    } else if (parse_path(t, args, SPAN("TO:"), &path)) {
        if (path.address.n == 0) {
            reply(t, "501 5.1.3 Bad recipient address syntax");
        } else if (path.param_count) {
            reply(t, "555 5.5.4 Unsupported option: %.*s", SPAN_ARG(path.params[0].name));
        } else {
            to->at = wire_list_more(&t->a, to->at, to->n, sizeof *to->at);
            to->at[to->n++] = (struct msg_drop_recipient){.address = path.address};
            reply(t, "250 2.1.5 Ok");
        }
    }
}

/* The text up to its end, which is a line "." that ends as the command did: CR LF, or LF for programs that
 * know no other. Another "." is text, so that nobody's text can end it. RFC 5321 4.1.1.4
 * result: false: the input ended first */
static bool read_text(struct talk *t, struct drop_writer *to)
{
    const enum ending wanted = t->lf_only ? ENDING_LF : ENDING_CRLF;
    struct span piece;
    enum ending ending;
    for (bool whole = true; input_next(&t->input, &piece, &ending) && ending != ENDING_EOF;
         whole = ending != ENDING_CUT) {
        if (whole && ending == wanted && span_eq(piece, SPAN(".")))
            return true;
        if (whole && span_starts(piece, SPAN(".")))
            piece = span_skip(piece, 1);
        if (t->config->size_limit && to->text > t->config->size_limit)
            continue; /* read on to the end: the answer stands there */
        drop_write(to, piece);
        if (ending != ENDING_CUT)
            drop_write(to, SPAN("\n"));
    }
    t->ended = true;
    return false;
}

static void give_message(struct talk *t, int fd)
{
    struct receipt r = {0};
    t->give(t->config->queue, fd, &r);
    if (r.class == 0)
        reply(t, "250 2.0.0 Ok: %s%s", r.id.len ? "queued as " : "left in maildrop", buf_text(&r.id));
    else
        reply(t, "%s %s %s", r.class == 4 ? "451" : "550", buf_text(&r.dsn), buf_text(&r.text));
    receipt_fini(&r);
}

static void do_data(struct talk *t, struct span args)
{
    struct drop_writer to;
    if (args.n || t->envelope.recipients.n == 0) {
        reply(t, args.n ? "501 5.5.4 Syntax: DATA" : "503 5.5.1 Error: need RCPT command");
        return;
    }
    int fd = handin_open();
    if (fd < 0 || !drop_write_begin(&to, fd, &t->envelope)) {
        reply(t, "451 4.3.0 Error: no room for the message");
    } else {
        reply(t, "354 End data with <CR><LF>.<CR><LF>");
        bool whole = read_text(t, &to);
        bool too_big = t->config->size_limit && to.text > t->config->size_limit;
        int error = drop_write_end(&to);
        if (whole && too_big)
            reply(t, "552 5.3.4 Error: message file too big");
        else if (whole && error)
            reply(t, "451 4.3.0 Error: %s", strerror(error));
        else if (whole)
            give_message(t, fd);
    }
    if (fd >= 0)
        close(fd);
    reset(t);
}

static void do_rset(struct talk *t, struct span args)
{
    (void)args;
    reset(t);
    reply(t, "250 2.0.0 Ok");
}

static void do_noop(struct talk *t, struct span args)
{
    (void)args;
    reply(t, "250 2.0.0 Ok");
}

static void do_vrfy(struct talk *t, struct span args)
{
    (void)args;
    reply(t, "252 2.0.0 Send some mail and see");
}

static void do_quit(struct talk *t, struct span args)
{
    (void)args;
    reply(t, "221 2.0.0 Bye");
    t->ended = true;
}

static const struct {
    struct span verb;
    void (*run)(struct talk *t, struct span args);
} commands[] = {
    {SPAN_INIT("HELO"), do_helo}, {SPAN_INIT("EHLO"), do_ehlo}, {SPAN_INIT("MAIL"), do_mail},
    {SPAN_INIT("RCPT"), do_rcpt}, {SPAN_INIT("DATA"), do_data}, {SPAN_INIT("RSET"), do_rset},
    {SPAN_INIT("NOOP"), do_noop}, {SPAN_INIT("VRFY"), do_vrfy}, {SPAN_INIT("QUIT"), do_quit},
};

static void run_command(struct talk *t, struct span line)
{
    struct span verb = span_slice(line, 0, span_find(line, ' '));
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (span_eq_nocase(verb, commands[i].verb)) {
            commands[i].run(t, span_trim(span_skip(line, verb.n)));
            return;
        }
    reply(t, "500 5.5.2 Error: command not recognized");
}

int smtp_talk(const struct config *c, int in, int out, smtp_give give)
{
    struct talk t = {.config = c, .give = give, .input = {.fd = in}, .out = out};
    struct buf line = BUF_LIMITED(LINE_MAX_OCTETS);
    struct span piece;
    enum ending ending;
    reset(&t);
    reply(&t, "220 %s ESMTP", c->myhostname);
    while (!t.ended && !t.broken && input_next(&t.input, &piece, &ending) && ending != ENDING_EOF) {
        buf_put(&line, piece);
        if (ending == ENDING_CUT)
            continue;
        t.lf_only = ending == ENDING_LF;
        if (line.full)
            reply(&t, "500 5.5.2 Error: line too long");
        else
            run_command(&t, buf_span(&line));
        buf_fini(&line);
        line = BUF_LIMITED(LINE_MAX_OCTETS);
    }
    buf_fini(&line);
    input_fini(&t.input);
    arena_fini(&t.a);
    return t.input.error || t.broken ? EX_IOERR : EX_OK;
}
