#include "cli/postconf/postconf.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char MAIN[] =
    "# head\nrelayhost = a\n# c1\nmydestination = a,\n# inner\n  b,\n\n  c\nmyhostname=x.y\n# tail\n";
static const char MASTER[] =
    "# head\nsmtp inet n - y - - smtpd\n#submission inet\n\nrelay unix - - y - - smtp\n"
    "        -o syslog_name=postfix/$service_name\n# c\n  -o relayhost=b\n# tail\n"
    "maildrop unix - n n - - pipe\n flags=R argv=/bin/x ${recipient}\n";

static char dir[] = "/tmp/postconf_test.XXXXXX";

static void put_file(const char *name, const char *text)
{
    char path[100];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
}

static void expect_file(const char *name, const char *want, const char *says)
{
    char path[100];
    struct buf text = BUF_INIT, why = BUF_INIT;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    cr_assert(settings_load_file(path, 100000, &text, &why), "%s", says);
    cr_expect_str_eq(buf_text(&text), want, "%s", says);
    buf_fini(&text);
    buf_fini(&why);
}

static void set_up(void)
{
    cr_redirect_stderr();
    cr_assert_not_null(mkdtemp(dir));
    put_file("main.cf", MAIN);
    put_file("master.cf", MASTER);
}

static void tear_down(void)
{
    static const char *const names[] = {"main.cf", "master.cf", "main.cf.tmp", "master.cf.tmp", "real"};
    char path[100];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    cr_expect_eq(rmdir(dir), 0, "nothing else is left behind");
}

TestSuite(edit, .init = set_up, .fini = tear_down);

/* Runs the edit of the arguments, as main.c would. */
static bool run(unsigned flags, const char *first, const char *second)
{
    char *args[2] = {(char *)(uintptr_t)first, (char *)(uintptr_t)second};
    struct request r = {.flags = flags, .dir = dir, .args = args, .arg_count = second ? 2 : 1};
    struct config c = {0};
    bool good = flags & OPT_MASTER ? edit_master(&c, &r) : edit_main(&c, &r);
    config_fini(&c);
    return good;
}

Test(edit, main_cf_keeps_its_comments)
{
    static const struct {
        const char *says;
        unsigned flags;
        const char *first, *second, *want;
    } rows[] = {
        {"a value replaced and one added", OPT_EDIT, "relayhost = [z]", "default_transport=smtp",
         "# head\nrelayhost = [z]\n# c1\nmydestination = a,\n# inner\n  b,\n\n  c\nmyhostname=x.y\n# tail\n"
         "default_transport = smtp\n"},
        {"a long value replaced", OPT_EDIT, "mydestination=only", NULL,
         "# head\nrelayhost = a\n# c1\nmydestination = only\n# inner\n\nmyhostname=x.y\n# tail\n"},
        {"commented out", OPT_COMMENT, "mydestination", NULL,
         "# head\nrelayhost = a\n# c1\n#mydestination = a,\n# inner\n#  b,\n\n#  c\nmyhostname=x.y\n# "
         "tail\n"},
        {"removed", OPT_REMOVE, "mydestination", "relayhost",
         "# head\n# c1\n# inner\n\nmyhostname=x.y\n# tail\n"},
        {"a name that is not there", OPT_REMOVE, "nosuch", NULL, MAIN},
        {"made empty", OPT_EDIT, "relayhost=", NULL,
         "# head\nrelayhost = \n# c1\nmydestination = a,\n# inner\n  b,\n\n  c\nmyhostname=x.y\n# tail\n"},
        {"the last of two wins", OPT_EDIT, "relayhost=[p]", "relayhost=[q]",
         "# head\nrelayhost = [q]\n# c1\nmydestination = a,\n# inner\n  b,\n\n  c\nmyhostname=x.y\n# tail\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        put_file("main.cf", MAIN);
        cr_expect(run(rows[i].flags, rows[i].first, rows[i].second), "%s", rows[i].says);
        expect_file("main.cf", rows[i].want, rows[i].says);
    }
}

Test(edit, a_last_line_without_end_is_ended)
{
    put_file("main.cf", "relayhost = a");

    cr_expect(run(OPT_EDIT, "myorigin=x", NULL));

    expect_file("main.cf", "relayhost = a\nmyorigin = x\n", "two lines");
}

Test(edit, a_wrong_value_changes_nothing)
{
    static const struct {
        const char *says;
        unsigned flags;
        const char *arg;
    } rows[] = {
        {"no time", OPT_EDIT, "smtpd_timeout=soon"},
        {"no expansion", OPT_EDIT, "relayhost=${x"},
        {"no name", OPT_EDIT, "=x"},
        {"no equals sign", OPT_EDIT, "relayhost"},
        {"two lines", OPT_EDIT, "relayhost=a\nb"},
        {"two words to remove", OPT_REMOVE, "a b"},
        {"a service that is none", OPT_EDIT | OPT_SERVICES, "smtp/inet=smtp inet n"},
        {"no such type", OPT_EDIT | OPT_SERVICES, "smtp/foo=smtp foo n - n - - smtpd"},
        {"no type", OPT_REMOVE | OPT_SERVICES, "smtp"},
        {"a field that there is not", OPT_EDIT | OPT_FIELDS, "smtp/inet/foo=x"},
        {"a bad field", OPT_EDIT | OPT_FIELDS, "smtp/inet/chroot=x"},
        {"a bad parameter", OPT_EDIT | OPT_PARAMETERS, "smtp/inet/smtpd_timeout=soon"},
        {"fields cannot be removed", OPT_REMOVE | OPT_FIELDS, "smtp/inet/chroot"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_expect(!run(rows[i].flags, rows[i].arg, NULL), "%s", rows[i].says);
        expect_file("main.cf", MAIN, rows[i].says);
        expect_file("master.cf", MASTER, rows[i].says);
    }
}

Test(edit, a_value_may_refer_to_one_set_with_it)
{
    cr_expect(run(OPT_EDIT, "smtpd_timeout=${mine}s", "mine=5"));
    cr_expect(!run(OPT_EDIT, "smtpd_timeout=${mine}s", "mine=x"));
}

Test(edit, master_cf_keeps_its_comments)
{
    static const struct {
        const char *says;
        unsigned flags;
        const char *first, *second, *from, *to; /* of MASTER, the part that changes */
    } rows[] = {
        {"a service replaced", OPT_EDIT | OPT_SERVICES, "smtp/inet=smtp inet n - n - 20 smtpd -o relayhost=y",
         NULL, "smtp inet n - y - - smtpd\n",
         "smtp       inet  n       -       n       -       20      smtpd\n    -o relayhost=y\n"},
        {"a service added", OPT_EDIT | OPT_SERVICES, "2525/inet=2525 inet n - n - - smtpd", NULL,
         " flags=R argv=/bin/x ${recipient}\n",
         " flags=R argv=/bin/x ${recipient}\n2525       inet  n       -       n       -       -       "
         "smtpd\n"},
        {"a service commented out", OPT_COMMENT | OPT_SERVICES, "relay/unix", NULL,
         "relay unix - - y - - smtp\n        -o syslog_name=postfix/$service_name\n# c\n  -o relayhost=b\n",
         "#relay unix - - y - - smtp\n#        -o syslog_name=postfix/$service_name\n# c\n#  -o "
         "relayhost=b\n"},
        {"a service removed", OPT_REMOVE | OPT_SERVICES, "relay/unix", NULL,
         "relay unix - - y - - smtp\n        -o syslog_name=postfix/$service_name\n# c\n  -o relayhost=b\n",
         "# c\n"},
        {"a field", OPT_EDIT | OPT_FIELDS, "smtp/inet/chroot=n", NULL, "smtp inet n - y - - smtpd\n",
         "smtp       inet  n       -       n       -       -       smtpd\n"},
        {"the command and a field", OPT_EDIT | OPT_FIELDS, "smtp/inet/command=smtpd -v",
         "smtp/inet/process_limit=7", "smtp inet n - y - - smtpd\n",
         "smtp       inet  n       -       y       -       7       smtpd -v\n"},
        {"a parameter replaced and one added", OPT_EDIT | OPT_PARAMETERS, "relay/unix/relayhost=c",
         "relay/unix/smtp_bind_address=::1",
         "relay unix - - y - - smtp\n        -o syslog_name=postfix/$service_name\n# c\n  -o relayhost=b\n",
         "relay      unix  -       -       y       -       -       smtp\n    -o "
         "syslog_name=postfix/$service_name\n"
         "    -o relayhost=c\n    -o smtp_bind_address=::1\n# c\n"},
        {"a parameter with whitespace", OPT_EDIT | OPT_PARAMETERS, "smtp/inet/smtpd_banner=a b", NULL,
         "smtp inet n - y - - smtpd\n",
         "smtp       inet  n       -       y       -       -       smtpd\n    -o {smtpd_banner=a b}\n"},
        {"a parameter before the arguments", OPT_EDIT | OPT_PARAMETERS, "maildrop/unix/syslog_name=x", NULL,
         "maildrop unix - n n - - pipe\n flags=R argv=/bin/x ${recipient}\n",
         "maildrop   unix  -       n       n       -       -       pipe\n    -o syslog_name=x\n"
         "    flags=R argv=/bin/x ${recipient}\n"},
        {"a parameter removed", OPT_REMOVE | OPT_PARAMETERS, "relay/unix/syslog_name", NULL,
         "relay unix - - y - - smtp\n        -o syslog_name=postfix/$service_name\n# c\n  -o relayhost=b\n",
         "relay      unix  -       -       y       -       -       smtp\n    -o relayhost=b\n# c\n"},
        {"a service that is not there", OPT_REMOVE | OPT_SERVICES, "nosuch/unix", NULL, "", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf want = BUF_INIT;
        const char *at = strstr(MASTER, rows[i].from);
        cr_assert_not_null(at, "%s", rows[i].says);
        buf_put(&want, span_of(MASTER, (size_t)(at - MASTER)));
        buf_puts(&want, rows[i].to);
        buf_puts(&want, at + strlen(rows[i].from));
        put_file("master.cf", MASTER);
        cr_expect(run(rows[i].flags, rows[i].first, rows[i].second), "%s", rows[i].says);
        expect_file("master.cf", buf_text(&want), rows[i].says);
        buf_fini(&want);
    }
}

Test(edit, the_mode_stays_and_a_link_stays_a_link)
{
    char path[100], real[100];
    struct stat st;
    snprintf(path, sizeof path, "%s/main.cf", dir);
    snprintf(real, sizeof real, "%s/real", dir);
    cr_assert_eq(rename(path, real), 0);
    cr_assert_eq(chmod(real, 0640), 0);
    cr_assert_eq(symlink("real", path), 0);

    cr_expect(run(OPT_EDIT, "relayhost=[new]", NULL));

    cr_assert_eq(lstat(path, &st), 0);
    cr_expect(S_ISLNK(st.st_mode));
    cr_assert_eq(stat(real, &st), 0);
    cr_expect_eq(st.st_mode & 07777, 0640U);
    unlink(real);
}

Test(edit, what_an_interrupted_edit_left_does_no_harm)
{
    put_file("main.cf.tmp", "half a fi");

    cr_expect(run(OPT_EDIT, "relayhost=[new]", NULL));

    struct buf text = BUF_INIT, why = BUF_INIT;
    char path[100];
    snprintf(path, sizeof path, "%s/main.cf.tmp", dir);
    cr_expect(!settings_load_file(path, 1000, &text, &why), "it is gone");
    buf_fini(&text);
    buf_fini(&why);
}

Test(edit, a_link_in_place_of_the_new_file_is_not_followed)
{
    char path[100], real[100];
    put_file("real", "precious");
    snprintf(path, sizeof path, "%s/main.cf.tmp", dir);
    snprintf(real, sizeof real, "%s/real", dir);
    cr_assert_eq(symlink(real, path), 0);

    cr_expect(!run(OPT_EDIT, "relayhost=[new]", NULL));

    expect_file("real", "precious", "untouched");
    expect_file("main.cf", MAIN, "untouched");
}
