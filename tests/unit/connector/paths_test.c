#include "connector/paths.h"

#include <criterion/criterion.h>

Test(paths, allows_what_the_configuration_names_and_nothing_else)
{
    static const struct {
        const char *says;
        struct span path;
        const char *allowed; /* NULL: not */
    } rows[] = {
        {"below the queue directory", SPAN_INIT("private/lmtp"), "/queue/private/lmtp"},
        {"the same, absolute", SPAN_INIT("/queue/private/lmtp"), "/queue/private/lmtp"},
        {"in a directory", SPAN_INIT("/run/dovecot/lmtp"), "/run/dovecot/lmtp"},
        {"deeper in a directory", SPAN_INIT("/run/dovecot/a/b"), "/run/dovecot/a/b"},
        {"the directory itself", SPAN_INIT("/run/dovecot"), NULL},
        {"the directory with a slash", SPAN_INIT("/run/dovecot/"), NULL},
        {"beside it", SPAN_INIT("/run/dovecot2/lmtp"), NULL},
        {"elsewhere", SPAN_INIT("/run/dbus/system_bus_socket"), NULL},
        {"another directory of the queue", SPAN_INIT("public/qmgr"), NULL},
        {"out of a directory", SPAN_INIT("/run/dovecot/../dbus/system_bus_socket"), NULL},
        {"dots in a name", SPAN_INIT("/run/dovecot/..a"), "/run/dovecot/..a"},
        {"named by a parameter", SPAN_INIT("/srv/lmtp"), "/srv/lmtp"},
        {"named by another", SPAN_INIT("/srv/a"), "/srv/a"},
        {"named beside that", SPAN_INIT("/srv/b"), "/srv/b"},
        {"named in braces", SPAN_INIT("/srv/c"), "/srv/c"},
        {"named below the queue directory", SPAN_INIT("other/socket"), "/queue/other/socket"},
        {"longer than what is named", SPAN_INIT("/srv/lmtp2"), NULL},
        {"empty", SPAN_INIT(""), NULL},
        {"with a NUL", SPAN_INIT("/run/dovecot/a\0b"), NULL},
    };
    struct arena a = ARENA_INIT;
    struct settings s = SETTINGS_INIT;
    struct span directories[] = {SPAN_INIT("/queue/private"), SPAN_INIT("/run/dovecot/"), SPAN_INIT("/"), SPAN_INIT("")};
    struct param_list list = {.at = directories, .n = 4};
    struct paths p = {.queue_directory = SPAN("/queue"), .directories = &list};
    cr_assert(settings_parse(&s,
                             SPAN("virtual_transport = lmtp:unix:/srv/lmtp\n"
                                  "smtpd_milters = unix:/srv/a, unix:/srv/b { unix:/srv/c }\nx = unix:other/socket\n"
                                  "y = unix:\n"),
                             SPAN("main.cf"), NULL));
    paths_collect(&a, &s, &p);

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct span got = paths_allow(&a, &p, rows[i].path);
        cr_expect(span_eq(got, span_text(rows[i].allowed)), "%s: %.*s", rows[i].says, SPAN_ARG(got));
    }

    settings_fini(&s);
    arena_fini(&a);
}

Test(paths, are_so_long_at_most)
{
    char path[PATHS_MAX + 1];
    struct arena a = ARENA_INIT;
    struct span directories[] = {SPAN_INIT("/x")};
    struct param_list list = {.at = directories, .n = 1};
    struct paths p = {.queue_directory = SPAN("/queue"), .directories = &list};
    memset(path, 'y', sizeof path);
    memcpy(path, "/x/", 3);

    cr_expect_eq(paths_allow(&a, &p, span_of(path, PATHS_MAX)).n, (size_t)PATHS_MAX);
    cr_expect_eq(paths_allow(&a, &p, span_of(path, PATHS_MAX + 1)).n, 0u);

    arena_fini(&a);
}
