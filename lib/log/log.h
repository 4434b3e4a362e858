/* Log lines in Postfix's form: "name/program[number]: text".
 *
 * The logger makes any text harmless: control characters come out as \xNN, a line
 * has a limit. Lines are gathered and leave together at the end of the loop's step;
 * warnings and worse leave at once. Any process may call; no call waits.
 *
 * The number in brackets is one per session, because log tools group lines by it:
 * a session makes its own log_source; everything else logs under the process's. */
#ifndef LOG_LOG_H
#define LOG_LOG_H

#include "lib/base/buf.h"
#include "lib/io/loop.h"

#include <stdarg.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR, LOG_LEVEL_FATAL };

enum log_target {
    LOG_TO_FILE,   /* "Mon dd hh:mm:ss host name[number]: text", local time */
    LOG_TO_SYSLOG, /* a datagram to the syslog socket: "<22>Mon dd hh:mm:ss name[number]: text" */
    LOG_TO_STDOUT, /* as to a file */
};

enum { LOG_LINE_MAX = 2048 };

/* Who a line is from. */
struct log_source {
    char name[64];   /* "postfix/smtpd" */
    uint64_t number; /* in brackets */
};

/* Once at start. fd: borrowed for the life of the process, until log_set_fd().
 * host: for files; name: "postfix/smtpd"; number: the process's own number in brackets. */
void log_open(enum log_target target, int fd, const char *host, const char *name, uint64_t number);
/* Gathers lines per step of this loop from now on. */
void log_attach(struct loop *l);
/* A new descriptor for the same target (a log file that was rotated). The old one is the caller's. */
void log_set_fd(int fd);
/* Debug lines are dropped unless this is on. */
void log_set_verbose(bool on);
/* Sends what is gathered. */
void log_flush(void);

/* The same program name with a number of its own. */
struct log_source log_source_numbered(uint64_t number);
/* Another program's name under the same syslog name ("error" for mail that qmgr answers itself). */
struct log_source log_source_named(const char *program, uint64_t number);

/* source: NULL: the process's own. Levels from warning on are marked in the text ("warning: ...").
 * The text ends at LOG_LINE_MAX. */
void log_line(const struct log_source *source, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void log_vline(const struct log_source *source, enum log_level level, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

#define log_debug(...) log_line(NULL, LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...) log_line(NULL, LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warning(...) log_line(NULL, LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_error(...) log_line(NULL, LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_fatal(...) log_line(NULL, LOG_LEVEL_FATAL, __VA_ARGS__)

#endif
