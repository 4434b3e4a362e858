/* Logical lines of Postfix's configuration files and text tables.
 *
 * A line that starts with whitespace continues the one before; lines that are
 * empty or whose first visible byte is '#' are left out, also between a line
 * and its continuation. The bytes are borrowed, the joined line is the caller's
 * buffer. Any process may call these; none waits. */
#ifndef PARAM_LINES_H
#define PARAM_LINES_H

#include "lib/base/buf.h"

struct lines {
    struct span rest; /* what was not read yet, borrowed */
    unsigned line;    /* lines read so far */
};

static inline struct lines lines_of(struct span text)
{
    return (struct lines){.rest = text};
}

/* Reads the next logical line.
 * text:   set to the line without its end, continuations joined by one space,
 *         without trailing whitespace; a first line that itself starts with
 *         whitespace keeps it (there is nothing it could continue)
 * first:  set to the number of its first line, from 1
 * result: false at the end */
bool lines_next(struct lines *l, struct buf *text, unsigned *first);

#endif
