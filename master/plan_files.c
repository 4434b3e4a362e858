#include "lib/table/table.h"
#include "master/plan.h"

#include <string.h>

/* The files found so far. */
struct found {
    struct config *config;
    struct plan *plan;
    unsigned cap;
    bool through_proxy; /* this program opens what others write as proxy:type:path */
};

static void found_add(const char *path, void *context)
{
    struct found *f = context;
    struct plan *plan = f->plan;
    if (*path != '/')
        return;
    for (unsigned i = 0; i < plan->nfiles; i++)
        if (strcmp(plan->files[i], path) == 0)
            return;
    if (plan->nfiles == f->cap) {
        f->cap = f->cap ? 2 * f->cap : 16;
        const char **more = arena_calloc(&f->config->arena, f->cap, sizeof *more);
        if (plan->nfiles)
            memcpy(more, plan->files, plan->nfiles * sizeof *more);
        plan->files = more;
    }
    plan->files[plan->nfiles++] = arena_text(&f->config->arena, span_text(path));
}

/* One item of a list: "type:/path", "/path", "!/path", or a word that names no file. */
static void look_at_item(struct found *f, struct span item)
{
    while (span_starts(item, SPAN("!")))
        item = span_trim(span_skip(item, 1));
    if (f->through_proxy && span_starts(item, SPAN("proxy:")))
        item = span_skip(item, 6);
    if (span_starts(item, SPAN("/")) && span_find(item, '\0') == item.n)
        found_add(arena_text(&f->config->arena, item), f);
    else
        table_each_path(item, found_add, f);
}

static void look_at_value(struct found *f, struct span value)
{
    struct span item;
    while (value_next_item(&value, &item) > 0)
        look_at_item(f, item);
}

static void look_at_name(struct found *f, const struct settings *s, struct span name)
{
    struct buf why = BUF_INIT;
    struct span value;
    if (param_expand_name(&f->config->arena, s, name, &value, &why))
        look_at_value(f, value);
    buf_fini(&why);
}

/* Lists and tables hold tables; so may what the administrator has named himself (restriction classes). */
static bool may_hold_tables(enum param_kind kind)
{
    return kind == PARAM_KIND_LIST || kind == PARAM_KIND_TABLES;
}

static bool owns(const char *program, const struct param_spec *spec)
{
    struct span owner = span_text(param_owner_name(spec->owner));
    /* One program, two owners: which of the two it is, is said by its settings. */
    if (span_eq(span_text(program), SPAN("smtp")) && span_eq(owner, SPAN("lmtp")))
        return true;
    return span_eq(owner, span_text(program));
}

void plan_files(struct config *c, const struct settings *s, struct plan *plan)
{
    struct found f = {.config = c, .plan = plan, .through_proxy = span_eq(span_text(plan->program->name), SPAN("proxymap"))};
    if (wall_has_word(plan->wall->files, SPAN("auth")) && c->own.merpati_password_file.n)
        found_add(arena_text(&c->arena, c->own.merpati_password_file), &f);
    if (wall_has_word(plan->wall->files, SPAN("templates")))
        look_at_name(&f, s, SPAN("bounce_template_file"));
    if (wall_has_word(plan->wall->files, SPAN("resolver"))) {
        look_at_name(&f, s, SPAN("dnsd_resolv_conf_file"));
        look_at_name(&f, s, SPAN("dnsd_hosts_file"));
        look_at_name(&f, s, SPAN("dnsd_trust_anchor_files"));
    }
    if (!wall_has_word(plan->wall->files, SPAN("tables")))
        return;
    bool only_own = wall_has_word(plan->wall->files, SPAN("own"));
    for (size_t i = 0; i < param_spec_count(); i++) {
        const struct param_spec *spec = param_spec_at(i);
        if (may_hold_tables(spec->kind) && (!only_own || owns(plan->program->name, spec)))
            look_at_name(&f, s, spec->name);
    }
    for (size_t i = 0; i < s->count && !only_own; i++)
        if (s->all[i]->origin != SETTING_FACT && !param_spec_find(s->all[i]->name))
            look_at_name(&f, s, s->all[i]->name);
}
