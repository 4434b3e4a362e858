#include "lib/maildir/sizes.h"

#include "lib/base/check.h"
#include "lib/base/map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

static const char file_name[] = "merpati-sizes";
static const struct span first_line = SPAN_INIT("merpati-sizes 1\n");
enum { END_BYTES = sizeof "end 0123456789abcdef\n" - 1 };

static void put_end(struct buf *out)
{
    buf_printf(out, "end %016llx\n", (unsigned long long)XXH3_64bits(out->data, out->len));
}

static bool has_good_end(struct span text)
{
    if (text.n < first_line.n + END_BYTES || !span_starts(text, first_line))
        return false;
    struct span end = span_skip(text, text.n - END_BYTES);
    char want[END_BYTES + 1];
    snprintf(want, sizeof want, "end %016llx\n", (unsigned long long)XXH3_64bits(text.p, text.n - END_BYTES));
    return span_eq(end, span_of(want, END_BYTES));
}

bool maildir_sizes_parse(struct span text, void (*fn)(struct span unique, uint64_t size, uint64_t virtual_size,
                                                      void *context), void *context)
{
    if (!has_good_end(text))
        return false;
    struct span rest = span_slice(text, first_line.n, text.n - END_BYTES);
    while (rest.n) {
        size_t end = span_find(rest, '\n');
        struct span line = span_slice(rest, 0, end);
        size_t a = span_find(line, ' ');
        struct span second = span_skip(line, a + 1);
        size_t b = span_find(second, ' ');
        uint64_t size, virtual_size;
        if (span_to_u64(span_slice(line, 0, a), INT64_MAX, &size) &&
            span_to_u64(span_slice(second, 0, b), INT64_MAX, &virtual_size) && b + 1 < second.n)
            fn(span_skip(second, b + 1), size, virtual_size, context);
        rest = span_skip(rest, end + 1);
    }
    return true;
}

/* The messages that have no sizes yet, by unique part. */
struct wanted {
    struct map by_unique;
    size_t found;
};

static void take_entry(struct span unique, uint64_t size, uint64_t virtual_size, void *context)
{
    struct wanted *w = context;
    struct maildir_message *msg = map_get(&w->by_unique, unique);
    if (!msg || msg->has_sizes)
        return;
    msg->size = size;
    msg->virtual_size = virtual_size;
    msg->has_sizes = true;
    w->found++;
}

static void read_file(struct maildir *m, struct wanted *w)
{
    struct stat st;
    int fd = openat(m->root, file_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size <= MAILDIR_SIZES_FILE_MAX) {
        char *text = malloc((size_t)st.st_size);
        CHECK(text != NULL);
        if (pread(fd, text, (size_t)st.st_size, 0) == st.st_size)
            maildir_sizes_parse(span_of(text, (size_t)st.st_size), take_entry, w);
        free(text);
    }
    close(fd);
}

static bool write_all(int fd, struct span s)
{
    while (s.n) {
        ssize_t n = write(fd, s.p, s.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        s = span_skip(s, (size_t)n);
    }
    return true;
}

/* The whole file anew: no sync, because a torn one is noticed and costs a measuring only. */
static void write_file(struct maildir *m, const struct maildir_list *list, const bool *foreign)
{
    struct buf text = BUF_LIMITED(MAILDIR_SIZES_FILE_MAX);
    char name[64];
    buf_put(&text, first_line);
    for (size_t i = 0; i < list->n; i++)
        if (foreign[i] && list->at[i].has_sizes && !list->at[i].is_double)
            buf_printf(&text, "%llu %llu %.*s\n", (unsigned long long)list->at[i].size,
                       (unsigned long long)list->at[i].virtual_size, (int)list->at[i].unique, list->at[i].name);
    put_end(&text);
    snprintf(name, sizeof name, "merpati-sizes.%d", (int)getpid());
    int tmp = m->parts[MAILDIR_TMP];
    int fd = text.full ? -1 : openat(tmp, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0) {
        bool good = write_all(fd, buf_span(&text));
        if (close(fd) != 0 || !good || renameat(tmp, name, m->root, file_name) != 0)
            (void)unlinkat(tmp, name, 0);
    }
    buf_fini(&text);
}

static bool measure(struct maildir *m, struct maildir_list *list, size_t i)
{
    int fd;
    struct maildir_message *msg = &list->at[i];
    if (maildir_message_open(m, list, i, &fd) != MAILDIR_OK)
        return false;
    bool good = maildir_measure(fd, &msg->size, &msg->virtual_size);
    close(fd);
    msg->has_sizes = good;
    return good;
}

/* Takes the messages without sizes out of the list. result: how many */
static size_t drop_unknown(struct maildir_list *list)
{
    size_t to = 0;
    for (size_t i = 0; i < list->n; i++)
        if (list->at[i].has_sizes)
            list->at[to++] = list->at[i];
    size_t dropped = list->n - to;
    list->n = to;
    return dropped;
}

struct maildir_sizes_work maildir_sizes_fill(struct maildir *m, struct maildir_list *list)
{
    struct maildir_sizes_work work = {0};
    struct wanted wanted = {.found = 0};
    size_t unknown = 0;
    bool *foreign = calloc(list->n + 1, sizeof *foreign);
    CHECK(foreign != NULL);
    for (size_t i = 0; i < list->n; i++) {
        if (list->at[i].has_sizes)
            continue;
        foreign[i] = true;
        unknown++;
        if (!list->at[i].is_double)
            map_set(&wanted.by_unique, maildir_message_unique(&list->at[i]), &list->at[i]);
    }
    if (unknown > 0)
        read_file(m, &wanted);
    work.known = list->n - unknown + wanted.found;
    for (size_t i = 0; i < list->n && work.known < list->n; i++)
        if (!list->at[i].has_sizes && measure(m, list, i))
            work.measured++;
    if (work.measured > 0)
        write_file(m, list, foreign);
    map_fini(&wanted.by_unique);
    free(foreign);
    work.dropped = drop_unknown(list);
    return work;
}
