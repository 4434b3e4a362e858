#include "bounce/report.h"
#include "lib/mail/dsn.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* 2025-11-03 10:20:30 UTC */
#define NOW_US (INT64_C(1762165230) * 1000000)

static const struct report_config config = {
    .myhostname = SPAN_INIT("mail.example"),
    .mail_name = SPAN_INIT("Merpati"),
    .bounce_size_limit = 50000,
    .zone = {0, "UTC"},
};

static const char original_text[] = "Received: from there\n\tby here\n"
                                    "Message-ID: <1@there>\n"
                                    "Subject: hello\n"
                                    "\n"
                                    "Body line\n";

/* What a test changes before make(). */
struct scene {
    struct msg_recipient recipients[3];
    struct msg_verdict verdicts[3];
    struct msg_notify m;
    struct span text;
    enum report_use use;
    struct report_config config;
    struct texts texts;
    struct arena arena;
    struct report report;
    struct buf all;
};

/* The texts of a file of templates, or those built in where it is NULL. */
static void take_templates(struct scene *s, const char *templates)
{
    struct settings settings = SETTINGS_INIT;
    FILE *f = templates ? tmpfile() : NULL;
    settings_set_fact(&settings, "myhostname", SPAN("mail.example"));
    settings_set_fact(&settings, "delay_warning_time", SPAN("4h"));
    if (f)
        fputs(templates, f);
    if (f)
        fflush(f);
    texts_make(&s->arena, &settings, f ? SPAN("/bounce.cf") : SPAN_NONE, f ? fileno(f) : -1, SPAN("example"), &s->texts);
    if (f)
        fclose(f);
    settings_fini(&settings);
}

static void scene_init(struct scene *s)
{
    *s = (struct scene){.config = config, .text = SPAN(original_text)};
    take_templates(s, NULL);
    s->config.texts = &s->texts;
    s->recipients[0] = (struct msg_recipient){.number = 1, .address = SPAN("nobody@there.example")};
    s->verdicts[0] = (struct msg_verdict){
        .number = 1, .class = 5, .dsn = SPAN("5.1.1"), .text = SPAN("unknown user: \"nobody\"")};
    s->m = (struct msg_notify){.kind = NOTIFY_FAILED,
                               .id = SPAN("4d2Vbc0Jz0z0001"),
                               .sender = SPAN("me@here.example"),
                               .recipients = {s->recipients, 1},
                               .verdicts = {s->verdicts, 1},
                               .arrival_us = (uint64_t)NOW_US - 1000000,
                               .give_up_us = (uint64_t)NOW_US + UINT64_C(432000000000)};
}

static const char *make(struct scene *s)
{
    struct original original;
    cr_assert(original_open(&original, &s->arena, s->text, -1, 0, 0));
    struct report_order order = {.about = &s->m,
                                 .original = &original,
                                 .use = s->use,
                                 .to = s->use == REPORT_TO_SENDER ? s->m.sender : SPAN("postmaster@example"),
                                 .id = SPAN("4d2Vbc0K00z0002"),
                                 .now_us = NOW_US};
    report_make(&s->config, &order, &s->report);
    buf_put(&s->all, buf_span(&s->report.head));
    if (s->report.whole)
        buf_put(&s->all, s->text);
    buf_put(&s->all, buf_span(&s->report.tail));
    return buf_text(&s->all);
}

static void scene_fini(struct scene *s)
{
    report_fini(&s->report);
    buf_fini(&s->all);
    arena_fini(&s->arena);
}

static void expect(const char *report, const char *part)
{
    cr_expect(strstr(report, part), "\"%s\" is missing from\n%s", part, report);
}

static void expect_not(const char *report, const char *part)
{
    cr_expect(!strstr(report, part), "\"%s\" is in\n%s", part, report);
}

Test(report, has_the_form_that_postfix_gives_a_bounce)
{
    struct scene s;
    scene_init(&s);

    const char *report = make(&s);

    cr_expect_str_eq(report,
                     "Received: by mail.example (Merpati)\n"
                     "\tid 4d2Vbc0K00z0002; Mon,  3 Nov 2025 10:20:30 +0000 (UTC)\n"
                     "Date: Mon,  3 Nov 2025 10:20:30 +0000 (UTC)\n"
                     "From: Mail Delivery System <MAILER-DAEMON@example>\n"
                     "Subject: Undelivered Mail Returned to Sender\n"
                     "To: me@here.example\n"
                     "Auto-Submitted: auto-replied\n"
                     "MIME-Version: 1.0\n"
                     "Content-Type: multipart/report; report-type=delivery-status;\n"
                     "\tboundary=\"4d2Vbc0K00z0002.1762165230/mail.example\"\n"
                     "Message-Id: <20251103102030.4d2Vbc0K00z0002@mail.example>\n"
                     "\n"
                     "This is a MIME-encapsulated message.\n"
                     "\n"
                     "--4d2Vbc0K00z0002.1762165230/mail.example\n"
                     "Content-Description: Notification\n"
                     "Content-Type: text/plain; charset=us-ascii\n"
                     "\n"
                     "This is the mail system at host mail.example.\n"
                     "\n"
                     "I'm sorry to have to inform you that your message could not\n"
                     "be delivered to one or more recipients. It's attached below.\n"
                     "\n"
                     "For further assistance, please send mail to postmaster.\n"
                     "\n"
                     "If you do so, please include this problem report. You can\n"
                     "delete your own text from the attached returned message.\n"
                     "\n"
                     "                   The mail system\n"
                     "\n"
                     "<nobody@there.example>: unknown user: \"nobody\"\n"
                     "\n"
                     "--4d2Vbc0K00z0002.1762165230/mail.example\n"
                     "Content-Description: Delivery report\n"
                     "Content-Type: message/delivery-status\n"
                     "\n"
                     "Reporting-MTA: dns; mail.example\n"
                     "X-Merpati-Queue-ID: 4d2Vbc0Jz0z0001\n"
                     "X-Merpati-Sender: rfc822; me@here.example\n"
                     "Arrival-Date: Mon,  3 Nov 2025 10:20:29 +0000 (UTC)\n"
                     "\n"
                     "Final-Recipient: rfc822; nobody@there.example\n"
                     "Action: failed\n"
                     "Status: 5.1.1\n"
                     "Diagnostic-Code: X-Merpati; unknown user: \"nobody\"\n"
                     "\n"
                     "--4d2Vbc0K00z0002.1762165230/mail.example\n"
                     "Content-Description: Undelivered Message\n"
                     "Content-Type: message/rfc822\n"
                     "\n"
                     "Return-Path: <me@here.example>\n"
                     "Received: from there\n\tby here\n"
                     "Message-ID: <1@there>\n"
                     "Subject: hello\n"
                     "\n"
                     "Body line\n"
                     "\n"
                     "--4d2Vbc0K00z0002.1762165230/mail.example--\n");
    cr_expect_not(s.report.eight_bit);
    scene_fini(&s);
}

Test(report, tells_what_a_remote_server_said)
{
    struct scene s;
    scene_init(&s);
    s.verdicts[0].text = SPAN("host mx.there.example[192.0.2.1] said: 550 5.1.1 <nobody@there.example>: Recipient "
                              "address rejected (in reply to RCPT TO command)");
    s.verdicts[0].remote_mta = SPAN("mx.there.example");
    s.verdicts[0].diagnostic = SPAN("550 5.1.1 <nobody@there.example>: Recipient address rejected: User unknown in "
                                    "local recipient table");

    const char *report = make(&s);

    expect(report, "\n<nobody@there.example>: host mx.there.example[192.0.2.1] said: 550 5.1.1\n"
                   "    <nobody@there.example>: Recipient address rejected (in reply to RCPT TO\n"
                   "    command)\n");
    expect(report, "\nRemote-MTA: dns; mx.there.example\n"
                   "Diagnostic-Code: smtp; 550 5.1.1 <nobody@there.example>: Recipient address\n"
                   "    rejected: User unknown in local recipient table\n");
    scene_fini(&s);
}

Test(report, names_what_the_sender_gave_and_what_an_alias_was)
{
    struct scene s;
    scene_init(&s);
    s.m.envid = SPAN("QQ 314159");
    s.m.recipients.n = s.m.verdicts.n = 2;
    s.recipients[0].orcpt = SPAN("rfc822;Nobody+x@there.example");
    s.recipients[0].original = SPAN("nobody@there.example");
    s.recipients[1] = (struct msg_recipient){
        .number = 7, .address = SPAN("a b@there.example"), .original = SPAN("staff@there.example")};
    s.verdicts[1] = (struct msg_verdict){.number = 7, .dsn = SPAN("5.2.2"), .text = SPAN("full")};

    const char *report = make(&s);

    expect(report, "\nOriginal-Envelope-Id: QQ 314159\n");
    expect(report, "\n<nobody@there.example>: unknown user: \"nobody\"\n");
    expect(report, "\nOriginal-Recipient: rfc822;Nobody+x@there.example\nAction: failed\n");
    expect(report, "\n<\"a b\"@there.example> (expanded from <staff@there.example>): full\n");
    expect(report, "\nFinal-Recipient: rfc822; \"a b\"@there.example\n"
                   "Original-Recipient: rfc822;staff@there.example\nAction: failed\nStatus: 5.2.2\n");
    scene_fini(&s);
}

Test(report, leaves_out_those_who_did_not_ask)
{
    struct scene s;
    scene_init(&s);
    s.m.recipients.n = s.m.verdicts.n = 3;
    s.recipients[0].notify = DSN_NOTIFY_NEVER;
    s.recipients[1] = (struct msg_recipient){.number = 2, .address = SPAN("two@x"), .notify = DSN_NOTIFY_SUCCESS};
    s.recipients[2] = (struct msg_recipient){
        .number = 3, .address = SPAN("three@x"), .notify = DSN_NOTIFY_FAILURE | DSN_NOTIFY_DELAY};

    const char *report = make(&s);

    cr_expect_eq(report_count(&s.m), 1);
    expect(report, "<three@x>: no reason is known\n");
    expect(report, "Status: 4.0.0\n");
    expect_not(report, "nobody");
    expect_not(report, "two@x");
    scene_fini(&s);
}

Test(report, warns_of_a_delay_with_the_headers_alone)
{
    struct scene s;
    scene_init(&s);
    s.m.kind = NOTIFY_DELAYED;
    s.m.arrival_us = (uint64_t)NOW_US;
    s.m.ret = SPAN("FULL");
    s.verdicts[0] = (struct msg_verdict){
        .number = 1, .class = 4, .dsn = SPAN("4.2.0"), .text = SPAN("locked"), .action = SPAN("expanded")};

    const char *report = make(&s);

    expect(report, "Subject: Delayed Mail (still being retried)\n");
    expect(report, "# THIS IS A WARNING ONLY.  YOU DO NOT NEED TO RESEND YOUR MESSAGE. #\n");
    expect(report, "could not be delivered for more than 4 hour(s).\nIt will be retried until it is 5 day(s) old.\n");
    expect(report, "Action: delayed\nStatus: 4.2.0\n");
    expect(report, "\nWill-Retry-Until: Sat,  8 Nov 2025 10:20:30 +0000 (UTC)\n");
    expect(report, "Content-Description: Undelivered Message Headers\nContent-Type: text/rfc822-headers\n");
    expect_not(report, "Body line");
    scene_fini(&s);
}

Test(report, tells_of_success_what_was_done)
{
    struct scene s;
    scene_init(&s);
    s.m.kind = NOTIFY_SUCCESS;
    s.verdicts[0] = (struct msg_verdict){
        .number = 1, .class = 2, .dsn = SPAN("2.0.0"), .text = SPAN("delivered to maildir"),
        .relay = SPAN("virtual"), .action = SPAN("relayed")};

    const char *report = make(&s);

    expect(report, "Subject: Successful Mail Delivery Report\n");
    expect(report, "<nobody@there.example>: delivery via virtual: delivered to maildir\n");
    expect(report, "Diagnostic-Code: X-Merpati; delivery via virtual: delivered to maildir\n");
    expect(report, "Action: relayed\nStatus: 2.0.0\n");
    expect(report, "Content-Description: Message Headers\nContent-Type: text/rfc822-headers\n");
    scene_fini(&s);
}

Test(report, returns_the_headers_alone_where_that_is_asked_or_needed)
{
    static const struct {
        const char *says;
        const char *ret;
        enum report_use use;
        uint64_t limit; /* minus the size of the original */
        bool whole;
    } rows[] = {
        {"RET=HDRS", "HDRS", REPORT_TO_SENDER, 0, false},
        {"RET=FULL", "FULL", REPORT_TO_SENDER, 0, true},
        {"RET=FULL and one octet too much", "FULL", REPORT_TO_SENDER, UINT64_MAX, false},
        {"one octet below the limit", "", REPORT_TO_SENDER, 1, true},
        {"a double bounce", "", REPORT_DOUBLE, 0, true},
        {"the postmaster's copy", "", REPORT_COPY, 0, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct scene s;
        scene_init(&s);
        s.m.ret = span_text(rows[i].ret);
        s.use = rows[i].use;
        s.config.bounce_size_limit = s.text.n + rows[i].limit;

        const char *report = make(&s);

        cr_expect_eq(strstr(report, "Body line") != NULL, rows[i].whole, "%s", rows[i].says);
        cr_expect_eq(strstr(report, "Type: message/rfc822\n") != NULL, rows[i].whole, "%s", rows[i].says);
        expect(report, "Subject: hello\n");
        scene_fini(&s);
    }
}

Test(report, spares_a_postmaster_the_polite_words)
{
    struct scene s;
    scene_init(&s);
    s.use = REPORT_DOUBLE;
    s.m.sender = SPAN_NONE;

    const char *report = make(&s);

    expect(report, "To: postmaster@example\nAuto-Submitted: auto-generated\n");
    expect(report, "Subject: Postmaster Copy: Undelivered Mail\n");
    expect(report, "Return-Path: <>\n");
    expect_not(report, "I'm sorry");
    expect_not(report, "X-Merpati-Sender");
    scene_fini(&s);
}

Test(report, lets_nothing_from_outside_begin_a_line)
{
    struct scene s;
    scene_init(&s);
    s.m.sender = SPAN("a\r\nBcc: x\x1b@b");
    s.m.envid = SPAN("e\nAction: relayed");
    s.recipients[0].address = SPAN("\"\n.\nRCPT\"@x");
    s.recipients[0].orcpt = SPAN("rfc822;x\nStatus: 2.0.0");
    s.verdicts[0].text = SPAN("no\n--boundary\nX: y");
    s.verdicts[0].diagnostic = SPAN("550\r\nFinal-Recipient: rfc822; z\xff");
    s.verdicts[0].remote_mta = SPAN("mx\nY: z");
    s.verdicts[0].dsn = SPAN("5.1.1\nX: y");
    s.m.id = SPAN("i\nX: y");

    const char *report = make(&s);

    expect_not(report, "\nBcc:");
    expect_not(report, "\nAction: relayed");
    expect_not(report, "\nRCPT");
    expect_not(report, "\nStatus: 2");
    expect_not(report, "\n--boundary");
    expect_not(report, "\nX: y");
    expect_not(report, "\nY: z");
    expect_not(report, "\nFinal-Recipient: rfc822; z");
    expect_not(report, "\x1b");
    expect_not(report, "\xff");
    scene_fini(&s);
}

Test(report, keeps_long_words_whole_and_lines_short)
{
    struct scene s;
    struct buf text = BUF_INIT;
    scene_init(&s);
    for (int i = 0; i < 100; i++)
        buf_puts(&text, i == 50 ? "wordwordwordwordwordwordwordwordwordwordwordwordwordwordwordwordwordwordwordwordword "
                                : "word ");
    s.verdicts[0].text = buf_span(&text);

    const char *report = make(&s);

    for (const char *line = report, *end; (end = strchr(line, '\n')); line = end + 1)
        cr_expect(end - line <= 79 || strstr(line, "wordwordword") < end, "%.*s", (int)(end - line), line);
    buf_fini(&text);
    scene_fini(&s);
}

Test(report, speaks_utf8_where_the_message_did)
{
    struct scene s;
    scene_init(&s);
    s.m.flags = SUBMIT_SMTPUTF8;
    s.m.sender = SPAN("j\xc3\xb6rg@here.example");
    s.recipients[0].address = SPAN("\xc3\xa9@there.example");
    s.recipients[0].orcpt = SPAN("utf-8;\xc3\xa9@there.example");

    const char *report = make(&s);

    expect(report, "To: j\xc3\xb6rg@here.example\n");
    expect(report, "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n");
    expect(report, "Content-Type: message/global-delivery-status\nContent-Transfer-Encoding: 8bit\n");
    expect(report, "X-Merpati-Sender: utf-8; j\xc3\xb6rg@here.example\n");
    expect(report, "Final-Recipient: utf-8; \xc3\xa9@there.example\nOriginal-Recipient: utf-8;\xc3\xa9@there.example\n");
    expect(report, "Content-Type: message/global\n");
    cr_expect(s.report.eight_bit);
    scene_fini(&s);
}

Test(report, encodes_utf8_where_the_message_was_ascii)
{
    struct scene s;
    scene_init(&s);
    s.recipients[0].address = SPAN("\xc3\xa9@there.example");
    s.recipients[0].orcpt = SPAN("utf-8;\xc3\xa9@there.example");

    const char *report = make(&s);

    expect(report, "Final-Recipient: utf-8; \\x{E9}@there.example\nOriginal-Recipient: utf-8;\\x{E9}@there.example\n");
    expect(report, "Content-Type: message/delivery-status\n\n");
    for (const char *c = report; *c; c++)
        cr_assert_lt((unsigned char)*c, 128);
    cr_expect_not(s.report.eight_bit);
    scene_fini(&s);
}

Test(report, says_that_the_original_is_eight_bit)
{
    static const struct {
        const char *says, *text, *ret;
        bool eight_bit;
    } rows[] = {
        {"a body with 8 bits", "Subject: x\n\n\xe9\n", "FULL", true},
        {"the headers of the same", "Subject: x\n\n\xe9\n", "HDRS", false},
        {"8 bits in a header", "Subject: \xe9\n\nx\n", "HDRS", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct scene s;
        scene_init(&s);
        s.text = span_text(rows[i].text);
        s.m.ret = span_text(rows[i].ret);

        const char *report = make(&s);

        cr_expect_eq(s.report.eight_bit, rows[i].eight_bit, "%s", rows[i].says);
        cr_expect_eq(strstr(report, "Encoding: 8bit") != NULL, rows[i].eight_bit, "%s", rows[i].says);
        scene_fini(&s);
    }
}

Test(report, threads_where_that_is_asked_for)
{
    struct scene s;
    scene_init(&s);
    s.config.enable_threaded_bounces = true;
    s.text = SPAN("References: <0@there>\nMessage-ID: <1@there>\n\nx\n");

    const char *report = make(&s);

    expect(report, "\nReferences: <0@there> <1@there>\nIn-Reply-To: <1@there>\nMIME-Version: 1.0\n");
    scene_fini(&s);
}

Test(report, reads_the_original_from_a_file)
{
    struct scene s;
    struct original original;
    char name[] = "/tmp/report_test.XXXXXX";
    int fd = mkstemp(name);
    struct buf copy = BUF_INIT;
    scene_init(&s);
    unlink(name);
    cr_assert_eq(write(fd, "envelope", 8), 8);
    cr_assert_eq(write(fd, original_text, s.text.n), (ssize_t)s.text.n);

    bool opened = original_open(&original, &s.arena, SPAN_NONE, fd, 8, s.text.n);
    bool too_short = original_open(&(struct original){0}, &s.arena, SPAN_NONE, fd, 8, s.text.n + 1);
    original_put_header(&original, &copy, SPAN("subject"));

    cr_expect(opened && !too_short);
    cr_expect_str_eq(buf_text(&copy), "hello");
    cr_expect(span_eq(original.headers, span_slice(s.text, 0, span_rfind(s.text, 'B') - 1)));
    close(fd);
    buf_fini(&copy);
    arena_fini(&s.arena);
}

Test(report, names_the_original_recipient_of_all_who_were_given)
{
    struct scene s;
    scene_init(&s);
    s.recipients[0].original = SPAN("nobody@there.example");

    expect(make(&s), "\nOriginal-Recipient: rfc822;nobody@there.example\n");
    scene_fini(&s);
}

Test(report, says_by_whom_the_diagnostic_is)
{
    static const struct {
        const char *says;
        struct msg_verdict verdict;
        unsigned kind;
        const char *want;
    } rows[] = {
        {"a server", {.diagnostic = SPAN_INIT("550 no")}, NOTIFY_FAILED, "\nDiagnostic-Code: smtp; 550 no\n"},
        {"a command", {.text = SPAN_INIT("Command died with status 1: \"x\". Command output: no, no")}, NOTIFY_FAILED,
         "\nDiagnostic-Code: x-unix; no, no\n"},
        {"ourselves", {.text = SPAN_INIT("no")}, NOTIFY_FAILED, "\nDiagnostic-Code: X-Merpati; no\n"},
        {"a server that took it",
         {.text = SPAN_INIT("250 yes"), .relay = SPAN_INIT("mx[192.0.2.1]:25"), .remote_mta = SPAN_INIT("mx")},
         NOTIFY_SUCCESS, "\nRemote-MTA: dns; mx\nDiagnostic-Code: smtp; 250 yes\n"},
        {"an alias", {.text = SPAN_INIT("forwarded as X"), .relay = SPAN_INIT("local"), .action = SPAN_INIT("expanded")},
         NOTIFY_SUCCESS, "\nAction: expanded\nStatus: 2.0.0\nDiagnostic-Code: X-Merpati; delivery via local: alias expanded\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct scene s;
        scene_init(&s);
        s.verdicts[0] = rows[i].verdict;
        s.verdicts[0].number = 1;
        s.m.kind = rows[i].kind;
        const char *report = make(&s);
        cr_expect(strstr(report, rows[i].want), "%s:\n%s", rows[i].says, report);
        scene_fini(&s);
    }
}

Test(report, speaks_in_the_words_of_a_template)
{
    struct scene s;
    scene_init(&s);
    take_templates(&s, "failure_template = <<EOF\nCharset: iso-8859-1\nFrom: postman (The Post)\nSubject: Sorry\n"
                       "Postmaster-Subject: Look\n\nSorry\xe9 from $myhostname\nEOF\n");

    const char *report = make(&s);

    expect(report, "\nFrom: postman@example (The Post)\nSubject: Sorry\n");
    expect(report, "\nContent-Transfer-Encoding: 8bit\nMessage-Id:");
    expect(report, "\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: 8bit\n\n"
                   "Sorry\xe9 from mail.example\n\n<nobody@there.example>: ");
    cr_expect(s.report.eight_bit);
    scene_fini(&s);
}

Test(report, tells_a_postmaster_by_the_templates_own_subject)
{
    struct scene s;
    scene_init(&s);
    take_templates(&s, "failure_template = <<EOF\nPostmaster-Subject: Look\n\nSorry\nEOF\n");
    s.use = REPORT_COPY;

    const char *report = make(&s);

    expect(report, "\nSubject: Look\n");
    expect_not(report, "Sorry");
    scene_fini(&s);
}

Test(report, leaves_a_template_in_another_charset_aside_where_it_must_speak_utf8)
{
    struct scene s;
    scene_init(&s);
    take_templates(&s, "failure_template = <<EOF\nCharset: iso-8859-1\n\nSorry\xe9\nEOF\n");
    s.m.flags = SUBMIT_SMTPUTF8;

    const char *report = make(&s);

    expect(report, "charset=utf-8\n");
    expect(report, "I'm sorry to have to inform you");
    expect_not(report, "\xe9");
    scene_fini(&s);
}

Test(report, uses_the_text_built_in_where_a_template_is_wrong)
{
    static const struct {
        const char *says, *templates;
    } rows[] = {
        {"no template at all", "junk\n"},
        {"an unknown name in the text", "failure_template = <<EOF\nSubject: x\n\n$nosuch\nEOF\n"},
        {"an unknown header", "failure_template = <<EOF\nX-Subject: x\n\nhello\nEOF\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct scene s;
        scene_init(&s);
        take_templates(&s, rows[i].templates);
        cr_expect(strstr(make(&s), "Subject: Undelivered Mail Returned to Sender\n"), "%s", rows[i].says);
        scene_fini(&s);
    }
}
