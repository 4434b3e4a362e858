#include "bounce/texts.h"
#include "lib/log/log.h"
#include "lib/mail/codec.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static void warn_to_log(void *context, const char *text)
{
    (void)context;
    log_warning("%s", text);
}

static const struct notice_warnings warnings = {.warn = warn_to_log};

/* The address of a From: header with a domain: behind it in < >, or behind the first word. */
static struct span with_domain(struct arena *a, struct span from, struct span origin)
{
    size_t open = span_find(from, '<'), start = open < from.n ? open + 1 : 0;
    struct span rest = span_skip(from, start);
    size_t length = span_find(rest, open < from.n ? '>' : ' ');
    if (length == 0 || span_find(span_slice(rest, 0, length), '@') < length)
        return from;
    return span_text(arena_printf(a, "%.*s@%.*s%.*s", SPAN_ARG(span_slice(from, 0, start + length)), SPAN_ARG(origin),
                                  SPAN_ARG(span_skip(rest, length))));
}

/* Fills in one text. text: its words, expanded */
static void fill(struct arena *a, const struct notice_template *template, struct span origin, struct span text,
                 struct notice_text *made)
{
    *made = (struct notice_text){
        .charset = arena_dup(a, template->charset),
        .from = with_domain(a, arena_dup(a, template->from), origin),
        .subject = arena_dup(a, template->subject),
        .postmaster_subject =
            arena_dup(a, template->postmaster_subject.n ? template->postmaster_subject : template->subject),
        .text = arena_dup(a, text),
        .eight_bit = !codec_is_ascii(text)};
    if (made->eight_bit && span_eq_nocase(made->charset, SPAN("us-ascii")))
        made->charset = SPAN("utf-8"); /* the value of a parameter */
}

/* result: false: said */
static bool make(struct arena *a, const struct settings *s, const struct notice_templates *t, enum notice_kind kind,
                 struct span origin, struct notice_text *made)
{
    struct buf text = BUF_INIT, why = BUF_INIT;
    bool good = notice_template_expand(&text, t, kind, s, &warnings, &why);
    if (good)
        fill(a, &t->at[kind], origin, buf_span(&text), made);
    else
        log_warning("%s -- using the built-in text", buf_text(&why));
    buf_fini(&text);
    buf_fini(&why);
    return good;
}

/* result: false: said */
static bool read_file(int fd, struct span file, struct buf *text)
{
    enum { PIECE = 4096 };
    int error = fd < 0 ? errno : 0;
    ssize_t got = 1;
    while (!error && got > 0 && text->len <= NOTICE_FILE_MAX) {
        got = pread(fd, buf_reserve(text, PIECE), PIECE, (off_t)text->len);
        error = got < 0 ? errno : 0;
        buf_grown(text, got > 0 ? (size_t)got : 0);
    }
    if (error)
        log_warning("open %.*s: %s -- using the built-in texts", SPAN_ARG(file), strerror(error));
    else if (text->len > NOTICE_FILE_MAX)
        log_warning("%.*s: it has more than %d octets -- using the built-in texts", SPAN_ARG(file), NOTICE_FILE_MAX);
    return !error && text->len <= NOTICE_FILE_MAX;
}

void texts_make(struct arena *a, const struct settings *s, struct span file, int fd, struct span origin, struct texts *texts)
{
    const struct notice_templates builtin = notice_templates_builtin();
    struct notice_templates t = builtin;
    struct buf content = BUF_INIT, why = BUF_INIT;
    if (file.n && read_file(fd, file, &content) &&
        !notice_templates_read(&t, buf_span(&content), file, &warnings, &why))
        log_warning("%s -- using the built-in texts", buf_text(&why));
    for (enum notice_kind kind = 0; kind < NOTICE_KINDS; kind++) {
        if (!make(a, s, &builtin, kind, origin, &texts->builtin[kind]))
            fill(a, &builtin.at[kind], origin, builtin.at[kind].text, &texts->builtin[kind]);
        if (t.at[kind].line == 0 || !make(a, s, &t, kind, origin, &texts->at[kind]))
            texts->at[kind] = texts->builtin[kind];
    }
    buf_fini(&content);
    buf_fini(&why);
}
