#include "lib/queue/spool.h"
#include "lib/base/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    READ_AT_ONCE = 1 << 17,
    ASIDE_TRIES = 100,
};

struct spool spool_open(int directory, int scratch)
{
    struct spool s = {.home = {directory, -1, false}};
    if (scratch >= 0)
        s.home = newfile_probe(directory, scratch);
    return s;
}

/* --- writing -------------------------------------------------------------------- */

static enum store_result file_write(struct spool_file *f, struct span octets, struct buf *why)
{
    enum store_result result = store_write(f->file.fd, octets, f->written, why);
    if (result == STORE_OK) {
        stored_hash_put(f->hash, octets);
        f->written += octets.n;
    }
    return result;
}

enum store_result spool_begin(struct spool *s, struct spool_file *f, const struct queue_id *id, struct span envelope,
                              uint64_t text_size, struct buf *why)
{
    static const struct stored_bond bond;
    struct buf head = BUF_INIT;
    *f = (struct spool_file){.id = *id, .file = {.fd = -1}, .result = STORE_FAILED};
    enum store_result result = newfile_open(&f->file, &s->home, why);
    if (result != STORE_OK)
        return result;
    f->hash = stored_hash_new(&bond);
    stored_put_head(&head, &bond, id, envelope, text_size);
    result = file_write(f, buf_span(&head), why);
    f->text_end = f->written + text_size;
    f->length = stored_length(envelope.n, text_size);
    buf_fini(&head);
    if (result != STORE_OK)
        spool_drop(f);
    return result;
}

enum store_result spool_put(struct spool_file *f, struct span text, struct buf *why)
{
    CHECK(text.n <= f->text_end - f->written);
    return file_write(f, text, why);
}

enum store_result spool_end(struct spool_file *f, struct buf *why)
{
    struct buf end = BUF_INIT;
    CHECK(f->written == f->text_end);
    stored_hash_end(f->hash, &end);
    enum store_result result = store_write(f->file.fd, buf_span(&end), f->written, why);
    buf_fini(&end);
    stored_hash_free(&f->hash);
    /* Where many files are written together, all are on their way before the first is waited for. */
    if (result == STORE_OK)
        (void)sync_file_range(f->file.fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    f->ended = result == STORE_OK;
    return result;
}

void spool_drop(struct spool_file *f)
{
    if (!f->id.text[0])
        return;
    stored_hash_free(&f->hash);
    newfile_drop(&f->file);
    f->id.text[0] = '\0';
}

/* The name is taken: by an earlier try of the same, or by something else? The writer of files may not read
 * them; but an ID is never used for two messages, so a file of this name and length is this one. */
static enum store_result is_same(struct spool *s, const struct spool_file *f, uint64_t length, struct buf *why)
{
    struct stat st;
    if (fstatat(s->home.directory, f->id.text, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
        (uint64_t)st.st_size == length)
        return STORE_OK;
    buf_printf(why, "the name %s is taken by another file", f->id.text);
    return STORE_FAILED;
}

void spool_commit(struct spool *s, struct spool_file *const *files, size_t n, struct buf *why)
{
    bool named = false;
    for (size_t i = 0; i < n; i++) {
        struct spool_file *f = files[i];
        if (f->ended)
            f->result = newfile_name(&f->file, f->id.text, why);
        if (f->result == STORE_EXISTS)
            f->result = is_same(s, f, f->length, why);
        named |= f->result == STORE_OK;
    }
    bool safe = !named || store_sync_directory(s->home.directory, why);
    for (size_t i = 0; i < n; i++) {
        if (!safe && files[i]->result == STORE_OK) {
            (void)unlinkat(s->home.directory, files[i]->id.text, 0);
            files[i]->result = STORE_FAILED;
        }
        spool_drop(files[i]);
    }
}

/* --- reading -------------------------------------------------------------------- */

static enum spool_found not_readable(struct buf *why, const char *what, int error)
{
    store_put_error(why, what, error);
    return SPOOL_ERROR;
}

/* All n octets. result: 1, 0 where the file ends before, -1 with errno */
static int read_all(int fd, char *to, size_t n, uint64_t at)
{
    while (n > 0) {
        ssize_t got = pread(fd, to, n, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return (int)got;
        to += got;
        n -= (size_t)got;
        at += (uint64_t)got;
    }
    return 1;
}

static enum spool_found read_head(int fd, struct arena *a, const struct queue_id *id, struct stored *st,
                                  struct buf *why)
{
    static const struct stored_bond bond;
    char header[STORED_HEADER];
    struct stored_plan plan;
    struct stat file;
    if (fstat(fd, &file) != 0)
        return not_readable(why, "file state", errno);
    if (!S_ISREG(file.st_mode)) {
        buf_puts(why, "not a file");
        return SPOOL_DAMAGED;
    }
    int got = read_all(fd, header, sizeof header, 0);
    if (got < 0)
        return not_readable(why, "read", errno);
    uint64_t size = (uint64_t)file.st_size;
    if (!stored_get_plan(span_of(header, got ? sizeof header : 0), &bond, size, &plan, why))
        return SPOOL_DAMAGED;
    char *head = arena_alloc(a, (size_t)plan.text_offset);
    got = read_all(fd, head, (size_t)plan.text_offset, 0);
    if (got < 0)
        return not_readable(why, "read", errno);
    if (!stored_get_head(a, span_of(head, got ? (size_t)plan.text_offset : 0), &bond, size, st, why))
        return SPOOL_DAMAGED;
    if (st->length != size || queue_id_compare(&st->id, id) != 0) {
        buf_puts(why, st->length != size ? "longer than its message" : "another message's name");
        return SPOOL_DAMAGED;
    }
    return SPOOL_GOOD;
}

enum spool_found spool_get(struct spool *s, struct arena *a, const struct queue_id *id, struct stored *st, int *fd,
                           struct buf *why)
{
    *fd = openat(s->home.directory, id->text, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (*fd < 0) {
        int error = errno;
        store_put_error(why, "opening the message", error);
        return error == ENOENT ? SPOOL_GONE : error == ELOOP ? SPOOL_DAMAGED : SPOOL_ERROR;
    }
    enum spool_found found = read_head(*fd, a, id, st, why);
    if (found != SPOOL_GOOD) {
        close(*fd);
        *fd = -1;
    }
    return found;
}

static enum spool_found prove_text(int fd, const struct stored *st, struct stored_hash *hash, char *room,
                                   struct buf *why)
{
    uint64_t end = st->text_offset + st->text_size, at = 0;
    while (at < end) {
        size_t n = end - at < READ_AT_ONCE ? (size_t)(end - at) : READ_AT_ONCE;
        int got = read_all(fd, room, n, at);
        if (got < 0)
            return not_readable(why, "read", errno);
        if (got == 0)
            break;
        stored_hash_put(hash, span_of(room, n));
        at += n;
    }
    size_t tail = (size_t)(st->length - end);
    int got = at == end ? read_all(fd, room, tail, end) : 0;
    if (got < 0)
        return not_readable(why, "read", errno);
    if (got > 0 && stored_hash_fits(hash, span_of(room, tail)))
        return SPOOL_GOOD;
    buf_puts(why, "a message that does not fit its checksum");
    return SPOOL_DAMAGED;
}

enum spool_found spool_prove(int fd, const struct stored *st, struct buf *why)
{
    static const struct stored_bond bond;
    struct stored_hash *hash = stored_hash_new(&bond);
    char *room = malloc(READ_AT_ONCE);
    CHECK(room != NULL);
    enum spool_found found = prove_text(fd, st, hash, room, why);
    free(room);
    stored_hash_free(&hash);
    return found;
}

/* --- removing ------------------------------------------------------------------- */

bool spool_remove(struct spool *s, const struct queue_id *id, struct buf *why)
{
    if (unlinkat(s->home.directory, id->text, 0) == 0) {
        s->dirty = true;
        return true;
    }
    if (errno == ENOENT)
        return true;
    store_put_error(why, "removing the message", errno);
    return false;
}

bool spool_sync(struct spool *s, struct buf *why)
{
    bool good = !s->dirty || store_sync_directory(s->home.directory, why);
    s->dirty = false;
    return good;
}

bool spool_set_aside(struct spool *s, int corrupt, const struct queue_id *id, struct buf *name, struct buf *why)
{
    bool moved = false;
    for (int i = 0; !moved && i < ASIDE_TRIES; i++) {
        buf_clear(name);
        buf_puts(name, id->text);
        if (i > 0)
            buf_printf(name, ".%d", i);
        moved = renameat2(s->home.directory, id->text, corrupt, buf_text(name), RENAME_NOREPLACE) == 0;
        if (!moved && errno != EEXIST)
            break;
    }
    if (!moved)
        store_put_error(why, "moving it to corrupt", errno);
    /* First the new name, then the lack of the old one. */
    return moved && store_sync_directory(corrupt, why) && store_sync_directory(s->home.directory, why);
}

/* --- scanning ------------------------------------------------------------------- */

bool spool_scan(struct spool *s, const struct spool_visitor *v, void *context, struct buf *why)
{
    int fd = openat(s->home.directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        store_put_error(why, "reading the queue directory", errno);
        if (fd >= 0)
            close(fd);
        return false;
    }
    for (const struct dirent *e; (e = readdir(d));) {
        struct span name = span_text(e->d_name);
        struct queue_id id;
        if (queue_id_parse(name, &id))
            v->message(&id, context);
        else if (!span_eq(name, SPAN(".")) && !span_eq(name, SPAN("..")))
            v->unknown(e->d_name, context);
    }
    closedir(d);
    return true;
}
