#include "auth/passwd.h"

#include "lib/base/check.h"
#include "lib/mail/address.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Cuts the next field off; what is missing is empty. */
static struct span next_field(struct span *line)
{
    size_t colon = span_find(*line, ':');
    struct span field = span_slice(*line, 0, colon);
    *line = span_skip(*line, colon + 1);
    return field;
}

/* An empty field is a number that is not given. */
static bool take_id(struct span field, int64_t *id)
{
    uint64_t value = 0;
    *id = -1;
    if (field.n == 0)
        return true;
    if (!span_to_u64(field, UINT32_MAX - 1, &value))
        return false;
    *id = (int64_t)value;
    return true;
}

static bool parse_line(struct span line, struct passwd_entry *e)
{
    struct span rest = line;
    *e = (struct passwd_entry){.name = next_field(&rest), .hash = next_field(&rest)};
    struct span uid = next_field(&rest), gid = next_field(&rest);
    (void)next_field(&rest); /* gecos */
    e->home = next_field(&rest);
    if (line.n > PASSWD_LINE_MAX || !address_is_clean(line) || e->name.n == 0 || e->name.n > PASSWD_NAME_MAX)
        return false;
    if (span_find(line, ':') == line.n || !take_id(uid, &e->uid) || !take_id(gid, &e->gid))
        return false;
    return e->home.n == 0 || e->home.p[0] == '/';
}

static void add(struct passwd_file *f, const struct passwd_entry *parsed)
{
    struct span name = address_dup_lower(&f->arena, parsed->name);
    if (map_get(&f->by_name, name))
        return;
    struct passwd_entry *e = ARENA_NEW(&f->arena, struct passwd_entry);
    *e = *parsed;
    e->name = name;
    map_set(&f->by_name, e->name, e);
    if (!f->first)
        f->first = e;
}

bool passwd_file_parse(struct passwd_file *f, struct span text)
{
    if (text.n > PASSWD_FILE_MAX)
        return false;
    struct span rest = arena_dup(&f->arena, text);
    for (size_t number = 1; rest.n; number++) {
        size_t end = span_find(rest, '\n');
        struct span line = span_slice(rest, 0, end);
        struct passwd_entry e;
        rest = span_skip(rest, end + 1);
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        if (line.n == 0 || line.p[0] == '#')
            continue;
        if (parse_line(line, &e))
            add(f, &e);
        else if (f->wrong++ == 0)
            f->wrong_line = number;
    }
    return true;
}

bool passwd_file_read(struct passwd_file *f, int fd, struct buf *why)
{
    struct stat st;
    struct buf text = BUF_LIMITED(PASSWD_FILE_MAX + 1);
    bool good = fstat(fd, &st) == 0;
    if (good && st.st_size > PASSWD_FILE_MAX) {
        buf_printf(why, "larger than %d octets", PASSWD_FILE_MAX);
        return false;
    }
    char *to = good ? buf_reserve(&text, (size_t)st.st_size + 1) : NULL;
    ssize_t n = to ? 1 : -1;
    while (n > 0 && text.len <= (size_t)st.st_size) {
        n = pread(fd, to + text.len, (size_t)st.st_size + 1 - text.len, (off_t)text.len);
        if (n > 0)
            buf_grown(&text, (size_t)n);
        else if (n < 0 && errno == EINTR)
            n = 1;
    }
    if (n < 0)
        buf_printf(why, "read: %s", strerror(errno));
    else
        passwd_file_parse(f, buf_span(&text));
    if (text.data)
        explicit_bzero(text.data, text.cap);
    buf_fini(&text);
    return n >= 0;
}

void passwd_file_fini(struct passwd_file *f)
{
    map_fini(&f->by_name);
    arena_fini(&f->arena);
    *f = PASSWD_FILE_INIT;
}

const struct passwd_entry *passwd_file_find(const struct passwd_file *f, struct span name)
{
    return map_get(&f->by_name, name);
}
