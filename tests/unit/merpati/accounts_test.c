#include "cli/merpati/accounts.h"

#include <criterion/criterion.h>
#include <crypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[] = "/tmp/accounts.XXXXXX";

static void make(void)
{
    int fd = mkstemp(path);
    cr_assert(fd >= 0);
    close(fd);
}

static void end(void)
{
    unlink(path);
}

TestSuite(accounts, .init = make, .fini = end);

static void fill(const char *text)
{
    struct buf why = BUF_INIT;
    cr_assert(file_replace(path, span_text(text), 0644, &why), "%s", buf_text(&why));
}

Test(accounts, keep_a_hash_that_fits_the_password)
{
    struct accounts a = ACCOUNTS_INIT;
    struct buf why = BUF_INIT;

    cr_assert(accounts_set(&a, SPAN("alice@example.test"), "secret word", &why), "%s", buf_text(&why));

    struct span hash = span_skip(a.lines[0], span_find(a.lines[0], ':') + 1);
    cr_expect(span_starts(hash, SPAN("$y$")));
    cr_expect_str_eq(crypt("secret word", hash.p), hash.p);
    cr_expect_str_neq(crypt("another", hash.p), hash.p);
    accounts_fini(&a);
}

Test(accounts, come_back_as_they_were_with_comments)
{
    struct accounts a = ACCOUNTS_INIT;
    struct buf why = BUF_INIT;
    struct stat st;
    fill("# ours\nalice@x.test:$y$1\nbob@x.test:$y$2:5:5::/h:\n");

    cr_assert(accounts_load(&a, path, &why) && accounts_set(&a, SPAN("Alice@x.test"), "new", &why));
    cr_assert(accounts_save(&a, path, &why), "%s", buf_text(&why));

    accounts_fini(&a);
    cr_assert(accounts_load(&a, path, &why));
    cr_assert_eq(a.n, 3);
    cr_expect(span_eq(a.lines[0], SPAN("# ours")));
    cr_expect(span_eq(a.names[0], SPAN_NONE));
    cr_expect(span_starts(a.lines[1], SPAN("Alice@x.test:$y$j")), "a new hash in the old place");
    cr_expect(span_eq(a.lines[2], SPAN("bob@x.test:$y$2:5:5::/h:")));
    cr_expect(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600, "readable for its owner alone");
    accounts_fini(&a);
}

Test(accounts, are_none_where_there_is_no_file)
{
    struct accounts a = ACCOUNTS_INIT;
    struct buf why = BUF_INIT;
    unlink(path);

    cr_expect(accounts_load(&a, path, &why));

    cr_expect_eq(a.n, 0);
}

Test(accounts, refuse_names_that_mean_something_elsewhere)
{
    static const char *const bad[] = {"", "@", "alice", "@x.test", "alice@", "a b@x.test", "a:b@x.test", "../a@x.test",
                                      ".a@x.test", "#a@x.test", "a/b@x.test", "a@b@x.test", "a\nb@x.test", "a|b@x.test"};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct accounts a = ACCOUNTS_INIT;
        struct buf why = BUF_INIT;
        cr_expect_not(accounts_set(&a, span_text(bad[i]), "pw", &why), "\"%s\"", bad[i]);
        cr_expect(why.len > 0);
        buf_fini(&why);
        accounts_fini(&a);
    }
}

Test(accounts, have_names_up_to_a_limit)
{
    char name[ACCOUNT_NAME_MAX + 2];
    struct accounts a = ACCOUNTS_INIT;
    struct buf why = BUF_INIT;
    memset(name, 'a', sizeof name);
    memcpy(name + 10, "@", 1);

    cr_expect(accounts_set(&a, span_of(name, ACCOUNT_NAME_MAX), "pw", &why));
    cr_expect_not(accounts_set(&a, span_of(name, ACCOUNT_NAME_MAX + 1), "pw", &why));

    accounts_fini(&a);
    buf_fini(&why);
}
