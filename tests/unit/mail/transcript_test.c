#include "lib/mail/transcript.h"

#include <criterion/criterion.h>
#include <stdlib.h>

Test(transcript, keeps_who_said_what)
{
    struct transcript t = TRANSCRIPT_INIT;

    transcript_add(&t, TRANSCRIPT_OUT, SPAN("250-a\r\n250 b\r\n"));
    transcript_add(&t, TRANSCRIPT_IN, SPAN("MAIL \x01\xc3\xb6"));
    transcript_add(&t, TRANSCRIPT_IN, SPAN(""));

    cr_expect_str_eq(buf_text(&t.text), "Out: 250-a\nOut: 250 b\nIn:  MAIL ???\nIn:  \n");
    cr_expect_eq(t.lines, 4u);
    transcript_fini(&t);
}

Test(transcript, never_keeps_credentials)
{
    static const struct {
        const char *says;
        enum transcript_side client;
        const char *const lines[8]; /* the client's and the server's in turn */
        const char *want;
    } rows[] = {
        {"an initial response", TRANSCRIPT_IN, {"AUTH PLAIN AGEAYg==", "235 ok", "MAIL"},
         "In:  AUTH PLAIN (credentials are not shown)\nOut: 235 ok\nIn:  MAIL\n"},
        {"answers to challenges", TRANSCRIPT_IN, {"auth login", "334 VXNlcm5hbWU6", "dXNlcg==", "334 x", "cHc=", "535 no", "QUIT"},
         "In:  auth login\nOut: 334\nIn:  (credentials are not shown)\nOut: 334\nIn:  (credentials are not shown)\n"
         "Out: 535 no\nIn:  QUIT\n"},
        {"a client of ours", TRANSCRIPT_OUT, {"AUTH LOGIN", "334 x", "cHc=", "535 no", "QUIT"},
         "Out: AUTH LOGIN\nIn:  334\nOut: (credentials are not shown)\nIn:  535 no\nOut: QUIT\n"},
        {"blanks before and between", TRANSCRIPT_IN, {" \tAUTH \t PLAIN  AGEAYg== x", "501 no"},
         "In:  AUTH ? PLAIN (credentials are not shown)\nOut: 501 no\n"},
        {"no mechanism", TRANSCRIPT_IN, {"AUTH", "501 no"}, "In:  AUTH\nOut: 501 no\n"},
        {"another verb", TRANSCRIPT_IN, {"AUTHOR x", "502 no"}, "In:  AUTHOR x\nOut: 502 no\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct transcript t = TRANSCRIPT_INIT;
        for (size_t k = 0; k < 8 && rows[i].lines[k]; k++)
            transcript_add(&t, k % 2 ? (enum transcript_side)!rows[i].client : rows[i].client, span_text(rows[i].lines[k]));
        cr_expect_str_eq(buf_text(&t.text), rows[i].want, "%s", rows[i].says);
        transcript_fini(&t);
    }
}

Test(transcript, holds_so_many_octets_and_forgets_the_oldest_lines_beyond)
{
    struct transcript t = TRANSCRIPT_INIT;
    /* 64 octets a line with what stands around it: the limit is reached exactly. */
    char line[59];
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    for (size_t i = 0; i < TRANSCRIPT_MAX / 64; i++)
        transcript_add(&t, TRANSCRIPT_IN, span_text(line));
    cr_expect_eq(t.text.len, (size_t)TRANSCRIPT_MAX);
    cr_expect_eq(t.forgotten, 0u);

    transcript_add(&t, TRANSCRIPT_OUT, SPAN("x"));

    cr_expect_eq(t.forgotten, 1u);
    cr_expect_eq(t.lines, (size_t)TRANSCRIPT_MAX / 64);
    cr_expect_leq(t.text.len, (size_t)TRANSCRIPT_MAX);
    transcript_fini(&t);
}

Test(transcript, cuts_a_line_over_its_limit)
{
    for (size_t n = TRANSCRIPT_LINE_MAX; n <= TRANSCRIPT_LINE_MAX + 1; n++) {
        struct transcript t = TRANSCRIPT_INIT;
        char line[TRANSCRIPT_LINE_MAX + 1];
        memset(line, 'x', sizeof line);

        transcript_add(&t, TRANSCRIPT_IN, span_of(line, n));

        cr_expect_eq(t.text.len, (size_t)TRANSCRIPT_LINE_MAX + 6 + (n > TRANSCRIPT_LINE_MAX ? 3 : 0));
        transcript_fini(&t);
    }
}

Test(transcript, makes_a_notice_that_a_mail_program_can_read)
{
    struct transcript t = TRANSCRIPT_INIT;
    struct buf out = BUF_INIT;
    const struct params_main main = {.mail_name = SPAN("Merpati"),
                                     .myhostname = SPAN("mail.example"),
                                     .myorigin = SPAN("example"),
                                     .double_bounce_sender = SPAN("double-bounce"),
                                     .error_notice_recipient = SPAN("post@there.example")};
    const struct transcript_notice notice = {.main = &main,
                                             .id = SPAN("ID1"),
                                             .what = "LMTP client",
                                             .peer = SPAN("x\ny[192.0.2.1]"),
                                             .reason = "timeout",
                                             .now_us = INT64_C(1762165230) * 1000000,
                                             .zone = date_utc()};
    transcript_add(&t, TRANSCRIPT_IN,
                   SPAN("500 this is a long line that goes on and on until it is wide over the edge of the paper, and then on"));
    t.forgotten = 3;

    transcript_put_notice(&out, &t, &notice);

    cr_expect_str_eq(buf_text(&out), "Received: by mail.example (Merpati)\n\tid ID1; Mon,  3 Nov 2025 10:20:30 +0000 (UTC)\n"
                                     "Date: Mon,  3 Nov 2025 10:20:30 +0000 (UTC)\n"
                                     "From: Mail Delivery System <MAILER-DAEMON@example>\n"
                                     "To: Postmaster <post@there.example>\n"
                                     "Subject: Merpati LMTP client: errors from x?y[192.0.2.1]\n"
                                     "Auto-Submitted: auto-generated\n\n"
                                     "Transcript of session follows.\n\n"
                                     " (3 lines before this are not kept)\n"
                                     " In:  500 this is a long line that goes on and on until it is wide over the\n"
                                     "     edge of the paper, and then on\n"
                                     "\nSession aborted, reason: timeout\n"
                                     "\nFor other details, see the local mail logfile\n");
    buf_fini(&out);
    transcript_fini(&t);
}

Test(transcript, sends_its_notice_from_the_address_whose_failures_nobody_is_told_of)
{
    struct arena a = ARENA_INIT;
    const struct params_main main = {.myorigin = SPAN("example"),
                                     .double_bounce_sender = SPAN("double-bounce"),
                                     .error_notice_recipient = SPAN("postmaster")};
    struct msg_recipient to;
    struct msg_submit m;

    transcript_fill_envelope(&a, &(struct transcript_notice){.main = &main, .id = SPAN("ID1")}, &to, &m);

    cr_expect(span_eq(m.sender, SPAN("double-bounce@example")));
    cr_expect(span_eq(m.recipients.at[0].address, SPAN("postmaster@example")));
    cr_expect(span_eq(m.recipients.at[0].original, SPAN("postmaster")));
    cr_expect_eq(m.flags, (uint64_t)SUBMIT_BOUNCE);
    arena_fini(&a);
}

Test(transcript, tells_the_class_of_a_reply_by_its_codes)
{
    static const struct {
        unsigned code;
        const char *dsn;
        int class; /* -1: none */
    } rows[] = {
        {250, "2.0.0", -1},
        {500, "5.5.2", PARAM_notify_class_protocol},
        {400, "4.5.2", PARAM_notify_class_protocol},
        {501, "5.1.7", PARAM_notify_class_protocol},
        {401, "4.1.7", PARAM_notify_class_protocol},
        {504, "5.5.2", PARAM_notify_class_policy},
        {550, "5.1.1", PARAM_notify_class_bounce},
        {552, "5.3.4", PARAM_notify_class_policy},
        {452, "4.3.1", PARAM_notify_class_resource},
        {451, "4.3.0", PARAM_notify_class_resource},
        {451, "4.3.5", PARAM_notify_class_software},
        {421, "4.3.2", -1},
        {421, "4.4.2", -1},
        {452, "4.5.3", PARAM_notify_class_policy},
        {554, "5.7.1", PARAM_notify_class_policy},
        {550, "", -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unsigned want = rows[i].class < 0 ? 0 : 1u << rows[i].class;
        cr_expect_eq(transcript_class_of(rows[i].code, span_text(rows[i].dsn)), want, "%u %s", rows[i].code, rows[i].dsn);
    }
}
