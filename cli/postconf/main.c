#include "cli/postconf/postconf.h"

#include "lib/param/param.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char DEFAULT_DIR[] = "/etc/merpati";

static const struct {
    char letter;
    unsigned flag;
} OPTIONS[] = {
    {'d', OPT_DEFAULTS},   {'n', OPT_SET_ONLY}, {'x', OPT_EXPAND},      {'f', OPT_FOLD},
    {'h', OPT_NO_NAME},    {'H', OPT_NO_VALUE}, {'o', OPT_OVERRIDE},    {'e', OPT_EDIT},
    {'X', OPT_REMOVE},     {'#', OPT_COMMENT},  {'M', OPT_SERVICES},    {'F', OPT_FIELDS},
    {'P', OPT_PARAMETERS}, {'C', OPT_CLASSES},  {'m', OPT_TABLE_TYPES}, {'l', OPT_LOCK_TYPES},
    {'p', OPT_MAIN},       {'b', OPT_NOTICES},  {'t', OPT_TEMPLATES},
};

/* Options of which only one makes sense. */
static const unsigned EXCLUSIVE[] = {
    OPT_DEFAULTS | OPT_EDIT | OPT_REMOVE | OPT_COMMENT | OPT_SET_ONLY,
    OPT_DEFAULTS | OPT_OVERRIDE,
    OPT_NO_NAME | OPT_NO_VALUE,
    OPT_MAIN | OPT_SERVICES | OPT_FIELDS | OPT_PARAMETERS | OPT_TABLE_TYPES | OPT_LOCK_TYPES | OPT_NOTICES | OPT_TEMPLATES,
    OPT_EXPAND | OPT_EDIT,
    OPT_EXPAND | OPT_REMOVE,
    OPT_EXPAND | OPT_COMMENT,
    OPT_OVERRIDE | OPT_EDIT,
    OPT_OVERRIDE | OPT_REMOVE,
    OPT_OVERRIDE | OPT_COMMENT,
};

static bool usage(void)
{
    return say_fatal(
        "usage: postconf [-dnxfhHpe#X] [-M | -F | -P] [-c config_dir] [-C class,...] [-o name=value] "
        "[-m (table types)] [-l (lock types)] [-b | -t [template_file]] [name... | name=value...]");
}

/* Says which of the options given exclude each other. */
static bool check_exclusive(unsigned flags)
{
    for (size_t i = 0; i < sizeof EXCLUSIVE / sizeof *EXCLUSIVE; i++) {
        unsigned both = flags & EXCLUSIVE[i];
        struct buf text = BUF_INIT;
        if ((both & (both - 1)) == 0)
            continue;
        for (size_t k = 0; k < sizeof OPTIONS / sizeof *OPTIONS; k++)
            if (both & OPTIONS[k].flag)
                buf_printf(&text, " -%c", OPTIONS[k].letter);
        say_fatal("specify one of%s", buf_text(&text));
        buf_fini(&text);
        return false;
    }
    for (size_t k = 0; k < sizeof OPTIONS / sizeof *OPTIONS; k++)
        if (flags & OPT_SERVICES &&
            flags & OPTIONS[k].flag &
                (OPT_NO_NAME | OPT_NO_VALUE | OPT_DEFAULTS | OPT_SET_ONLY | OPT_CLASSES))
            return say_fatal("with option -M, do not specify -%c", OPTIONS[k].letter);
    return true;
}

static bool take_classes(struct request *r, struct span text)
{
    static const struct {
        struct span name;
        unsigned classes;
    } names[] = {
        {SPAN_INIT("builtin"), 1U << PARAM_CLASS_BUILTIN},
        {SPAN_INIT("service"), 1U << PARAM_CLASS_SERVICE},
        {SPAN_INIT("user"), 1U << PARAM_CLASS_USER},
        {SPAN_INIT("all"), 1U << PARAM_CLASS_BUILTIN | 1U << PARAM_CLASS_SERVICE | 1U << PARAM_CLASS_USER},
    };
    struct span rest = text, word;
    while (value_next_item(&rest, &word) > 0) {
        unsigned found = 0;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (span_eq_nocase(word, names[i].name))
                found = names[i].classes;
        if (!found)
            return say_fatal("unknown -C option value \"%.*s\" in \"%.*s\"", SPAN_ARG(word), SPAN_ARG(text));
        r->classes |= found;
    }
    return true;
}

static unsigned option_flag(int letter)
{
    for (size_t i = 0; i < sizeof OPTIONS / sizeof *OPTIONS; i++)
        if (OPTIONS[i].letter == letter)
            return OPTIONS[i].flag;
    return 0;
}

/* Reads the command line into *r; overrides has room for argc pointers. */
static bool take_options(struct request *r, int argc, char **argv, char **overrides)
{
    int letter;
    r->overrides = overrides;
    r->dir = getenv("MAIL_CONFIG");
    while ((letter = getopt(argc, argv, "bc:C:deEfFhHlmMno:pPtvxX#")) != -1) {
        if (letter == 'c')
            r->dir = optarg;
        else if (letter == 'o')
            overrides[r->override_count++] = optarg;
        else if (letter == 'C' && !take_classes(r, span_text(optarg)))
            return false;
        else if (letter == '?')
            return usage();
        r->flags |= option_flag(letter);
    }
    r->dir_is_given = r->dir != NULL;
    if (!r->dir)
        r->dir = DEFAULT_DIR;
    r->args = argv + optind;
    r->arg_count = (size_t)(argc - optind);
    for (size_t i = 0; i < r->arg_count; i++)
        if (span_find(span_text(r->args[i]), '=') < strlen(r->args[i]))
            r->flags |= OPT_EDIT;
    if (r->flags & OPT_ANY_EDIT && r->arg_count == 0)
        return say_fatal("-e, -X and -# require arguments");
    return check_exclusive(r->flags);
}

static bool show_table_types(void)
{
    static const char *const types[] = {"btree",  "cdb",    "cidr",     "fail",    "hash",
                                        "inline", "pcre",   "pipemap",  "proxy",   "randmap",
                                        "regexp", "static", "texthash", "unionmap"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        puts(types[i]);
    return true;
}

static bool show_lock_types(void)
{
    const struct param_spec *spec = param_spec_find(SPAN("mailbox_delivery_lock"));
    for (size_t i = 0; i < spec->word_count; i++)
        puts(spec->words[i].p);
    return true;
}

static bool run(struct config *c, const struct request *r)
{
    if (r->flags & OPT_TABLE_TYPES)
        return show_table_types();
    if (r->flags & OPT_LOCK_TYPES)
        return show_lock_types();
    if (r->flags & OPT_ANY_EDIT)
        return r->flags & OPT_MASTER ? edit_master(c, r) : edit_main(c, r);
    if (!config_read(c, r))
        return false;
    if (r->flags & (OPT_NOTICES | OPT_TEMPLATES))
        return show_notices(c, r);
    if (r->flags & OPT_SERVICES)
        return show_services(c, r);
    if (r->flags & OPT_FIELDS)
        return show_fields(c, r);
    if (r->flags & OPT_PARAMETERS)
        return show_parameters(c, r);
    return show_main(c, r);
}

int main(int argc, char **argv)
{
    struct request r = {0};
    struct config c = {0};
    char **overrides = calloc((size_t)argc + 1, sizeof *overrides);
    bool good = overrides && take_options(&r, argc, argv, overrides) && run(&c, &r);
    good = fflush(stdout) == 0 && good;
    config_fini(&c);
    free(overrides);
    return good ? 0 : 1;
}
