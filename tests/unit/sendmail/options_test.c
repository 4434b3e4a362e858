#include "cli/sendmail/sendmail.h"
#include "lib/mail/dsn.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <sysexits.h>

static struct arena arena;

static void teardown(void)
{
    arena_fini(&arena);
}

TestSuite(options, .fini = teardown);

/* line: words between blanks; "_" stands for an empty one */
static int read_line(const char *line, struct options *o)
{
    char *argv[32] = {"sendmail"};
    int argc = 1;
    struct span rest = span_text(line), word;
    while (span_next_token(&rest, SPAN(" "), &word))
        argv[argc++] = arena_alloc(&arena, word.n + 1), memcpy(argv[argc - 1], word.p, span_eq(word, SPAN("_")) ? 0 : word.n);
    argv[argc] = NULL;
    return options_read(&arena, "sendmail", argc, argv, o);
}

Test(options, end_with_the_status_that_postfix_has)
{
    static const struct {
        const char *line;
        int status;
    } rows[] = {
        {"you@example.test", 0},
        {"-i -f me@example.test you@example.test", 0},
        {"you@example.test -f me@example.test", 0},
        {"-t", 0},
        {"-t -i -oi -oem -om -o7 -n -x -m -U -hx -A x -L x -px", 0},
        {"-bm -v -G -B 8BITMIME -N failure,delay -R hdrs -V id you", 0},
        {"-O DeliveryMode=b you", 0},
        {"-X /tmp/log you", 0},
        {"", EX_USAGE},
        {"-t you@example.test", EX_USAGE},
        {"-z you", EX_USAGE},
        {"-f", EX_USAGE},
        {"-f a@b,c@d you", EX_USAGE},
        {"-bv you", EX_USAGE},
        {"-bd", EX_USAGE},
        {"-bz", EX_USAGE},
        {"-B 9BIT you", EX_USAGE},
        {"-N sometimes you", EX_USAGE},
        {"-N never,delay you", EX_USAGE},
        {"-R all you", EX_USAGE},
        {"-qX", EX_USAGE},
        {"-qI", EX_USAGE},
        {"-XV you", EX_UNAVAILABLE},
    };
    cr_redirect_stderr();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct options o;
        cr_expect_eq(read_line(rows[i].line, &o), rows[i].status, "%s", rows[i].line);
    }
}

Test(options, fill_the_envelope)
{
    struct options o;

    cr_assert_eq(read_line("-i -f <me@example.test> -F Me -N success,delay -R full -V E1 -B 8bitmime -G a@b.test,c d@e.test",
                           &o), 0);

    cr_expect(o.ignore_dots);
    cr_expect(span_eq(o.envelope.sender, SPAN("me@example.test")));
    cr_expect_eq(o.envelope.flags, (uint64_t)(DROP_SENDER | DROP_REMOTE));
    cr_expect(span_eq(o.envelope.full_name, SPAN("Me")));
    cr_expect_eq(o.envelope.notify, (uint64_t)(DSN_NOTIFY_SUCCESS | DSN_NOTIFY_DELAY));
    cr_expect(span_eq(o.envelope.ret, SPAN("FULL")));
    cr_expect(span_eq(o.envelope.envid, SPAN("E1")));
    cr_expect_eq(o.envelope.encoding, 8u);
    cr_assert_eq(o.envelope.recipients.n, 3u);
    cr_expect(span_eq(o.envelope.recipients.at[0].address, SPAN("a@b.test")));
    cr_expect(span_eq(o.envelope.recipients.at[1].address, SPAN("c")));
    cr_expect(span_eq(o.envelope.recipients.at[2].address, SPAN("d@e.test")));
}

Test(options, know_the_null_sender)
{
    struct options o;

    cr_assert_eq(read_line("-f <> you", &o), 0);
    cr_expect_eq(o.envelope.sender.n, 0u);
    cr_expect_eq(o.envelope.flags, (uint64_t)DROP_SENDER);
    cr_assert_eq(read_line("-f _ you", &o), 0);
    cr_expect_eq(o.envelope.sender.n, 0u);
    cr_expect_eq(o.envelope.flags, (uint64_t)DROP_SENDER);
}

Test(options, let_no_control_character_into_the_envelope)
{
    struct options o;
    char *name[] = {"sendmail", "-F", "x\nBcc: victim@example.test", "you", NULL};
    char *sender[] = {"sendmail", "-f", "x\r\ny", "you", NULL};
    char *recipient[] = {"sendmail", "you\n@example.test", NULL};
    char *envid[] = {"sendmail", "-V", "a\nb", "you", NULL};
    cr_redirect_stderr();

    cr_expect_eq(options_read(&arena, "sendmail", 4, name, &o), EX_USAGE);
    int status = options_read(&arena, "sendmail", 4, sender, &o);
    cr_expect(status == EX_USAGE || span_find(o.envelope.sender, '\n') == o.envelope.sender.n);
    status = options_read(&arena, "sendmail", 2, recipient, &o);
    for (size_t i = 0; status == 0 && i < o.envelope.recipients.n; i++)
        cr_expect_eq(span_find(o.envelope.recipients.at[i].address, '\n'), o.envelope.recipients.at[i].address.n);
    cr_expect_eq(options_read(&arena, "sendmail", 4, envid, &o), EX_USAGE);
}

Test(options, choose_the_mode)
{
    static const struct {
        const char *line;
        enum mode mode;
    } rows[] = {
        {"-bs", MODE_SMTP}, {"-bp", MODE_LIST}, {"-bi", MODE_ALIASES}, {"-I", MODE_ALIASES},
        {"-q", MODE_FLUSH}, {"-q15m", MODE_FLUSH}, {"-qIABC", MODE_FLUSH}, {"-qSexample.test", MODE_FLUSH},
        {"-bm you", MODE_MAIL},
    };
    struct options o;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_expect_eq(read_line(rows[i].line, &o), 0, "%s", rows[i].line);
        cr_expect_eq(o.mode, rows[i].mode, "%s", rows[i].line);
    }
    cr_assert_eq(read_line("-qIABC", &o), 0);
    cr_expect_str_eq(o.flush_id, "ABC");
    cr_assert_eq(read_line("-qRexample.test", &o), 0);
    cr_expect_str_eq(o.flush_site, "example.test");
    char *none[] = {"x", NULL};
    cr_expect_eq(options_read(&arena, "mailq", 1, none, &o), 0);
    cr_expect_eq(o.mode, MODE_LIST);
    cr_expect_eq(options_read(&arena, "newaliases", 1, none, &o), 0);
    cr_expect_eq(o.mode, MODE_ALIASES);
}

Test(options, take_a_directory_or_its_main_cf)
{
    struct options o;

    cr_assert_eq(read_line("-C /a/etc/main.cf you", &o), 0);
    cr_expect_str_eq(o.config_directory, "/a/etc");
    cr_assert_eq(read_line("-C /tmp you", &o), 0);
    cr_expect_str_eq(o.config_directory, "/tmp");
    cr_assert_eq(read_line("-C /etc/passwd you", &o), 0);
    cr_expect_null(o.config_directory, "a file of another program");
}

Test(options, take_an_address_at_the_limit_and_not_beyond)
{
    static char address[DROP_ADDRESS_MAX + 2];
    struct options o;
    char *argv[] = {"sendmail", address, NULL};
    cr_redirect_stderr();
    memset(address, 'x', DROP_ADDRESS_MAX);

    cr_expect_eq(options_read(&arena, "sendmail", 2, argv, &o), 0);
    address[DROP_ADDRESS_MAX] = 'x';
    cr_expect_eq(options_read(&arena, "sendmail", 2, argv, &o), EX_USAGE);
}
