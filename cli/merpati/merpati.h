/* merpati: the one administrative command. What its files share.
 *
 * A command-line tool: every call may wait, and what goes wrong is said on standard
 * error by the one who finds it out. */
#ifndef CLI_MERPATI_MERPATI_H
#define CLI_MERPATI_MERPATI_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"

#include <sys/types.h>

/* "merpati: ..." on standard error. result: always false */
bool say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Where the programs are: descriptors, so that they can be run also after the rights to their
 * parents' directories were given up. */
struct programs {
    int bin, libexec;
};
/* Finds them by the place of this program. result: false: said */
bool programs_find(struct programs *p);
/* A process that runs bin/name or libexec/name. arguments: as of execv; ends with master, if wanted.
 * result: its pid, or -1: said */
pid_t program_start(int directory, const char *name, const char *const *arguments, bool ends_with_us);
/* Runs it to its end. result: its exit status; 1 where it was killed or could not be started (said) */
int program_run(int directory, const char *name, const char *const *arguments);

/* --- a running server: public/status ------------------------------------------------- */

/* queue_directory of the configuration in a directory. result: NULL: said */
const char *queue_directory_of(struct arena *a, const char *config_directory);
/* The server's own words about itself (master/status.h).
 * result: 1: there; 0: no server runs; -1: said */
int status_ask(const char *queue_directory, struct buf *text);
/* A number of the first line, "pid" for example; 0 where there is none. */
uint64_t status_number(struct span text, const char *name);

/* --- commands: arguments behind their name; result: exit status ------------------------ */
int command_run(int argc, char **argv);
int command_start(int argc, char **argv);
int command_stop(int argc, char **argv);
int command_reload(int argc, char **argv);
int command_status(int argc, char **argv);
int command_check(int argc, char **argv);

#endif
