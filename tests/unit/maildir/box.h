/* A Maildir for a test, removed at its end. */
#ifndef TESTS_MAILDIR_BOX_H
#define TESTS_MAILDIR_BOX_H

#include "lib/maildir/maildir.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct box {
    char path[64]; /* of the directory around it */
    int base;
    struct maildir m;
};

static inline struct box box_new(void)
{
    struct box b = {.path = "build/maildir-test-XXXXXX"};
    struct buf why = BUF_INIT;
    cr_assert(mkdtemp(b.path) != NULL);
    b.base = open(b.path, O_RDONLY | O_DIRECTORY);
    cr_assert_eq(maildir_open(&b.m, b.base, SPAN("Maildir/"), true, &why), MAILDIR_OK, "%s", buf_text(&why));
    buf_fini(&why);
    return b;
}

static inline int box_remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st, (void)type, (void)walk;
    return remove(path);
}

static inline void box_end(struct box *b)
{
    maildir_close(&b->m);
    close(b->base);
    nftw(b->path, box_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void box_put(const struct box *b, enum maildir_part part, const char *name, const char *text)
{
    int fd = openat(b->m.parts[part], name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

/* How many files are there; name: set to the last one. */
static inline size_t box_count(const struct box *b, enum maildir_part part, char name[256])
{
    size_t n = 0;
    DIR *dir = fdopendir(openat(b->m.parts[part], ".", O_RDONLY | O_DIRECTORY));
    for (struct dirent *e; (e = readdir(dir));)
        if (e->d_name[0] != '.') {
            n++;
            if (name)
                snprintf(name, 256, "%s", e->d_name);
        }
    closedir(dir);
    return n;
}

/* The content of a file. */
static inline void box_expect_text(const struct box *b, enum maildir_part part, const char *name, const char *want)
{
    char text[4096];
    int fd = openat(b->m.parts[part], name, O_RDONLY);
    cr_assert_geq(fd, 0, "%s is not there", name);
    ssize_t n = read(fd, text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    close(fd);
    cr_expect_str_eq(text, want);
}

static inline void box_list(struct box *b, struct maildir_list *list)
{
    struct buf why = BUF_INIT;
    *list = MAILDIR_LIST_INIT;
    cr_assert_eq(maildir_list_read(&b->m, list, &why), MAILDIR_OK, "%s", buf_text(&why));
    buf_fini(&why);
}

#endif
