#include "master/config.h"

#include "lib/base/check.h"
#include "lib/param/facts.h"
#include "master/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CONFIG_FILE_MAX = 4 * 1024 * 1024 }; /* octets of main.cf or master.cf */

static const char *config_path(struct config *c, const char *name)
{
    return arena_printf(&c->arena, "%s/%s", c->directory, name);
}

static bool load_file(struct config *c, const char *name, struct buf *text, struct param_errors *errors)
{
    const char *path = config_path(c, name);
    struct buf why = BUF_INIT;
    bool good = settings_load_file(path, CONFIG_FILE_MAX, text, &why);
    if (!good)
        param_error_add(errors, PARAM_ERROR, (struct param_place){span_text(path), 0},
                        "%s: make this file, or name another directory with -c", buf_text(&why));
    buf_fini(&why);
    return good;
}

static bool apply_options(struct config *c, const char *const *options, struct param_errors *errors)
{
    bool good = true;
    for (; options && *options; options++)
        good &= settings_parse_option(&c->settings, span_text(*options), (struct param_place){SPAN("-o"), 0}, errors);
    return good;
}

static bool load_main(struct config *c, const struct config_frame *frame, struct param_errors *errors)
{
    struct buf text = BUF_LIMITED(CONFIG_FILE_MAX);
    bool good = load_file(c, "main.cf", &text, errors) &&
                settings_parse(&c->settings, buf_span(&text), span_text(config_path(c, "main.cf")), errors);
    buf_fini(&text);
    good &= apply_options(c, frame->options, errors);
    settings_set_fact(&c->settings, "config_directory", span_text(c->directory));
    settings_set_fact(&c->settings, "process_name", SPAN("master"));
    facts_gather(&c->settings);
    good &= params_main_load(&c->arena, &c->settings, &c->main, NULL);
    good &= params_master_load(&c->arena, &c->settings, &c->master, NULL);
    good &= params_merpati_load(&c->arena, &c->settings, &c->own, NULL);
    /* Says all that is wrong, of every process's parameters, in one go. */
    return param_check_all(&c->settings, errors) && good;
}

static bool load_master(struct config *c, struct param_errors *errors)
{
    struct buf text = BUF_LIMITED(CONFIG_FILE_MAX);
    bool good = load_file(c, "master.cf", &text, errors);
    if (good) {
        struct span kept = arena_dup(&c->arena, buf_span(&text));
        good = mastercf_parse(&c->arena, kept, span_text(config_path(c, "master.cf")), &c->mastercf, errors);
    }
    buf_fini(&text);
    return good;
}

/* Where log lines go and under which names. */
static void choose_log(struct config *c)
{
    char host[256] = "localhost";
    (void)gethostname(host, sizeof host - 1);
    c->log_host = arena_text(&c->arena, span_slice(span_text(host), 0, span_find(span_text(host), '.')));
    c->log_name = arena_text(&c->arena, c->main.syslog_name);
    if (c->main.maillog_file.n == 0)
        c->log_target = "syslog";
    else if (span_eq(c->main.maillog_file, SPAN("/dev/stdout")))
        c->log_target = "stdout";
    else
        c->log_target = arena_text(&c->arena, c->main.maillog_file);
    settings_set_fact(&c->settings, ".log_hostname", span_text(c->log_host));
}

/* maillog_file can be given by whoever may edit main.cf; maillog_file_prefixes bounds it, as in Postfix. */
static bool check_log(const struct config *c, struct param_errors *errors)
{
    const struct setting *set = settings_get(&c->settings, SPAN("maillog_file"));
    if (c->main.maillog_file.n == 0)
        return true;
    for (size_t i = 0; i < c->main.maillog_file_prefixes.n; i++)
        if (span_starts(c->main.maillog_file, c->main.maillog_file_prefixes.at[i]) && c->main.maillog_file.p[0] == '/')
            return true;
    param_error_add(errors, PARAM_ERROR, set ? setting_place(set) : (struct param_place){SPAN_NONE, 0},
                    "maillog_file: \"%.*s\" begins with none of the paths in maillog_file_prefixes: add one there",
                    SPAN_ARG(c->main.maillog_file));
    return false;
}

static bool plan_add(struct config *c, const struct config_frame *frame, const struct service *service,
                     const char *name, struct param_errors *errors)
{
    struct plan *plan = &c->plans[c->nplans];
    *plan = (struct plan){.settings = -1};
    int made = plan_make(c, frame, service, name, plan, errors);
    if (made != 0)
        c->nplans++; /* a wrong one too: its descriptor is closed with the others */
    return made >= 0;
}

/* Services that master.cf need not name, unless a line of that name is there. */
static bool plan_implied(struct config *c, const struct config_frame *frame, struct param_errors *errors)
{
    const char *name;
    bool good = true;
    for (unsigned i = 0; program_implied(i, &name); i++)
        if (!mastercf_find(&c->mastercf, span_text(name), SERVICE_UNIX) &&
            !mastercf_find(&c->mastercf, span_text(name), SERVICE_FIFO))
            good &= plan_add(c, frame, NULL, name, errors);
    return good;
}

/* What qmgr must know: every delivery service, also those that it answers itself. */
static void list_services(struct config *c)
{
    c->services.at = arena_calloc(&c->arena, c->mastercf.count, sizeof *c->services.at);
    for (size_t i = 0; i < c->mastercf.count; i++) {
        const struct service *s = &c->mastercf.at[i];
        const struct plan *plan = config_find(c, arena_printf(&c->arena, "%s/unix", s->name.p));
        if (s->type != SERVICE_UNIX)
            continue;
        c->services.at[c->services.n++] = (struct msg_service){
            .name = s->name,
            .program = s->command,
            .limit = s->maxproc_default ? c->master.default_process_limit : s->maxproc,
            .arguments = plan ? plan->arguments : SPAN_NONE,
        };
    }
}

static bool make_plans(struct config *c, const struct config_frame *frame, struct param_errors *errors)
{
    const char *name;
    unsigned implied = 0;
    bool good = true;
    while (program_implied(implied, &name))
        implied++;
    c->plans = arena_calloc(&c->arena, c->mastercf.count + implied, sizeof *c->plans);
    for (size_t i = 0; i < c->mastercf.count; i++)
        good &= plan_add(c, frame, &c->mastercf.at[i], c->mastercf.at[i].name.p, errors);
    good &= plan_implied(c, frame, errors);
    list_services(c);
    return good;
}

struct config *config_load(const struct config_frame *frame, struct param_errors *errors)
{
    struct config *c = calloc(1, sizeof *c);
    CHECK(c != NULL);
    c->users = 1;
    c->directory = arena_text(&c->arena, span_text(frame->directory));
    bool good = load_main(c, frame, errors);
    choose_log(c);
    good = check_log(c, errors) && good;
    good = load_master(c, errors) && good;
    good = make_plans(c, frame, errors) && good;
    if (!good)
        config_release(&c);
    return c;
}

void config_release(struct config **where)
{
    struct config *c = *where;
    *where = NULL;
    if (!c || --c->users)
        return;
    for (size_t i = 0; i < c->nplans; i++)
        if (c->plans[i].settings >= 0)
            close(c->plans[i].settings);
    settings_fini(&c->settings);
    arena_fini(&c->arena);
    free(c);
}

const struct plan *config_find(const struct config *c, const char *key)
{
    for (size_t i = 0; i < c->nplans; i++)
        if (span_eq(span_text(c->plans[i].key), span_text(key)))
            return &c->plans[i];
    return NULL;
}
