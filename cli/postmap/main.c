/* postmap and postalias build, change and ask lookup tables; newaliases builds
 * those of alias_database. Which of them it is, the name says. */
#include "cli/postmap/postmap.h"
#include "lib/param/facts.h"
#include "lib/param/param.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CONFIG_BYTES = 4 * 1024 * 1024 };

static const char DEFAULT_DIR[] = "/etc/merpati";

static const struct {
    char letter;
    unsigned flag;
} letters[] = {
    {'b', OPT_BODY},      {'f', OPT_NO_FOLD}, {'F', OPT_FILES},   {'h', OPT_HEADER}, {'i', OPT_INCREMENT},
    {'N', OPT_NUL},       {'o', OPT_AS_ROOT}, {'p', OPT_OWN_MODE}, {'r', OPT_REPLACE}, {'s', OPT_LIST},
    {'u', OPT_NO_UTF8},   {'w', OPT_NO_WARN},
};

static int usage(const struct job *j)
{
    if (j->form == TEXT_ALIAS)
        return say_fatal("usage: %s [-Nfinoprsuvw] [-c config_dir] [-d key] [-q key] [map_type:]file...",
                         program_invocation_short_name);
    return say_fatal("usage: %s [-bfFhimnNoprsuUvw] [-c config_dir] [-d key] [-q key] [map_type:]file...",
                     program_invocation_short_name);
}

static bool take_options(struct job *j, int argc, char **argv)
{
    int letter;
    argv[0] = program_invocation_short_name;
    while ((letter = getopt(argc, argv, j->form == TEXT_ALIAS ? "Nc:d:finopq:rsuvw" : "Nbc:d:fFhimnopq:rsuUvw")) != -1) {
        if (letter == '?')
            return usage(j) == EXIT_SUCCESS;
        if (letter == 'c')
            j->config_dir = optarg;
        else if (letter == 'q')
            j->query = optarg;
        else if (letter == 'd')
            j->remove = optarg;
        else if (letter == 'n')
            j->flags &= ~(unsigned)OPT_NUL;
        for (size_t i = 0; i < sizeof letters / sizeof *letters; i++) {
            if (letters[i].letter == letter)
                j->flags |= letters[i].flag;
        }
    }
    int modes = (j->query != NULL) + (j->remove != NULL) + ((j->flags & OPT_LIST) != 0);
    if (modes > 1)
        say_fatal("specify only one of -s -q or -d");
    else if (j->flags & (OPT_HEADER | OPT_BODY) && (!j->query || strcmp(j->query, "-") != 0))
        say_fatal("specify -b -h or -m only with \"-q -\"");
    else
        return true;
    return false;
}

/* The value of a parameter; main.cf is read where it is there or was asked for.
 * result: false: said */
static bool read_parameter(const struct job *j, struct arena *a, struct span name, struct span *value)
{
    struct settings s = SETTINGS_INIT;
    struct param_errors errors = PARAM_ERRORS_INIT;
    struct buf path = BUF_INIT, text = BUF_INIT, why = BUF_INIT;
    buf_printf(&path, "%s/main.cf", j->config_dir ? j->config_dir : DEFAULT_DIR);
    bool good = true;
    if (settings_load_file(buf_text(&path), CONFIG_BYTES, &text, &why))
        good = settings_parse(&s, buf_span(&text), buf_span(&path), &errors);
    else if (j->config_dir || access(buf_text(&path), F_OK) == 0)
        good = say_fatal("open %s: %s", buf_text(&path), buf_text(&why)) == EXIT_SUCCESS;
    for (size_t i = 0; i < errors.count; i++) {
        if (errors.at[i]->severity == PARAM_ERROR)
            say_fatal("%s", errors.at[i]->text.p);
    }
    facts_gather(&s);
    buf_clear(&why);
    if (good && !param_expand_name(a, &s, name, value, &why))
        good = say_fatal("%.*s: %s", SPAN_ARG(name), buf_text(&why)) == EXIT_SUCCESS;
    settings_fini(&s);
    param_errors_fini(&errors);
    buf_fini(&path);
    buf_fini(&text);
    buf_fini(&why);
    return good;
}

/* Builds, or changes, each file that is named. */
static int change_files(const struct job *j, const char *default_type, char *const *args, size_t count)
{
    struct buf type = BUF_INIT;
    int status = EXIT_SUCCESS;
    bool was_removed = false;
    for (size_t i = 0; i < count && (status == EXIT_SUCCESS || j->remove); i++) {
        buf_clear(&type);
        const char *path = job_split(args[i], default_type, &type);
        if (!job_can_make(buf_text(&type)))
            status = EXIT_FAILURE;
        else if (j->remove)
            status = job_remove(j, buf_text(&type), path);
        else if (j->flags & OPT_INCREMENT)
            status = job_increment(j, buf_text(&type), path);
        else
            status = job_build(j, buf_text(&type), path);
        was_removed = was_removed || (j->remove && status == EXIT_SUCCESS);
    }
    buf_fini(&type);
    return was_removed ? EXIT_SUCCESS : status;
}

static int list_first(const struct job *j, const char *default_type, char *const *args)
{
    struct buf type = BUF_INIT;
    const char *path = job_split(args[0], default_type, &type);
    int status = job_list(j, buf_text(&type), path);
    buf_fini(&type);
    return status;
}

static int new_aliases(const struct job *j, struct arena *a)
{
    struct span value, item;
    int status = EXIT_SUCCESS;
    if (!read_parameter(j, a, SPAN("alias_database"), &value))
        return EXIT_FAILURE;
    while (status == EXIT_SUCCESS && value_next_item(&value, &item) > 0) {
        char *args[] = {arena_alloc(a, item.n + 1)};
        memcpy(args[0], item.p, item.n);
        status = change_files(j, "cdb", args, 1);
    }
    return status;
}

static int run(const struct job *j, struct arena *a, char *const *args, size_t count)
{
    bool needs_type = j->config_dir != NULL;
    struct span type = SPAN("cdb");
    for (size_t i = 0; i < count; i++)
        needs_type = needs_type || !strchr(args[i], ':');
    if (needs_type && !read_parameter(j, a, SPAN("default_database_type"), &type))
        return EXIT_FAILURE;
    if (j->query)
        return job_query(j, arena_text(a, type), args, count);
    if (j->flags & OPT_LIST)
        return list_first(j, arena_text(a, type), args);
    return change_files(j, arena_text(a, type), args, count);
}

int main(int argc, char **argv)
{
    struct job j = {.form = TEXT_MAP, .config_dir = getenv("MAIL_CONFIG")};
    struct arena a = ARENA_INIT;
    bool is_newaliases = strcmp(program_invocation_short_name, "newaliases") == 0;
    if (is_newaliases || strcmp(program_invocation_short_name, "postalias") == 0)
        j.form = TEXT_ALIAS;
    if (!take_options(&j, argc, argv))
        return EXIT_FAILURE;
    size_t count = (size_t)(argc - optind);
    int status;
    if (is_newaliases)
        status = new_aliases(&j, &a);
    else if (count == 0 || ((j.flags & OPT_LIST || j.flags & OPT_INCREMENT) && count != 1))
        status = usage(&j);
    else
        status = run(&j, &a, argv + optind, count);
    arena_fini(&a);
    return fflush(stdout) == 0 ? status : EXIT_FAILURE;
}
