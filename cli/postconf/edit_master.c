/* Editing master.cf: whole services (-M), their fields (-F) and parameters (-P). */
#include "cli/postconf/postconf.h"

#include "lib/param/facts.h"
#include "lib/param/param.h"

struct master_edit {
    struct config *c;
    unsigned flags;     /* OPT_* */
    struct pattern *at; /* what is asked, one per argument */
    size_t n;
    bool failed; /* a change was refused (said) */
};

static void put_new(struct buf *text, const struct service *service)
{
    put_service(text, service, true);
}

static bool parse_service(struct master_edit *e, struct span line, struct service *service)
{
    struct param_place nowhere = {0};
    bool good = mastercf_parse_line(&e->c->arena, line, nowhere, service, &e->c->errors);
    return say_errors(&e->c->errors) && good;
}

/* --- -F ---------------------------------------------------------------------------------- */

static bool field_by_name(struct span name, enum service_field *field)
{
    for (unsigned i = 0; i < SERVICE_FIELD_COUNT; i++)
        if (span_eq(service_field_name((enum service_field)i), name)) {
            *field = (enum service_field)i;
            return true;
        }
    return false;
}

/* The service with one field changed: written anew and parsed, so that it is checked. */
static bool change_field(struct master_edit *e, struct service *service, enum service_field field,
                         struct span value)
{
    struct buf line = BUF_INIT;
    struct service changed = *service;
    changed.fields[field] = value;
    if (field == SERVICE_FIELD_COMMAND)
        changed.arg_count = changed.option_count = 0;
    put_service(&line, &changed, false);
    bool good = parse_service(e, span_trim(buf_span(&line)), service);
    buf_fini(&line);
    e->failed = e->failed || !good;
    return good;
}

/* --- -P ---------------------------------------------------------------------------------- */

static bool is_option_argument(struct span arg)
{
    return arg.n > 0 && arg.p[0] == '-';
}

/* The service with the -o of this name left out, and (value not NULL) put in anew. */
static void change_parameter(struct arena *a, struct service *service, struct span name,
                             const struct span *value)
{
    struct service old = *service;
    size_t at = 0, option = 0;
    bool done = value == NULL;
    struct service_option fresh = {.name = name, .value = value ? *value : SPAN_NONE};
    service->args = arena_calloc(a, old.arg_count + 2, sizeof *service->args);
    service->options = arena_calloc(a, old.option_count + 1, sizeof *service->options);
    service->arg_count = service->option_count = 0;
    /* The options of the program come first; an -o takes two arguments in the new form. */
    while (at < old.arg_count && is_option_argument(old.args[at])) {
        struct span arg = old.args[at++];
        if (!span_starts(arg, SPAN("-o"))) {
            service->args[service->arg_count++] = arg;
            continue;
        }
        at += arg.n == 2;
        struct service_option o = old.options[option++];
        if (span_eq(o.name, name)) {
            if (done)
                continue;
            o = fresh;
            done = true;
        }
        service->args[service->arg_count++] = SPAN("-o");
        service->args[service->arg_count++] = o.value;
        service->options[service->option_count++] = o;
    }
    if (!done) {
        service->args[service->arg_count++] = SPAN("-o");
        service->args[service->arg_count++] = fresh.value;
        service->options[service->option_count++] = fresh;
    }
    while (at < old.arg_count)
        service->args[service->arg_count++] = old.args[at++];
}

/* --- lines ----------------------------------------------------------------------------------- */

/* Applies one request to the service of a line. result: what becomes of the line */
static enum edit_action master_apply(struct master_edit *e, struct pattern *p, struct service *service,
                                     bool *changed)
{
    enum service_field field = SERVICE_FIELD_COUNT;
    p->used = true;
    if (e->flags & OPT_SERVICES)
        return e->flags & OPT_REMOVE ? EDIT_REMOVE : EDIT_COMMENT;
    if (e->flags & OPT_FIELDS) {
        field_by_name(p->rest, &field);
        *changed = change_field(e, service, field, p->value);
        return *changed ? EDIT_REPLACE : EDIT_KEEP;
    }
    change_parameter(&e->c->arena, service, p->rest, e->flags & OPT_EDIT ? &p->value : NULL);
    *changed = true;
    return EDIT_REPLACE;
}

static enum edit_action master_line(void *context, struct span line, struct buf *text)
{
    struct master_edit *e = context;
    struct service service;
    enum edit_action action = EDIT_KEEP;
    bool changed = false;
    if (!mastercf_parse_line(&e->c->arena, line, (struct param_place){0}, &service, NULL))
        return EDIT_KEEP;
    for (size_t i = 0; i < e->n; i++) {
        struct pattern *p = &e->at[i];
        if (!pattern_matches(p, &service))
            continue;
        if (e->flags & OPT_SERVICES && e->flags & OPT_EDIT) {
            buf_clear(text);
            struct service fresh;
            if (p->used)
                return EDIT_REMOVE;
            p->used = true;
            e->failed = !parse_service(e, p->value, &fresh) || e->failed;
            if (!e->failed)
                put_new(text, &fresh);
            return EDIT_REPLACE;
        }
        action = master_apply(e, p, &service, &changed);
    }
    if (action == EDIT_REPLACE)
        put_new(text, &service);
    return action;
}

static bool master_end(void *context, struct buf *text)
{
    struct master_edit *e = context;
    for (size_t i = 0; !e->failed && i < e->n; i++) {
        struct service fresh;
        if (e->at[i].used)
            continue;
        if (!(e->flags & OPT_SERVICES && e->flags & OPT_EDIT)) {
            if (e->flags & OPT_EDIT)
                say_warning("unmatched service_name/type: \"%.*s/%.*s\"", SPAN_ARG(e->at[i].name),
                            SPAN_ARG(e->at[i].type));
        } else if (parse_service(e, e->at[i].value, &fresh))
            put_new(text, &fresh);
        else
            e->failed = true;
    }
    return !e->failed;
}

/* Every value that is given has to be good in the service's settings. */
static bool parameter_check(struct master_edit *e, const struct service *service, const struct pattern *p)
{
    struct settings s = SETTINGS_INIT;
    struct buf why = BUF_INIT;
    settings_copy(&s, &e->c->settings);
    service_apply_options(service, &s, NULL);
    const struct param_spec *spec = param_spec_find(p->rest);
    bool good = !spec || spec->support == PARAM_LATER || spec->support == PARAM_NOOP ||
                param_check_value(&s, p->rest, p->value, &why);
    if (!good)
        say_fatal("%.*s: %s; nothing was changed", SPAN_ARG(p->rest), buf_text(&why));
    buf_fini(&why);
    settings_fini(&s);
    return good;
}

static bool master_check(void *context, struct span text)
{
    struct master_edit *e = context;
    bool parsed = config_parse_services(e->c, text);
    if (!say_errors(&e->c->errors) || !parsed)
        return say_fatal("%s would not be correct; nothing was changed", buf_text(&e->c->master_path));
    for (size_t i = 0; e->flags & OPT_PARAMETERS && e->flags & OPT_EDIT && i < e->n; i++)
        for (size_t k = 0; k < e->c->master.count; k++)
            if (pattern_matches(&e->at[i], &e->c->master.at[k]) &&
                !parameter_check(e, &e->c->master.at[k], &e->at[i]))
                return false;
    return true;
}

/* --- arguments ---------------------------------------------------------------------------------- */

static bool master_edit_take(struct master_edit *e, struct span arg)
{
    struct pattern *p = &e->at[e->n++];
    enum service_field field;
    bool whole = (e->flags & OPT_SERVICES) != 0;
    size_t equals = e->flags & OPT_EDIT ? span_find(arg, '=') : arg.n;
    if (span_has_any(arg, SPAN("\r\n")))
        return say_fatal("-e, -X, or -# accepts no multi-line input");
    if (e->flags & OPT_EDIT && equals == arg.n)
        return say_fatal("\"%.*s\": -e requires an argument with '='", SPAN_ARG(arg));
    if (!pattern_parse(span_trim(span_slice(arg, 0, equals)), whole ? 2 : 3, p) ||
        span_find(span_slice(arg, 0, equals), '/') == equals)
        return say_fatal("-Me, -MX or -M# requires service_name/type");
    struct span value = span_trim(span_skip(arg, equals + 1));
    p->value = value;
    if (!whole && span_eq(p->rest, SPAN("*")))
        return say_fatal("-F and -P edits require service_name/type/name");
    if (e->flags & OPT_FIELDS && !field_by_name(p->rest, &field))
        return say_fatal("invalid service attribute name: \"%.*s\"", SPAN_ARG(p->rest));
    return true;
}

bool edit_master(struct config *c, const struct request *r)
{
    struct master_edit e = {.c = c, .flags = r->flags};
    struct edit edit = {.line = master_line, .end = master_end, .check = master_check, .context = &e};
    if (r->flags & OPT_FIELDS && r->flags & (OPT_REMOVE | OPT_COMMENT))
        return say_fatal("-F cannot be used with -X or -#");
    if (r->flags & OPT_PARAMETERS && r->flags & OPT_COMMENT)
        return say_fatal("-P cannot be used with -#");
    e.at = arena_calloc(&c->arena, r->arg_count, sizeof *e.at);
    for (size_t i = 0; i < r->arg_count; i++)
        if (!master_edit_take(&e, span_text(r->args[i])))
            return false;
    if (!config_read(c, r))
        return false;
    return edit_file(buf_text(&c->master_path), &edit);
}
