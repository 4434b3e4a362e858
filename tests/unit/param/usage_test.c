#include "lib/param/usage.h"

#include <criterion/criterion.h>

/* A main.cf, a master.cf, and what they give. */
struct fixture {
    struct arena arena;
    struct settings settings;
    struct mastercf master;
    struct param_usage usage;
    struct param_errors errors;
};

static struct fixture given(const char *main_cf, const char *master_cf)
{
    struct fixture f = {0};
    cr_assert(settings_parse(&f.settings, span_text(main_cf), SPAN("main.cf"), NULL));
    cr_assert(mastercf_parse(&f.arena, span_text(master_cf), SPAN("master.cf"), &f.master, NULL));
    param_usage_init(&f.usage, &f.settings, SPAN("main.cf"), &f.master, SPAN("master.cf"), &f.errors);
    param_usage_warn_main(&f.usage, &f.settings, SPAN("main.cf"), &f.errors);
    param_usage_warn_services(&f.usage, &f.master, SPAN("master.cf"), &f.errors);
    return f;
}

static void done(struct fixture *f)
{
    param_usage_fini(&f->usage);
    param_errors_fini(&f->errors);
    settings_fini(&f->settings);
    arena_fini(&f->arena);
}

Test(usage, warns_of_what_is_mistyped_and_of_nothing_else)
{
    static const struct {
        const char *says, *main_cf, *master_cf, *warning;
    } rows[] = {
        {"a parameter", "relayhost = a\n", "", NULL},
        {"a mistyped name", "relayhots = a\n", "", "main.cf: unused parameter: relayhots=a"},
        {"a name that another refers to", "mine = a\nrelayhost = $mine\n", "", NULL},
        {"a name that refers on", "x = a\ny = ${x}\nrelayhost = ${foo?{$y}}\nfoo = 1\n", "", NULL},
        {"a name that only an unused one refers to", "x = a\ny = $x\nrelayhost = b\n", "",
         "main.cf: unused parameter: x=a"},
        {"a name that is nowhere", "relayhost = $nowhere\n", "", "main.cf: undefined parameter: nowhere"},
        {"a dollar sign is no reference", "relayhost = $$nowhere\n", "", NULL},
        {"a restriction class", "smtpd_restriction_classes = cls\ncls = reject\n", "", NULL},
        {"a class without definition", "smtpd_restriction_classes = cls\n", "",
         "main.cf: undefined parameter: cls"},
        {"a database", "alias_maps = ldap:people\npeople_server_host = h\n", "", NULL},
        {"a database behind proxy", "alias_maps = hash:/x, proxy:mysql:people\npeople_dbname = h\n", "",
         NULL},
        {"a word that no database knows", "alias_maps = ldap:people\npeople_nonsense = h\n", "",
         "main.cf: unused parameter: people_nonsense=h"},
        {"a database file", "alias_maps = ldap:/etc/x\n", "", NULL},
        {"what a service defines", "slow_destination_rate_delay = 1s\n", "slow unix - - n - - smtp\n", NULL},
        {"what no service defines", "slow_destination_rate_delay = 1s\n", "slow unix - - n - - cleanup\n",
         "main.cf: unused parameter: slow_destination_rate_delay=1s"},
        {"the time limit of pipe", "p_time_limit = 1s\n", "p unix - - n - - pipe flags=\n", NULL},
        {"smtp has no time limit", "p_time_limit = 1s\n", "p unix - - n - - smtp\n",
         "main.cf: unused parameter: p_time_limit=1s"},
        {"an option that is a parameter", "", "s unix - - n - - smtp -o relayhost=b\n", NULL},
        {"an option that is none", "", "s unix - - n - - smtp -o relayhots=b\n",
         "master.cf: unused parameter: relayhots=b"},
        {"an option that another refers to", "", "s unix - - n - - smtp -o x=1 -o relayhost=$x\n", NULL},
        {"an option that refers to main.cf", "x = 1\n", "s unix - - n - - smtp -o relayhost=$x\n", NULL},
        {"names that refer to each other", "relayhost = $x\nx = $y\ny = $x\n", "", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fixture f = given(rows[i].main_cf, rows[i].master_cf);
        if (!rows[i].warning)
            cr_expect_eq(f.errors.count, (size_t)0, "%s: %s", rows[i].says,
                         f.errors.count ? f.errors.at[0]->text.p : "");
        else {
            cr_assert_geq(f.errors.count, (size_t)1, "%s", rows[i].says);
            cr_expect_str_eq(f.errors.at[0]->text.p, rows[i].warning, "%s", rows[i].says);
        }
        done(&f);
    }
}

Test(usage, classes_tell_where_a_name_is_from)
{
    struct fixture f = given("mine = a\nrelayhost = $mine\nlost = b\n", "slow unix - - n - - smtp\n");

    cr_expect_eq(param_usage_class(&f.usage, SPAN("relayhost")), PARAM_CLASS_BUILTIN);
    cr_expect_eq(param_usage_class(&f.usage, SPAN("mine")), PARAM_CLASS_USER);
    cr_expect_eq(param_usage_class(&f.usage, SPAN("slow_recipient_limit")), PARAM_CLASS_SERVICE);
    cr_expect_eq(param_usage_class(&f.usage, SPAN("lost")), PARAM_CLASS_NONE);
    cr_expect_str_eq(param_usage_find(&f.usage, SPAN("slow_recipient_limit"))->initial.p,
                     "$default_recipient_limit");
    done(&f);
}

Test(usage, references_are_found_inside_conditions)
{
    static const char *const want[] = {"a", "b", "c", "d", "e"};
    struct span text = SPAN("$a x${ b ?{$c}:{$(d)}}$$z${{$e} == {1}}$"), name;
    size_t n = 0;

    while (param_next_reference(&text, &name)) {
        cr_assert_lt(n, sizeof want / sizeof *want);
        cr_expect(span_eq(name, span_text(want[n])), "%zu", n);
        n++;
    }

    cr_expect_eq(n, sizeof want / sizeof *want);
}
