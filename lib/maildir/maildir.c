#include "lib/maildir/maildir.h"

#include "lib/base/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { DIRECTORY_FLAGS = O_RDONLY | O_DIRECTORY | O_CLOEXEC };

static const char *const part_names[MAILDIR_PARTS] = {[MAILDIR_NEW] = "new", [MAILDIR_CUR] = "cur", [MAILDIR_TMP] = "tmp"};

enum maildir_result maildir_result_of(int error)
{
    switch (error) {
    case 0:
        return MAILDIR_OK;
    case ENOENT:
        return MAILDIR_GONE;
    case EACCES:
    case EPERM:
    case ELOOP:
    case EXDEV:
    case ENOTDIR:
    case EROFS:
        return MAILDIR_DENIED;
    case EDQUOT:
    case EFBIG:
        return MAILDIR_QUOTA;
    case ENOSPC:
        return MAILDIR_FULL;
    default:
        return MAILDIR_FAILED;
    }
}

const char *maildir_dsn(enum maildir_result result)
{
    switch (result) {
    case MAILDIR_OK:
        return "2.0.0";
    case MAILDIR_QUOTA:
        return "4.2.2";
    case MAILDIR_FULL:
        return "4.3.1";
    case MAILDIR_BUSY:
    case MAILDIR_GONE:
        return "4.2.0";
    default:
        return "4.3.0";
    }
}

static enum maildir_result failed(struct buf *why, const char *what, struct span name)
{
    int error = errno;
    buf_printf(why, "%s %.*s: %s", what, SPAN_ARG(name), strerror(error));
    return maildir_result_of(error);
}

/* --- opening -------------------------------------------------------------------------- */

/* One directory below another, not through a link; made where create says so. */
static int open_step(int at, const char *name, bool create)
{
    int fd = openat(at, name, DIRECTORY_FLAGS | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT && create && (mkdirat(at, name, 0700) == 0 || errno == EEXIST))
        fd = openat(at, name, DIRECTORY_FLAGS | O_NOFOLLOW);
    return fd;
}

/* The steps of a path, one after the other: creates, and serves kernels without openat2. */
static int open_steps(int base, struct span path, bool create)
{
    char name[MAILDIR_NAME_MAX + 1];
    struct span step;
    int at = openat(base, ".", DIRECTORY_FLAGS);
    while (at >= 0 && span_next_token(&path, SPAN("/"), &step)) {
        if (step.n > MAILDIR_NAME_MAX || span_eq(step, SPAN(".."))) {
            close(at);
            errno = step.n > MAILDIR_NAME_MAX ? ENAMETOOLONG : EXDEV;
            return -1;
        }
        memcpy(name, step.p, step.n);
        name[step.n] = '\0';
        int next = open_step(at, name, create);
        int error = errno;
        close(at);
        errno = error;
        at = next;
    }
    return at;
}

static int open_below(int base, const char *path)
{
    struct open_how how = {.flags = DIRECTORY_FLAGS, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    return (int)syscall(SYS_openat2, base, path, &how, sizeof how);
}

/* The directory in which an absolute path's last step stands may be reached through links. */
static int open_absolute(char *path, bool create)
{
    int fd = open(path, DIRECTORY_FLAGS);
    if (fd >= 0 || errno != ENOENT || !create)
        return fd;
    /* What is there of the path is opened as it is, the rest made below it. */
    size_t end = strlen(path);
    while (fd < 0 && errno == ENOENT && end > 1) {
        while (end > 1 && path[end - 1] == '/')
            end--;
        while (end > 1 && path[end - 1] != '/')
            end--;
        char kept = path[end];
        path[end] = '\0';
        fd = open(path, DIRECTORY_FLAGS);
        path[end] = kept;
    }
    if (fd < 0)
        return -1;
    int made = open_steps(fd, span_text(path + end), true);
    int error = errno;
    close(fd);
    errno = error;
    return made;
}

static int open_root(int base, char *path, bool create)
{
    if (base == AT_FDCWD && path[0] == '/')
        return open_absolute(path, create);
    int fd = open_below(base, path[0] ? path : ".");
    if (fd < 0 && ((errno == ENOENT && create) || errno == ENOSYS || errno == EPERM))
        fd = open_steps(base, span_text(path), create);
    return fd;
}

enum maildir_result maildir_open(struct maildir *m, int base, struct span path, bool create, struct buf *why)
{
    char text[MAILDIR_PATH_MAX + 1];
    *m = (struct maildir){.root = -1, .parts = {-1, -1, -1}, .lock = -1};
    if (path.n > MAILDIR_PATH_MAX || memchr(path.p ? path.p : "", '\0', path.n)) {
        errno = ENAMETOOLONG;
        return failed(why, "open maildir", span_slice(path, 0, 100));
    }
    memcpy(text, path.p ? path.p : "", path.n);
    text[path.n] = '\0';
    m->root = open_root(base, text, create);
    if (m->root < 0)
        return failed(why, "open maildir", path);
    for (int i = 0; i < MAILDIR_PARTS; i++) {
        m->parts[i] = open_step(m->root, part_names[i], create);
        if (m->parts[i] < 0) {
            buf_printf(why, "maildir %.*s: ", SPAN_ARG(path));
            enum maildir_result result = failed(why, "open", span_text(part_names[i]));
            maildir_close(m);
            return result;
        }
    }
    return MAILDIR_OK;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void maildir_close(struct maildir *m)
{
    close_fd(&m->root);
    close_fd(&m->lock);
    for (int i = 0; i < MAILDIR_PARTS; i++)
        close_fd(&m->parts[i]);
}

enum maildir_result maildir_lock(struct maildir *m, struct buf *why)
{
    static const char name[] = "merpati-lock";
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    m->lock = openat(m->root, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (m->lock < 0)
        return failed(why, "open", span_text(name));
    if (fcntl(m->lock, F_OFD_SETLK, &whole) == 0)
        return MAILDIR_OK;
    bool busy = errno == EAGAIN || errno == EACCES;
    enum maildir_result result = failed(why, "lock", span_text(name));
    close_fd(&m->lock);
    return busy ? MAILDIR_BUSY : result;
}

void maildir_clean(struct maildir *m)
{
    int fd = openat(m->parts[MAILDIR_TMP], ".", DIRECTORY_FLAGS);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        close_fd(&fd);
        return;
    }
    time_t old = (time_t)clock_wall() - MAILDIR_TMP_AGE;
    struct dirent *entry;
    struct stat st;
    while ((entry = readdir(dir)))
        if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
            st.st_mtime < old && st.st_ctime < old)
            (void)unlinkat(fd, entry->d_name, 0);
    closedir(dir);
}

/* --- single messages -------------------------------------------------------------------- */

bool maildir_measure(int fd, uint64_t *size, uint64_t *virtual_size)
{
    enum { CHUNK = 64 * 1024 };
    char *chunk = malloc(CHUNK);
    uint64_t octets = 0, bare = 0;
    char last = '\n';
    ssize_t n = -1;
    while (chunk && ((n = read(fd, chunk, CHUNK)) > 0 || (n < 0 && errno == EINTR))) {
        if (n < 0)
            continue;
        const char *end = chunk + n;
        for (const char *lf = chunk; (lf = memchr(lf, '\n', (size_t)(end - lf))); lf++)
            bare += (lf > chunk ? lf[-1] : last) != '\r';
        octets += (uint64_t)n;
        last = end[-1];
    }
    free(chunk);
    *size = octets;
    /* A last line without end is sent with one. */
    *virtual_size = octets + bare + (octets > 0 && last != '\n' ? 2 : 0);
    return n == 0;
}

/* Renamed meanwhile: all names are read again and matched by unique part. */
static enum maildir_result find_again(struct maildir *m, struct maildir_list *list)
{
    struct maildir_list fresh = MAILDIR_LIST_INIT;
    struct buf why = BUF_INIT;
    enum maildir_result result = maildir_list_read(m, &fresh, &why);
    buf_fini(&why);
    for (size_t i = 0, at = 0; result == MAILDIR_OK && i < list->n; i++) {
        struct maildir_message *msg = &list->at[i];
        while (at < fresh.n && (fresh.at[at].seconds < msg->seconds ||
                                (fresh.at[at].seconds == msg->seconds &&
                                 span_cmp(maildir_message_unique(&fresh.at[at]), maildir_message_unique(msg)) < 0)))
            at++;
        if (at == fresh.n || !span_eq(maildir_message_unique(&fresh.at[at]), maildir_message_unique(msg))) {
            msg->gone = true;
            continue;
        }
        const struct maildir_message *now = &fresh.at[at];
        msg->is_new = now->is_new;
        if (!span_eq(span_of(msg->name, msg->length), span_of(now->name, now->length))) {
            msg->name = arena_text(&list->names, span_of(now->name, now->length));
            msg->length = now->length;
            msg->base = now->base;
        }
        at += at + 1 < fresh.n && fresh.at[at + 1].is_double;
    }
    maildir_list_fini(&fresh);
    return result;
}

static int part_of(const struct maildir *m, const struct maildir_message *msg)
{
    return m->parts[msg->is_new ? MAILDIR_NEW : MAILDIR_CUR];
}

enum maildir_result maildir_message_open(struct maildir *m, struct maildir_list *list, size_t i, int *fd)
{
    struct maildir_message *msg = &list->at[i];
    for (int tries = 0; tries < 2 && !msg->gone; tries++) {
        *fd = openat(part_of(m, msg), msg->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (*fd >= 0)
            return MAILDIR_OK;
        if (errno != ENOENT)
            return maildir_result_of(errno);
        enum maildir_result again = find_again(m, list);
        if (again != MAILDIR_OK)
            return again;
    }
    *fd = -1;
    msg->gone = true;
    return MAILDIR_GONE;
}

enum maildir_result maildir_message_remove(struct maildir *m, struct maildir_list *list, size_t i)
{
    struct maildir_message *msg = &list->at[i];
    for (int tries = 0; tries < 2 && !msg->gone; tries++) {
        if (unlinkat(part_of(m, msg), msg->name, 0) == 0)
            break;
        if (errno != ENOENT)
            return maildir_result_of(errno);
        enum maildir_result again = find_again(m, list);
        if (again != MAILDIR_OK)
            return again;
    }
    msg->gone = true;
    return MAILDIR_OK;
}

enum maildir_result maildir_message_mark_seen(struct maildir *m, struct maildir_list *list, size_t i)
{
    struct maildir_message *msg = &list->at[i];
    if (msg->gone || !msg->is_new || msg->is_double || msg->base + sizeof ":2,S" > MAILDIR_NAME_MAX)
        return MAILDIR_OK;
    const char *seen = msg->length > msg->base
                           ? msg->name
                           : arena_printf(&list->names, "%.*s:2,S", (int)msg->base, msg->name);
    if (renameat(m->parts[MAILDIR_NEW], msg->name, m->parts[MAILDIR_CUR], seen) != 0)
        return maildir_result_of(errno);
    msg->name = seen;
    msg->length = (uint16_t)strlen(seen);
    msg->is_new = false;
    return MAILDIR_OK;
}

enum maildir_result maildir_sync(struct maildir *m, struct buf *why)
{
    for (int i = MAILDIR_NEW; i <= MAILDIR_CUR; i++)
        if (fsync(m->parts[i]) != 0)
            return failed(why, "sync", span_text(part_names[i]));
    return MAILDIR_OK;
}
