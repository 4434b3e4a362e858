/* A directory of its own for each test, with small helpers. */
#ifndef TESTS_TABLE_FILES_H
#define TESTS_TABLE_FILES_H

#include "lib/table/table.h"

#include <cdb.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Each test is a process of its own, so one directory and one log do. */
static char dir[64];
static struct buf warned;

static inline void note_warning(const char *text, void *context)
{
    (void)context;
    buf_puts(&warned, text);
    buf_putc(&warned, '\n');
}

static inline struct tables *start(void)
{
    static const struct table_hooks hooks = {.warn = note_warning};
    snprintf(dir, sizeof dir, P_tmpdir "/table-test.XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    return tables_new(&table_files_by_path, &hooks);
}

static inline void stop(struct tables *ts)
{
    char command[128];
    tables_free(&ts);
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    cr_expect_eq(system(command), 0);
    buf_fini(&warned);
}

/* The path of a file in the directory, and "type:path"; in turning buffers. */
static inline const char *in_dir(const char *format, const char *name)
{
    static char texts[8][256];
    static unsigned turn;
    char *text = texts[turn++ % 8], path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    snprintf(text, sizeof texts[0], "%s%s", format, path);
    return text;
}

/* Writes a new file and renames it into place, as tools do. */
static inline void put_bytes(const char *name, const void *bytes, size_t n)
{
    const char *path = in_dir("", name), *new = in_dir("", "new.tmp");
    int fd = open(new, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, bytes, n), (ssize_t)n);
    close(fd);
    cr_assert_eq(rename(new, path), 0);
}

static inline void put_text(const char *name, const char *text)
{
    put_bytes(name, text, strlen(text));
}

/* pairs: key, value, ..., NULL */
static inline void put_cdb(const char *name, const char *const *pairs)
{
    struct cdb_make make;
    const char *path = in_dir("", name), *new = in_dir("", "new.tmp");
    int fd = open(new, O_RDWR | O_CREAT | O_TRUNC, 0644);
    cdb_make_start(&make, fd);
    for (; pairs[0]; pairs += 2)
        cdb_make_add(&make, pairs[0], (unsigned)strlen(pairs[0]), pairs[1], (unsigned)strlen(pairs[1]));
    cr_assert_eq(cdb_make_finish(&make), 0);
    close(fd);
    cr_assert_eq(rename(new, path), 0);
}

/* Asserts what a key gives: the value, NULL for not found, or "!text" for a temporary error with that text in it. */
#define EXPECT_FIND(t, key, want) expect_find(__LINE__, t, span_text(key), want)
static inline void expect_find(int line, struct table *t, struct span key, const char *want)
{
    struct buf value = BUF_INIT, why = BUF_INIT;
    enum table_result result = table_find(t, key, &value, &why);
    if (!want)
        cr_expect_eq(result, TABLE_NOT_FOUND, "line %d: %.*s gives %d \"%s\" %s", line, (int)key.n, key.p, (int)result,
                     buf_text(&value), buf_text(&why));
    else if (want[0] == '!')
        cr_expect(result == TABLE_TEMP && strstr(buf_text(&why), want + 1) && value.len == 0,
                  "line %d: %.*s gives %d \"%s\" \"%s\"", line, (int)key.n, key.p, (int)result, buf_text(&value), buf_text(&why));
    else
        cr_expect(result == TABLE_FOUND && span_eq(buf_span(&value), span_text(want)) && why.len == 0,
                  "line %d: %.*s gives %d \"%s\" %s", line, (int)key.n, key.p, (int)result, buf_text(&value), buf_text(&why));
    buf_fini(&value);
    buf_fini(&why);
}

#endif
