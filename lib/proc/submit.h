/* Handing a message to cleanup, for the workers that make mail of their own (bounce, local). */
#ifndef PROC_SUBMIT_H
#define PROC_SUBMIT_H

#include "lib/proc/proc.h"
#include "lib/wire/submit.msg.h"

/* The text of a message: something before, a text in memory or in a file, something behind. */
struct submit_text {
    struct span head;
    struct span middle;    /* where fd is -1 */
    int fd;                /* borrowed */
    uint64_t offset, size; /* octets of the file */
    struct span tail;
};

/* Submits m, whose text and spool are set here.
 * waits: until the deadline, for cleanup and the disk
 * result: class 4 where cleanup does not answer or the text cannot be read; texts are in a */
struct msg_submitted proc_submit(struct proc *p, struct arena *a, const struct msg_submit *m,
                                 const struct submit_text *text, mono_ms deadline);

#endif
