#include "lib/maildir/maildir.h"

#include "lib/base/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

enum { READS_MAX = 4 }; /* of directories that change while they are read */

static void add(struct maildir_list *list, const char *file, bool is_new)
{
    struct maildir_name name;
    struct span text = span_text(file);
    if (!maildir_name_parse(text, &name))
        return;
    if (list->n == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 256;
        list->at = realloc(list->at, list->cap * sizeof *list->at);
        CHECK(list->at != NULL);
    }
    list->at[list->n++] = (struct maildir_message){
        .name = arena_dup(&list->names, text).p,
        .seconds = name.seconds,
        .size = name.size,
        .virtual_size = name.virtual_size,
        .length = (uint16_t)text.n,
        .unique = (uint16_t)name.unique.n,
        .base = (uint16_t)name.base.n,
        .is_new = is_new,
        .has_sizes = name.has_size && name.has_virtual_size,
    };
}

static bool read_part(struct maildir_list *list, int part, bool is_new)
{
    int fd = openat(part, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    struct dirent *entry;
    errno = 0;
    while ((entry = readdir(dir))) {
        if (entry->d_type == DT_REG || entry->d_type == DT_UNKNOWN)
            add(list, entry->d_name, is_new);
        if (list->n > (size_t)MAILDIR_MESSAGES_MAX * READS_MAX) {
            errno = EOVERFLOW;
            break;
        }
    }
    int error = errno;
    closedir(dir);
    errno = error;
    return error == 0;
}

/* When new/ and cur/ were changed last. */
struct stamps {
    struct timespec at[2];
};

static struct stamps stamps_of(const struct maildir *m)
{
    struct stamps s = {0};
    struct stat st;
    for (int i = 0; i < 2; i++)
        if (fstat(m->parts[i == 0 ? MAILDIR_NEW : MAILDIR_CUR], &st) == 0)
            s.at[i] = st.st_mtim;
    return s;
}

static bool stamps_equal(const struct stamps *a, const struct stamps *b)
{
    for (int i = 0; i < 2; i++)
        if (a->at[i].tv_sec != b->at[i].tv_sec || a->at[i].tv_nsec != b->at[i].tv_nsec)
            return false;
    return true;
}

static int by_unique(const struct maildir_message *a, const struct maildir_message *b)
{
    if (a->seconds != b->seconds)
        return a->seconds < b->seconds ? -1 : 1;
    return span_cmp(maildir_message_unique(a), maildir_message_unique(b));
}

static int by_name(const struct maildir_message *a, const struct maildir_message *b)
{
    int order = span_cmp(span_of(a->name, a->length), span_of(b->name, b->length));
    return order ? order : (int)a->is_new - (int)b->is_new;
}

static int compare(const void *left, const void *right)
{
    const struct maildir_message *a = left, *b = right;
    int order = by_unique(a, b);
    return order ? order : by_name(a, b);
}

static bool still_there(const struct maildir *m, const struct maildir_message *msg, ino_t *inode)
{
    struct stat st;
    if (fstatat(m->parts[msg->is_new ? MAILDIR_NEW : MAILDIR_CUR], msg->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    *inode = st.st_ino;
    return true;
}

/* One unique part under several names: a file that was renamed while we read, or, where another
 * program made it so, two messages. result: how many of the n are kept, moved to the front */
static size_t settle(const struct maildir *m, struct maildir_message *group, size_t n)
{
    ino_t inode = 0, kept_inode = 0;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (i + 1 < n && by_name(&group[i], &group[i + 1]) == 0)
            continue;
        if (!still_there(m, &group[i], &inode) || (kept && inode == kept_inode))
            continue;
        kept_inode = inode;
        group[kept] = group[i];
        group[kept].is_double = kept > 0;
        kept++;
    }
    return kept;
}

/* Sorted by now. */
static void drop_doubles(const struct maildir *m, struct maildir_list *list)
{
    size_t to = 0, end;
    for (size_t i = 0; i < list->n; i = end) {
        for (end = i + 1; end < list->n && by_unique(&list->at[i], &list->at[end]) == 0; end++)
            ;
        size_t kept = 1, last = end - 1;
        /* The usual case of several: directories that were read twice. */
        if (last > i && by_name(&list->at[i], &list->at[last]) != 0)
            kept = settle(m, &list->at[i], end - i);
        memmove(&list->at[to], &list->at[i], kept * sizeof *list->at);
        to += kept;
    }
    list->n = to;
}

enum maildir_result maildir_list_read(struct maildir *m, struct maildir_list *list, struct buf *why)
{
    struct stamps before, after = stamps_of(m);
    int reads = 0;
    do {
        before = after;
        if (!read_part(list, m->parts[MAILDIR_NEW], true) || !read_part(list, m->parts[MAILDIR_CUR], false)) {
            int error = errno;
            buf_printf(why, "read maildir: %s", strerror(error));
            return maildir_result_of(error);
        }
        after = stamps_of(m);
    } while (!stamps_equal(&before, &after) && ++reads < READS_MAX);
    if (list->n)
        qsort(list->at, list->n, sizeof *list->at, compare);
    drop_doubles(m, list);
    if (list->n > MAILDIR_MESSAGES_MAX) {
        buf_printf(why, "read maildir: more than %d messages", MAILDIR_MESSAGES_MAX);
        return MAILDIR_FAILED;
    }
    return MAILDIR_OK;
}

void maildir_list_fini(struct maildir_list *list)
{
    free(list->at);
    arena_fini(&list->names);
    *list = MAILDIR_LIST_INIT;
}

void maildir_list_put_uidl(const struct maildir_list *list, size_t i, struct buf *out)
{
    const struct maildir_message *msg = &list->at[i];
    if (!msg->is_double) {
        maildir_name_put_uidl(out, maildir_message_unique(msg));
        return;
    }
    size_t place = 0;
    while (list->at[i - place].is_double)
        place++;
    XXH128_hash_t hash = XXH3_128bits_withSeed(msg->name, msg->base, place);
    buf_printf(out, "%016llx%016llx", (unsigned long long)hash.high64, (unsigned long long)hash.low64);
}
