/* merpati run | start | stop | reload | status | check: see usage below. */
#include "cli/merpati/merpati.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *does;
} commands[] = {
    {"run", command_run, "run a server of its own in the foreground (merpati run --help)"},
    {"start", command_start, "start the server of a configuration"},
    {"stop", command_stop, "end it; sessions get a few seconds"},
    {"reload", command_reload, "let it read its configuration again"},
    {"status", command_status, "what runs, and where it listens"},
    {"check", command_check, "check configuration and permissions; --fix mends what it can"},
};

static int usage(FILE *to)
{
    fprintf(to, "usage: merpati COMMAND [-c CONFIG_DIRECTORY] [OPTION]...\n");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].does);
    fprintf(to, "The configuration is in /etc/merpati, or where -c or the environment variable MAIL_CONFIG says.\n");
    return to == stdout ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return usage(stderr);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return usage(stdout);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    say("there is no command \"%s\"", argv[1]);
    return usage(stderr);
}
