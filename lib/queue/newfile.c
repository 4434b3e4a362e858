#include "lib/queue/newfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEMPORARY ".new-"
enum { FILE_MODE = 0640 }; /* the queue manager reads by its group */

void store_put_error(struct buf *why, const char *what, int error)
{
    char text[128];
    buf_printf(why, "%s: %s", what, strerror_r(error, text, sizeof text));
}

enum store_result store_result_of(int error)
{
    /* EFBIG: a file size limit, which is how a quota of ours may look. */
    return error == ENOSPC || error == EDQUOT || error == EFBIG ? STORE_FULL : STORE_FAILED;
}

static enum store_result failed(struct buf *why, const char *what)
{
    int error = errno;
    store_put_error(why, what, error);
    return store_result_of(error);
}

bool store_sync_directory(int directory, struct buf *why)
{
    if (fsync(directory) == 0)
        return true;
    store_put_error(why, "sync of the directory", errno);
    return false;
}

enum store_result store_write(int fd, struct span octets, uint64_t offset, struct buf *why)
{
    while (octets.n > 0) {
        ssize_t n = pwrite(fd, octets.p, octets.n, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = ENOSPC;
        if (n <= 0)
            return failed(why, "write");
        octets = span_skip(octets, (size_t)n);
        offset += (uint64_t)n;
    }
    return STORE_OK;
}

/* A temporary name in the scratch directory. result: a descriptor, or -1 with errno */
static int open_temporary(int scratch, char *name, size_t size)
{
    for (int tries = 0; tries < 10; tries++) {
        uint64_t random;
        if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
            break;
        snprintf(name, size, TEMPORARY "%016llx", (unsigned long long)random);
        int fd = openat(scratch, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    errno = EEXIST;
    return -1;
}

enum store_result newfile_open(struct newfile *f, const struct newfile_home *home, struct buf *why)
{
    *f = (struct newfile){.home = *home, .fd = -1};
    if (home->unnamed)
        f->fd = openat(home->directory, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, FILE_MODE);
    else
        f->fd = open_temporary(home->scratch, f->temporary, sizeof f->temporary);
    if (f->fd >= 0 && fchmod(f->fd, FILE_MODE) == 0) /* whatever the umask */
        return STORE_OK;
    enum store_result result = failed(why, "making a file");
    if (f->fd < 0)
        f->temporary[0] = '\0';
    newfile_drop(f);
    return result;
}

enum store_result newfile_scratch(const struct newfile_home *home, int *fd, struct buf *why)
{
    char name[32];
    if (home->unnamed) {
        *fd = openat(home->scratch, ".", O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, FILE_MODE);
    } else {
        *fd = open_temporary(home->scratch, name, sizeof name);
        if (*fd >= 0)
            (void)unlinkat(home->scratch, name, 0);
    }
    return *fd >= 0 ? STORE_OK : failed(why, "making a file");
}

/* result: 0, or -1 with errno; EEXIST where the name is taken */
static int give_name(const struct newfile *f, int directory, const char *name)
{
    char self[40];
    if (f->temporary[0])
        return renameat2(f->home.scratch, f->temporary, directory, name, RENAME_NOREPLACE);
    snprintf(self, sizeof self, "/proc/self/fd/%d", f->fd);
    return linkat(AT_FDCWD, self, directory, name, AT_SYMLINK_FOLLOW);
}

enum store_result newfile_name(struct newfile *f, const char *name, struct buf *why)
{
    enum store_result result;
    if (fsync(f->fd) != 0) {
        result = failed(why, "sync of the file"); /* final: the kernel may have dropped the octets */
        newfile_drop(f);
        return result;
    }
    if (give_name(f, f->home.directory, name) != 0) {
        bool taken = errno == EEXIST;
        result = failed(why, "naming the file");
        newfile_drop(f);
        return taken ? STORE_EXISTS : result;
    }
    f->temporary[0] = '\0';
    return STORE_OK;
}

enum store_result newfile_link(struct newfile *f, const char *name, struct buf *why)
{
    enum store_result result = newfile_name(f, name, why);
    if (result != STORE_OK)
        return result;
    if (!store_sync_directory(f->home.directory, why)) {
        (void)unlinkat(f->home.directory, name, 0);
        newfile_drop(f);
        return STORE_FAILED;
    }
    return STORE_OK;
}

void newfile_drop(struct newfile *f)
{
    if (f->temporary[0])
        (void)unlinkat(f->home.scratch, f->temporary, 0);
    f->temporary[0] = '\0';
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}

struct newfile_home newfile_probe(int directory, int scratch)
{
    struct newfile f = {.home = {scratch, scratch, true}, .fd = -1};
    uint64_t random = 0;
    char name[40];
    struct newfile_home home = {directory, scratch, false};
    f.fd = openat(scratch, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, FILE_MODE);
    if (f.fd >= 0 && getrandom(&random, sizeof random, 0) == (ssize_t)sizeof random) {
        snprintf(name, sizeof name, TEMPORARY "%016llx", (unsigned long long)random);
        home.unnamed = give_name(&f, scratch, name) == 0;
        if (home.unnamed)
            (void)unlinkat(scratch, name, 0);
    }
    newfile_drop(&f);
    return home;
}

void newfile_sweep(int scratch)
{
    int fd = openat(scratch, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (!d) {
        if (fd >= 0)
            close(fd);
        return;
    }
    for (const struct dirent *e; (e = readdir(d));) {
        if (span_starts(span_text(e->d_name), SPAN(TEMPORARY)))
            (void)unlinkat(scratch, e->d_name, 0);
    }
    closedir(d);
}
