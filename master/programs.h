/* What master knows about our programs, and what became of Postfix's.
 *
 * Tables and nothing else; no call waits. */
#ifndef MASTER_PROGRAMS_H
#define MASTER_PROGRAMS_H

#include "lib/base/span.h"
#include "lib/proc/wall.h"

enum program_kind { PROGRAM_HOST, PROGRAM_BROKER, PROGRAM_WORKER };
enum program_processes { PROCESSES_ONE, PROCESSES_CORES, PROCESSES_LIMIT };
enum program_calls { CALLS_NONE, CALLS_SHARED, CALLS_OWN };

struct program {
    const char *name;
    enum program_kind kind;
    enum program_processes processes;
    enum program_calls calls;
    bool at_start;
    const char *sockets; /* paths below the queue directory, separated by spaces */
    bool holds_queue;
};

/* result: the row, or NULL */
const struct program *program_find(struct span name);

/* What a command of a Postfix master.cf means here. */
enum command_fate {
    COMMAND_RUNS,    /* ours, perhaps under another name */
    COMMAND_BY_QMGR, /* qmgr does it itself: no process of its own, but a service that qmgr knows */
    COMMAND_UNNEEDED, /* nothing has to run for it */
    COMMAND_LATER,   /* not built yet: mail for it waits, a socket of it is not opened */
    COMMAND_UNKNOWN,
};
struct command {
    const char *name;    /* in master.cf */
    enum command_fate fate;
    const char *program; /* COMMAND_RUNS: ours; else: what does the work, or why nothing has to, for a message */
};
/* result: never NULL; for a name that nobody knows a row of fate COMMAND_UNKNOWN */
const struct command *command_find(struct span name);

/* Services that are there even where master.cf does not name them: name i and its program,
 * false behind the last. */
bool program_implied(unsigned i, const char **name);

#endif
