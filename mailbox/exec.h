/* How a command is started: words, environment, descriptors. */
#ifndef MAILBOX_EXEC_H
#define MAILBOX_EXEC_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"

#include <sys/types.h>

struct exec_order {
    char **argv;           /* what is run; NULL: command by a shell only */
    const char *command;   /* for the shell, where argv does not do; NULL: argv alone */
    char **environment;    /* terminated by NULL */
    const char *directory; /* NULL: where we are */
};

/* The words of a command that needs no shell: nothing in it that a shell would heed, no more than
 * names and blanks. result: argv in a, or NULL: the shell is needed */
char **exec_split(struct arena *a, struct span command);
/* The same without looking for what a shell would heed; extra: one more word, or NULL. */
char **exec_words(struct arena *a, struct span text, const char *extra);

/* Starts it in a session of its own, which has nothing but in (its input) and out (its output and
 * errors). result: its process number, or -1 with errno */
pid_t exec_start(const struct exec_order *order, int in, int out);

#endif
