#include "lib/mail/transcript.h"
#include "lib/mail/dsn.h"

enum {
    WRAP_AT = 78,    /* columns */
    WRAP_INDENT = 5, /* of the lines behind the first */
};

/* --- keeping ------------------------------------------------------------------- */

/* Drops the oldest lines until n octets more fit. */
static void make_room(struct transcript *t, size_t n)
{
    while (t->lines > 0 && t->text.len + n > TRANSCRIPT_MAX) {
        buf_consume(&t->text, span_find(buf_span(&t->text), '\n') + 1);
        t->lines--;
        t->forgotten++;
    }
}

static void put_printable(struct buf *out, struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        buf_putc(out, byte_is_print(span_at(s, i)) ? s.p[i] : '?');
}

static void keep_line(struct transcript *t, enum transcript_side side, struct span line, const char *behind)
{
    struct buf kept = BUF_INIT;
    buf_puts(&kept, side == TRANSCRIPT_IN ? "In:  " : "Out: ");
    put_printable(&kept, span_slice(line, 0, TRANSCRIPT_LINE_MAX));
    buf_puts(&kept, line.n > TRANSCRIPT_LINE_MAX ? "..." : behind);
    buf_putc(&kept, '\n');
    make_room(t, kept.len);
    buf_put(&t->text, buf_span(&kept));
    t->lines++;
    buf_fini(&kept);
}

/* "AUTH" and the mechanism; what stands behind is nobody's business. */
static void keep_auth(struct transcript *t, enum transcript_side side, struct span line)
{
    struct span rest = line, verb, mechanism = SPAN_NONE;
    span_next_token(&rest, SPAN(" \t"), &verb);
    span_next_token(&rest, SPAN(" \t"), &mechanism);
    size_t end = mechanism.n ? (size_t)(mechanism.p - line.p) + mechanism.n : line.n;
    keep_line(t, side, span_slice(line, 0, end), span_trim(rest).n ? " (credentials are not shown)" : "");
    t->auth = true;
    t->auth_side = side;
}

static bool is_auth(struct span line)
{
    struct span verb = span_slice(line, 0, 4);
    return span_eq_nocase(verb, SPAN("AUTH")) && (line.n == 4 || byte_is_space(span_at(line, 4)));
}

static void add_line(struct transcript *t, enum transcript_side side, struct span line)
{
    if (t->auth && side != t->auth_side) {
        t->auth = span_starts(line, SPAN("334"));
        keep_line(t, side, t->auth ? span_slice(line, 0, 3) : line, "");
    } else if (t->auth) {
        keep_line(t, side, SPAN_NONE, "(credentials are not shown)");
    } else if (is_auth(span_trim(line))) {
        keep_auth(t, side, span_trim(line));
    } else {
        keep_line(t, side, line, "");
    }
}

void transcript_add(struct transcript *t, enum transcript_side side, struct span said)
{
    do {
        size_t end = span_find(said, '\n');
        struct span line = span_slice(said, 0, end);
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        add_line(t, side, line);
        said = span_skip(said, end + 1);
    } while (said.n);
}

void transcript_reset(struct transcript *t)
{
    buf_clear(&t->text);
    t->lines = t->forgotten = 0;
}

void transcript_fini(struct transcript *t)
{
    buf_fini(&t->text);
    *t = TRANSCRIPT_INIT;
}

/* --- the notice ------------------------------------------------------------------- */

/* A line broken at blanks; those behind the first are indented. */
static void put_wrapped(struct buf *out, struct span line)
{
    size_t room = WRAP_AT;
    for (bool first = true; line.n || first; first = false) {
        size_t cut = line.n;
        if (line.n > room) {
            cut = span_rfind(span_slice(line, 0, room + 1), ' ');
            if (cut > room || cut == 0) /* one long word */
                cut = 1 + span_find(span_skip(line, 1), ' ');
        }
        buf_printf(out, "%*s%.*s\n", first ? 1 : WRAP_INDENT, "", SPAN_ARG(span_slice(line, 0, cut)));
        line = span_trim(span_skip(line, cut));
        room = WRAP_AT - WRAP_INDENT;
    }
}

static struct span with_domain(struct arena *a, struct span address, struct span domain)
{
    if (span_find(address, '@') < address.n)
        return address;
    return span_text(arena_printf(a, "%.*s@%.*s", SPAN_ARG(address), SPAN_ARG(domain)));
}

void transcript_fill_envelope(struct arena *a, const struct transcript_notice *n, struct msg_recipient *to,
                              struct msg_submit *m)
{
    const struct params_main *main = n->main;
    *to = (struct msg_recipient){.address = with_domain(a, main->error_notice_recipient, main->myorigin),
                                 .original = main->error_notice_recipient};
    *m = (struct msg_submit){.id = n->id,
                             .sender = with_domain(a, main->double_bounce_sender, main->myorigin),
                             .recipients = {to, 1},
                             .flags = SUBMIT_BOUNCE,
                             .arrival_us = (uint64_t)n->now_us};
}

static void put_header(struct buf *out, const struct transcript_notice *n)
{
    const struct params_main *main = n->main;
    struct span to = main->error_notice_recipient;
    struct buf peer = BUF_INIT;
    put_printable(&peer, n->peer);
    buf_printf(out, "Received: by %.*s (%.*s)\n\tid %.*s; ", SPAN_ARG(main->myhostname), SPAN_ARG(main->mail_name),
               SPAN_ARG(n->id));
    date_put(out, n->now_us, &n->zone);
    buf_puts(out, "\nDate: ");
    date_put(out, n->now_us, &n->zone);
    buf_printf(out, "\nFrom: Mail Delivery System <MAILER-DAEMON@%.*s>\nTo: Postmaster <", SPAN_ARG(main->myorigin));
    put_printable(out, to);
    if (span_find(to, '@') == to.n)
        buf_printf(out, "@%.*s", SPAN_ARG(main->myorigin));
    buf_printf(out, ">\nSubject: %.*s %s: errors from %s\nAuto-Submitted: auto-generated\n\n", SPAN_ARG(main->mail_name),
               n->what, buf_text(&peer));
    buf_fini(&peer);
}

void transcript_put_notice(struct buf *out, const struct transcript *t, const struct transcript_notice *n)
{
    struct span rest = buf_span(&t->text), line;
    put_header(out, n);
    buf_puts(out, "Transcript of session follows.\n\n");
    if (t->forgotten)
        buf_printf(out, " (%zu lines before this are not kept)\n", t->forgotten);
    while (span_next_token(&rest, SPAN("\n"), &line))
        put_wrapped(out, line);
    if (n->reason)
        buf_printf(out, "\nSession aborted, reason: %s\n", n->reason);
    else
        buf_puts(out, "\n");
    buf_puts(out, "\nFor other details, see the local mail logfile\n");
}

/* --- classes ------------------------------------------------------------------------ */

enum { ANY = -1 };

/* The first row that fits counts. code: its last two digits (soft_bounce makes 4xx of 5xx), 0: any */
static const struct {
    unsigned code;
    int subject, detail;
    unsigned class;
} classes[] = {
    {1, ANY, ANY, 1u << PARAM_notify_class_protocol}, /* a malformed address, too */
    {4, ANY, ANY, 1u << PARAM_notify_class_policy},   /* a name that is not whole */
    {0, 1, ANY, 1u << PARAM_notify_class_bounce},       /* an unknown user */
    {0, 3, 4, 1u << PARAM_notify_class_policy},         /* too large */
    {0, 3, 5, 1u << PARAM_notify_class_software},       /* our configuration */
    {0, 3, 2, 0},                                       /* shutting down */
    {0, 3, ANY, 1u << PARAM_notify_class_resource},     /* no space, a lookup that failed */
    {0, 4, ANY, 0},                                     /* timeouts */
    {0, 5, 3, 1u << PARAM_notify_class_policy},         /* too many recipients */
    {0, 5, ANY, 1u << PARAM_notify_class_protocol},
    {0, 6, ANY, 1u << PARAM_notify_class_protocol}, /* an address that needs SMTPUTF8 */
    {0, 7, ANY, 1u << PARAM_notify_class_policy},
};

unsigned transcript_class_of(unsigned code, struct span dsn)
{
    struct dsn_code parsed;
    if (code < 400)
        return 0;
    dsn_code_parse(dsn, &parsed);
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if ((classes[i].code == 0 || classes[i].code == code % 100) &&
            (classes[i].subject == ANY || classes[i].subject == parsed.subject) &&
            (classes[i].detail == ANY || classes[i].detail == parsed.detail))
            return classes[i].class;
    return 0;
}
