/* Commands that are running, with a message as their input.
 *
 * Each runs in a session of its own, with its output caught for the verdict, and is
 * killed with all its group when its time is over. */
#ifndef MAILBOX_COMMANDS_H
#define MAILBOX_COMMANDS_H

#include "lib/wire/channel.h"
#include "mailbox/role.h"

enum {
    COMMANDS_OUTPUT_MAX = 2048, /* octets of a command's output that are told */
    COMMANDS_MAX = 50,          /* at a time; more are answered with 4.3.0 */
};

struct commands;

/* role: borrowed for its life. */
struct commands *commands_new(struct loop *l, const struct role *role);
/* Takes one request, which is answered on c when the command has ended. text: descriptor, or -1; borrowed */
void commands_run(struct commands *all, struct channel *c, uint64_t request, const struct msg_run *m, int text);
/* The caller has gone: nobody is to be answered; what runs goes on. */
void commands_forget(struct commands *all, const struct channel *c);
size_t commands_running(const struct commands *all);
/* Before the process ends. */
void commands_kill(struct commands *all);

/* What a command's end means. status: as from waitpid(); output: what it wrote
 * text: appended; dsn: set, static or in a
 * result: 2, 4 or 5. Exit codes: sysexits.h */
unsigned commands_judge(struct arena *a, int status, struct span name, struct span output, const char **dsn,
                        struct buf *text);

#endif
