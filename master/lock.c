#include "master/lock.h"

#include "lib/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define PID_FILE "pid/master.pid"
#define QUEUE_FILE "pid/queue.lock"
#define NUMBER_FILE "pid/incarnation"
#define NUMBER_FRESH "pid/incarnation.new"

static bool failed(struct buf *why, const char *what)
{
    buf_printf(why, "%s: %s", what, strerror(errno));
    return false;
}

static pid_t read_pid(int fd)
{
    char text[32];
    uint64_t pid = 0;
    ssize_t n = pread(fd, text, sizeof text, 0);
    (void)(n > 0 && span_to_u64(span_trim(span_of(text, (size_t)n)), INT32_MAX, &pid));
    return (pid_t)pid;
}

void lock_write_pid(struct queue_lock *l)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%16ld\n", (long)getpid());
    if (ftruncate(l->server, 0) == 0)
        (void)!pwrite(l->server, text, (size_t)n, 0);
}

/* Processes of a server that was killed end with it, but not in the same instant. */
static bool lock_queue(int fd, struct buf *why)
{
    mono_ms give_up = clock_after_ms(LOCK_WAIT_MS);
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK)
            return failed(why, QUEUE_FILE);
        if (clock_mono() >= give_up) {
            buf_printf(why, "processes of an earlier server still hold the queue (%s): end them first", QUEUE_FILE);
            return false;
        }
        poll(NULL, 0, 50);
    }
    return true;
}

bool lock_take(struct queue_lock *l, struct buf *why)
{
    l->server = open(PID_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (l->server < 0)
        return failed(why, PID_FILE);
    bool locked = false;
    for (int i = 0; !locked && i < 5; i++) {
        /* A look whether somebody runs (lock_holder) takes it for an instant. */
        if (i)
            poll(NULL, 0, 20);
        locked = flock(l->server, LOCK_EX | LOCK_NB) == 0;
    }
    if (!locked) {
        if (errno != EWOULDBLOCK)
            return failed(why, PID_FILE);
        buf_printf(why, "the server is running already: pid %ld", (long)read_pid(l->server));
        return false;
    }
    l->queue = open(QUEUE_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (l->queue < 0)
        return failed(why, QUEUE_FILE);
    if (!lock_queue(l->queue, why))
        return false;
    lock_write_pid(l);
    return true;
}

void lock_end(struct queue_lock *l)
{
    if (l->server >= 0) {
        (void)!ftruncate(l->server, 0);
        close(l->server);
    }
    if (l->queue >= 0)
        close(l->queue);
    *l = QUEUE_LOCK_INIT;
}

pid_t lock_holder(void)
{
    int fd = open(PID_FILE, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -1;
    pid_t pid = 0;
    if (flock(fd, LOCK_SH | LOCK_NB) != 0)
        pid = errno == EWOULDBLOCK ? read_pid(fd) : -1;
    close(fd);
    return pid;
}

/* --- numbers ---------------------------------------------------------------------- */

static bool read_number(uint64_t *number, struct buf *why)
{
    char text[32];
    int fd = open(NUMBER_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    *number = 1;
    if (fd < 0)
        return errno == ENOENT || failed(why, NUMBER_FILE);
    ssize_t n = read(fd, text, sizeof text);
    close(fd);
    if (n > 0 && span_to_u64(span_trim(span_of(text, (size_t)n)), UINT64_MAX / 2, number) && *number > 0)
        return true;
    buf_printf(why, "%s holds no number: write one into it that is above all that were used (the part behind the z "
               "of queue IDs grows with it)", NUMBER_FILE);
    return false;
}

/* A new file in place of the old one, durably. */
static bool write_number(uint64_t number, struct buf *why)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%llu\n", (unsigned long long)number);
    int fd = open(NUMBER_FRESH, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return failed(why, NUMBER_FRESH);
    bool good = write(fd, text, (size_t)n) == n && fsync(fd) == 0;
    int directory = open("pid", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    good = good && directory >= 0 && rename(NUMBER_FRESH, NUMBER_FILE) == 0 && fsync(directory) == 0;
    if (!good)
        failed(why, NUMBER_FILE);
    if (directory >= 0)
        close(directory);
    close(fd);
    return good;
}

uint64_t lock_next_number(struct queue_lock *l, struct buf *why)
{
    if (l->next == l->end) {
        uint64_t first = l->end;
        if ((first == 0 && !read_number(&first, why)) || !write_number(first + LOCK_BLOCK, why))
            return 0;
        l->next = first;
        l->end = first + LOCK_BLOCK;
    }
    return l->next++;
}
