#include "mailbox/mbox.h"
#include "mailbox/mbox_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

enum { NAME_ROOM = 256, PATH_ROOM = 4096, READ_SIZE = 4096 };

/* One append. */
struct append {
    const struct mbox_settings *settings;
    const struct mbox_message *m;
    int directory, fd;
    char name[NAME_ROOM];       /* of the mailbox in the directory */
    char lock[NAME_ROOM + 8];   /* of the dot lock that is ours; empty: none */
    struct stat st;             /* of the mailbox, under its lock */
    uint64_t size;              /* octets before the append */
    struct mbox_journal journal;
    const char *dsn;
    struct buf *why;
};

static enum mbox_result failed(struct append *a, const char *dsn, const char *what)
{
    a->dsn = dsn;
    buf_puts(a->why, what);
    return MBOX_FAILED;
}

/* The code for an error of the system. RFC 3463 */
static enum mbox_result failed_errno(struct append *a, const char *what)
{
    int error = errno;
    bool big = error == EFBIG, quota = error == EDQUOT, full = error == ENOSPC;
    a->dsn = big ? "5.2.2" : quota ? "4.2.2" : full ? "4.3.1" : "4.2.0";
    buf_printf(a->why, "cannot update mailbox %s: %s: %s", a->name, what, strerror(error));
    return MBOX_FAILED;
}

/* --- opening --------------------------------------------------------------------- */

static int open_directory(int base, const char *path, bool follow)
{
    const uint64_t walls = follow ? RESOLVE_NO_MAGICLINKS : RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
    struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC, .resolve = walls};
    int fd = (int)syscall(SYS_openat2, base, path, &how, sizeof how);
    if (fd < 0 && errno == EACCES) { /* may be entered though not listed */
        how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
        fd = (int)syscall(SYS_openat2, base, path, &how, sizeof how);
    }
    return fd;
}

static enum mbox_result find_place(struct append *a, int base, struct span path)
{
    char directory[PATH_ROOM];
    size_t cut = span_rfind(path, '/');
    struct span name = cut < path.n ? span_skip(path, cut + 1) : path;
    struct span before = cut < path.n ? span_slice(path, 0, cut) : SPAN(".");
    while (before.n > 1 && before.p[0] == '/') /* base stands for the root */
        before = span_skip(before, 1);
    if (before.n == 0 || span_eq(before, SPAN("/")))
        before = SPAN(".");
    if (name.n == 0 || name.n >= sizeof a->name || before.n >= sizeof directory || span_eq(name, SPAN(".")) ||
        span_eq(name, SPAN("..")) || span_find(path, '\0') < path.n)
        return failed(a, "5.3.5", "bad path of a mailbox");
    memcpy(a->name, name.p, name.n);
    memcpy(directory, before.p, before.n);
    directory[before.n] = a->name[name.n] = '\0';
    a->directory = open_directory(base, directory, a->settings->follow);
    return a->directory < 0 ? failed_errno(a, "open the directory") : MBOX_OK;
}

static enum mbox_result open_file(struct append *a)
{
    const int flags = O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    a->fd = openat(a->directory, a->name, flags);
    if (a->fd < 0 && errno == ENOENT) {
        a->fd = openat(a->directory, a->name, flags | O_CREAT | O_EXCL, 0600);
        if (a->fd >= 0 && fsync(a->directory) != 0 && errno != EBADF)
            return failed_errno(a, "sync the directory");
        if (a->fd < 0 && errno == EEXIST) /* a dangling link, or another deliverer was faster */
            errno = ELOOP;
    }
    return a->fd < 0 ? failed_errno(a, "open file") : MBOX_OK;
}

/* What it is is asked under the lock, of the descriptor. */
static enum mbox_result check_file(struct append *a)
{
    struct stat named;
    if (fstat(a->fd, &a->st) != 0)
        return failed_errno(a, "look at the file");
    if (!S_ISREG(a->st.st_mode))
        return failed(a, "5.2.0", "destination is not a regular file");
    if (fstatat(a->directory, a->name, &named, AT_SYMLINK_NOFOLLOW) != 0 || named.st_dev != a->st.st_dev ||
        named.st_ino != a->st.st_ino) {
        buf_puts(a->why, "the mailbox was replaced while it was locked");
        return MBOX_BUSY;
    }
    if (a->st.st_nlink != 1)
        return failed(a, "5.2.0", "destination has more than one link");
    if (a->settings->strict_owner && a->st.st_uid != geteuid())
        return failed(a, "4.2.0", "destination is not owned by recipient");
    a->size = (uint64_t)a->st.st_size;
    return MBOX_OK;
}

/* --- locks ------------------------------------------------------------------------ */

/* Removes a dot lock that its owner cannot hold any more. result: whether it did */
static bool remove_stale(struct append *a, const char *lock)
{
    struct stat st;
    if (fstatat(a->directory, lock, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT;
    int64_t age = (int64_t)time(NULL) - (int64_t)st.st_mtime;
    return age > a->settings->stale_s && unlinkat(a->directory, lock, 0) == 0;
}

static enum mbox_result lock_by_file(struct append *a)
{
    char lock[sizeof a->lock], text[24];
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    snprintf(lock, sizeof lock, "%s.lock", a->name);
    int fd = openat(a->directory, lock, flags, 0600);
    if (fd < 0 && errno == EEXIST && remove_stale(a, lock))
        fd = openat(a->directory, lock, flags, 0600);
    if (fd < 0 && errno == EEXIST) {
        buf_printf(a->why, "unable to create lock file %s: File exists", lock);
        return MBOX_BUSY;
    }
    if (fd < 0 && a->settings->may_lack_dotlock)
        return MBOX_OK;
    if (fd < 0) {
        int error = errno;
        a->dsn = "4.2.0";
        buf_printf(a->why, "unable to create lock file %s: %s", lock, strerror(error));
        return MBOX_FAILED;
    }
    /* Whose it is, for people; the lock holds with less. */
    ssize_t n = write(fd, text, (size_t)snprintf(text, sizeof text, "%d\n", (int)getpid()));
    (void)n;
    close(fd);
    memcpy(a->lock, lock, sizeof a->lock);
    return MBOX_OK;
}

static enum mbox_result lock_by_kernel(struct append *a)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    bool good = true;
    if (a->settings->locks & MBOX_LOCK_FCNTL)
        good = fcntl(a->fd, F_OFD_SETLK, &whole) == 0;
    if (good && (a->settings->locks & MBOX_LOCK_FLOCK))
        good = flock(a->fd, LOCK_EX | LOCK_NB) == 0;
    if (good)
        return MBOX_OK;
    if (errno != EAGAIN && errno != EACCES)
        return failed_errno(a, "lock");
    buf_puts(a->why, "unable to lock for exclusive access: Resource temporarily unavailable");
    return MBOX_BUSY;
}

static void release(struct append *a)
{
    mbox_journal_close(&a->journal);
    if (a->fd >= 0)
        close(a->fd);
    if (a->lock[0])
        (void)unlinkat(a->directory, a->lock, 0);
    if (a->directory >= 0)
        close(a->directory);
}

/* --- what is there already ----------------------------------------------------------- */

static bool hash_range(int fd, uint64_t offset, uint64_t length, uint64_t *hash)
{
    char piece[READ_SIZE];
    XXH3_state_t *state = XXH3_createState();
    bool good = state != NULL && XXH3_64bits_reset(state) == XXH_OK;
    while (good && length) {
        ssize_t n = pread(fd, piece, length < sizeof piece ? (size_t)length : sizeof piece, (off_t)offset);
        good = n > 0;
        if (good) {
            XXH3_64bits_update(state, piece, (size_t)n);
            offset += (uint64_t)n;
            length -= (uint64_t)n;
        }
    }
    *hash = good ? XXH3_64bits_digest(state) : 0;
    XXH3_freeState(state);
    return good;
}

static bool is_whole(const struct append *a, const struct mbox_append_record *r)
{
    uint64_t hash;
    return r->inode == a->st.st_ino && a->size >= r->offset && a->size - r->offset >= r->length &&
           hash_range(a->fd, r->offset, r->length, &hash) && hash == r->hash;
}

/* Whether the file ends in the beginning of that append and nothing else. */
static bool is_torn(const struct append *a, const struct mbox_append_record *r)
{
    char first[MBOX_FIRST_MAX];
    if (r->inode != a->st.st_ino || a->size <= r->offset || a->size - r->offset >= r->length)
        return false;
    uint64_t there = a->size - r->offset;
    size_t n = there < r->first_n ? (size_t)there : r->first_n;
    return pread(a->fd, first, n, (off_t)r->offset) == (ssize_t)n && memcmp(first, r->first, n) == 0;
}

static bool cut(struct append *a, uint64_t size)
{
    if (ftruncate(a->fd, (off_t)size) != 0)
        return false;
    a->size = size;
    return true;
}

/* What a crash has left: an append that is whole and not known to be, or a part of one.
 * result: MBOX_OK: append; MBOX_WAS_THERE; MBOX_FAILED */
static enum mbox_result recover(struct append *a)
{
    struct mbox_append_record *open = mbox_journal_open_end(&a->journal);
    if (open && is_torn(a, open) && !cut(a, open->offset))
        return failed_errno(a, "cut off what a crash has left");
    bool whole = open && is_whole(a, open);
    if (whole && fsync(a->fd) != 0)
        return failed_errno(a, "sync what was delivered before");
    /* Decided now: what comes next takes that place. */
    if (open)
        mbox_journal_end(&a->journal, open, whole ? MBOX_APPEND_DONE : MBOX_APPEND_VOID);
    struct mbox_append_record *r = mbox_journal_find(&a->journal, a->m->queue_id, a->m->number);
    return r && r->state == MBOX_APPEND_DONE ? MBOX_WAS_THERE : MBOX_OK;
}

/* --- the append -------------------------------------------------------------------------- */

/* What is measured before anything is written. */
struct measure {
    XXH3_state_t *hash;
    struct mbox_append_record record;
};

static bool measure_piece(struct span piece, void *context)
{
    struct measure *m = context;
    struct mbox_append_record *r = &m->record;
    size_t n = piece.n < sizeof r->first - r->first_n ? piece.n : sizeof r->first - r->first_n;
    memcpy(r->first + r->first_n, piece.p, n);
    r->first_n += n;
    r->length += piece.n;
    return XXH3_64bits_update(m->hash, piece.p, piece.n) == XXH_OK;
}

static bool measure_message(struct append *a, struct mbox_append_record *r)
{
    struct measure m = {.hash = XXH3_createState()};
    bool good = m.hash && XXH3_64bits_reset(m.hash) == XXH_OK && mbox_text_each(a->m, measure_piece, &m);
    if (good)
        m.record.hash = XXH3_64bits_digest(m.hash);
    XXH3_freeState(m.hash);
    *r = m.record;
    r->inode = a->st.st_ino;
    r->offset = a->size;
    r->number = a->m->number;
    memcpy(r->queue_id, a->m->queue_id.p,
           a->m->queue_id.n < sizeof r->queue_id ? a->m->queue_id.n : sizeof r->queue_id - 1);
    return good;
}

static bool write_piece(struct span piece, void *context)
{
    const struct append *a = context;
    while (piece.n) {
        ssize_t n = write(a->fd, piece.p, piece.n);
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0)
            piece = span_skip(piece, (size_t)n);
    }
    return true;
}

/* Another program may have left a last line without its end, which would swallow our first. */
static bool end_last_line(struct append *a)
{
    char last = '\n';
    if (a->size && pread(a->fd, &last, 1, (off_t)(a->size - 1)) != 1)
        return false;
    if (last != '\n' && !write_piece(SPAN("\n"), a))
        return false;
    a->size += last != '\n';
    return true;
}

static enum mbox_result write_message(struct append *a)
{
    struct mbox_append_record r;
    const uint64_t before = a->size, limit = a->settings->size_limit;
    if (!end_last_line(a) || !measure_message(a, &r)) {
        enum mbox_result result = failed_errno(a, "read");
        (void)cut(a, before);
        return result;
    }
    if (limit && (a->size > limit || r.length > limit - a->size)) {
        (void)cut(a, before);
        errno = EFBIG;
        return failed_errno(a, "error writing message");
    }
    if (a->journal.fd >= 0 && !mbox_journal_begin(&a->journal, &r)) {
        enum mbox_result result = failed_errno(a, "write the journal");
        (void)cut(a, before);
        return result;
    }
    if (mbox_text_each(a->m, write_piece, a) && fsync(a->fd) == 0) {
        mbox_journal_end(&a->journal, NULL, MBOX_APPEND_DONE);
        return MBOX_OK;
    }
    enum mbox_result result = failed_errno(a, "error writing message");
    /* By the descriptor that wrote: whoever has the name now. */
    if (cut(a, before))
        mbox_journal_end(&a->journal, NULL, MBOX_APPEND_VOID);
    return result;
}

static bool is_plain_id(struct span id)
{
    for (size_t i = 0; i < id.n; i++)
        if (!byte_is_alnum(span_at(id, i)))
            return false;
    return id.n > 0 && id.n < sizeof((struct mbox_append_record *)NULL)->queue_id;
}

enum mbox_result mbox_append(int base, struct span path, const struct mbox_settings *settings,
                             const struct mbox_message *m, const char **dsn, struct buf *why)
{
    struct append a = {.settings = settings, .m = m, .directory = -1, .fd = -1, .journal.fd = -1, .why = why};
    struct buf note = BUF_INIT;
    enum mbox_result result = find_place(&a, base, path);
    if (result == MBOX_OK && !is_plain_id(m->queue_id))
        result = failed(&a, "4.3.0", "malformed request");
    if (result == MBOX_OK && (settings->locks & MBOX_LOCK_DOTLOCK))
        result = lock_by_file(&a);
    if (result == MBOX_OK)
        result = open_file(&a);
    if (result == MBOX_OK)
        result = lock_by_kernel(&a);
    if (result == MBOX_OK)
        result = check_file(&a);
    if (result == MBOX_OK) {
        if (!mbox_journal_open(&a.journal, a.directory, a.name, &note))
            buf_printf(why, "no journal beside the mailbox: %s", buf_text(&note));
        result = recover(&a);
    }
    if (result == MBOX_OK)
        result = write_message(&a);
    *dsn = a.dsn ? a.dsn : "2.0.0";
    release(&a);
    buf_fini(&note);
    return result;
}
