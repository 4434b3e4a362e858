#include "lib/maildir/deliver.h"

#include "lib/base/check.h"
#include "lib/mail/address.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

enum { GATHER_BYTES = 64 * 1024, COPY_BYTES = 64 * 1024 };

enum phase { WRITING, ENDED, IN_PLACE, FOUND, FAILED };

struct maildir_delivery {
    struct maildir *m;
    int fd;                 /* of the file in tmp/; -1: none */
    char *temporary;        /* its name there; NULL: it has none. Owned, as are the next */
    char *unique;           /* unique part of its name */
    char *name;             /* its name in new/, or of what was found */
    bool maybe_again;
    enum phase phase;
    enum maildir_result result;
    struct buf why;
    struct buf pending;     /* gathered text, not written yet */
    XXH3_state_t *hash;     /* of all text */
    uint64_t size, bare_lf;
    char last;              /* octet of the text; '\n' at its start */
    bool held_cr;           /* a CR came last: what follows decides */
};

struct maildir_batch {
    struct maildir *m;
    struct maildir_delivery *at[MAILDIR_BATCH_MAX];
    size_t n;
    unsigned sequence; /* for names in tmp/ */
    bool committed;
};

static void fail(struct maildir_delivery *d, int error, const char *what)
{
    if (d->phase == FAILED)
        return;
    d->phase = FAILED;
    d->result = error == ENOENT ? MAILDIR_FAILED : maildir_result_of(error);
    buf_printf(&d->why, "maildir delivery: %s: %s", what, strerror(error));
}

/* --- life --------------------------------------------------------------------------------- */

struct maildir_batch *maildir_batch_new(struct maildir *m)
{
    struct maildir_batch *b = calloc(1, sizeof *b);
    CHECK(b != NULL);
    b->m = m;
    return b;
}

static void drop_file(struct maildir_delivery *d)
{
    if (d->fd >= 0)
        close(d->fd);
    d->fd = -1;
    if (d->temporary)
        (void)unlinkat(d->m->parts[MAILDIR_TMP], d->temporary, 0);
    free(d->temporary);
    d->temporary = NULL;
}

void maildir_batch_free(struct maildir_batch **where)
{
    struct maildir_batch *b = *where;
    if (!b)
        return;
    *where = NULL;
    for (size_t i = 0; i < b->n; i++) {
        struct maildir_delivery *d = b->at[i];
        drop_file(d);
        free(d->unique);
        free(d->name);
        buf_fini(&d->why);
        buf_fini(&d->pending);
        XXH3_freeState(d->hash);
        free(d);
    }
    free(b);
}

size_t maildir_batch_count(const struct maildir_batch *b)
{
    return b->n;
}

static char *text_of(const struct buf *b)
{
    char *text = strdup(buf_text(b));
    CHECK(text != NULL);
    return text;
}

/* A file with a name in tmp/, where there are none without. */
static int open_named(struct maildir_delivery *d, unsigned sequence)
{
    struct buf name = BUF_INIT;
    buf_printf(&name, "%s.%d.%u", d->unique, (int)getpid(), sequence);
    buf_truncate(&name, name.len > MAILDIR_NAME_MAX ? MAILDIR_NAME_MAX : name.len);
    d->temporary = text_of(&name);
    buf_fini(&name);
    return openat(d->m->parts[MAILDIR_TMP], d->temporary, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
}

static void open_file(struct maildir_delivery *d, unsigned sequence)
{
    if (!d->m->no_tmpfile) {
        d->fd = openat(d->m->parts[MAILDIR_TMP], ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
        if (d->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL))
            d->m->no_tmpfile = true;
    }
    if (d->m->no_tmpfile)
        d->fd = open_named(d, sequence);
    if (d->fd < 0)
        fail(d, errno, "create in tmp");
}

struct maildir_delivery *maildir_deliver_begin(struct maildir_batch *b, const struct maildir_label *label,
                                               bool maybe_again)
{
    CHECK(b->n < MAILDIR_BATCH_MAX && !b->committed);
    struct maildir_delivery *d = calloc(1, sizeof *d);
    CHECK(d != NULL);
    struct buf unique = BUF_INIT;
    maildir_name_put_unique(&unique, label);
    *d = (struct maildir_delivery){.m = b->m, .fd = -1, .maybe_again = maybe_again, .last = '\n', .hash = XXH3_createState()};
    CHECK(d->hash != NULL);
    XXH3_64bits_reset(d->hash);
    d->unique = text_of(&unique);
    buf_fini(&unique);
    b->at[b->n++] = d;
    open_file(d, b->sequence++);
    return d;
}

/* --- text ---------------------------------------------------------------------------------- */

static void write_out(struct maildir_delivery *d, struct span s)
{
    while (s.n && d->phase == WRITING) {
        ssize_t n = write(d->fd, s.p, s.n);
        if (n < 0 && errno != EINTR)
            fail(d, errno, "write");
        if (n > 0)
            s = span_skip(s, (size_t)n);
    }
}

static void flush(struct maildir_delivery *d)
{
    write_out(d, buf_span(&d->pending));
    buf_clear(&d->pending);
}

/* Text as it is to be stored. */
static void store(struct maildir_delivery *d, struct span s)
{
    if (s.n == 0)
        return;
    const char *end = s.p + s.n;
    for (const char *lf = s.p; (lf = memchr(lf, '\n', (size_t)(end - lf))); lf++)
        d->bare_lf += (lf > s.p ? lf[-1] : d->last) != '\r';
    d->last = end[-1];
    d->size += s.n;
    XXH3_64bits_update(d->hash, s.p, s.n);
    if (d->pending.len + s.n > GATHER_BYTES)
        flush(d);
    if (s.n >= GATHER_BYTES)
        write_out(d, s);
    else
        buf_put(&d->pending, s);
}

void maildir_deliver_write(struct maildir_delivery *d, struct span text)
{
    CHECK(d->phase == WRITING || d->phase == FAILED);
    while (text.n && d->phase == WRITING) {
        if (d->held_cr && text.p[0] != '\n')
            store(d, SPAN("\r"));
        d->held_cr = false;
        size_t cr = span_find(text, '\r');
        store(d, span_slice(text, 0, cr));
        if (cr == text.n)
            return;
        d->held_cr = true;
        text = span_skip(text, cr + 1);
    }
}

bool maildir_deliver_copy(struct maildir_delivery *d, int fd, int64_t offset, uint64_t octets)
{
    char *chunk = malloc(COPY_BYTES);
    CHECK(chunk != NULL);
    while (octets > 0) {
        ssize_t n = pread(fd, chunk, octets < COPY_BYTES ? (size_t)octets : COPY_BYTES, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            fail(d, n < 0 ? errno : ENODATA, "read the message");
            break;
        }
        maildir_deliver_write(d, span_of(chunk, (size_t)n));
        offset += n;
        octets -= (uint64_t)n;
    }
    free(chunk);
    return octets == 0;
}

void maildir_deliver_end(struct maildir_delivery *d)
{
    if (d->phase == WRITING && d->held_cr)
        store(d, SPAN("\r"));
    if (d->phase == WRITING && d->last != '\n')
        store(d, SPAN("\n"));
    if (d->phase == WRITING)
        flush(d);
    buf_fini(&d->pending);
    /* All files of a batch on their way before the first is waited for: one journal commit then
     * holds them all. Where the system has no such call the sync below does it. */
    if (d->phase == WRITING)
        (void)sync_file_range(d->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    if (d->phase == WRITING)
        d->phase = ENDED;
}

/* --- what is there already -------------------------------------------------------------------- */

static bool same_content(const struct maildir_delivery *d, int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != d->size)
        return false;
    XXH3_state_t *hash = XXH3_createState();
    char *chunk = malloc(COPY_BYTES);
    CHECK(hash != NULL && chunk != NULL);
    XXH3_64bits_reset(hash);
    ssize_t n;
    while ((n = read(fd, chunk, COPY_BYTES)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            XXH3_64bits_update(hash, chunk, (size_t)n);
    bool same = n == 0 && XXH3_64bits_digest(hash) == XXH3_64bits_digest(d->hash);
    XXH3_freeState(hash);
    free(chunk);
    return same;
}

/* Whether this delivery is what stands in a directory under a name; then it is made to last. */
static bool accept_found(struct maildir_delivery *d, int part, const char *name)
{
    int fd = openat(part, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool same = same_content(d, fd);
    if (same && (fsync(fd) != 0 || fsync(part) != 0))
        fail(d, errno, "sync what was delivered before");
    else if (same)
        d->phase = FOUND;
    close(fd);
    if (same) {
        char *found = strdup(name); /* which may be d's own */
        CHECK(found != NULL);
        free(d->name);
        d->name = found;
    }
    return same;
}

/* Also where a name with a mark of the content had to be taken. */
static bool may_be(const struct maildir_delivery *d, struct span unique)
{
    struct span own = span_text(d->unique);
    return span_starts(unique, own) && (unique.n == own.n || unique.p[own.n] == '-');
}

/* Looks for the deliveries of the batch that may have been done before. */
static void search(struct maildir_batch *b, enum maildir_part which)
{
    int part = b->m->parts[which];
    int fd = openat(part, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    struct maildir_name name;
    while (dir && (entry = readdir(dir))) {
        if (!maildir_name_parse(span_text(entry->d_name), &name))
            continue;
        for (size_t i = 0; i < b->n; i++)
            if (b->at[i]->maybe_again && b->at[i]->phase == ENDED && may_be(b->at[i], name.unique))
                accept_found(b->at[i], part, entry->d_name);
    }
    if (dir)
        closedir(dir);
    else if (fd >= 0)
        close(fd);
}

static void search_all(struct maildir_batch *b)
{
    bool any = false;
    for (size_t i = 0; i < b->n; i++)
        any |= b->at[i]->maybe_again && b->at[i]->phase == ENDED;
    if (!any)
        return;
    /* A reader moves from new/ to cur/, never back, so in this order nothing slips through. */
    search(b, MAILDIR_NEW);
    search(b, MAILDIR_CUR);
}

/* --- putting in place ---------------------------------------------------------------------------- */

/* The link of a file without a name: by way of /proc, or by its descriptor where /proc is not there
 * and the kernel lets the one who opened it. */
static int link_unnamed(struct maildir_delivery *d, const char *name)
{
    char path[40];
    int to = d->m->parts[MAILDIR_NEW];
    snprintf(path, sizeof path, "/proc/self/fd/%d", d->fd);
    if (linkat(AT_FDCWD, path, to, name, AT_SYMLINK_FOLLOW) == 0)
        return 0;
    int error = errno;
    if (error == EEXIST || error == ENOSPC || error == EDQUOT)
        return -1;
    if (linkat(d->fd, "", to, name, AT_EMPTY_PATH) == 0)
        return 0;
    errno = errno == EEXIST ? EEXIST : error;
    return -1;
}

/* Gives the content a name in tmp/ by copying it: there is no way to link it as it is. */
static bool make_named(struct maildir_delivery *d)
{
    int from = d->fd;
    d->m->no_tmpfile = true;
    d->fd = open_named(d, (unsigned)from);
    d->phase = WRITING;
    if (d->fd < 0)
        fail(d, errno, "create in tmp");
    char *chunk = malloc(COPY_BYTES);
    CHECK(chunk != NULL);
    ssize_t n = 0;
    for (off_t at = 0; d->phase == WRITING && (n = pread(from, chunk, COPY_BYTES, at)) > 0; at += n)
        write_out(d, span_of(chunk, (size_t)n));
    if (n < 0 || (d->phase == WRITING && fsync(d->fd) != 0))
        fail(d, errno, "copy in tmp");
    free(chunk);
    close(from);
    if (d->phase == WRITING)
        d->phase = ENDED;
    return d->phase == ENDED;
}

static int link_named(struct maildir_delivery *d, const char *name)
{
    int tmp = d->m->parts[MAILDIR_TMP];
    /* Not rename(): that would replace what is there. */
    if (linkat(tmp, d->temporary, d->m->parts[MAILDIR_NEW], name, 0) != 0)
        return -1;
    (void)unlinkat(tmp, d->temporary, 0);
    free(d->temporary);
    d->temporary = NULL;
    return 0;
}

static int link_as(struct maildir_delivery *d, const char *name)
{
    if (!d->temporary) {
        if (link_unnamed(d, name) == 0)
            return 0;
        if (errno == EEXIST || errno == ENOSPC || errno == EDQUOT)
            return -1;
        if (!make_named(d))
            return -1;
    }
    return link_named(d, name);
}

/* mark: empty, or what tells this content from another one under the same label */
static char *final_name(const struct maildir_delivery *d, const char *mark)
{
    struct buf name = BUF_INIT;
    buf_printf(&name, "%s%s", d->unique, mark);
    maildir_name_put_sizes(&name, d->size, d->size + d->bare_lf);
    char *text = text_of(&name);
    buf_fini(&name);
    return text;
}

static void put_in_place(struct maildir_delivery *d)
{
    int new = d->m->parts[MAILDIR_NEW];
    char mark[20] = "";
    for (int tries = 0; tries < 2 && d->phase == ENDED; tries++) {
        free(d->name);
        d->name = final_name(d, mark);
        if (strlen(d->name) > MAILDIR_NAME_MAX)
            fail(d, ENAMETOOLONG, d->name);
        else if (link_as(d, d->name) == 0)
            d->phase = IN_PLACE;
        else if (d->phase == ENDED && errno != EEXIST)
            fail(d, errno, "link into new");
        else if (d->phase == ENDED && !accept_found(d, new, d->name))
            snprintf(mark, sizeof mark, "-%016llx", (unsigned long long)XXH3_64bits_digest(d->hash));
    }
    if (d->phase == ENDED)
        fail(d, EEXIST, "link into new");
}

void maildir_batch_commit(struct maildir_batch *b)
{
    bool placed = false;
    CHECK(!b->committed);
    b->committed = true;
    search_all(b);
    for (size_t i = 0; i < b->n; i++)
        if (b->at[i]->phase == ENDED && fsync(b->at[i]->fd) != 0)
            fail(b->at[i], errno, "sync");
    for (size_t i = 0; i < b->n; i++)
        if (b->at[i]->phase == ENDED) {
            put_in_place(b->at[i]);
            placed |= b->at[i]->phase == IN_PLACE;
        }
    /* An error here is one for all: none is known to last. They stay in place, where the next
     * attempt finds them. */
    if (placed && fsync(b->m->parts[MAILDIR_NEW]) != 0) {
        int error = errno;
        for (size_t i = 0; i < b->n; i++)
            if (b->at[i]->phase == IN_PLACE)
                fail(b->at[i], error, "sync new");
    }
    for (size_t i = 0; i < b->n; i++)
        drop_file(b->at[i]);
}

enum maildir_result maildir_delivery_result(const struct maildir_delivery *d, const char **why)
{
    CHECK(d->phase == IN_PLACE || d->phase == FOUND || d->phase == FAILED);
    *why = buf_text(&d->why);
    return d->phase == FAILED ? d->result : MAILDIR_OK;
}

const char *maildir_delivery_name(const struct maildir_delivery *d)
{
    return d->name ? d->name : "";
}

bool maildir_delivery_was_there(const struct maildir_delivery *d)
{
    return d->phase == FOUND;
}

/* --- header lines ----------------------------------------------------------------------------------- */

static void put_header(struct buf *out, const char *name, struct span address, bool in_brackets)
{
    struct buf text = BUF_INIT;
    address_put_external(&text, address);
    buf_printf(out, "%s: %s", name, in_brackets ? "<" : "");
    for (size_t i = 0; i < text.len; i++)
        buf_putc(out, (unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7f ? '?' : text.data[i]);
    buf_puts(out, in_brackets ? ">\n" : "\n");
    buf_fini(&text);
}

void maildir_put_delivery_headers(struct buf *out, struct span sender, struct span original, struct span recipient)
{
    put_header(out, "Return-Path", sender, true);
    if (original.n)
        put_header(out, "X-Original-To", original, false);
    put_header(out, "Delivered-To", recipient, false);
}
