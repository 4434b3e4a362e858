/* Editing main.cf: name=value, -X name, -# name. */
#include "cli/postconf/postconf.h"

#include "lib/param/facts.h"
#include "lib/param/param.h"

struct main_edit {
    struct config *c;
    enum edit_action action;
    struct span *names, *values; /* what is asked; values for EDIT_REPLACE */
    unsigned *found;             /* how often each was met in the file */
    size_t n;
};

static enum edit_action main_line(void *context, struct span line, struct buf *text)
{
    struct main_edit *e = context;
    struct span name, value;
    if (settings_split(line, &name, &value) != NULL)
        return EDIT_KEEP;
    for (size_t i = 0; i < e->n; i++) {
        if (!span_eq(e->names[i], name))
            continue;
        if (++e->found[i] == 2)
            say_warning("%s: multiple entries for \"%.*s\"", buf_text(&e->c->main_path), SPAN_ARG(name));
        buf_printf(text, "%.*s = %.*s\n", SPAN_ARG(name), SPAN_ARG(e->values[i]));
        return e->action;
    }
    return EDIT_KEEP;
}

static bool main_end(void *context, struct buf *text)
{
    struct main_edit *e = context;
    for (size_t i = 0; e->action == EDIT_REPLACE && i < e->n; i++)
        if (e->found[i] == 0)
            buf_printf(text, "%.*s = %.*s\n", SPAN_ARG(e->names[i]), SPAN_ARG(e->values[i]));
    return true;
}

/* A new value has to be good in the file as it will be; what was wrong before is not this edit's. */
static bool main_check(void *context, struct span text)
{
    struct main_edit *e = context;
    struct settings s = SETTINGS_INIT;
    bool good = true;
    facts_gather(&s);
    settings_parse(&s, text, buf_span(&e->c->main_path), NULL);
    for (size_t i = 0; e->action == EDIT_REPLACE && i < e->n; i++) {
        const struct param_spec *spec = param_spec_find(e->names[i]);
        struct buf why = BUF_INIT;
        if (!param_check_value(&s, e->names[i], e->values[i], &why)) {
            bool harmless = spec->support == PARAM_LATER || spec->support == PARAM_NOOP;
            if (harmless)
                say_warning("%.*s: %s", SPAN_ARG(e->names[i]), buf_text(&why));
            else
                good = say_fatal("%.*s: %s; nothing was changed", SPAN_ARG(e->names[i]), buf_text(&why));
        }
        buf_fini(&why);
    }
    settings_fini(&s);
    return good;
}

static bool main_edit_take(struct main_edit *e, struct span arg)
{
    struct span name = span_trim(arg), value = SPAN_NONE;
    if (span_has_any(arg, SPAN("\r\n")))
        return say_fatal("-e, -X, or -# accepts no multi-line input");
    if (e->action == EDIT_REPLACE) {
        const char *wrong = settings_split(arg, &name, &value);
        if (wrong)
            return say_fatal("\"%.*s\": %s", SPAN_ARG(arg), wrong);
    } else if (name.n == 0 || span_has_any(name, SPAN(" \t")) || name.p[0] == '#')
        return say_fatal("-X or -# requires a parameter name, not \"%.*s\"", SPAN_ARG(arg));
    for (size_t i = 0; i < e->n; i++)
        if (span_eq(e->names[i], name)) {
            e->values[i] = value;
            return true;
        }
    e->names[e->n] = name;
    e->values[e->n++] = value;
    return true;
}

bool edit_main(struct config *c, const struct request *r)
{
    struct main_edit e = {.c = c, .action = EDIT_REPLACE};
    struct edit edit = {.line = main_line, .end = main_end, .check = main_check, .context = &e};
    if (r->flags & (OPT_REMOVE | OPT_COMMENT))
        e.action = r->flags & OPT_REMOVE ? EDIT_REMOVE : EDIT_COMMENT;
    e.names = arena_calloc(&c->arena, r->arg_count, sizeof *e.names);
    e.values = arena_calloc(&c->arena, r->arg_count, sizeof *e.values);
    e.found = arena_calloc(&c->arena, r->arg_count, sizeof *e.found);
    for (size_t i = 0; i < r->arg_count; i++)
        if (!main_edit_take(&e, span_text(r->args[i])))
            return false;
    buf_printf(&c->main_path, "%s/main.cf", r->dir);
    return edit_file(buf_text(&c->main_path), &edit);
}
