#include "cli/postconf/postconf.h"

#include "lib/param/facts.h"
#include "lib/param/lines.h"
#include "lib/param/param.h"

#include <stdio.h>

enum { CONFIG_FILE_MAX = 4 * 1024 * 1024 };

static void say(const char *kind, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

static void say(const char *kind, const char *format, va_list args)
{
    struct buf text = BUF_INIT;
    buf_vprintf(&text, format, args);
    fflush(stdout);
    fprintf(stderr, "postconf: %s: %s\n", kind, buf_text(&text));
    buf_fini(&text);
}

bool say_fatal(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("fatal", format, args);
    va_end(args);
    return false;
}

void say_warning(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("warning", format, args);
    va_end(args);
}

bool say_errors(struct param_errors *errors)
{
    bool good = errors->fatal == 0;
    for (size_t i = 0; i < errors->count; i++)
        if (errors->at[i]->severity == PARAM_ERROR)
            say_fatal("%s", errors->at[i]->text.p);
        else
            say_warning("%s", errors->at[i]->text.p);
    param_errors_fini(errors);
    return good;
}

bool config_parse_services(struct config *c, struct span text)
{
    struct buf line = BUF_INIT;
    struct lines lines = lines_of(text);
    unsigned first;
    size_t most = 1;
    bool good = true;
    for (size_t i = 0; i < text.n; i++)
        most += text.p[i] == '\n';
    c->master = (struct mastercf){.at = arena_calloc(&c->arena, most, sizeof *c->master.at)};
    while (lines_next(&lines, &line, &first)) {
        struct param_place place = {buf_span(&c->master_path), first};
        struct service *service = &c->master.at[c->master.count];
        if (span_find(buf_span(&line), '\0') == line.len &&
            mastercf_parse_line(&c->arena, buf_span(&line), place, service, &c->errors))
            c->master.count++;
        else
            good = false;
    }
    buf_fini(&line);
    return good;
}

static bool config_read_master(struct config *c, bool required)
{
    struct buf text = BUF_INIT, why = BUF_INIT;
    bool good = settings_load_file(buf_text(&c->master_path), CONFIG_FILE_MAX, &text, &why);
    if (!good && required)
        say_fatal("open %s: %s", buf_text(&c->master_path), buf_text(&why));
    else if (!good)
        say_warning("open %s: %s", buf_text(&c->master_path), buf_text(&why));
    else {
        good = config_parse_services(c, buf_span(&text));
        c->has_master = good;
        good = say_errors(&c->errors) && good;
    }
    buf_fini(&text);
    buf_fini(&why);
    return good;
}

static bool config_read_main(struct config *c)
{
    struct buf text = BUF_INIT, why = BUF_INIT;
    bool good = settings_load_file(buf_text(&c->main_path), CONFIG_FILE_MAX, &text, &why);
    if (good) {
        settings_parse(&c->settings, buf_span(&text), buf_span(&c->main_path), &c->errors);
        good = say_errors(&c->errors);
    } else
        say_fatal("open %s: %s", buf_text(&c->main_path), buf_text(&why));
    buf_fini(&text);
    buf_fini(&why);
    return good;
}

static bool config_override(struct config *c, const struct request *r)
{
    for (size_t i = 0; i < r->override_count; i++)
        settings_parse_option(&c->settings, span_text(r->overrides[i]), (struct param_place){SPAN("-o"), 0},
                              &c->errors);
    return say_errors(&c->errors);
}

bool config_read(struct config *c, const struct request *r)
{
    buf_printf(&c->main_path, "%s/main.cf", r->dir);
    buf_printf(&c->master_path, "%s/master.cf", r->dir);
    facts_gather(&c->settings);
    settings_set_fact(&c->settings, "process_name", SPAN("postconf"));
    if (r->flags & OPT_DEFAULTS)
        return true;
    if (!config_read_main(c) || !config_override(c, r))
        return false;
    if (r->dir_is_given)
        settings_set_fact(&c->settings, "config_directory", span_text(r->dir));
    bool master = (r->flags & OPT_MASTER) != 0;
    return config_read_master(c, master) || !master;
}

void config_look_for_unused(struct config *c, const struct request *r)
{
    struct span main_path = buf_span(&c->main_path), master_path = buf_span(&c->master_path);
    const struct mastercf *master = c->has_master ? &c->master : NULL;
    if (r->flags & OPT_DEFAULTS) {
        param_usage_init(&c->usage, &c->settings, main_path, NULL, master_path, NULL);
        return;
    }
    param_usage_init(&c->usage, &c->settings, main_path, master, master_path, &c->errors);
    if (!(r->flags & OPT_MASTER)) {
        param_usage_warn_main(&c->usage, &c->settings, main_path, &c->errors);
        param_warn_unsupported(&c->settings, &c->errors);
    }
    if (master)
        param_usage_warn_services(&c->usage, master, master_path, &c->errors);
}

void config_fini(struct config *c)
{
    param_usage_fini(&c->usage);
    param_errors_fini(&c->errors);
    settings_fini(&c->settings);
    buf_fini(&c->main_path);
    buf_fini(&c->master_path);
    arena_fini(&c->arena);
}
