/* A file per message: four orders of the same system calls, all of them durable before they return. */
#define _GNU_SOURCE
#include "store.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static void name_of(char *name, size_t len, const char *prefix, uint64_t id)
{
    snprintf(name, len, "%s%016llx", prefix, (unsigned long long)id);
}

void file_open(struct worker *w)
{
    w->dir_fd = worker_dir(w->config, "file", w->index);
}

/* O_TMPFILE, write, sync the file, link, sync the directory. */
void file_tmpfile(struct worker *w, struct note *n, unsigned count)
{
    char name[40], self[40];

    for (unsigned i = 0; i < count; i++) {
        int fd = openat(w->dir_fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
        if (fd < 0)
            die("O_TMPFILE");
        write_text(fd, w->text, w->config->size, 0);
        sync_all(w, fd);
        name_of(name, sizeof name, "", n[i].id);
        snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
        if (linkat(AT_FDCWD, self, w->dir_fd, name, AT_SYMLINK_FOLLOW) != 0)
            die("linkat");
        close(fd);
        sync_all(w, w->dir_fd);
    }
}

static int create(struct worker *w, const char *name)
{
    int fd = openat(w->dir_fd, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

    if (fd < 0)
        die("create");
    return fd;
}

/* A temporary name, write, sync the file, rename, sync the directory. */
void file_rename(struct worker *w, struct note *n, unsigned count)
{
    char temporary[40], name[40];

    for (unsigned i = 0; i < count; i++) {
        name_of(temporary, sizeof temporary, "tmp.", n[i].id);
        name_of(name, sizeof name, "", n[i].id);
        int fd = create(w, temporary);
        write_text(fd, w->text, w->config->size, 0);
        sync_all(w, fd);
        close(fd);
        if (renameat(w->dir_fd, temporary, w->dir_fd, name) != 0)
            die("rename");
        sync_all(w, w->dir_fd);
    }
}

/* The cheap order: the final name from the start; a checksum in the END record tells a torn file. */
void file_direct(struct worker *w, struct note *n, unsigned count)
{
    char name[40];

    for (unsigned i = 0; i < count; i++) {
        name_of(name, sizeof name, "", n[i].id);
        int fd = create(w, name);
        write_text(fd, w->text, w->config->size, 0);
        sync_all(w, fd);
        close(fd);
        sync_all(w, w->dir_fd);
    }
}

/* As file_direct for all that wait: start every write, sync each file, then the directory once. */
void file_batch(struct worker *w, struct note *n, unsigned count)
{
    int fd[MAX_INFLIGHT];
    char name[40];

    for (unsigned i = 0; i < count; i++) {
        name_of(name, sizeof name, "", n[i].id);
        fd[i] = create(w, name);
        write_text(fd[i], w->text, w->config->size, 0);
        if (sync_file_range(fd[i], 0, 0, SYNC_FILE_RANGE_WRITE) != 0)
            die("sync_file_range");
    }
    for (unsigned i = 0; i < count; i++) {
        sync_all(w, fd[i]);
        close(fd[i]);
    }
    sync_all(w, w->dir_fd);
}

void file_remove(const struct config *c, struct totals *t, const struct note *n)
{
    char path[200];

    (void)t;
    snprintf(path, sizeof path, "%s/file.%03u/%016llx", c->dir, n->worker, (unsigned long long)n->id);
    if (unlink(path) != 0)
        die("unlink");
}
