#include "lib/wire/channel.h"
#include "tests/unit/smtpd/chat.h"

#define ENVELOPE "MAIL FROM:<a@remote.test>\r\n", "250 2.1.0 Ok", "RCPT TO:<alice@example.test>\r\n", "250 2.1.5 Ok"

Test(session, greets_with_the_banner_and_says_goodbye)
{
    struct chat chat;
    chat_open(&chat, "");
    chat_start(&chat);

    chat_want(&chat, "220 mx.example.test ESMTP");
    CHAT(&chat, "QUIT\r\n", "221 2.0.0 Bye");

    chat_want_closed(&chat);
    chat_close(&chat);
}

Test(session, offers_its_extensions_to_ehlo_only)
{
    struct chat chat;
    char line[256], all[2048] = "";
    chat_open(&chat, "message_size_limit = 12345\n");
    chat_start(&chat);
    chat_want(&chat, "220 ");

    chat_say(&chat, "EHLO client.test\r\n");
    do {
        cr_assert(fgets(line, sizeof line, chat.in));
        strncat(all, line, sizeof all - strlen(all) - 1);
    } while (line[3] == '-');

    static const char *const keywords[] = {"PIPELINING", "SIZE 12345", "VRFY",     "ENHANCEDSTATUSCODES",
                                           "8BITMIME",   "DSN",        "SMTPUTF8", "CHUNKING"};
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        cr_expect(strstr(all, keywords[i]), "%s missing in %s", keywords[i], all);
    CHAT(&chat, "HELO client.test\r\n", "250 mx.example.test");
    chat_close(&chat);
}

Test(session, takes_a_message_and_names_its_queue_id)
{
    static const char top[] = "Received: from client.test (unknown [198.51.100.7])\n\tby mx.example.test";
    struct chat chat;
    chat_begin(&chat, "");

    CHAT(&chat, ENVELOPE, "DATA\r\n", "354 ", "Subject: x\r\n\r\n..dot\r\nend\r\n.\r\n",
         "250 2.0.0 Ok: queued as ID1");

    cr_expect_eq(chat.submits, 1u);
    cr_expect(strstr(buf_text(&chat.text), "\nSubject: x\n\n.dot\nend\n"), "%s", buf_text(&chat.text));
    cr_expect(strncmp(buf_text(&chat.text), top, sizeof top - 1) == 0, "%s", buf_text(&chat.text));
    cr_expect(span_eq(chat.submit.sender, SPAN("a@remote.test")));
    cr_assert_eq(chat.submit.recipients.n, (size_t)1);
    cr_expect(span_eq(chat.submit.recipients.at[0].address, SPAN("alice@example.test")));
    chat_close(&chat);
}

Test(session, answers_every_command_out_of_order_without_harm)
{
    struct chat chat;
    chat_begin(&chat, "");

    CHAT(&chat, "RCPT TO:<alice@example.test>\r\n", "503 5.5.1", "DATA\r\n", "503 5.5.1", "MAIL FROM:<a@b.test>\r\n",
         "250", "DATA\r\n", "503 5.5.1", "MAIL FROM:<c@d.test>\r\n", "503 5.5.1", "RSET\r\n", "250",
         "RCPT TO:<alice@example.test>\r\n", "503 5.5.1", "NOSUCH\r\n", "500 5.5.2", "NOOP x\r\n", "250",
         "VRFY alice\r\n", "252", "HELP\r\n", "214", "EHLO\r\n", "501", "MAIL\r\n", "501 5.5.4", "MAIL FROM:a b\r\n",
         "555", "MAIL FROM:<a@b.test> NOSUCH=1\r\n", "555 5.5.4", "QUIT\r\n", "221");
    chat_close(&chat);
}

Test(session, refuses_relaying_and_unknown_users)
{
    struct chat chat;
    chat_begin(&chat, "");

    CHAT(&chat, "MAIL FROM:<a@b.test>\r\n", "250", "RCPT TO:<x@elsewhere.test>\r\n", "454 4.7.1",
         "RCPT TO:<nobody@example.test>\r\n", "550 5.1.1", "RCPT TO:<nobody@virtual.test>\r\n", "550 5.1.1",
         "RCPT TO:<carol@virtual.test>\r\n", "250", "RCPT TO:<alice+tag@example.test>\r\n", "250",
         "RCPT TO:<postmaster>\r\n", "250");
    chat_close(&chat);
}

Test(session, no_form_of_address_relays_for_strangers)
{
    static const char *const forms[] = {
        "x@elsewhere.test",       "x%elsewhere.test@example.test", "\"x@elsewhere.test\"@example.test",
        "elsewhere.test!x",       "@example.test:x@elsewhere.test", "x@elsewhere.test@example.test",
        "x@[203.0.113.9]",        "\"x%elsewhere.test\"@example.test", "elsewhere.test!x@example.test",
        "x@elsewhere.test.",      "@example.test,@b.test:x@elsewhere.test",
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct chat chat;
        char command[128], reply[512];
        chat_begin(&chat, "smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination\n");
        CHAT(&chat, "MAIL FROM:<a@b.test>\r\n", "250");

        snprintf(command, sizeof command, "RCPT TO:<%s>\r\n", forms[i]);
        chat_say(&chat, command);
        cr_assert(fgets(reply, sizeof reply, chat.in));

        cr_expect_eq(reply[0], '5', "%s: %s", forms[i], reply);
        chat_close(&chat);
    }
}

Test(session, all_recipients_refused_means_no_data)
{
    struct chat chat;
    chat_begin(&chat, "");

    CHAT(&chat, "MAIL FROM:<a@b.test>\r\n", "250", "RCPT TO:<x@elsewhere.test>\r\n", "454", "DATA\r\n", "554 5.5.1");
    chat_close(&chat);
}

Test(session, relays_for_its_own_networks)
{
    struct chat chat;
    chat_open(&chat, "");
    chat.client.is_mine = true;
    chat_start(&chat);
    chat_want(&chat, "220 ");

    CHAT(&chat, "HELO c\r\n", "250", "MAIL FROM:<a@b.test>\r\n", "250", "RCPT TO:<x@elsewhere.test>\r\n", "250");
    chat_close(&chat);
}

Test(session, the_size_limit_holds_at_mail_and_at_the_end_of_data)
{
    struct chat chat;
    chat_begin(&chat, "message_size_limit = 20\n");

    CHAT(&chat, "MAIL FROM:<a@b.test> SIZE=21\r\n", "552 5.3.4", "MAIL FROM:<a@b.test> SIZE=20\r\n", "250",
         "RCPT TO:<alice@example.test>\r\n", "250", "DATA\r\n", "354", "0123456789012345678\r\n.\r\n", "250", ENVELOPE,
         "DATA\r\n", "354", "01234567890123456789\r\n.\r\n", "552 5.3.4", "RSET\r\n", "250");

    cr_expect_eq(chat.submits, 1u);
    chat_close(&chat);
}

Test(session, the_recipient_limit_holds_at_the_number_and_beyond)
{
    struct chat chat;
    chat_begin(&chat, "smtpd_recipient_limit = 2\n");

    CHAT(&chat, ENVELOPE, "RCPT TO:<bob@example.test>\r\n", "250", "RCPT TO:<alice@example.test>\r\n", "452 4.5.3");
    chat_close(&chat);
}

Test(session, recipients_over_the_limit_are_no_errors_until_they_are_a_thousand)
{
    struct chat chat;
    chat_begin(&chat, "smtpd_recipient_limit = 1\nsmtpd_hard_error_limit = 2\n");
    CHAT(&chat, ENVELOPE);

    for (int i = 0; i < 1000; i++)
        CHAT(&chat, "RCPT TO:<bob@example.test>\r\n", "452 4.5.3");
    CHAT(&chat, "RCPT TO:<bob@example.test>\r\n", "452 4.5.3", "RCPT TO:<bob@example.test>\r\n", "421 4.7.0");

    chat_want_closed(&chat);
    chat_close(&chat);
}

Test(session, recipients_that_fit_into_no_request_wait_for_another_transaction)
{
    struct chat chat;
    char line[600], octets[401];
    unsigned taken = 0;
    memset(octets, 'o', sizeof octets - 1);
    octets[sizeof octets - 1] = '\0';
    snprintf(line, sizeof line, "RCPT TO:<bob@example.test> ORCPT=rfc822;%s@example.test\r\n", octets);
    chat_begin(&chat, "smtpd_recipient_limit = 2000\n");
    CHAT(&chat, "MAIL FROM:<a@remote.test>\r\n", "250");

    for (char reply[100] = "250"; taken < 2000 && strncmp(reply, "250", 3) == 0; taken++) {
        chat_say(&chat, line);
        cr_assert(fgets(reply, sizeof reply, chat.in));
        if (reply[0] != '2')
            cr_expect(strncmp(reply, "452 4.5.3", 9) == 0, "%s", reply);
    }
    CHAT(&chat, "DATA\r\n", "354", "x\r\n.\r\n", "250 2.0.0 Ok: queued");

    struct buf body = BUF_INIT;
    msg_submit_put(&body, &chat.submit);
    cr_expect(body.len > 400 * 1024 && body.len < CHANNEL_FRAME_MAX * 3 / 4, "%zu octets", body.len);
    buf_fini(&body);
    cr_expect_eq(chat.submit.recipients.n, (size_t)taken - 1);
    chat_close(&chat);
}

Test(session, too_many_errors_end_the_session_at_the_limit)
{
    struct chat chat;
    chat_begin(&chat, "smtpd_hard_error_limit = 3\nsmtpd_soft_error_limit = 1\n");

    CHAT(&chat, "X\r\n", "500", "X\r\n", "500", "X\r\n", "421 4.7.0");

    chat_want_closed(&chat);
    chat_close(&chat);
}

Test(session, junk_commands_become_errors_beyond_their_limit)
{
    struct chat chat;
    chat_begin(&chat, "smtpd_junk_command_limit = 3\nsmtpd_hard_error_limit = 1\n");

    CHAT(&chat, "NOOP\r\n", "250", "NOOP\r\n", "250", "NOOP\r\n", "421 4.7.0");

    chat_want_closed(&chat);
    chat_close(&chat);
}

Test(session, greetings_without_end_are_junk)
{
    struct chat chat;
    chat_begin(&chat, "smtpd_junk_command_limit = 3\nsmtpd_hard_error_limit = 1\n");

    CHAT(&chat, "EHLO a.test\r\n", "250", "HELO b.test\r\n", "250", "EHLO c.test\r\n", "250");
    chat_want(&chat, "421 4.7.0");

    chat_want_closed(&chat);
    chat_close(&chat);
}

Test(session, a_line_over_the_limit_is_refused_and_the_next_is_read)
{
    struct chat chat;
    char line[600];
    memset(line, 'x', sizeof line);
    chat_begin(&chat, "line_length_limit = 512\n");

    memcpy(line, "NOOP ", 5);
    memcpy(line + 512, "\r\n", 3);
    CHAT(&chat, line, "250");
    memcpy(line + 512, "x\r\n", 4);
    CHAT(&chat, line, "500 5.5.2", "NOOP\r\n", "250");
    chat_close(&chat);
}

/* What stands around the dot: only CRLF on both sides ends the text ("\r\n\r" begins with it). A text
 * that holds a bare CR or LF is refused at its real end, and the session with it. */
Test(session, ends_data_by_crlf_dot_crlf_and_nothing_else)
{
    static const char *const breaks[] = {"\r\n", "\n", "\r", "\r\r\n", "\n\r", "\r\n\r"};
    const size_t n = sizeof breaks / sizeof *breaks;
    for (size_t pair = 0; pair < n * n; pair++) {
        struct chat chat;
        char body[128];
        bool plain = pair == 0 || pair == 5;
        snprintf(body, sizeof body, plain ? "x%s.%s" : "x%s.%sy\r\n.\r\n", breaks[pair / n], breaks[pair % n]);
        chat_begin(&chat, "");
        CHAT(&chat, ENVELOPE, "DATA\r\n", "354");

        chat_say(&chat, body);
        chat_want(&chat, plain ? "250" : "550 5.5.2");

        if (!plain)
            chat_want_closed(&chat);
        cr_expect_eq(chat.submits, plain ? 1u : 0u, "pair %zu", pair);
        chat_close(&chat);
    }
}

Test(session, a_dot_beside_a_bare_lf_is_text_where_bare_lf_is_allowed)
{
    struct chat chat;
    chat_begin(&chat, "smtpd_forbid_bare_newline = normalize\n");

    CHAT(&chat, ENVELOPE, "DATA\r\n", "354", "a\n.\nMAIL FROM:<evil@x.test>\r\n.\r\n", "250");

    cr_expect(strstr(buf_text(&chat.text), "a\n\nMAIL FROM:<evil@x.test>\n"), "%s", buf_text(&chat.text));
    cr_expect_eq(chat.submits, 1u);
    chat_close(&chat);
}

Test(session, chunks_make_one_message)
{
    struct chat chat;
    chat_begin(&chat, "");

    CHAT(&chat, ENVELOPE, "BDAT 14\r\nSubject: x\r\n\r\n", "250 2.0.0 Ok: 14 bytes",
         "RCPT TO:<bob@example.test>\r\n", "503 5.5.1", "BDAT 5\r\n.\r\nab", "250", "BDAT 3 LAST\r\nc\r\n",
         "250 2.0.0 Ok: queued as ID1");

    cr_expect(strstr(buf_text(&chat.text), "Subject: x\n\n.\nabc\n"), "%s", buf_text(&chat.text));
    chat_close(&chat);
}

Test(session, chunks_with_bare_line_ends_are_refused)
{
    static const struct {
        const char *says, *chunk;
    } rows[] = {
        {"a bare LF", "BDAT 4 LAST\r\na\nb\n"},
        {"a bare CR", "BDAT 4 LAST\r\na\rb\n"},
        {"a CR that is the last octet of all", "BDAT 4 LAST\r\na\r\n\r"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct chat chat;
        chat_begin(&chat, "");
        CHAT(&chat, ENVELOPE);

        chat_say(&chat, rows[i].chunk);
        chat_want(&chat, "550 5.5.2");

        chat_want_closed(&chat);
        cr_expect_eq(chat.submits, 0u, "%s", rows[i].says);
        chat_close(&chat);
    }
}

Test(session, chunks_of_nothing_are_junk)
{
    struct chat chat;
    chat_begin(&chat, "smtpd_junk_command_limit = 3\nsmtpd_hard_error_limit = 1\n");

    CHAT(&chat, ENVELOPE, "BDAT 0\r\n", "250", "BDAT 0\r\n", "250", "BDAT 0\r\n", "421 4.7.0");

    chat_want_closed(&chat);
    chat_close(&chat);
}

Test(session, chunks_do_not_begin_the_least_rate_anew)
{
    struct chat chat;
    chat_begin(&chat, "smtpd_timeout = 1s\nsmtpd_min_data_rate = 1000\n");
    CHAT(&chat, ENVELOPE, "BDAT 1\r\nx", "250");

    usleep(600 * 1000);
    CHAT(&chat, "BDAT 1\r\nx", "250");
    usleep(600 * 1000);
    const mono_ms begun = clock_mono();
    CHAT(&chat, "BDAT 1\r\n", "421 4.4.2");

    cr_expect_lt(clock_mono() - begun, 500, "the chunk was given a time of its own");
    chat_want_closed(&chat);
    chat_close(&chat);
}

Test(session, a_chunk_is_no_pipelining_ahead_of_time)
{
    struct chat chat;
    chat_begin(&chat, "smtpd_data_restrictions = reject_unauth_pipelining\n");

    CHAT(&chat, ENVELOPE, "BDAT 3 LAST\r\nx\r\n", "250 2.0.0 Ok: queued as ID1");

    chat_close(&chat);
}

Test(session, text_ahead_of_the_reply_to_data_is_refused_by_the_rule)
{
    struct chat chat;
    chat_begin(&chat, "smtpd_data_restrictions = reject_unauth_pipelining\nsmtpd_forbid_unauth_pipelining = no\n");

    CHAT(&chat, ENVELOPE, "DATA\r\nNOOP\r\n", "503 5.5.0");

    chat_close(&chat);
}

Test(session, a_group_behind_mail_is_no_pipelining_ahead_of_time)
{
    struct chat chat;
    chat_begin(&chat, "smtpd_sender_restrictions = reject_unauth_pipelining\nsmtpd_delay_reject = no\n");

    CHAT(&chat, "MAIL FROM:<a@client.test>\r\nRCPT TO:<bob@example.test>\r\n", "250 2.1.0");
    chat_want(&chat, "250 2.1.5");

    chat_close(&chat);
}

Test(session, a_chunk_without_transaction_is_swallowed_whole)
{
    struct chat chat;
    chat_begin(&chat, "");

    CHAT(&chat, "BDAT 6 LAST\r\nQUIT\r\n", "503 5.5.1", "NOOP\r\n", "250", "BDAT x\r\n", "501");

    chat_want_closed(&chat);
    chat_close(&chat);
}

Test(session, a_large_text_goes_to_a_file_and_comes_out_whole)
{
    struct chat chat;
    struct buf text = BUF_INIT;
    chat_begin(&chat, "");
    for (int i = 0; i < 5000; i++)
        buf_printf(&text, "line %d of a text that is over the inline limit\r\n", i);

    CHAT(&chat, ENVELOPE, "DATA\r\n", "354");
    chat_say(&chat, buf_text(&text));
    CHAT(&chat, ".\r\n", "250");

    cr_expect(chat.submit.spool == 1 && chat.submit.spool_size == chat.text.len);
    cr_expect(strstr(buf_text(&chat.text), "\nline 0 of"));
    cr_expect(strstr(buf_text(&chat.text), "\nline 4999 of a text that is over the inline limit\n"));
    buf_fini(&text);
    chat_close(&chat);
}

Test(session, a_queue_that_refuses_is_told_in_its_words)
{
    struct chat chat;
    chat_open(&chat, "");
    chat.answer = (struct msg_submitted){.class = 4, .dsn = SPAN("4.3.0"), .text = SPAN("not now")};
    chat_start(&chat);
    chat_want(&chat, "220");

    CHAT(&chat, "EHLO c\r\n", "250", ENVELOPE, "DATA\r\n", "354", "x\r\n.\r\n", "451 4.3.0 not now",
         "MAIL FROM:<a@b.test>\r\n", "250");
    chat_close(&chat);
}

Test(session, a_full_disk_is_told_at_mail)
{
    struct chat chat;
    chat_open(&chat, "");
    chat.room = (struct msg_submitted){
        .class = 4, .dsn = SPAN("4.3.1"), .text = SPAN("Insufficient system storage")};
    chat_start(&chat);
    chat_want(&chat, "220");

    CHAT(&chat, "EHLO c\r\n", "250", "MAIL FROM:<a@b.test>\r\n", "452 4.3.1");
    chat_close(&chat);
}

Test(session, talking_before_the_greeting_ends_it)
{
    struct chat chat;
    chat_open(&chat, "");
    chat_say(&chat, "EHLO early\r\n");
    chat_start(&chat);

    chat_want(&chat, "550 5.5.0");

    chat_want_closed(&chat);
    chat_close(&chat);
}

Test(session, a_web_browser_is_sent_away_at_once)
{
    struct chat chat;
    chat_open(&chat, "");
    chat_start(&chat);
    chat_want(&chat, "220");

    CHAT(&chat, "GET / HTTP/1.1\r\n", "221 2.7.0");

    chat_want_closed(&chat);
    chat_close(&chat);
}

Test(session, pipelined_commands_are_answered_in_order)
{
    struct chat chat;
    chat_begin(&chat, "");

    chat_say(&chat, "MAIL FROM:<a@b.test>\r\nRCPT TO:<alice@example.test>\r\nRCPT TO:<no@example.test>\r\nDATA\r\n");
    chat_want(&chat, "250 2.1.0");
    chat_want(&chat, "250 2.1.5");
    chat_want(&chat, "550 5.1.1");
    chat_want(&chat, "354");
    chat_say(&chat, "x\r\n.\r\nQUIT\r\n");
    chat_want(&chat, "250 2.0.0");
    chat_want(&chat, "221");
    chat_close(&chat);
}

Test(session, dsn_parameters_reach_the_queue_decoded)
{
    struct chat chat;
    chat_begin(&chat, "");

    CHAT(&chat, "MAIL FROM:<a@b.test> RET=HDRS ENVID=a+2Bb BODY=8BITMIME\r\n", "250",
         "RCPT TO:<alice@example.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;al+2Bice@example.test\r\n", "250",
         "RCPT TO:<bob@example.test> NOTIFY=NEVER,DELAY\r\n", "501",
         "RCPT TO:<bob@example.test> ORCPT=rfc822;a+00b\r\n", "501", "DATA\r\n", "354", "x\r\n.\r\n", "250");

    cr_expect(span_eq(chat.submit.ret, SPAN("HDRS")));
    cr_expect(span_eq(chat.submit.envid, SPAN("a+b")));
    cr_expect_eq(chat.submit.encoding, 8u);
    cr_expect_eq(chat.submit.recipients.at[0].notify, 5u);
    cr_expect(span_eq(chat.submit.recipients.at[0].orcpt, SPAN("rfc822;al+ice@example.test")));
    chat_close(&chat);
}

Test(session, connections_are_limited_at_the_number_and_beyond)
{
    for (uint64_t open = 2; open <= 3; open++) {
        struct chat chat;
        chat_open(&chat, "smtpd_client_connection_count_limit = 2\n");
        chat.connections = open;
        chat_start(&chat);

        chat_want(&chat, open == 2 ? "220" : "421 4.7.0 mx.example.test Error: too many connections");

        chat_close(&chat);
        cr_expect_eq(chat.left, 1u, "what was counted is taken off");
    }
}

Test(session, messages_and_recipients_are_limited_by_rate)
{
    struct chat chat;
    chat_begin(&chat, "smtpd_client_message_rate_limit = 1\nsmtpd_client_recipient_rate_limit = 1\n");

    CHAT(&chat, ENVELOPE, "RCPT TO:<bob@example.test>\r\n", "450 4.7.1", "RSET\r\n", "250",
         "MAIL FROM:<a@b.test>\r\n", "450 4.7.1");
    chat_close(&chat);
}

Test(session, exceptions_are_not_counted)
{
    struct chat chat;
    chat_open(&chat, "smtpd_client_connection_count_limit = 1\n");
    chat.client.unlimited = true;
    chat.connections = 99;
    chat_start(&chat);

    chat_want(&chat, "220");

    chat_close(&chat);
    cr_expect_eq(chat.left, 0u);
}

Test(session, what_is_routed_to_error_or_retry_is_refused_in_its_words)
{
    static const struct {
        const char *transport, *want;
    } rows[] = {
        {"error:5.7.1 no mail for elsewhere", "550 5.7.1 <x@elsewhere.test>: Recipient address rejected: no mail for elsewhere\r\n"},
        {"error:plain words", "550 5.1.1 <x@elsewhere.test>: Recipient address rejected: plain words\r\n"},
        {"error:4.2.1 soft words", "550 5.2.1 <x@elsewhere.test>: Recipient address rejected: soft words\r\n"},
        {"retry:4.7.9 come again", "450 4.7.9 <x@elsewhere.test>: Recipient address rejected: come again\r\n"},
        {"retry:plain words", "450 4.1.1 <x@elsewhere.test>: Recipient address rejected: plain words\r\n"},
        {"retry:5.0.0 hard", "450 4.0.0 <x@elsewhere.test>: Recipient address rejected: hard\r\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct chat chat;
        struct buf settings = BUF_INIT;
        buf_printf(&settings, "default_transport = %s\n", rows[i].transport);
        chat_open(&chat, buf_text(&settings));
        chat.client.is_mine = true;
        chat_start(&chat);
        chat_want(&chat, "220");

        CHAT(&chat, "HELO c\r\n", "250", "MAIL FROM:<a@b.test>\r\n", "250", "RCPT TO:<x@elsewhere.test>\r\n", rows[i].want);
        chat_close(&chat);
        buf_fini(&settings);
    }
}
