#include "lib/mail/notice_template.h"
#include "lib/mail/codec.h"
#include "lib/param/expand.h"
#include "lib/param/param.h"

/* --- those built in ------------------------------------------------------------- */

#define THIS_HOST "This is the mail system at host $myhostname.\n\n"
#define ASK_FOR_HELP                                                                                         \
    "For further assistance, please send mail to postmaster.\n"                                              \
    "\n"                                                                                                     \
    "If you do so, please include this problem report. You can\n"                                            \
    "delete your own text from the attached returned message.\n"                                             \
    "\n"
#define SIGNATURE "                   The mail system\n"
#define BUILTIN(subject_, postmaster_, text_)                                                                \
    {.charset = SPAN_INIT("us-ascii"),                                                                       \
     .from = SPAN_INIT("Mail Delivery System <MAILER-DAEMON>"),                                              \
     .subject = SPAN_INIT(subject_),                                                                         \
     .postmaster_subject = SPAN_INIT(postmaster_),                                                           \
     .text = SPAN_INIT(THIS_HOST text_ SIGNATURE)}

static const struct notice_template builtin[NOTICE_KINDS] = {
    [NOTICE_FAILURE] = BUILTIN("Undelivered Mail Returned to Sender", "Postmaster Copy: Undelivered Mail",
                               "I'm sorry to have to inform you that your message could not\n"
                               "be delivered to one or more recipients. It's attached below.\n"
                               "\n" ASK_FOR_HELP),
    [NOTICE_DELAY] = BUILTIN("Delayed Mail (still being retried)", "Postmaster Warning: Delayed Mail",
                             "####################################################################\n"
                             "# THIS IS A WARNING ONLY.  YOU DO NOT NEED TO RESEND YOUR MESSAGE. #\n"
                             "####################################################################\n"
                             "\n"
                             "Your message could not be delivered for more than $delay_warning_time_hours hour(s).\n"
                             "It will be retried until it is $maximal_queue_lifetime_days day(s) old.\n"
                             "\n" ASK_FOR_HELP),
    [NOTICE_SUCCESS] = BUILTIN("Successful Mail Delivery Report", "",
                               "Your message was successfully delivered to the destination(s)\n"
                               "listed below. If the message was delivered to mailbox you will\n"
                               "receive no further notifications. Otherwise you may still receive\n"
                               "notifications of mail delivery errors from other systems.\n"
                               "\n"),
    [NOTICE_VERIFY] = BUILTIN("Mail Delivery Status Report", "",
                              "Enclosed is the mail delivery report that you requested.\n"
                              "\n"),
};

struct notice_templates notice_templates_builtin(void)
{
    struct notice_templates t = {.file = SPAN("[built-in]")};
    memcpy(t.at, builtin, sizeof t.at);
    return t;
}

const char *notice_kind_name(enum notice_kind kind)
{
    static const char *const names[] = {
        [NOTICE_FAILURE] = "failure", [NOTICE_DELAY] = "delay", [NOTICE_SUCCESS] = "success", [NOTICE_VERIFY] = "verify"};
    return names[kind];
}

void notice_template_put(struct buf *out, const struct notice_template *t)
{
    buf_printf(out, "Charset: %.*s\nFrom: %.*s\nSubject: %.*s\n", SPAN_ARG(t->charset), SPAN_ARG(t->from),
               SPAN_ARG(t->subject));
    if (t->postmaster_subject.n)
        buf_printf(out, "Postmaster-Subject: %.*s\n", SPAN_ARG(t->postmaster_subject));
    buf_putc(out, '\n');
    buf_put(out, t->text);
}

/* --- reading a file ---------------------------------------------------------------- */

struct reading {
    struct notice_templates *t;
    const struct notice_warnings *warnings;
    struct span rest; /* of the file */
    unsigned line;    /* of what was read last, from 1 */
    struct buf *why;
};

static void warn(const struct notice_warnings *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void warn(const struct notice_warnings *w, const char *format, ...)
{
    struct buf text = BUF_INIT;
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    if (w && w->warn)
        w->warn(w->context, buf_text(&text));
    buf_fini(&text);
}

/* A line without its end. result: false at the end of text */
static bool cut_line(struct span *text, struct span *line)
{
    if (text->n == 0)
        return false;
    size_t end = span_find(*text, '\n');
    *line = span_slice(*text, 0, end);
    *text = span_skip(*text, end + 1);
    return true;
}

static bool next_line(struct reading *r, struct span *line)
{
    r->line += r->rest.n > 0;
    return cut_line(&r->rest, line);
}

static bool is_blank(struct span line)
{
    for (size_t i = 0; i < line.n; i++)
        if (!byte_is_space(span_at(line, i)))
            return false;
    return true;
}

/* What can be wrong with a header of a template. */
struct header_fault {
    const char *what, *of;
};

/* Puts the value of a header where it belongs. result: what is wrong with it, or NULL */
static const struct header_fault *take_header(struct notice_template *made, struct span label, struct span value)
{
    static const struct header_fault empty = {"empty", "value"}, non_ascii = {"non-ASCII", "value"},
                                     control = {"control character in", "value"},
                                     inapplicable = {"inapplicable", "label"}, unknown = {"unknown", "label"};
    const struct {
        struct span label;
        struct span *to;
    } known[] = {{SPAN("Charset"), &made->charset},
                 {SPAN("From"), &made->from},
                 {SPAN("Subject"), &made->subject},
                 {SPAN("Postmaster-Subject"), &made->postmaster_subject}};
    if (value.n == 0)
        return &empty;
    for (size_t i = 0; i < value.n; i++)
        if (!byte_is_print(span_at(value, i)) && value.p[i] != '\t')
            return span_at(value, i) >= 0x80 ? &non_ascii : &control;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (span_eq_nocase(label, known[i].label)) {
            if (known[i].to == &made->postmaster_subject && made->postmaster_subject.n == 0)
                return &inapplicable;
            *known[i].to = value;
            return NULL;
        }
    return &unknown;
}

/* The headers, up to the first line that is none, and the empty lines behind them.
 * text: what is left is the template's text
 * line: of the first line of text; moved on
 * result: false: said */
static bool read_headers(const struct reading *r, struct notice_template *made, const char *name, struct span *text,
                         unsigned *line)
{
    struct span rest = *text, one;
    for (; cut_line(&rest, &one) && span_find(one, ':') < one.n; *text = rest, ++*line) {
        struct span label = span_slice(one, 0, span_find(one, ':'));
        const struct header_fault *fault = take_header(made, label, span_trim(span_skip(one, label.n + 1)));
        if (fault) {
            warn(r->warnings, "%.*s, line %u: %s \"%.*s\" header %s in %s template -- ignoring this template",
                 SPAN_ARG(r->t->file), *line, fault->what, SPAN_ARG(label), fault->of, name);
            return false;
        }
    }
    for (rest = *text; cut_line(&rest, &one) && is_blank(one); ++*line)
        *text = rest;
    return true;
}

/* Takes over one template, unless something is wrong with it.
 * text: its headers and text, from that line of the file on */
static void take_template(struct reading *r, enum notice_kind kind, struct span text, unsigned line)
{
    const char *name = notice_kind_name(kind);
    struct notice_template made = builtin[kind];
    unsigned first = line;
    if (!read_headers(r, &made, name, &text, &line))
        return;
    if (is_blank(text)) {
        warn(r->warnings, "%.*s, line %u: missing message text in %s template -- ignoring this template",
             SPAN_ARG(r->t->file), first, name);
        return;
    }
    made.text = text;
    made.line = line;
    made.eight_bit = !codec_is_ascii(text);
    if (made.eight_bit && span_eq_nocase(made.charset, SPAN("us-ascii"))) {
        warn(r->warnings,
             "%.*s, line %u: 8-bit message text in %s template; please specify a charset value other than us-ascii "
             "-- ignoring this template for now",
             SPAN_ARG(r->t->file), line, name);
        return;
    }
    r->t->at[kind] = made;
}

/* The lines up to the end marker. */
static struct span cut_document(struct reading *r, struct span marker)
{
    struct span from = r->rest, line;
    size_t n = 0;
    while (next_line(r, &line)) {
        if (span_eq(line, marker))
            return span_slice(from, 0, n);
        n = from.n - r->rest.n;
    }
    warn(r->warnings, "%.*s, line %u: missing \"%.*s\" end marker", SPAN_ARG(r->t->file), r->line, SPAN_ARG(marker));
    return from;
}

/* "name = <<EOF", or "name = text". result: false: why is set */
static bool read_definition(struct reading *r, struct span line)
{
    struct span name, value;
    const char *wrong = settings_split(line, &name, &value);
    unsigned first = r->line;
    if (!wrong && span_starts(value, SPAN("<<")) && span_trim(span_skip(value, 2)).n == 0)
        wrong = "missing end marker after <<";
    if (wrong) {
        buf_printf(r->why, "%.*s, line %u: %s: \"%.*s\"", SPAN_ARG(r->t->file), r->line, wrong,
                   SPAN_ARG(span_slice(line, 0, 60)));
        return false;
    }
    if (span_starts(value, SPAN("<<"))) {
        first++;
        value = cut_document(r, span_trim(span_skip(value, 2)));
    }
    for (enum notice_kind kind = 0; kind < NOTICE_KINDS; kind++) {
        struct span word = span_text(notice_kind_name(kind));
        if (span_starts(name, word) && span_eq(span_skip(name, word.n), SPAN("_template"))) {
            take_template(r, kind, value, first);
            return true;
        }
    }
    warn(r->warnings, "%.*s, line %u: unknown template name: %.*s -- ignoring this template", SPAN_ARG(r->t->file), first,
         SPAN_ARG(name));
    return true;
}

bool notice_templates_read(struct notice_templates *t, struct span text, struct span file,
                           const struct notice_warnings *warnings, struct buf *why)
{
    struct notice_templates fresh = *t;
    struct reading r = {.t = &fresh, .warnings = warnings, .rest = text, .why = why};
    struct span line;
    fresh.file = file;
    if (span_find(text, '\0') < text.n) {
        buf_printf(why, "%.*s: there is a NUL in it", SPAN_ARG(file));
        return false;
    }
    while (next_line(&r, &line)) {
        line = span_trim(line);
        if (line.n && line.p[0] != '#' && !read_definition(&r, line))
            return false;
    }
    *t = fresh;
    return true;
}

/* --- expansion ---------------------------------------------------------------------- */

struct expanding {
    const struct notice_templates *t;
    const struct settings *s;
    const struct notice_warnings *warnings;
    const char *kind;
    struct arena arena;
    struct buf wrong; /* what a lookup found to be wrong */
    unsigned line;
};

/* The times that can be shown in any unit, with the unit of a value that has none. */
static const struct {
    struct span prefix, name;
    char unit;
} times[] = {{SPAN_INIT("delay_warning_time_"), SPAN_INIT("delay_warning_time"), 'h'},
             {SPAN_INIT("maximal_queue_lifetime_"), SPAN_INIT("maximal_queue_lifetime"), 'd'}};

static const struct span units[] = {SPAN_INIT("seconds"), SPAN_INIT("minutes"), SPAN_INIT("hours"), SPAN_INIT("days"),
                                    SPAN_INIT("weeks")};

static void warn_of_unit(const struct expanding *x, struct span name, const char *what, const char *remedy)
{
    warn(x->warnings, "%.*s, line %u: %s result in %s template conversion of parameter \"%.*s\"; please %s its time unit",
         SPAN_ARG(x->t->file), x->line, what, x->kind, SPAN_ARG(name), remedy);
}

/* The value of "delay_warning_time_hours" and the like. */
static bool look_up_time(struct expanding *x, size_t which, struct span name, struct span *value)
{
    struct span text, unit = span_skip(name, times[which].prefix.n);
    int64_t seconds, one = 0;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (span_eq(unit, units[i]))
            one = value_time_unit(unit.p[0]);
    if (one == 0) {
        buf_printf(&x->wrong, "unrecognized suffix \"%.*s\" in parameter \"%.*s\"", SPAN_ARG(unit), SPAN_ARG(name));
        return false;
    }
    if (!param_expand_name(&x->arena, x->s, times[which].name, &text, &x->wrong) ||
        !value_time(span_trim(text), times[which].unit, 0, INT64_MAX, &seconds, &x->wrong))
        return false;
    if (seconds > 0 && seconds < one)
        warn_of_unit(x, name, "zero", "reduce");
    else if (seconds / one > NOTICE_TIME_MAX)
        warn_of_unit(x, name, "excessive", "increase");
    *value = span_text(arena_printf(&x->arena, "%lld", (long long)(seconds / one)));
    return true;
}

static bool look_up(void *context, struct span name, struct span *value)
{
    struct expanding *x = context;
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        if (span_starts(name, times[i].prefix))
            return look_up_time(x, i, name, value);
    bool known = settings_get(x->s, name) || param_spec_find(name);
    return known && param_expand_name(&x->arena, x->s, name, value, &x->wrong);
}

static bool expand_line(struct expanding *x, struct span line, struct buf *out, struct buf *why)
{
    const struct expand_source source = {.lookup = look_up, .context = x, .strict = true};
    struct buf words = BUF_INIT;
    bool good = expand_text(out, line, &source, &words);
    if (!good || x->wrong.len) {
        buf_printf(why, "%.*s, line %u: in %s template: %s", SPAN_ARG(x->t->file), x->line, x->kind,
                   x->wrong.len ? buf_text(&x->wrong) : buf_text(&words));
        good = false;
    }
    buf_fini(&words);
    return good;
}

bool notice_template_expand(struct buf *out, const struct notice_templates *t, enum notice_kind kind,
                            const struct settings *s, const struct notice_warnings *warnings, struct buf *why)
{
    struct expanding x = {.t = t, .s = s, .warnings = warnings, .kind = notice_kind_name(kind), .line = t->at[kind].line};
    struct span rest = t->at[kind].text, line;
    size_t before = out->len;
    bool good = true;
    for (; good && cut_line(&rest, &line); x.line++) {
        good = expand_line(&x, line, out, why);
        buf_putc(out, '\n');
    }
    if (!good)
        buf_truncate(out, before);
    arena_fini(&x.arena);
    buf_fini(&x.wrong);
    return good;
}
