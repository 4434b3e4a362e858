#include "master/files.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    char directory[64], path[80];
    struct loop *loop;
    struct files *files;
    struct buf changed; /* "path " for each call */
};

static void note_change(const char *path, void *context)
{
    struct fixture *f = context;
    buf_printf(&f->changed, "%s ", path);
}

static void write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

static void begin(struct fixture *f)
{
    *f = (struct fixture){.directory = "/tmp/files.XXXXXX"};
    cr_assert(mkdtemp(f->directory) != NULL);
    snprintf(f->path, sizeof f->path, "%s/table", f->directory);
    f->loop = loop_new();
    f->files = files_new(f->loop, note_change, f);
    write_text(f->path, "one");
}

static void end(struct fixture *f)
{
    char command[96];
    files_free(&f->files);
    loop_free(&f->loop);
    buf_fini(&f->changed);
    snprintf(command, sizeof command, "rm -rf %s", f->directory);
    cr_assert_eq(system(command), 0);
}

/* Runs the loop until a change was noted, or for as long as a change takes to settle, and more. */
static void wait_for_change(struct fixture *f)
{
    mono_ms give_up = clock_after_ms(600);
    while (f->changed.len == 0 && clock_mono() < give_up)
        loop_step(f->loop, give_up);
}

static void expect_content(struct fixture *f, const char *want)
{
    char text[16] = "";
    int error, fd = files_get(f->files, f->path, &error);
    cr_assert(fd >= 0, "error %d", error);
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    cr_expect_str_eq(text, want, "%zd octets", n);
}

Test(files, are_opened_anew_when_another_stands_in_their_place)
{
    struct fixture f;
    char fresh[96];
    begin(&f);
    expect_content(&f, "one");
    snprintf(fresh, sizeof fresh, "%s.new", f.path);
    write_text(fresh, "two");

    cr_assert_eq(rename(fresh, f.path), 0);
    wait_for_change(&f);

    cr_expect(strstr(buf_text(&f.changed), f.path) != NULL);
    expect_content(&f, "two");
    end(&f);
}

Test(files, are_news_when_they_were_written_in_place)
{
    struct fixture f;
    begin(&f);
    expect_content(&f, "one");

    write_text(f.path, "three");
    wait_for_change(&f);

    expect_content(&f, "three");
    cr_expect(f.changed.len > 0);
    end(&f);
}

Test(files, that_come_later_are_found_then)
{
    struct fixture f;
    int error = 0;
    begin(&f);
    unlink(f.path);
    cr_assert_lt(files_get(f.files, f.path, &error), 0);
    cr_assert_eq(error, ENOENT);

    write_text(f.path, "late");
    wait_for_change(&f);

    expect_content(&f, "late");
    end(&f);
}

Test(files, beside_them_are_no_news)
{
    struct fixture f;
    char other[96];
    begin(&f);
    expect_content(&f, "one");
    snprintf(other, sizeof other, "%s/other", f.directory);

    write_text(other, "x");
    wait_for_change(&f);

    cr_expect_eq(f.changed.len, 0, "%s", buf_text(&f.changed));
    end(&f);
}

Test(files, must_be_regular)
{
    struct fixture f;
    int error = 0;
    begin(&f);
    char fifo[96];
    snprintf(fifo, sizeof fifo, "%s/fifo", f.directory);
    cr_assert_eq(mkfifo(fifo, 0644), 0);

    cr_expect_lt(files_get(f.files, f.directory, &error), 0);
    cr_expect_eq(error, EISDIR);
    cr_expect_lt(files_get(f.files, fifo, &error), 0, "and nobody waits for its other end");
    cr_expect_eq(error, EINVAL);
    end(&f);
}

Test(files, that_are_only_watched_are_news_when_they_stand_anew_but_not_when_written_to)
{
    struct fixture f;
    begin(&f);
    files_watch(f.files, f.path);

    int fd = open(f.path, O_WRONLY | O_APPEND);
    cr_assert(fd >= 0 && write(fd, "line", 4) == 4 && close(fd) == 0);
    wait_for_change(&f);
    cr_expect_eq(f.changed.len, 0, "a log grows");
    char old[96];
    snprintf(old, sizeof old, "%s.1", f.path);
    cr_assert_eq(rename(f.path, old), 0);
    write_text(f.path, "");
    wait_for_change(&f);

    cr_expect(f.changed.len > 0);
    end(&f);
}
