#include "cli/sendmail/sendmail.h"

#include <criterion/criterion.h>
#include <sys/mman.h>
#include <unistd.h>

static struct arena arena;
static struct config config;
static unsigned given;      /* messages */
static struct drop last;    /* the last one */
static char text[4096];     /* of it */
static struct receipt next; /* what the next one becomes */

static void give(const char *queue, int fd, struct receipt *r)
{
    struct buf why = BUF_INIT;
    cr_expect_str_eq(queue, "/queue");
    given++;
    cr_assert_eq(drop_read(&arena, fd, (uint64_t)lseek(fd, 0, SEEK_END), &last, &why), DROP_OK, "%s", buf_text(&why));
    cr_assert_lt(last.text_size, sizeof text);
    cr_assert(drop_read_octets(fd, text, (size_t)last.text_size, last.text_at));
    text[last.text_size] = 0;
    r->class = next.class;
    buf_put(&r->dsn, buf_span(&next.dsn));
    buf_put(&r->text, buf_span(&next.text));
    buf_puts(&r->id, next.class ? "" : "ID1");
}

/* All that is answered to these lines. */
static const char *talk(const char *says)
{
    static char answers[65536];
    int in = memfd_create("in", MFD_CLOEXEC), out = memfd_create("out", MFD_CLOEXEC);
    cr_assert_eq(write(in, says, strlen(says)), (ssize_t)strlen(says));
    cr_assert_eq(lseek(in, 0, SEEK_SET), 0);
    cr_expect_eq(smtp_talk(&config, in, out, give), 0);
    ssize_t n = pread(out, answers, sizeof answers - 1, 0);
    cr_assert(n >= 0);
    answers[n] = 0;
    close(in);
    close(out);
    return answers;
}

static void setup(void)
{
    config = (struct config){.queue = "/queue", .myhostname = "mail.example.test", .size_limit = 20};
}

static void teardown(void)
{
    arena_fini(&arena);
    receipt_fini(&next);
}

TestSuite(smtp, .init = setup, .fini = teardown);

#define ENVELOPE "MAIL FROM:<me@example.test>\r\nRCPT TO:<you@example.test>\r\n"

Test(smtp, takes_a_message)
{
    const char *answers = talk("EHLO x\r\nMAIL FROM:<me@example.test> SIZE=20 BODY=8BITMIME\r\n"
                               "RCPT TO:<you@example.test>\r\nRCPT TO:<b@example.test>\r\n"
                               "DATA\r\nA: b\r\n\r\n..\r\n.x\r\n.\r\nQUIT\r\n");

    cr_expect_str_eq(answers, "220 mail.example.test ESMTP\r\n250-mail.example.test\r\n250-PIPELINING\r\n250-SIZE 20\r\n"
                              "250-ENHANCEDSTATUSCODES\r\n250 8BITMIME\r\n250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n"
                              "250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n"
                              "250 2.0.0 Ok: queued as ID1\r\n221 2.0.0 Bye\r\n");
    cr_expect_eq(given, 1u);
    cr_expect_str_eq(text, "A: b\n\n.\nx\n");
    cr_expect(span_eq(last.envelope.sender, SPAN("me@example.test")));
    cr_expect_eq(last.envelope.recipients.n, 2u);
    cr_expect_eq(last.envelope.encoding, 8u);
    cr_expect_eq(last.envelope.flags, (uint64_t)DROP_SENDER);
}

Test(smtp, answers_each_command_by_its_code)
{
    static const struct {
        const char *says, *lines, *code;
    } rows[] = {
        {"HELO", "HELO x\r\n", "250 mail"},
        {"HELO without a name", "HELO\r\n", "501 "},
        {"RCPT before MAIL", "RCPT TO:<a@b.test>\r\n", "503 5.5.1"},
        {"DATA before RCPT", "MAIL FROM:<>\r\nDATA\r\n", "250 2.1.0 Ok\r\n503 5.5.1"},
        {"DATA with argument", "DATA x\r\n", "501 5.5.4"},
        {"MAIL twice", "MAIL FROM:<>\r\nMAIL FROM:<>\r\n", "250 2.1.0 Ok\r\n503 5.5.1"},
        {"MAIL without FROM", "MAIL <a@b.test>\r\n", "501 5.5.4"},
        {"a bad sender", "MAIL FROM:<a@b c@d>\r\n", "501 5.1.7"},
        {"an option that is none", "MAIL FROM:<> AUTH=<>\r\n", "555 5.5.4"},
        {"a size over the limit", "MAIL FROM:<> SIZE=21\r\n", "552 5.3.4"},
        {"a bad recipient", "MAIL FROM:<>\r\nRCPT TO:<\"a@b>\r\n", "250 2.1.0 Ok\r\n501 5.1.3"},
        {"the null recipient", "MAIL FROM:<>\r\nRCPT TO:<>\r\n", "250 2.1.0 Ok\r\n501 5.1.3"},
        {"RSET", "MAIL FROM:<>\r\nRSET\r\nRCPT TO:<a@b.test>\r\n", "250 2.1.0 Ok\r\n250 2.0.0 Ok\r\n503 5.5.1"},
        {"NOOP", "NOOP\r\n", "250 2.0.0"},
        {"VRFY", "VRFY a\r\n", "252 2.0.0"},
        {"what is none", "XYZZY\r\n", "500 5.5.2"},
        {"an empty line", "\r\n", "500 5.5.2"},
        {"LF alone will do", "NOOP\n", "250 2.0.0"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *answers = talk(rows[i].lines) + strlen("220 mail.example.test ESMTP\r\n");
        cr_expect_eq(strncmp(answers, rows[i].code, strlen(rows[i].code)), 0, "%s: %s", rows[i].says, answers);
    }
    cr_expect_eq(given, 0u);
}

Test(smtp, ends_the_text_only_as_its_commands_end)
{
    config.size_limit = 0;
    talk("HELO x\r\n" ENVELOPE "DATA\r\na\r\n.\nMAIL FROM:<evil@example.test>\nb\n.\r\n.\r\nQUIT\r\n");

    cr_expect_eq(given, 1u);
    cr_expect_str_eq(text, "a\n\nMAIL FROM:<evil@example.test>\nb\n", "%s", text);
}

Test(smtp, serves_programs_that_know_only_line_feeds)
{
    talk("HELO x\nMAIL FROM:<>\nRCPT TO:<you>\nDATA\na\n.\nQUIT\n");

    cr_expect_eq(given, 1u);
    cr_expect_str_eq(text, "a\n");
}

Test(smtp, refuses_a_text_beyond_the_limit_and_goes_on)
{
    const char *answers = talk("HELO x\r\n" ENVELOPE "DATA\r\n012345678\r\n012345678\r\n.\r\n" ENVELOPE
                               "DATA\r\n012345678\r\n0123456789\r\n.\r\nNOOP\r\n");

    cr_expect(strstr(answers, "\r\n552 5.3.4 Error: message file too big\r\n250 2.0.0 Ok\r\n"), "%s", answers);
    cr_expect_eq(given, 1u);
}

Test(smtp, says_what_became_of_the_message)
{
    next.class = 4;
    buf_puts(&next.dsn, "4.3.1");
    buf_puts(&next.text, "full");
    cr_expect(strstr(talk("HELO x\r\n" ENVELOPE "DATA\r\na\r\n.\r\n"), "\r\n451 4.3.1 full\r\n"));

    next.class = 5;
    cr_expect(strstr(talk("HELO x\r\n" ENVELOPE "DATA\r\na\r\n.\r\n"), "\r\n550 4.3.1 full\r\n"));
}

Test(smtp, gives_nothing_of_a_text_that_does_not_end)
{
    talk("HELO x\r\n" ENVELOPE "DATA\r\nabc\r\n");
    talk("HELO x\r\n" ENVELOPE "DATA\r\nabc\r\n.");

    cr_expect_eq(given, 0u);
}

Test(smtp, takes_a_line_at_the_limit_and_not_beyond)
{
    static char line[5000];
    memset(line, 'x', sizeof line);
    memcpy(line, "NOOP ", 5);
    memcpy(line + 4096, "\r\n", 3);
    cr_expect(strstr(talk(line), "\r\n250 2.0.0"));

    memcpy(line + 4096, "x\r\n", 4);
    cr_expect(strstr(talk(line), "\r\n500 5.5.2"));
}

Test(smtp, takes_so_many_recipients_and_no_more)
{
    struct buf lines = BUF_INIT;
    buf_puts(&lines, "MAIL FROM:<>\r\n");
    for (unsigned i = 0; i < 1000; i++)
        buf_puts(&lines, "RCPT TO:<a@b.test>\r\n");
    cr_expect_null(strstr(talk(buf_text(&lines)), "\r\n452"));

    buf_puts(&lines, "RCPT TO:<a@b.test>\r\n");
    cr_expect(strstr(talk(buf_text(&lines)), "\r\n452 4.5.3"));
    buf_fini(&lines);
}
