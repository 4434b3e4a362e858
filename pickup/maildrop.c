#include "pickup/maildrop.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <xxhash.h>

/* In the numbers of queue IDs: what no incarnation of a process reaches, and which tells a
 * notification from the message that it is about. */
#define NUMBER_OF_FILE (UINT64_C(1) << 63)
#define NUMBER_OF_NOTICE (UINT64_C(1) << 62)

static bool foreign(struct buf *why, const char *text)
{
    buf_puts(why, text);
    return false;
}

/* The moment at which the file came to be: no user can set it. Where the file system does not
 * record it, that of the last change to its inode, which its owner can but move forward. */
static int64_t born_us(const struct statx *st)
{
    const struct statx_timestamp *t = st->stx_mask & STATX_BTIME ? &st->stx_btime : &st->stx_ctime;
    return t->tv_sec * 1000000 + t->tv_nsec / 1000;
}

/* The same whenever the file is looked at; of no two files that ever were: a moment is as coarse as
 * the kernel's clock tick, and an inode may come again in it, but not under the same random name. */
static void name_message(struct drop_file *f, const struct statx *st, const char *name)
{
    uint64_t seed = XXH3_64bits(name, strlen(name));
    uint64_t parts[] = {st->stx_ino, st->stx_uid, st->stx_dev_major, st->stx_dev_minor};
    uint64_t number = XXH3_64bits_withSeed(parts, sizeof parts, seed) & ~(NUMBER_OF_FILE | NUMBER_OF_NOTICE);
    f->id = queue_id_make(born_us(st), number | NUMBER_OF_FILE);
    f->notice = queue_id_make(born_us(st), number | NUMBER_OF_FILE | NUMBER_OF_NOTICE);
}

static bool may_take(int directory, const struct statx *st, struct buf *why)
{
    struct stat dir;
    if (!S_ISREG(st->stx_mode))
        return foreign(why, "it is not a regular file");
    if (st->stx_nlink != 1)
        return foreign(why, st->stx_nlink ? "it has another name too" : "it has no name any more");
    if (fstat(directory, &dir) == 0 && dir.st_mode & S_ISGID && dir.st_gid != st->stx_gid)
        return foreign(why, "it was not made in this directory");
    return true;
}

enum maildrop_result maildrop_take(int directory, const char *name, struct drop_file *f, struct buf *why)
{
    struct statx st;
    *f = (struct drop_file){.fd = -1};
    /* O_NONBLOCK: a fifo or device would make us wait. */
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return MAILDROP_GONE;
    if (fd < 0) {
        buf_printf(why, "%s", errno == ELOOP ? "it is a symbolic link" : strerror(errno));
        return MAILDROP_FOREIGN;
    }
    if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &st) != 0) {
        buf_printf(why, "%s", strerror(errno));
        close(fd);
        return MAILDROP_FOREIGN;
    }
    *f = (struct drop_file){
        .fd = fd,
        .size = st.stx_size,
        .uid = st.stx_uid,
        .device = makedev(st.stx_dev_major, st.stx_dev_minor),
        .inode = st.stx_ino,
    };
    name_message(f, &st, name);
    if (may_take(directory, &st, why))
        return MAILDROP_TAKEN;
    maildrop_close(f);
    return MAILDROP_FOREIGN;
}

bool maildrop_remove(int directory, const char *name, const struct drop_file *f, struct buf *why)
{
    struct stat st;
    bool is_there = fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    if (is_there && st.st_ino == f->inode && st.st_dev == f->device) {
        if (unlinkat(directory, name, 0) == 0 || errno == ENOENT)
            return true;
    } else if (is_there || errno == ENOENT) {
        /* Its owner has renamed or removed it meanwhile. */
        buf_puts(why, "it has another name now");
        return fstat(f->fd, &st) == 0 && st.st_nlink == 0;
    }
    buf_printf(why, "%s", strerror(errno));
    return false;
}

void maildrop_close(struct drop_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}

DIR *maildrop_walk(int directory)
{
    int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *walk = fd < 0 ? NULL : fdopendir(fd);
    if (fd >= 0 && !walk)
        close(fd);
    return walk;
}

static void sweep(int directory, const char *name, int64_t now_s)
{
    struct stat st;
    if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode) &&
        st.st_ctim.tv_sec + MAILDROP_UNFINISHED_S < now_s)
        (void)unlinkat(directory, name, 0);
}

const char *maildrop_next(DIR *walk, int64_t now_s)
{
    struct dirent *entry;
    while ((entry = readdir(walk))) {
        if (entry->d_name[0] != '.')
            return entry->d_name;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            sweep(dirfd(walk), entry->d_name, now_s);
    }
    return NULL;
}
