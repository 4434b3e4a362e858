/* The walls: what each program may touch once it is at work, declared once.
 *
 * One row a program in walls.def. The sandbox (wall_enter) is made from it, and so
 * are the table in docs/security.md and the escape tests. */
#ifndef PROC_WALL_H
#define PROC_WALL_H

#include "lib/base/buf.h"

/* What a program may touch. */
struct wall {
    const char *program;
    const char *user;        /* system user when the server was started as root; "root" for those that stay */
    const char *directories; /* names of the directories master gives it, with rights: "intake:rwd queue:w";
                              * the letters are explained in walls.def */
    const char *channels;    /* programs whose services it may ask for, space separated */
    const char *syscalls;    /* names of system call groups beside the base: "accept write ..." */
    const char *files;       /* which of the configuration's files it is given: "tables", "own tables", "auth", "templates", "" */
    unsigned files_max;      /* RLIMIT_NOFILE */
    const char *never;       /* one phrase for the documents: what it can never reach */
};
/* result: NULL for an unknown program */
const struct wall *wall_find(const char *program);
/* The i-th row, or NULL behind the last. */
const struct wall *wall_at(unsigned i);
/* Whether one of the words (channels, files, syscalls of a row; separated by spaces) is word. */
bool wall_has_word(const char *words, struct span word);

/* The kernel's Landlock version; 0: it has none and the walls stand without (master says so once). */
unsigned wall_landlock_abi(void);

/* What only root can do: empties the bounding set. Called by whoever gives up root for the program,
 * before that (master between fork and exec; deliver in a child). Harmless without the right to it.
 * result: false with the reason in why */
bool wall_prepare(const char *program, struct buf *why);

/* Enters the sandbox of the program: no_new_privs, empty capability sets, Landlock on the
 * directories it was given, seccomp, limits, not dumpable. Root has been given up before
 * (master does that between fork and exec), but by the programs whose row says root.
 * dirs, names, n: directory descriptors that stay usable, with the names master gave them
 * result: false with the reason in why; the process must end */
bool wall_enter(const char *program, const int *dirs, const char *const *names, unsigned n, struct buf *why);

#endif
