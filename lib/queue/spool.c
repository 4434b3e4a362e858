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
    PLACES = 52,   /* directories, one for each character of the alphabet of IDs */
    HASH_AT = 4,   /* the character of the ID that chooses */
    READ_AT_ONCE = 1 << 17,
    ASIDE_TRIES = 100,
};

static const char places[] = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";

struct spool {
    int directory; /* borrowed */
    enum newfile_way way;
    int open[PLACES];    /* owned; -1: not yet */
    bool dirty[PLACES];  /* something was removed and not synced */
};

struct spool *spool_open(int directory, struct buf *why)
{
    struct stat st;
    if (fstat(directory, &st) != 0 || !S_ISDIR(st.st_mode)) {
        buf_puts(why, "queue: no directory");
        return NULL;
    }
    struct spool *s = calloc(1, sizeof *s);
    CHECK(s != NULL);
    s->directory = directory;
    s->way = newfile_probe(directory);
    for (int i = 0; i < PLACES; i++)
        s->open[i] = -1;
    return s;
}

void spool_close(struct spool **where)
{
    struct spool *s = *where;
    *where = NULL;
    for (int i = 0; s && i < PLACES; i++) {
        if (s->open[i] >= 0)
            close(s->open[i]);
    }
    free(s);
}

static unsigned place_of(const struct queue_id *id)
{
    const char *at = strchr(places, id->text[HASH_AT]);
    CHECK(at != NULL && *at);
    return (unsigned)(at - places);
}

/* The descriptor of a place. result: -1 with errno */
static int place_open(struct spool *s, unsigned place, bool make)
{
    char name[2] = {places[place]};
    if (s->open[place] >= 0)
        return s->open[place];
    if (make && mkdirat(s->directory, name, 0700) == 0) {
        if (fsync(s->directory) != 0)
            return -1;
    }
    s->open[place] = openat(s->directory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return s->open[place];
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
    *f = (struct spool_file){.id = *id, .file = {.fd = -1}, .place = place_of(id), .result = STORE_FAILED};
    int directory = place_open(s, f->place, true);
    if (directory < 0) {
        int error = errno;
        store_put_error(why, "opening the queue directory", error);
        return store_result_of(error);
    }
    enum store_result result = newfile_open(&f->file, directory, s->way, why);
    if (result != STORE_OK)
        return result;
    f->hash = stored_hash_new(&bond);
    stored_put_head(&head, &bond, id, envelope, text_size);
    result = file_write(f, buf_span(&head), why);
    f->text_end = f->written + text_size;
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

/* The name is taken: by an earlier try of the same, or by something else? */
static enum store_result is_same(struct spool *s, const struct spool_file *f, struct buf *why)
{
    struct arena a = ARENA_INIT;
    struct stored st;
    struct buf ignored = BUF_INIT;
    int fd;
    bool same = spool_get(s, &a, &f->id, &st, &fd, &ignored) == SPOOL_GOOD;
    if (same) {
        same = st.text_offset + st.text_size == f->text_end;
        close(fd);
    }
    if (!same)
        buf_printf(why, "the name %s is taken by another file", f->id.text);
    arena_fini(&a);
    buf_fini(&ignored);
    return same ? STORE_OK : STORE_FAILED;
}

void spool_commit(struct spool *s, struct spool_file *const *files, size_t n, struct buf *why)
{
    bool named[PLACES] = {false};
    for (size_t i = 0; i < n; i++) {
        struct spool_file *f = files[i];
        buf_clear(why);
        f->result = newfile_name(&f->file, f->id.text, why);
        if (f->result == STORE_EXISTS)
            f->result = is_same(s, f, why);
        named[f->place] |= f->result == STORE_OK;
    }
    for (unsigned place = 0; place < PLACES; place++) {
        if (!named[place] || store_sync_directory(s->open[place], why))
            continue;
        for (size_t i = 0; i < n; i++) {
            if (files[i]->place != place || files[i]->result != STORE_OK)
                continue;
            (void)unlinkat(s->open[place], files[i]->id.text, 0);
            files[i]->result = STORE_FAILED;
        }
    }
    for (size_t i = 0; i < n; i++)
        spool_drop(files[i]);
}

int spool_scratch(struct spool *s, enum store_result *result, struct buf *why)
{
    struct newfile f;
    *result = newfile_open(&f, s->directory, s->way, why);
    if (*result != STORE_OK)
        return -1;
    if (f.temporary[0])
        (void)unlinkat(s->directory, f.temporary, 0);
    return f.fd;
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
    int directory = place_open(s, place_of(id), false);
    *fd = directory < 0 ? -1 : openat(directory, id->text, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
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
    unsigned place = place_of(id);
    int directory = place_open(s, place, false);
    if (directory >= 0 && unlinkat(directory, id->text, 0) == 0) {
        s->dirty[place] = true;
        return true;
    }
    if (errno == ENOENT)
        return true;
    store_put_error(why, "removing the message", errno);
    return false;
}

bool spool_sync(struct spool *s, struct buf *why)
{
    bool good = true;
    for (int i = 0; i < PLACES; i++) {
        if (s->dirty[i] && !store_sync_directory(s->open[i], why))
            good = false;
        s->dirty[i] = false;
    }
    return good;
}

bool spool_set_aside(struct spool *s, const struct queue_id *id, struct buf *name, struct buf *why)
{
    int from = place_open(s, place_of(id), false), to;
    bool moved = false;
    (void)mkdirat(s->directory, "corrupt", 0700);
    to = openat(s->directory, "corrupt", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (from < 0 || to < 0) {
        store_put_error(why, "opening corrupt", errno);
        if (to >= 0)
            close(to);
        return false;
    }
    for (int i = 0; !moved && i < ASIDE_TRIES; i++) {
        buf_clear(name);
        buf_puts(name, id->text);
        if (i > 0)
            buf_printf(name, ".%d", i);
        moved = renameat2(from, id->text, to, buf_text(name), RENAME_NOREPLACE) == 0;
        if (!moved && errno != EEXIST)
            break;
    }
    if (!moved)
        store_put_error(why, "moving it to corrupt", errno);
    /* First the new name, then the lack of the old one; and the directory itself may be new. */
    bool synced = moved && store_sync_directory(to, why) && store_sync_directory(s->directory, why) &&
                  store_sync_directory(from, why);
    close(to);
    return synced;
}

/* --- scanning ------------------------------------------------------------------- */

static bool scan_place(struct spool *s, unsigned place, const struct spool_visitor *v, void *context,
                       struct buf *why)
{
    int directory = place_open(s, place, false);
    if (directory < 0 && errno == ENOENT)
        return true;
    int fd = directory < 0 ? -1 : openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        store_put_error(why, "reading the queue directory", errno);
        if (fd >= 0)
            close(fd);
        return false;
    }
    for (const struct dirent *e; (e = readdir(d));) {
        char name[sizeof e->d_name + 2];
        struct queue_id id;
        if (e->d_name[0] == '.' && (span_starts(span_text(e->d_name), SPAN(".new-")) || !e->d_name[1] ||
                                    (e->d_name[1] == '.' && !e->d_name[2])))
            continue;
        if (queue_id_parse(span_text(e->d_name), &id) && place_of(&id) == place) {
            v->message(&id, context);
            continue;
        }
        snprintf(name, sizeof name, "%c/%s", places[place], e->d_name);
        v->unknown(name, context);
    }
    closedir(d);
    return true;
}

bool spool_scan(struct spool *s, const struct spool_visitor *v, void *context, struct buf *why)
{
    bool good = true;
    for (unsigned place = 0; place < PLACES; place++)
        good &= scan_place(s, place, v, context, why);
    return good;
}
