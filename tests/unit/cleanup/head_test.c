#include "cleanup/head.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct span dropped[] = {SPAN_INIT("bcc"), SPAN_INIT("content-length"), SPAN_INIT("resent-bcc"),
                                SPAN_INIT("return-path")};

static struct head_config config(void)
{
    return (struct head_config){.myhostname = SPAN("mail.example.test"), .undisclosed = SPAN("To: undisclosed-recipients:;"),
                                .dropped = dropped, .dropped_count = 4, .header_size_limit = 1000, .token_limit = 100,
                                .hopcount_limit = 5};
}

static struct head_request request(void)
{
    return (struct head_request){.id = queue_id_make(INT64_C(1700000000123456), 51),
                                 .arrival_us = INT64_C(1700000000123456), .sender = SPAN("anna@example.test"),
                                 .complete = true};
}

static struct arena arena;
static struct buf out;
static struct head head;

static void teardown(void)
{
    arena_fini(&arena);
    buf_fini(&out);
}

TestSuite(head, .fini = teardown);

static void complete(const struct head_config *c, const struct head_request *r, const char *text)
{
    buf_clear(&out);
    setenv("TZ", "UTC", 1);
    head = head_complete(c, r, span_text(text), &arena, &out);
}

Test(head, adds_what_is_missing_behind_what_is_there)
{
    struct head_config c = config();
    struct head_request r = request();

    complete(&c, &r, "Subject: x\n\nbody\n");

    cr_expect_str_eq(buf_text(&out), "Subject: x\n"
                                     "Message-Id: <20231114221320.4SVLCh0sf8z0010@mail.example.test>\n"
                                     "Date: Tue, 14 Nov 2023 22:13:20 +0000 (UTC)\n"
                                     "From: anna@example.test\n"
                                     "To: undisclosed-recipients:;\n\n");
    cr_expect_eq(head.body_at, strlen("Subject: x\n\n"));
    cr_expect(span_eq(head.message_id, SPAN("<20231114221320.4SVLCh0sf8z0010@mail.example.test>")));
}

Test(head, of_foreign_mail_stays_as_it_is)
{
    struct head_config c = config();
    struct head_request r = request();
    r.complete = false;

    complete(&c, &r, "Received: from a\n\tby b\nSubject:x\nX-Odd : y\n\nbody\n");

    cr_expect_str_eq(buf_text(&out), "Received: from a\n\tby b\nSubject:x\nX-Odd : y\n\n");
    cr_expect(span_eq(head.message_id, SPAN("<>")));
}

Test(head, without_an_empty_line_gets_one)
{
    struct head_config c = config();
    struct head_request r = request();
    static const struct {
        const char *text, *want;
        size_t body_at;
    } rows[] = {
        {"Subject: x\nno header\n", "Subject: x\n\n", 11},
        {"no header\n", "\n", 0},
        {"\nbody\n", "\n", 1},
        {"", "\n", 0},
        {"Subject: x\n", "Subject: x\n\n", 11},
    };
    r.complete = false;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        complete(&c, &r, rows[i].text);
        cr_expect_str_eq(buf_text(&out), rows[i].want, "%s", rows[i].text);
        cr_expect_eq(head.body_at, rows[i].body_at, "%s", rows[i].text);
        cr_expect_eq(head_find_body(span_text(rows[i].text), 1000), rows[i].body_at, "%s", rows[i].text);
    }
}

Test(head, drops_the_headers_that_the_parameter_names_in_any_case)
{
    struct head_config c = config();
    struct head_request r = request();
    r.complete = false;

    complete(&c, &r, "BCC: a@b,\n c@d\nReturn-Path: <x>\nSubject: x\nContent-Length: 5\n\n");

    cr_expect_str_eq(buf_text(&out), "Subject: x\n\n");
}

Test(head, of_a_resent_message_gets_resent_headers)
{
    struct head_config c = config();
    struct head_request r = request();

    complete(&c, &r, "Resent-To: b@c\nMessage-Id: <1@x>\nDate: d\nFrom: f@g\n\n");

    cr_expect_str_eq(buf_text(&out), "Resent-To: b@c\nMessage-Id: <1@x>\nDate: d\nFrom: f@g\n"
                                     "Resent-Message-Id: <20231114221320.4SVLCh0sf8z0010@mail.example.test>\n"
                                     "Resent-Date: Tue, 14 Nov 2023 22:13:20 +0000 (UTC)\n"
                                     "Resent-From: anna@example.test\n\n");
    cr_expect(span_eq(head.message_id, SPAN("<1@x>")));
}

Test(head, writes_the_senders_name_as_a_phrase_or_a_comment)
{
    static const struct {
        const char *name, *sender, *standard, *obsolete;
    } rows[] = {
        {"Anna Bell", "anna@example.test", "Anna Bell <anna@example.test>", "anna@example.test (Anna Bell)"},
        {"Anna B. Bell", "anna@example.test", "\"Anna B. Bell\" <anna@example.test>", "anna@example.test (Anna B. Bell)"},
        {"A \"B\" \\ (C)", "a@b", "\"A \\\"B\\\" \\\\ (C)\" <a@b>", "a@b (A \"B\" \\\\ \\(C\\))"},
        {"Anna\nBcc: x@y", "a@b", "\"AnnaBcc: x@y\" <a@b>", "a@b (AnnaBcc: x@y)"},
        {"", "an na@b", "\"an na\"@b", "\"an na\"@b"},
        {"Mail System", "", "Mail System <MAILER-DAEMON>", "MAILER-DAEMON (Mail System)"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct head_config c = config();
        struct head_request r = request();
        struct buf want = BUF_INIT;
        r.full_name = span_text(rows[i].name);
        r.sender = span_text(rows[i].sender);

        complete(&c, &r, "To: x\nDate: d\nMessage-Id: <i>\n\n");
        buf_printf(&want, "To: x\nDate: d\nMessage-Id: <i>\nFrom: %s\n\n", rows[i].standard);
        cr_expect_str_eq(buf_text(&out), buf_text(&want), "%s", rows[i].name);

        c.obsolete_from = true;
        complete(&c, &r, "To: x\nDate: d\nMessage-Id: <i>\n\n");
        buf_clear(&want);
        buf_printf(&want, "To: x\nDate: d\nMessage-Id: <i>\nFrom: %s\n\n", rows[i].obsolete);
        cr_expect_str_eq(buf_text(&out), buf_text(&want), "%s", rows[i].name);
        buf_fini(&want);
    }
}

Test(head, leaves_the_time_out_of_the_message_id_where_queue_ids_have_it)
{
    struct head_config c = config();
    struct head_request r = request();
    c.long_ids = true;

    complete(&c, &r, "From: a\nTo: b\nDate: c\n\n");

    cr_expect(span_eq(head.message_id, SPAN("<4SVLCh0sf8z0010@mail.example.test>")));
}

Test(head, counts_hops_up_to_the_limit)
{
    struct head_config c = config();
    struct head_request r = request();

    complete(&c, &r, "Received: 1\nReceived: 2\nReceived: 3\nReceived: 4\n\n");
    cr_expect_eq(head.verdict, HEAD_OK);
    complete(&c, &r, "Received: 1\nReceived: 2\nReceived: 3\nReceived: 4\nReceived: 5\n\n");
    cr_expect_eq(head.verdict, HEAD_HOPS);
}

static void expect_recipients(const char *says, const char *text, const char *want)
{
    struct head_config c = config();
    struct head_request r = request();
    struct buf got = BUF_INIT;
    r.extract = true;
    complete(&c, &r, text);
    for (size_t i = 0; i < head.recipient_count; i++)
        buf_printf(&got, "%.*s ", SPAN_ARG(head.recipients[i]));
    cr_expect_str_eq(buf_text(&got), want, "%s", says);
    buf_fini(&got);
}

Test(head, extracts_recipients)
{
    expect_recipients("all three", "To: A <a@b>, c@d\nCc: g: e@f, \"h i\"@j;\nBcc: k@l\n\n", "a@b c@d e@f h i@j k@l ");
    expect_recipients("resent ones alone count", "To: a@b\nResent-To: c@d\nResent-Bcc: e@f\n\n", "c@d e@f ");
    expect_recipients("broken ones are passed over", "To: a@b, \"c@d, e@f\n\n", "a@b ");
    expect_recipients("none", "Subject: a@b\n\nTo: body@x\n", "");
}

static int turn_round(struct span address, enum head_side side, struct buf *replacement, void *context)
{
    (void)context;
    if (span_eq(address, SPAN("stop@b")))
        return -1;
    if (span_eq(address, SPAN("keep@b")))
        return 0;
    buf_printf(replacement, "%s@new", side == HEAD_SENDER ? "s" : "r");
    return 1;
}

Test(head, rewrites_addresses_and_nothing_else)
{
    struct head_config c = config();
    struct head_request r = request();
    r.complete = false;
    r.rewrite = turn_round;

    complete(&c, &r, "From: \"A, B\" <a@b> (c)\nTo: x@b,\n keep@b\nSubject: a@b\nCc: keep@b\nReply-To : y@b\n\n");

    cr_expect_str_eq(buf_text(&out), "From: \"A, B\" <s@new> (c)\nTo: r@new,\n keep@b\nSubject: a@b\nCc: keep@b\n"
                                     "Reply-To : s@new\n\n");
}

Test(head, gives_up_where_the_rewriting_does)
{
    struct head_config c = config();
    struct head_request r = request();
    r.rewrite = turn_round;

    complete(&c, &r, "From: stop@b\n\n");

    cr_expect_eq(head.verdict, HEAD_TEMP);
}

Test(head, makes_a_header_of_a_mailbox_line)
{
    struct head_config c = config();
    struct head_request r = request();
    r.complete = false;

    complete(&c, &r, "From anna Tue Nov 14\nSubject: x\n\nbody\n");

    cr_expect_str_eq(buf_text(&out), "Mailbox-Line: From anna Tue Nov 14\nSubject: x\n\n");
}
