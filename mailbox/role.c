#include "mailbox/role.h"
#include "lib/mail/recipient.h"
#include "lib/param/param.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PATH_ROOM = 4096, OPEN_FLAGS = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC };

bool role_init(struct role *r, struct span body, int base)
{
    *r = (struct role){.base = base};
    return msg_mailbox_begin_get(&r->arena, arena_dup(&r->arena, body), &r->m);
}

struct mbox_settings role_mbox_settings(const struct role *r)
{
    static const unsigned bits[][2] = {{PARAM_lock_method_flock, MBOX_LOCK_FLOCK},
                                       {PARAM_lock_method_fcntl, MBOX_LOCK_FCNTL},
                                       {PARAM_lock_method_dotlock, MBOX_LOCK_DOTLOCK}};
    const bool files = r->m.kind == OWNER_FILES;
    struct mbox_settings s = {.size_limit = r->m.size_limit,
                              .stale_s = (int64_t)r->m.lock_stale,
                              .strict_owner = (r->m.flags & MAILBOX_STRICT_OWNER) && !files,
                              .follow = files,
                              .may_lack_dotlock = files};
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++)
        if (r->m.locks & (1u << bits[i][0]))
            s.locks |= bits[i][1];
    return s;
}

/* --- opening ------------------------------------------------------------------------- */

/* A file in the home directory. In a process behind the wall the home is the base, and no link is
 * followed; in others the way home may have links, but not the file's name. */
static int open_in_home(const struct role *r, struct span below)
{
    struct buf path = BUF_LIMITED(PATH_ROOM);
    struct open_how how = {.flags = OPEN_FLAGS | O_NOFOLLOW};
    const bool at_home = r->m.kind == OWNER_USER;
    int fd = -1;
    if (at_home) {
        how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
    } else {
        buf_put(&path, r->m.home);
        buf_putc(&path, '/');
    }
    while (below.n && below.p[0] == '/')
        below = span_skip(below, 1);
    buf_put(&path, below);
    errno = ENAMETOOLONG;
    if (!path.full && span_find(buf_span(&path), '\0') == path.len)
        fd = (int)syscall(SYS_openat2, at_home ? r->base : AT_FDCWD, buf_text(&path), &how, sizeof how);
    int error = errno;
    buf_fini(&path);
    errno = error;
    return fd;
}

/* --- reading ------------------------------------------------------------------------------ */

/* result: NULL, or why its items count for nothing */
static const char *unsafe(const struct stat *st, bool own)
{
    if (!S_ISREG(st->st_mode))
        return "is not a regular file";
    if (own && st->st_uid != 0 && st->st_uid != geteuid())
        return "has a bad owner";
    if (st->st_mode & (own ? S_IWGRP | S_IWOTH : S_IWOTH))
        return own ? "is group or world writable" : "is world writable";
    if (st->st_size > ROLE_FORWARD_MAX)
        return "is too large";
    return NULL;
}

static void parse(struct arena *a, struct span text, struct role_items *items)
{
    struct aliases_scan scan;
    struct aliases_item item;
    size_t room = 0;
    aliases_init(&scan, text, ALIASES_FILE);
    while (aliases_next(&scan, a, &item)) {
        if (items->n == room) {
            struct aliases_item *more = arena_calloc(a, room = 2 * room + 8, sizeof *more);
            if (items->n)
                memcpy(more, items->at, items->n * sizeof *more);
            items->at = more;
        }
        items->at[items->n++] = item;
    }
}

/* result: false: reading failed (warnings) */
static bool read_items(int fd, struct arena *a, struct span name, bool own, struct role_items *items,
                       struct buf *warnings)
{
    struct stat st;
    const char *why = fstat(fd, &st) == 0 ? unsafe(&st, own) : strerror(errno);
    if (why) {
        buf_printf(warnings, "file %.*s %s", SPAN_ARG(name), why);
        return own;
    }
    char *text = arena_alloc(a, ROLE_FORWARD_MAX);
    size_t n = 0;
    for (ssize_t got = 1; got > 0 && n < ROLE_FORWARD_MAX; n += got > 0 ? (size_t)got : 0)
        if ((got = read(fd, text + n, ROLE_FORWARD_MAX - n)) < 0) {
            buf_printf(warnings, "cannot read file %.*s: %s", SPAN_ARG(name), strerror(errno));
            return false;
        }
    parse(a, span_of(text, n), items);
    return true;
}

/* One element of forward_path. result: 1: it was there, 0: it was not, -1: cannot be told now */
static int try_forward(const struct role *r, struct arena *a, struct span element,
                       const struct recipient_names *names, struct role_items *items, struct buf *warnings)
{
    struct buf path = BUF_LIMITED(PATH_ROOM), why = BUF_INIT;
    unsigned seen = 0;
    int result = 0;
    struct span home = r->m.home;
    bool good = recipient_expand(&path, element, names, r->m.forward_filter, &seen, &why) && !path.full;
    if (good && !(seen & RECIPIENT_SAW_NOTHING) && home.n && span_starts(buf_span(&path), home)) {
        int fd = open_in_home(r, span_skip(buf_span(&path), home.n));
        if (fd < 0 && errno != ENOENT && errno != ENOTDIR) {
            buf_printf(warnings, "cannot open file %s: %s", buf_text(&path), strerror(errno));
            result = errno == EACCES || errno == ELOOP || errno == EXDEV || errno == ENAMETOOLONG ? 1 : -1;
        }
        if (fd >= 0) {
            result = read_items(fd, a, buf_span(&path), true, items, warnings) ? 1 : -1;
            items->extension_used = seen & RECIPIENT_SAW_EXTENSION;
            close(fd);
        }
    }
    buf_fini(&path);
    buf_fini(&why);
    return result;
}

bool role_read_forward(const struct role *r, struct arena *a, struct span extension, struct role_items *items,
                       struct buf *warnings)
{
    struct span rest = r->m.forward_path, element;
    struct recipient_names names = {.user = r->m.user, .home = r->m.home, .shell = r->m.shell};
    int found = 0;
    *items = (struct role_items){0};
    if (span_find(extension, '/') == extension.n) { /* nothing that would be another directory */
        names.delimiter = span_slice(extension, 0, 1);
        names.extension = span_skip(extension, 1);
    }
    while (found == 0 && span_next_token(&rest, SPAN(", \t\r\n"), &element))
        found = try_forward(r, a, element, &names, items, warnings);
    return found >= 0;
}

bool role_read_include(const struct role *r, struct arena *a, struct span path, struct role_items *items,
                       struct buf *warnings)
{
    (void)r;
    *items = (struct role_items){0};
    errno = EINVAL;
    bool good = path.n && path.p[0] == '/' && span_find(path, '\0') == path.n;
    int fd = good ? open(arena_text(a, path), OPEN_FLAGS) : -1;
    if (fd < 0) {
        buf_printf(warnings, "cannot open include file %.*s: %s", SPAN_ARG(path), strerror(errno));
        return false;
    }
    good = read_items(fd, a, path, false, items, warnings);
    close(fd);
    return good;
}

/* --- what may be done ------------------------------------------------------------------------ */

bool role_forward_has(const struct role *r, struct span extension, enum aliases_kind kind, struct span text)
{
    struct arena scratch = ARENA_INIT;
    struct buf warnings = BUF_INIT;
    struct role_items items;
    bool has = false;
    if (role_read_forward(r, &scratch, extension, &items, &warnings))
        for (size_t i = 0; i < items.n; i++)
            has |= items.at[i].kind == kind && span_eq(items.at[i].text, text);
    buf_fini(&warnings);
    arena_fini(&scratch);
    return has;
}

const char *role_refuses_store(const struct role *r, const struct msg_store *m)
{
    if (m->format != STORE_MAILDIR && m->format != STORE_MBOX)
        return "malformed request";
    switch (r->m.kind) {
    case OWNER_VIRTUAL:
        return NULL;
    case OWNER_USER:
    case OWNER_SPOOL:
        return span_eq(m->path, r->m.mailbox) && m->path.n ? NULL : "this is not the user's mailbox";
    case OWNER_FILES:
        if (r->m.user.n == 0)
            return NULL;
        if (!(r->m.flags & MAILBOX_FORWARD_FILES))
            return "mail to file is restricted";
        return role_forward_has(r, m->extension, ALIASES_TO_FILE, m->path)
                   ? NULL
                   : "the file is not in the user's .forward";
    default:
        return "this process writes no mail";
    }
}

const char *role_refuses_include(const struct role *r, const struct msg_include *m)
{
    if (r->m.kind != OWNER_FILES)
        return "this process includes no files";
    /* One level: what an included file of a user names is not known to be the user's. */
    if (r->m.user.n && !role_forward_has(r, m->extension, ALIASES_INCLUDE, m->path))
        return "the file is not in the user's .forward";
    return NULL;
}

const char *role_refuses_run(const struct role *r, const struct msg_run *m, struct span *command)
{
    *command = m->command;
    if (m->about.n != 1 || m->about.at[0].recipients.n == 0)
        return "malformed request";
    if (r->m.kind == OWNER_PIPE)
        return m->source == RUN_PIPE ? NULL : "this process runs the command of a pipe service only";
    if (r->m.kind != OWNER_COMMANDS)
        return "this process runs no commands";
    if (r->m.user.n == 0)
        return m->source == RUN_ALIAS ? NULL : "this process runs the commands of aliases only";
    if (m->source == RUN_MAILBOX_COMMAND) {
        *command = r->m.mailbox_command;
        return command->n ? NULL : "there is no mailbox_command";
    }
    if (m->source != RUN_FORWARD)
        return "a user's process runs the user's commands only";
    if (!(r->m.flags & MAILBOX_FORWARD_COMMANDS))
        return "mail to command is restricted";
    return role_forward_has(r, m->extension, ALIASES_COMMAND, m->command)
               ? NULL
               : "the command is not in the user's .forward";
}
