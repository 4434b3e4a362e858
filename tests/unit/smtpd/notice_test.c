#include "tests/unit/smtpd/chat.h"

#define ALL "notify_classes = policy protocol resource software data\n"
#define ENVELOPE "MAIL FROM:<a@remote.test>\r\n", "250 2.1.0 Ok", "RCPT TO:<alice@example.test>\r\n", "250 2.1.5 Ok"

static void expect(const struct chat *chat, const char *part)
{
    cr_expect(strstr(buf_text(&chat->text), part), "\"%s\" is missing from\n%s", part, buf_text(&chat->text));
}

Test(notice, shows_the_postmaster_a_session_with_an_error)
{
    struct chat chat;
    chat_begin(&chat, ALL "error_notice_recipient = hostmaster\n");

    CHAT(&chat, "FOO bar\r\n", "500 5.5.2 ", "QUIT\r\n", "221 ");
    chat_end(&chat);

    cr_assert_eq(chat.submits, 1u);
    cr_expect(span_eq(chat.submit.sender, SPAN("double-bounce@mx.example.test")));
    cr_expect(span_eq(chat.submit.recipients.at[0].address, SPAN("hostmaster@mx.example.test")));
    cr_expect(span_eq(chat.submit.recipients.at[0].original, SPAN("hostmaster")));
    cr_expect(chat.submit.flags & SUBMIT_BOUNCE);
    expect(&chat, "\nFrom: Mail Delivery System <MAILER-DAEMON@mx.example.test>\nTo: Postmaster <hostmaster@mx.example.test>\n"
                  "Subject: Merpati SMTP server: errors from unknown[198.51.100.7]\n");
    expect(&chat, "\n\nTranscript of session follows.\n\n Out: 220 mx.example.test ESMTP Merpati\n In:  EHLO client.test\n"
                  " Out: 250-mx.example.test\n Out: 250-PIPELINING\n");
    expect(&chat, " Out: 250 CHUNKING\n In:  FOO bar\n Out: 500 5.5.2 Error: command not recognized\n In:  QUIT\n"
                  " Out: 221 2.0.0 Bye\n\n\nFor other details, see the local mail logfile\n");
    chat_close(&chat);
}

Test(notice, says_why_a_session_ended_before_its_time)
{
    struct chat chat;
    chat_begin(&chat, ALL "smtpd_hard_error_limit = 2\n");

    CHAT(&chat, "FOO\r\n", "500 ", "FOO\r\n", "421 4.7.0 ");
    chat_end(&chat);

    expect(&chat, " Out: 421 4.7.0 mx.example.test Error: too many errors\n\nSession aborted, reason: too many errors\n");
    chat_close(&chat);
}

Test(notice, is_sent_for_the_classes_that_are_asked_for_only)
{
    static const struct {
        const char *settings, *command, *answer;
        bool sent;
    } rows[] = {
        {"notify_classes = protocol\n", "FOO\r\n", "500", true},
        {"notify_classes = policy\n", "FOO\r\n", "500", false},
        {"notify_classes =\n", "FOO\r\n", "500", false},
        {"notify_classes = bounce 2bounce delay\n", "FOO\r\n", "500", false},
        {"notify_classes = policy\nmessage_size_limit = 1000\n", "MAIL FROM:<a@b.test> SIZE=1001\r\n", "552", true},
        {"notify_classes = protocol\nmessage_size_limit = 1000\n", "MAIL FROM:<a@b.test> SIZE=1001\r\n", "552", false},
        {ALL, "NOOP\r\n", "250", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct chat chat;
        chat_begin(&chat, rows[i].settings);

        CHAT(&chat, rows[i].command, rows[i].answer, "QUIT\r\n", "221 ");
        chat_end(&chat);

        cr_expect_eq(chat.submits > 0, rows[i].sent, "%s%s", rows[i].settings, rows[i].command);
        chat_close(&chat);
    }
}

Test(notice, never_shows_the_text_of_a_message)
{
    struct chat chat;
    chat_begin(&chat, ALL);

    CHAT(&chat, ENVELOPE, "DATA\r\n", "354 ", "Subject: secret\r\n\r\nsecret\r\n.\r\n", "250 ", "BDAT x\r\n", "501 ");
    chat_end(&chat);

    cr_assert_eq(chat.submits, 2u);
    expect(&chat, " In:  DATA\n Out: 354 End data with <CR><LF>.<CR><LF>\n Out: 250 2.0.0 Ok: queued as ID1\n");
    cr_expect_null(strstr(buf_text(&chat.text), "secret"));
    chat_close(&chat);
}

Test(notice, never_shows_credentials)
{
    struct chat chat;
    chat_begin(&chat, ALL);

    CHAT(&chat, "AUTH PLAIN c2VjcmV0\r\n", "50", "FOO\r\n", "500 ");
    chat_end(&chat);

    expect(&chat, " In:  AUTH PLAIN (credentials are not shown)\n");
    cr_expect_null(strstr(buf_text(&chat.text), "c2VjcmV0"));
    chat_close(&chat);
}

Test(notice, forgives_the_errors_before_a_message)
{
    struct chat chat;
    chat_begin(&chat, ALL);

    CHAT(&chat, "FOO\r\n", "500 ", ENVELOPE, "DATA\r\n", "354 ", ".\r\n", "250 ", "QUIT\r\n", "221 ");
    chat_end(&chat);

    cr_expect_eq(chat.submits, 1u, "the message alone");
    chat_close(&chat);
}

/* The greeting, and HELO, FOO and RSET with their replies, are seven lines. */
Test(notice, is_sent_at_rset_once_the_transcript_is_long)
{
    static const struct {
        const char *settings;
        unsigned submits;
    } rows[] = {{ALL "smtpd_history_flush_threshold = 6\n", 1}, {ALL "smtpd_history_flush_threshold = 7\n", 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct chat chat;
        chat_open(&chat, rows[i].settings);
        chat_start(&chat);
        chat_want(&chat, "220 ");

        CHAT(&chat, "HELO x\r\n", "250 ", "FOO\r\n", "500 ", "RSET\r\n", "250 ", "NOOP\r\n", "250 ");

        cr_expect_eq(chat.submits, rows[i].submits, "%s", rows[i].settings);
        chat_close(&chat);
    }
}

Test(soft_bounce, refuses_for_now_what_is_refused_for_good)
{
    struct chat chat;
    chat_begin(&chat, "soft_bounce = yes\n");

    CHAT(&chat, "FOO\r\n", "400 4.5.2 Error: command not recognized", "RCPT TO:<x@y>\r\n", "403 4.5.1 ",
         "MAIL FROM:<a@remote.test>\r\n", "250 2.1.0 ", "RCPT TO:<nobody@example.test>\r\n", "450 4.1.1 <nobody@example.test>: ",
         "RCPT TO:<x@elsewhere.test>\r\n", "454 4.7.1 ", "QUIT\r\n", "221 2.0.0 ");
    chat_close(&chat);
}
