/* Assertions about our own code, on in every build.
 *
 * A bug ends the process at once, with one line that says where; master starts
 * a new one. Never used for anything that a peer, a user or the machine can
 * bring about: those are refusals and failures with an answer of their own. */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stdint.h>

/* Does not return. Writes "panic: file:line: what" to the panic hook, or else
 * to standard error, and aborts. */
_Noreturn void check_failed(const char *file, int line, const char *what);

/* Where the panic line goes; lib/log sets it. The hook must not allocate. */
void check_set_hook(void (*hook)(const char *line));

#define CHECK(condition) ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition))

/* Long-lived objects start with a magic number that says what they are. */
#define CHECK_MAGIC(object, number) CHECK((object) && (object)->magic == (number))

#endif
