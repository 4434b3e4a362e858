/* Showing master.cf: services, their fields, their -o parameters. */
#include "cli/postconf/postconf.h"

#include "lib/param/param.h"

#include <stdio.h>
#include <stdlib.h>

/* --- patterns -------------------------------------------------------------------------- */

bool pattern_parse(struct span text, size_t parts, struct pattern *p)
{
    enum service_type type;
    *p = (struct pattern){.name = text, .type = SPAN("*"), .rest = SPAN("*")};
    /* A name may hold '/': the type is the first part behind it that is one. */
    for (size_t at = 0; at < text.n; at++) {
        if (text.p[at] != '/')
            continue;
        struct span behind = span_skip(text, at + 1);
        size_t slash = span_find(behind, '/');
        struct span word = span_slice(behind, 0, slash);
        if (!span_eq(word, SPAN("*")) && !service_type_parse(word, &type))
            continue;
        p->name = span_slice(text, 0, at);
        p->type = word;
        if (slash < behind.n)
            p->rest = span_skip(behind, slash + 1);
        return (slash == behind.n || parts == 3) && p->name.n > 0 && p->rest.n > 0;
    }
    return text.n > 0;
}

static bool part_matches(struct span pattern, struct span text)
{
    return span_eq(pattern, SPAN("*")) || span_eq(pattern, text);
}

bool pattern_matches(const struct pattern *p, const struct service *service)
{
    return part_matches(p->name, service->name) && part_matches(p->type, service_type_name(service->type));
}

bool pattern_matches_rest(const struct pattern *p, struct span rest)
{
    return part_matches(p->rest, rest);
}

/* The patterns of a request; none given is one that matches all. */
struct patterns {
    struct pattern *at;
    size_t n;
};

static bool patterns_parse(struct config *c, const struct request *r, size_t parts, struct patterns *patterns)
{
    size_t n = r->arg_count ? r->arg_count : 1;
    *patterns = (struct patterns){.at = arena_calloc(&c->arena, n, sizeof *patterns->at), .n = n};
    if (r->arg_count == 0)
        patterns->at[0] =
            (struct pattern){.name = SPAN("*"), .type = SPAN("*"), .rest = SPAN("*"), .used = true};
    for (size_t i = 0; i < r->arg_count; i++)
        if (!pattern_parse(span_text(r->args[i]), parts, &patterns->at[i]))
            return say_fatal("malformed request: \"%s\"", r->args[i]);
    return true;
}

/* result: whether one of the patterns wants this */
static bool patterns_match(struct patterns *patterns, const struct service *service, struct span rest)
{
    bool match = false;
    for (size_t i = 0; i < patterns->n; i++)
        if (pattern_matches(&patterns->at[i], service) && pattern_matches_rest(&patterns->at[i], rest))
            match = patterns->at[i].used = true;
    return match;
}

static bool patterns_end(struct config *c, const struct request *r, const struct patterns *patterns)
{
    for (size_t i = 0; i < patterns->n; i++)
        if (!patterns->at[i].used)
            say_warning("unmatched request: \"%s\"", r->args[i]);
    return say_errors(&c->errors);
}

/* --- values ------------------------------------------------------------------------------ */

/* The value of an -o with its $names expanded as the service would see them. */
static bool expand_option(struct config *c, const struct service *service, struct service_option *option)
{
    struct settings own = SETTINGS_INIT;
    struct buf why = BUF_INIT;
    settings_copy(&own, &c->settings);
    service_apply_options(service, &own, NULL);
    bool good = param_expand_text(&c->arena, &own, option->value, &option->value, &why);
    if (!good)
        say_fatal("%.*s:%u: -o %.*s: %s", SPAN_ARG(service->place.file), service->place.line,
                  SPAN_ARG(option->name), buf_text(&why));
    buf_fini(&why);
    settings_fini(&own);
    return good;
}

static bool expand_options(struct config *c, const struct request *r, struct service *service)
{
    if (!(r->flags & OPT_EXPAND))
        return true;
    struct service as_written = *service;
    as_written.options = arena_calloc(&c->arena, service->option_count, sizeof *service->options);
    if (service->option_count)
        memcpy(as_written.options, service->options, service->option_count * sizeof *service->options);
    for (size_t i = 0; i < service->option_count; i++)
        if (!expand_option(c, &as_written, &service->options[i]))
            return false;
    return true;
}

/* --- -M, -F, -P ----------------------------------------------------------------------------- */

bool show_services(struct config *c, const struct request *r)
{
    struct patterns patterns;
    config_look_for_unused(c, r);
    if (!patterns_parse(c, r, 2, &patterns))
        return false;
    for (size_t i = 0; i < c->master.count; i++) {
        struct service *service = &c->master.at[i];
        if (!patterns_match(&patterns, service, SPAN("*")))
            continue;
        if (!expand_options(c, r, service))
            return false;
        struct buf out = BUF_INIT;
        put_service(&out, service, (r->flags & OPT_FOLD) != 0);
        fwrite(buf_text(&out), 1, out.len, stdout);
        buf_fini(&out);
    }
    return patterns_end(c, r, &patterns);
}

static void put_part_name(struct buf *name, const struct service *service, struct span rest)
{
    buf_printf(name, "%.*s/%.*s/%.*s", SPAN_ARG(service->name), SPAN_ARG(service_type_name(service->type)),
               SPAN_ARG(rest));
}

static void print_field(const struct request *r, const struct service *service, enum service_field field)
{
    struct buf name = BUF_INIT;
    put_part_name(&name, service, service_field_name(field));
    if (field == SERVICE_FIELD_COMMAND)
        print_command(r, buf_span(&name), service);
    else
        print_setting(r, buf_span(&name), service->fields[field]);
    buf_fini(&name);
}

static void print_parameter(const struct request *r, const struct service *service,
                            const struct service_option *option)
{
    struct buf name = BUF_INIT;
    put_part_name(&name, service, option->name);
    print_setting(r, buf_span(&name), option->value);
    buf_fini(&name);
}

bool show_fields(struct config *c, const struct request *r)
{
    struct patterns patterns;
    config_look_for_unused(c, r);
    if (!patterns_parse(c, r, 3, &patterns))
        return false;
    for (size_t i = 0; i < c->master.count; i++) {
        struct service *service = &c->master.at[i];
        if (!expand_options(c, r, service))
            return false;
        for (unsigned field = 0; field < SERVICE_FIELD_COUNT; field++)
            if (patterns_match(&patterns, service, service_field_name((enum service_field)field)))
                print_field(r, service, (enum service_field)field);
    }
    return patterns_end(c, r, &patterns);
}

static int compare_options(const void *a, const void *b)
{
    const struct service_option *left = a, *right = b;
    return span_cmp(left->name, right->name);
}

bool show_parameters(struct config *c, const struct request *r)
{
    struct patterns patterns;
    config_look_for_unused(c, r);
    if (!patterns_parse(c, r, 3, &patterns))
        return false;
    for (size_t i = 0; i < c->master.count; i++) {
        struct service *service = &c->master.at[i];
        if (!expand_options(c, r, service))
            return false;
        if (service->option_count)
            qsort(service->options, service->option_count, sizeof *service->options, compare_options);
        for (size_t k = 0; k < service->option_count; k++)
            if (patterns_match(&patterns, service, service->options[k].name))
                print_parameter(r, service, &service->options[k]);
    }
    return patterns_end(c, r, &patterns);
}
