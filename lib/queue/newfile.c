#include "lib/queue/newfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

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

enum store_result newfile_open(struct newfile *f, int directory, enum newfile_way way, struct buf *why)
{
    *f = (struct newfile){.directory = directory, .fd = -1};
    if (way == NEWFILE_UNNAMED) {
        f->fd = openat(directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        return f->fd >= 0 ? STORE_OK : failed(why, "making a file");
    }
    for (int tries = 0; tries < 10; tries++) {
        uint64_t random;
        if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
            break;
        snprintf(f->temporary, sizeof f->temporary, ".new-%016llx", (unsigned long long)random);
        f->fd = openat(directory, f->temporary, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (f->fd >= 0)
            return STORE_OK;
        if (errno != EEXIST)
            break;
    }
    f->temporary[0] = '\0';
    return failed(why, "making a file");
}

/* result: 0, or -1 with errno; EEXIST where the name is taken */
static int give_name(struct newfile *f, const char *name)
{
    char self[40];
    if (f->temporary[0])
        return renameat2(f->directory, f->temporary, f->directory, name, RENAME_NOREPLACE);
    snprintf(self, sizeof self, "/proc/self/fd/%d", f->fd);
    return linkat(AT_FDCWD, self, f->directory, name, AT_SYMLINK_FOLLOW);
}

enum store_result newfile_name(struct newfile *f, const char *name, struct buf *why)
{
    enum store_result result;
    if (fsync(f->fd) != 0) {
        result = failed(why, "sync of the file"); /* final: the kernel may have dropped the octets */
        newfile_drop(f);
        return result;
    }
    if (give_name(f, name) != 0) {
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
    if (!store_sync_directory(f->directory, why)) {
        (void)unlinkat(f->directory, name, 0);
        newfile_drop(f);
        return STORE_FAILED;
    }
    return STORE_OK;
}

void newfile_drop(struct newfile *f)
{
    if (f->temporary[0])
        (void)unlinkat(f->directory, f->temporary, 0);
    f->temporary[0] = '\0';
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}

enum newfile_way newfile_probe(int directory)
{
    struct newfile f;
    struct buf why = BUF_INIT;
    char name[40] = "";
    uint64_t random;
    enum newfile_way way = NEWFILE_TEMPORARY;
    if (getrandom(&random, sizeof random, 0) == (ssize_t)sizeof random &&
        newfile_open(&f, directory, NEWFILE_UNNAMED, &why) == STORE_OK) {
        snprintf(name, sizeof name, ".new-probe-%016llx", (unsigned long long)random);
        if (give_name(&f, name) == 0) {
            (void)unlinkat(directory, name, 0);
            way = NEWFILE_UNNAMED;
        }
        newfile_drop(&f);
    }
    buf_fini(&why);
    return way;
}
