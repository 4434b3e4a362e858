/* Showing main.cf: parameters, their values and defaults. */
#include "cli/postconf/postconf.h"

#include "lib/param/param.h"

#include <stdlib.h>

/* Names to show, borrowed. */
struct names {
    struct span *at;
    size_t n;
};

static int compare_names(const void *a, const void *b)
{
    const struct span *left = a, *right = b;
    return span_cmp(*left, *right);
}

static bool class_is_wanted(const struct config *c, const struct request *r, struct span name)
{
    enum param_class class = param_usage_class(&c->usage, name);
    return class != PARAM_CLASS_NONE && (r->classes == 0 || r->classes & 1U << class);
}

/* Whether the administrator set it, or the choice of directory did. */
static bool is_set(const struct config *c, struct span name)
{
    const struct setting *set = settings_get(&c->settings, name);
    return set && (set->origin != SETTING_FACT || span_eq(name, SPAN("config_directory")));
}

static void names_add(struct names *names, const struct config *c, const struct request *r, struct span name)
{
    if (name.p[0] != '.' && class_is_wanted(c, r, name))
        names->at[names->n++] = name;
}

/* All names that there are; with -n those that are set. */
static struct names names_collect(struct config *c, const struct request *r)
{
    size_t most = param_spec_count() + c->usage.count + c->settings.count;
    struct names names = {.at = arena_calloc(&c->arena, most, sizeof *names.at)};
    if (r->flags & OPT_SET_ONLY) {
        for (size_t i = 0; i < c->settings.count; i++)
            if (is_set(c, c->settings.all[i]->name))
                names_add(&names, c, r, c->settings.all[i]->name);
    } else {
        for (size_t i = 0; i < param_spec_count(); i++)
            names_add(&names, c, r, param_spec_at(i)->name);
        for (size_t i = 0; i < c->usage.count; i++)
            if (c->usage.all[i]->class == PARAM_CLASS_SERVICE ||
                settings_get(&c->settings, c->usage.all[i]->name))
                names_add(&names, c, r, c->usage.all[i]->name);
    }
    qsort(names.at, names.n, sizeof *names.at, compare_names);
    return names;
}

/* The raw value to show for a name that counts. */
static struct span raw_value(struct config *c, struct span name)
{
    const struct setting *set = settings_get(&c->settings, name);
    const struct param_use *use = param_usage_find(&c->usage, name);
    struct span value = SPAN_NONE;
    if (set)
        return set->value;
    if (!param_default(&c->arena, &c->settings, name, &value) && use)
        value = use->initial;
    return value;
}

static bool show_one(struct config *c, const struct request *r, struct span name)
{
    struct span value = raw_value(c, name);
    const struct param_spec *spec = param_spec_find(name);
    struct buf why = BUF_INIT;
    bool raw = !(r->flags & OPT_EXPAND) || (spec && spec->kind == PARAM_KIND_RAW);
    bool good = raw || param_expand_text(&c->arena, &c->settings, value, &value, &why);
    if (good)
        print_setting(r, name, value);
    else
        say_fatal("%s: %.*s: %s", buf_text(&c->main_path), SPAN_ARG(name), buf_text(&why));
    buf_fini(&why);
    return good;
}

bool show_main(struct config *c, const struct request *r)
{
    config_look_for_unused(c, r);
    bool good = true;
    if (r->arg_count == 0) {
        struct names names = names_collect(c, r);
        for (size_t i = 0; good && i < names.n; i++)
            good = show_one(c, r, names.at[i]);
    }
    for (size_t i = 0; good && i < r->arg_count; i++) {
        struct span name = span_text(r->args[i]);
        if (name.n == 0 || name.p[0] == '.' || !class_is_wanted(c, r, name))
            say_warning("%s: unknown parameter", r->args[i]);
        else if (!(r->flags & OPT_SET_ONLY) || is_set(c, name))
            good = show_one(c, r, name);
    }
    return say_errors(&c->errors) && good;
}
