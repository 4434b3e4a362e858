/* What a child does between fork and exec: it becomes its user and keeps only the
 * descriptors that it is to have. */
#ifndef MASTER_EXEC_H
#define MASTER_EXEC_H

#include "master/master.h"

/* control: its end of the control channel. Ends by running the program, or with status 127
 * and a line on standard error. */
_Noreturn void exec_child(const struct child *c, int control);

#endif
