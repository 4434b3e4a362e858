#include "cli/postconf/postconf.h"

#include "lib/mail/notice_template.h"
#include "lib/param/param.h"

#include <stdio.h>

static void warn(void *context, const char *text)
{
    (void)context;
    say_warning("%s", text);
}

static const struct notice_warnings warnings = {.warn = warn};

/* The file that was named, or that main.cf names; empty: there is none. result: false: said */
static bool find_file(struct config *c, const struct request *r, struct span *file)
{
    struct buf why = BUF_INIT;
    bool good = true;
    if (r->arg_count > 1)
        return say_fatal("options -b and -t require at most one template file");
    if (r->arg_count == 1)
        *file = span_text(r->args[0]);
    else if (!param_expand_name(&c->arena, &c->settings, SPAN("bounce_template_file"), file, &why))
        good = say_fatal("bounce_template_file: %s", buf_text(&why));
    buf_fini(&why);
    return good;
}

/* result: false: said */
static bool read_templates(struct span file, struct buf *text, struct notice_templates *t)
{
    struct buf why = BUF_INIT;
    bool good = settings_load_file(file.p, NOTICE_FILE_MAX, text, &why);
    if (!good)
        say_fatal("open %s: %s", file.p, buf_text(&why));
    else if (!notice_templates_read(t, buf_span(text), file, &warnings, &why))
        good = say_fatal("%s", buf_text(&why));
    buf_fini(&why);
    return good;
}

/* Prints one in the form of a file; its text ends in a line end, with or without one in the template. */
static bool print_notice(const struct config *c, const struct request *r, const struct notice_templates *t,
                         enum notice_kind kind)
{
    struct buf out = BUF_INIT, why = BUF_INIT;
    bool expand = (r->flags & OPT_NOTICES) != 0, good = true;
    buf_printf(&out, expand ? "expanded_%s_text = <<EOF\n" : "%s_template = <<EOF\n", notice_kind_name(kind));
    if (!expand)
        notice_template_put(&out, &t->at[kind]);
    else if (!notice_template_expand(&out, t, kind, &c->settings, &warnings, &why))
        good = say_fatal("%s", buf_text(&why));
    if (good)
        printf("%s%s%sEOF\n", kind ? "\n" : "", buf_text(&out), out.data[out.len - 1] == '\n' ? "" : "\n");
    buf_fini(&out);
    buf_fini(&why);
    return good;
}

bool show_notices(struct config *c, const struct request *r)
{
    struct notice_templates t = notice_templates_builtin();
    struct buf text = BUF_INIT;
    struct span file;
    bool good = find_file(c, r, &file) && (file.n == 0 || read_templates(file, &text, &t));
    for (enum notice_kind kind = 0; good && kind < NOTICE_KINDS; kind++)
        good = print_notice(c, r, &t, kind);
    buf_fini(&text);
    return good;
}
