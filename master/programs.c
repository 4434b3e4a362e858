#include "master/programs.h"

static const struct program programs[] = {
#define PROGRAM(name, kind, processes, calls, at_start, sockets, holds_queue) \
    {#name, PROGRAM_##kind, PROCESSES_##processes, CALLS_##calls, at_start, sockets, holds_queue},
#include "master/programs.def"
#undef PROGRAM
};

static const struct command commands[] = {
    {"smtpd", COMMAND_RUNS, "smtpd"},
    {"postscreen", COMMAND_RUNS, "smtpd"},
    {"pop3d", COMMAND_RUNS, "pop3d"},
    {"smtp", COMMAND_RUNS, "smtp"},
    {"lmtp", COMMAND_RUNS, "smtp"},
    {"qmgr", COMMAND_RUNS, "qmgr"},
    {"oqmgr", COMMAND_RUNS, "qmgr"},
    {"nqmgr", COMMAND_RUNS, "qmgr"},
    {"anvil", COMMAND_RUNS, "anvil"},
    {"deliver", COMMAND_RUNS, "deliver"},
    {"connector", COMMAND_RUNS, "connector"},
    {"dnsd", COMMAND_RUNS, "dnsd"},
    {"pickup", COMMAND_RUNS, "pickup"},
    {"cleanup", COMMAND_RUNS, "cleanup"},
    {"rewrite", COMMAND_RUNS, "rewrite"},
    {"trivial-rewrite", COMMAND_RUNS, "rewrite"},
    {"proxymap", COMMAND_RUNS, "proxymap"},
    {"auth", COMMAND_RUNS, "auth"},
    {"bounce", COMMAND_RUNS, "bounce"},
    {"local", COMMAND_RUNS, "local"},
    {"virtual", COMMAND_RUNS, "virtual"},
    {"pipe", COMMAND_RUNS, "pipe"},
    {"error", COMMAND_BY_QMGR, "qmgr"},
    {"discard", COMMAND_BY_QMGR, "qmgr"},
    {"showq", COMMAND_UNNEEDED, "qmgr lists the queue itself"},
    {"flush", COMMAND_UNNEEDED, "qmgr knows what waits for a site"},
    {"scache", COMMAND_UNNEEDED, "smtp keeps its connections itself"},
    {"tlsmgr", COMMAND_UNNEEDED, "TLS sessions are kept where they are used"},
    {"tlsproxy", COMMAND_UNNEEDED, "smtpd and smtp speak TLS themselves"},
    {"dnsblog", COMMAND_UNNEEDED, "smtpd asks DNS lists itself"},
    {"postlogd", COMMAND_UNNEEDED, "processes write to the log that master opened"},
    {"verify", COMMAND_LATER, "address verification"},
    {"proxywrite", COMMAND_LATER, "tables that are written"},
    {"spawn", COMMAND_LATER, "commands as servers"},
    {"qmqpd", COMMAND_LATER, "the QMQP protocol"},
};

static const struct command unknown = {"", COMMAND_UNKNOWN, ""};

static const char *const implied[] = {"cleanup", "qmgr", "rewrite", "bounce", "deliver", "auth", "proxymap", "anvil",
                                      "connector", "dnsd"};

const struct program *program_find(struct span name)
{
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
        if (span_eq(name, span_text(programs[i].name)))
            return &programs[i];
    return NULL;
}

const struct command *command_find(struct span name)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (span_eq(name, span_text(commands[i].name)))
            return &commands[i];
    return &unknown;
}

bool program_implied(unsigned i, const char **name)
{
    if (i >= sizeof implied / sizeof *implied)
        return false;
    *name = implied[i];
    return true;
}
