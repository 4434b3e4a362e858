#define _GNU_SOURCE
#include "maildir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int subdir(const char *dir, unsigned deliverer, const char *name)
{
    char path[200];

    snprintf(path, sizeof path, "%s/maildir.%u", dir, deliverer);
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        die("mkdir");
    snprintf(path, sizeof path, "%s/maildir.%u/%s", dir, deliverer, name);
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        die("mkdir");
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        die("open maildir");
    return fd;
}

void maildir_open(struct maildir *m, const char *dir, unsigned deliverer)
{
    m->tmp_fd = subdir(dir, deliverer, "tmp");
    m->new_fd = subdir(dir, deliverer, "new");
}

/* Create and write all, start the writes, sync each, rename each, sync new/ once. */
void maildir_deliver(struct maildir *m, const char *text, size_t size, const struct note *n, unsigned count)
{
    int fd[DELIVER_BATCH];
    char name[40];

    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%x.%016llx", n[i].worker, (unsigned long long)n[i].id);
        fd[i] = openat(m->tmp_fd, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
        if (fd[i] < 0)
            die("create in tmp");
        write_text(fd[i], text, size, 0);
        if (sync_file_range(fd[i], 0, 0, SYNC_FILE_RANGE_WRITE) != 0)
            die("sync_file_range");
    }
    for (unsigned i = 0; i < count; i++) {
        if (fsync(fd[i]) != 0)
            die("fsync");
        close(fd[i]);
        snprintf(name, sizeof name, "%x.%016llx", n[i].worker, (unsigned long long)n[i].id);
        if (renameat(m->tmp_fd, name, m->new_fd, name) != 0)
            die("rename");
    }
    if (fsync(m->new_fd) != 0)
        die("fsync new");
}
