/* Changing a configuration file: logical line by logical line, and all or nothing. */
#include "cli/postconf/postconf.h"

#include "lib/param/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EDIT_FILE_MAX = 4 * 1024 * 1024 };

/* --- text ------------------------------------------------------------------------------ */

/* Cuts one physical line, with its line end, off *text. */
static struct span cut_line(struct span *text)
{
    size_t end = span_find(*text, '\n');
    struct span line = span_slice(*text, 0, end + 1);
    *text = span_skip(*text, end + 1);
    return line;
}

static bool is_comment(struct span line)
{
    struct span visible = span_trim(line);
    return visible.n == 0 || visible.p[0] == '#';
}

static void put_whole_line(struct buf *out, struct span line)
{
    buf_put(out, line);
    if (line.n == 0 || line.p[line.n - 1] != '\n')
        buf_putc(out, '\n');
}

/* Appends the lines of one logical line as the action wants them. */
static void put_range(struct buf *out, struct span range, enum edit_action action, struct span replacement)
{
    if (action == EDIT_REPLACE)
        buf_put(out, replacement);
    while (range.n) {
        struct span line = cut_line(&range);
        bool stays = action == EDIT_KEEP || action == EDIT_COMMENT || is_comment(line);
        if (action == EDIT_COMMENT && !is_comment(line))
            buf_putc(out, '#');
        if (stays)
            put_whole_line(out, line);
    }
}

bool edit_text(struct span text, const struct edit *edit, struct buf *out)
{
    struct buf logical = BUF_INIT, replacement = BUF_INIT;
    while (text.n) {
        struct span from = text, line = cut_line(&text);
        if (is_comment(line)) {
            put_whole_line(out, line);
            continue;
        }
        struct lines lines = lines_of(from);
        unsigned first;
        lines_next(&lines, &logical, &first);
        struct span range = span_slice(from, 0, from.n - lines.rest.n);
        buf_clear(&replacement);
        enum edit_action action = EDIT_KEEP;
        if (!byte_is_space(span_at(buf_span(&logical), 0)))
            action = edit->line(edit->context, buf_span(&logical), &replacement);
        put_range(out, range, action, buf_span(&replacement));
        text = lines.rest;
    }
    buf_fini(&logical);
    buf_fini(&replacement);
    if (!edit->end(edit->context, out))
        return false;
    if (out->full)
        return say_fatal("the file would be too large");
    return !edit->check || edit->check(edit->context, buf_span(out));
}

/* --- files ------------------------------------------------------------------------------ */

/* A file being replaced: the new one beside it, locked, so that one postconf works at a time. */
struct replacement {
    char *path;        /* of the file itself, no symbolic link; owned */
    struct buf beside; /* path.tmp */
    int fd;            /* of the new one */
    struct stat old;
};

static bool replacement_fail(const struct replacement *r, const char *what)
{
    return say_fatal("%s %s: %s", what, r->path, strerror(errno));
}

/* Opens and locks the file beside. One that an interrupted edit left is used again. */
static bool replacement_lock(struct replacement *r)
{
    const char *beside = buf_text(&r->beside);
    for (;;) {
        struct stat opened, there;
        r->fd = open(beside, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (r->fd < 0)
            return say_fatal("create %s: %s", beside, strerror(errno));
        if (flock(r->fd, LOCK_EX) != 0 || fstat(r->fd, &opened) != 0)
            return say_fatal("lock %s: %s", beside, strerror(errno));
        if (stat(beside, &there) == 0 && there.st_ino == opened.st_ino && there.st_dev == opened.st_dev)
            return S_ISREG(opened.st_mode) || say_fatal("%s is not a regular file", beside);
        close(r->fd); /* another one renamed it while we waited */
    }
}

static bool replacement_open(struct replacement *r, const char *path)
{
    r->path = realpath(path, NULL);
    if (!r->path)
        return say_fatal("open %s for reading: %s", path, strerror(errno));
    buf_printf(&r->beside, "%s.tmp", r->path);
    return replacement_lock(r);
}

static bool write_all(int fd, struct span text)
{
    while (text.n) {
        ssize_t n = write(fd, text.p, text.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        text = span_skip(text, (size_t)n);
    }
    return true;
}

static bool sync_directory(const char *path)
{
    struct buf directory = BUF_INIT;
    struct span text = span_text(path);
    buf_put(&directory, span_slice(text, 0, span_rfind(text, '/')));
    int fd = open(directory.len ? buf_text(&directory) : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    buf_fini(&directory);
    return good;
}

/* Gives the new file its text, owner and mode, and the name. */
static bool replacement_commit(struct replacement *r, struct span text)
{
    if (ftruncate(r->fd, 0) != 0 || !write_all(r->fd, text))
        return replacement_fail(r, "write");
    if (fchown(r->fd, r->old.st_uid, r->old.st_gid) != 0 && geteuid() == 0)
        return replacement_fail(r, "set the owner of");
    if (fchmod(r->fd, r->old.st_mode & 07777) != 0)
        return replacement_fail(r, "set the mode of");
    if (fsync(r->fd) != 0)
        return replacement_fail(r, "sync");
    if (rename(buf_text(&r->beside), r->path) != 0)
        return replacement_fail(r, "replace");
    return sync_directory(r->path) || replacement_fail(r, "sync the directory of");
}

static bool replacement_make(struct replacement *r, const struct edit *edit)
{
    struct buf text = BUF_INIT, out = BUF_INIT, why = BUF_INIT;
    bool good = stat(r->path, &r->old) == 0 && settings_load_file(r->path, EDIT_FILE_MAX, &text, &why);
    if (!good)
        say_fatal("open %s for reading: %s", r->path, why.len ? buf_text(&why) : strerror(errno));
    good = good && edit_text(buf_span(&text), edit, &out);
    if (good && span_eq(buf_span(&text), buf_span(&out)))
        unlink(buf_text(&r->beside));
    else if (!good || !replacement_commit(r, buf_span(&out))) {
        good = false;
        unlink(buf_text(&r->beside));
    }
    buf_fini(&text);
    buf_fini(&out);
    buf_fini(&why);
    return good;
}

bool edit_file(const char *path, const struct edit *edit)
{
    struct replacement r = {.fd = -1};
    bool good = replacement_open(&r, path) && replacement_make(&r, edit);
    if (r.fd >= 0)
        close(r.fd);
    buf_fini(&r.beside);
    free(r.path);
    return good;
}
