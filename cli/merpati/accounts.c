#include "cli/merpati/accounts.h"

#include "lib/param/settings.h"

#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void accounts_fini(struct accounts *a)
{
    free(a->names);
    free(a->lines);
    arena_fini(&a->arena);
    *a = ACCOUNTS_INIT;
}

static void add(struct accounts *a, struct span name, struct span line)
{
    for (size_t i = 0; i < a->n; i++)
        if (name.n && span_eq_nocase(a->names[i], name)) {
            a->lines[i] = arena_dup(&a->arena, line);
            return;
        }
    if (a->n == a->cap) {
        a->cap = a->cap ? 2 * a->cap : 16;
        a->names = reallocarray(a->names, a->cap, sizeof *a->names);
        a->lines = reallocarray(a->lines, a->cap, sizeof *a->lines);
        if (!a->names || !a->lines)
            abort();
    }
    a->names[a->n] = arena_dup(&a->arena, name);
    a->lines[a->n++] = arena_dup(&a->arena, line);
}

bool accounts_load(struct accounts *a, const char *path, struct buf *why)
{
    struct buf text = BUF_LIMITED(ACCOUNTS_FILE_MAX);
    struct span rest, line;
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return true;
    bool good = settings_load_file(path, ACCOUNTS_FILE_MAX, &text, why);
    for (rest = buf_span(&text); good && span_next_token(&rest, SPAN("\n"), &line);) {
        size_t colon = span_find(line, ':');
        /* A comment is kept, and is nobody's. */
        add(a, line.p[0] == '#' || colon == line.n ? SPAN_NONE : span_slice(line, 0, colon), line);
    }
    buf_fini(&text);
    return good;
}

/* What can stand in a password file, in a table and in an address alike, unquoted. */
static bool is_plain_address(struct span name)
{
    size_t at = span_find(name, '@');
    if (at == 0 || at + 1 >= name.n || name.n > ACCOUNT_NAME_MAX || name.p[0] == '#' || name.p[0] == '.')
        return false;
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = span_at(name, i);
        if (!byte_is_alnum(c) && c != '.' && c != '-' && c != '_' && i != at)
            return false;
    }
    return true;
}

bool accounts_set(struct accounts *a, struct span name, const char *password, struct buf *why)
{
    void *room = NULL;
    int size = 0;
    if (!is_plain_address(name)) {
        buf_printf(why, "\"%.*s\" is no name for an account: use letters, digits, '.', '-' and '_'", SPAN_ARG(name));
        return false;
    }
    char *setting = crypt_gensalt_ra("$y$", 0, NULL, 0);
    const char *hash = setting ? crypt_ra(password, setting, &room, &size) : NULL;
    bool good = hash && hash[0] != '*';
    if (good)
        add(a, name, span_text(arena_printf(&a->arena, "%.*s:%s", SPAN_ARG(name), hash)));
    else
        buf_printf(why, "no hash of the password of %.*s can be made: %s", SPAN_ARG(name), strerror(errno));
    if (room)
        explicit_bzero(room, (size_t)size);
    free(room);
    free(setting);
    return good;
}

bool accounts_save(const struct accounts *a, const char *path, struct buf *why)
{
    struct buf text = BUF_LIMITED(ACCOUNTS_FILE_MAX);
    for (size_t i = 0; i < a->n; i++) {
        buf_put(&text, a->lines[i]);
        buf_putc(&text, '\n');
    }
    bool good = !text.full && file_replace(path, buf_span(&text), 0600, why);
    buf_fini(&text);
    return good;
}

bool file_replace(const char *path, struct span text, unsigned mode, struct buf *why)
{
    struct arena a = ARENA_INIT;
    const char *fresh = arena_printf(&a, "%s.new", path);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    bool good = fd >= 0 && fchmod(fd, mode) == 0;
    while (good && text.n) {
        ssize_t n = write(fd, text.p, text.n);
        good = n > 0;
        text = span_skip(text, good ? (size_t)n : 0);
    }
    good = good && fsync(fd) == 0 && rename(fresh, path) == 0;
    if (!good)
        buf_printf(why, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    arena_fini(&a);
    return good;
}
