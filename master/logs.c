#include "master/logs.h"

#include "lib/log/log.h"
#include "master/children.h"
#include "master/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int open_syslog(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static int open_log_file(const struct config *c)
{
    char mode[8];
    snprintf(mode, sizeof mode, "%.*s", SPAN_ARG(c->main.maillog_file_permissions));
    mode_t bits = (mode_t)strtoul(mode, NULL, 8) & 0666;
    return open(c->log_target, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, bits);
}

static enum log_target target_of(const struct config *c)
{
    return strcmp(c->log_target, "stdout") == 0   ? LOG_TO_STDOUT
           : strcmp(c->log_target, "syslog") == 0 ? LOG_TO_SYSLOG
                                                  : LOG_TO_FILE;
}

static int open_target(struct master *m, enum log_target *target, const struct config *c, struct buf *why)
{
    int fd = -1;
    *target = target_of(c);
    m->log_target = c->log_target;
    if (*target == LOG_TO_FILE)
        fd = open_log_file(c);
    else if (*target == LOG_TO_STDOUT)
        fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
    else if ((fd = open_syslog()) < 0 && m->foreground) {
        /* A machine without syslog: whoever started us in the foreground reads here. */
        *target = LOG_TO_STDOUT;
        m->log_target = "stdout";
        fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    }
    if (fd < 0)
        buf_printf(why, "cannot log to %s: %s: start syslog, or set maillog_file", c->log_target, strerror(errno));
    return fd;
}

bool logs_open(struct master *m, const struct config *c, struct buf *why)
{
    enum log_target target;
    int fd = open_target(m, &target, c, why), old = m->log_fd;
    if (fd < 0)
        return false;
    const char *name = arena_printf(&m->config->arena, "%s/master", c->log_name);
    log_flush();
    log_open(target, fd, c->log_host, name, (uint64_t)getpid());
    log_set_verbose(m->verbose);
    m->log_fd = fd;
    if (old >= 0)
        close(old);
    if (target == LOG_TO_FILE && m->files)
        files_watch(m->files, c->log_target);
    return true;
}

void logs_rotated(struct master *m)
{
    int fd = target_of(m->config) == LOG_TO_FILE ? open_log_file(m->config) : -1;
    if (fd < 0)
        return;
    log_set_fd(fd);
    close(m->log_fd);
    m->log_fd = fd;
    children_tell_file(m, m->config->log_target, fd, 0);
}
