#include "lib/log/log.h"
#include "lib/base/check.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { GATHER_MAX = 32 * 1024, SYSLOG_FACILITY_MAIL = 2 };

/* The one logger of the process: opened once, like standard error. */
static struct {
    enum log_target target;
    int fd;
    bool open, verbose;
    char host[256];
    struct log_source own;
    char root[48]; /* syslog_name: the name without the program */
    struct buf lines;
    struct loop *loop;
    struct deferred flush;
    int64_t stamped; /* the second that stamp shows */
    char stamp[32];  /* "Mon dd hh:mm:ss" */
} logger = {.fd = 2};

static const struct {
    const char *mark;
    int severity; /* of syslog */
} levels[] = {
    [LOG_LEVEL_DEBUG] = {"", 6},
    [LOG_LEVEL_INFO] = {"", 6},
    [LOG_LEVEL_WARNING] = {"warning: ", 4},
    [LOG_LEVEL_ERROR] = {"error: ", 3},
    [LOG_LEVEL_FATAL] = {"fatal: ", 2},
};

static void log_panic(const char *line)
{
    log_line(NULL, LOG_LEVEL_FATAL, "%s", line);
    log_flush();
}

void log_open(enum log_target target, int fd, const char *host, const char *name, uint64_t number)
{
    size_t root = span_rfind(span_text(name), '/');
    logger.target = target;
    logger.fd = fd;
    logger.open = true;
    logger.own.number = number;
    snprintf(logger.host, sizeof logger.host, "%s", host);
    snprintf(logger.own.name, sizeof logger.own.name, "%s", name);
    snprintf(logger.root, sizeof logger.root, "%.*s", (int)root, name);
    tzset();
    check_set_hook(log_panic);
}

static void flush_deferred(struct deferred *d, void *context)
{
    (void)d, (void)context;
    log_flush();
}

void log_attach(struct loop *l)
{
    logger.loop = l;
    logger.flush = (struct deferred){.fn = flush_deferred, .rank = LOOP_RANK_LOG};
}

void log_set_fd(int fd)
{
    log_flush();
    logger.fd = fd;
}

void log_set_verbose(bool on)
{
    logger.verbose = on;
}

static void write_all(struct span s)
{
    while (s.n) {
        ssize_t n = write(logger.fd, s.p, s.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* nobody is left to be told */
        s = span_skip(s, (size_t)n);
    }
}

/* One datagram a line. */
static void send_lines(struct span left)
{
    while (left.n) {
        size_t end = span_find(left, '\n');
        (void)!send(logger.fd, left.p, end, MSG_NOSIGNAL);
        left = span_skip(left, end + 1);
    }
}

void log_flush(void)
{
    if (logger.target == LOG_TO_SYSLOG)
        send_lines(buf_span(&logger.lines));
    else
        write_all(buf_span(&logger.lines));
    buf_clear(&logger.lines);
}

struct log_source log_source_numbered(uint64_t number)
{
    struct log_source s = logger.own;
    s.number = number;
    return s;
}

struct log_source log_source_named(const char *program, uint64_t number)
{
    struct log_source s = {.number = number};
    snprintf(s.name, sizeof s.name, "%s/%s", logger.root, program);
    return s;
}

static const char *stamp_now(void)
{
    int64_t now = clock_wall();
    if (now != logger.stamped) {
        time_t t = (time_t)now;
        struct tm tm;
        localtime_r(&t, &tm);
        strftime(logger.stamp, sizeof logger.stamp, "%b %e %H:%M:%S", &tm);
        logger.stamped = now;
    }
    return logger.stamp;
}

/* Control characters and DEL as \xNN; bytes of UTF-8 stay, so that names remain readable. */
static void put_harmless(struct buf *out, struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = span_at(s, i);
        if (c >= 0x20 && c != 0x7f)
            buf_putc(out, (char)c);
        else
            buf_printf(out, "\\x%02x", c);
    }
}

void log_vline(const struct log_source *source, enum log_level level, const char *format, va_list args)
{
    char text[LOG_LINE_MAX];
    if (level == LOG_LEVEL_DEBUG && !logger.verbose)
        return;
    if (!source)
        source = &logger.own;
    int n = vsnprintf(text, sizeof text, format, args);
    struct span line = span_of(text, n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
    struct buf *out = &logger.lines;
    if (logger.target == LOG_TO_SYSLOG)
        buf_printf(out, "<%d>%s ", SYSLOG_FACILITY_MAIL * 8 + levels[level].severity, stamp_now());
    else if (logger.open)
        buf_printf(out, "%s %s ", stamp_now(), logger.host);
    buf_printf(out, "%s[%llu]: %s", source->name, (unsigned long long)source->number, levels[level].mark);
    put_harmless(out, line);
    buf_putc(out, '\n');
    if (level >= LOG_LEVEL_WARNING || !logger.loop || out->len > GATHER_MAX)
        log_flush();
    else
        loop_defer(logger.loop, &logger.flush);
}

void log_line(const struct log_source *source, enum log_level level, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_vline(source, level, format, args);
    va_end(args);
}
