#include "tests/unit/smtp/world.h"

#include <sys/mman.h>

static struct world w; /* too large for a frame; each test is a process of its own */
static const struct line usual[] = {{NULL, NULL}};

static void add_recipients(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        w.recipients[i] = (struct msg_recipient){
            .number = i + 1, .address = span_text(arena_printf(&w.arena, "user%u@remote.test", i + 1))};
    w.m.recipients.n = n;
}

static void deliver_to(const struct line *lines, const char *keywords)
{
    const struct server servers[] = {{"192.0.2.1", lines, keywords}, {NULL, NULL, NULL}};
    w.servers = servers;
    world_deliver(&w);
    for (size_t i = 0; i < w.npeers; i++)
        world_heard(&w, i);
    w.servers = NULL;
}

static bool heard(size_t i, const char *words)
{
    return strstr(world_heard(&w, i), words) != NULL;
}

/* --- recipients --------------------------------------------------------------------- */

Test(transact, gives_each_recipient_its_own_verdict)
{
    static const struct line lines[] = {{"RCPT", "250 2.1.5 ok\r\n"}, {"RCPT", "550 5.1.1 who\r\n"},
                                        {"RCPT", "450 4.2.1 later\r\n"}, {NULL, NULL}};
    for (int piped = 0; piped < 2; piped++) {
        world_open(&w, "", false);
        add_recipients(4);

        deliver_to(lines, piped ? "250-PIPELINING\r\n" : "250-SIZE\r\n");

        WANT(&w, 0, 2, "2.0.0", "ok");
        WANT(&w, 1, 5, "5.1.1", "550 5.1.1 who (in reply to RCPT TO command)");
        WANT(&w, 2, 4, "4.2.1", "450 4.2.1 later (in reply to RCPT TO command)");
        WANT(&w, 3, 2, "2.0.0", "ok");
        cr_expect(span_eq(w.d.verdicts[1].diagnostic, SPAN("550 5.1.1 who")));
        cr_expect(span_eq(w.d.verdicts[1].remote_mta, SPAN("192.0.2.1")));
        cr_expect_eq(w.npeers, 1u);
        world_close(&w);
    }
}

Test(transact, sends_no_text_where_nobody_is_accepted)
{
    static const struct line lines[] = {{"RCPT", "550 who\r\n"}, {NULL, NULL}};
    world_open(&w, "", false);

    deliver_to(lines, "250-SIZE\r\n");

    WANT(&w, 0, 5, "5.0.0", "550 who");
    cr_expect(!heard(0, "DATA"));
    cr_expect(heard(0, "QUIT"));
    world_close(&w);
}

Test(transact, sends_an_empty_text_where_DATA_was_on_its_way)
{
    static const struct line lines[] = {{"RCPT", "550 who\r\n"}, {".", "554 no recipients\r\n"}, {NULL, NULL}};
    world_open(&w, "", false);

    deliver_to(lines, "250-PIPELINING\r\n");

    WANT(&w, 0, 5, "5.0.0", "550 who");
    cr_expect(heard(0, "DATA\r\n.\r\nQUIT\r\n"), "%s", world_heard(&w, 0));
    world_close(&w);
}

Test(transact, sends_the_rest_again_where_recipients_are_too_many)
{
    static const struct line lines[] = {{"RCPT", "250 ok\r\n"}, {"RCPT", "250 ok\r\n"}, {"RCPT", "452 too many\r\n"},
                                        {"RCPT", "452 too many\r\n"}, {"RCPT", "250 ok\r\n"}, {"RCPT", "452 too many\r\n"},
                                        {NULL, NULL}};
    for (int piped = 0; piped < 2; piped++) {
        world_open(&w, "", false);
        add_recipients(4);

        deliver_to(lines, piped ? "250-PIPELINING\r\n" : "250-SIZE\r\n");

        for (size_t i = 0; i < 4; i++)
            WANT(&w, i, 2, "2.0.0", "ok");
        unsigned mails = 0;
        for (const char *at = world_heard(&w, 0); (at = strstr(at, "MAIL FROM")); at++)
            mails++;
        cr_expect_eq(mails, 3u, "%u transactions", mails);
        cr_expect_eq(w.npeers, 1u);
        world_close(&w);
    }
}

Test(transact, defers_too_many_where_none_was_taken)
{
    static const struct line lines[] = {{"RCPT", "452 too many\r\n"}, {"RCPT", "452 too many\r\n"}, {NULL, NULL}};
    world_open(&w, "", false);
    add_recipients(2);

    deliver_to(lines, NULL);

    WANT(&w, 0, 4, "4.0.0", "452 too many");
    WANT(&w, 1, 4, "4.0.0", "452 too many");
    world_close(&w);
}

Test(transact, defers_too_many_where_the_message_was_refused)
{
    static const struct line lines[] = {{"RCPT", "250 ok\r\n"}, {"RCPT", "452 too many\r\n"}, {"DATA", "451 no\r\n"},
                                        {NULL, NULL}};
    world_open(&w, "", false);
    add_recipients(2);

    deliver_to(lines, NULL);

    WANT(&w, 0, 4, "4.0.0", "451 no");
    WANT(&w, 1, 4, "4.0.0", "451 no");
    world_close(&w);
}

Test(transact, takes_only_what_is_left_to_the_next_server)
{
    static const struct name names[] = {
        {"remote.test", DNS_TYPE_MX, "10 a.test"}, {"remote.test", DNS_TYPE_MX, "20 b.test"},
        {"a.test", DNS_TYPE_A, "192.0.2.1"},       {"b.test", DNS_TYPE_A, "192.0.2.2"},
        {NULL, 0, NULL}};
    static const struct line lines[] = {{"RCPT", "250 ok\r\n"}, {"RCPT", "450 later\r\n"}, {"RCPT", "550 no\r\n"},
                                        {NULL, NULL}};
    static const struct server servers[] = {{"192.0.2.1", lines, NULL}, {"192.0.2.2", usual, NULL}, {NULL, NULL, NULL}};
    world_open(&w, "", false);
    w.names = names;
    w.servers = servers;
    w.m.nexthop = SPAN("remote.test");
    add_recipients(3);

    world_deliver(&w);

    WANT(&w, 0, 2, "2.0.0", "ok");
    WANT(&w, 1, 2, "2.0.0", "ok");
    WANT(&w, 2, 5, "5.0.0", "550 no");
    cr_expect(span_eq(w.d.verdicts[0].relay, SPAN("a.test[192.0.2.1]:25")));
    cr_expect(span_eq(w.d.verdicts[1].relay, SPAN("b.test[192.0.2.2]:25")));
    cr_expect(!heard(1, "user1") && heard(1, "user2") && !heard(1, "user3"));
    world_close(&w);
}

/* --- pipelining ------------------------------------------------------------------------ */

Test(transact, reads_all_answers_of_a_group_whose_MAIL_is_refused)
{
    static const struct line lines[] = {{"MAIL", "550 5.7.1 no\r\n"}, {"RCPT", "503 what\r\n"}, {"RCPT", "503 what\r\n"},
                                        {"DATA", "503 what\r\n"}, {NULL, NULL}};
    world_open(&w, "", false);
    add_recipients(2);

    deliver_to(lines, NULL);

    WANT(&w, 0, 5, "5.7.1", "(in reply to MAIL FROM command)");
    WANT(&w, 1, 5, "5.7.1", "(in reply to MAIL FROM command)");
    cr_expect(heard(0, "QUIT\r\n"));
    world_close(&w);
}

Test(transact, does_not_pipeline_where_that_is_not_offered_or_discarded)
{
    static const struct line lines[] = {{"MAIL", "550 no\r\n"}, {NULL, NULL}};
    for (int discarded = 0; discarded < 2; discarded++) {
        world_open(&w, discarded ? "smtp_discard_ehlo_keywords = pipelining" : "", false);
        w.smtp.discard = features_of(w.mine.smtp_discard_ehlo_keywords.text);

        deliver_to(lines, discarded ? "250-PIPELINING\r\n" : "250-SIZE\r\n");

        cr_expect(!heard(0, "RCPT"), "%s", world_heard(&w, 0));
        world_close(&w);
    }
}

/* --- LMTP --------------------------------------------------------------------------------- */

Test(transact, takes_an_answer_for_each_recipient_from_lmtp)
{
    static const struct line lines[] = {{"RCPT", "250 ok\r\n"}, {"RCPT", "550 who\r\n"}, {"RCPT", "250 ok\r\n"},
                                        {"RCPT", "250 ok\r\n"}, {".", "250 2.0.0 one\r\n"}, {".", "452 4.2.2 full\r\n"},
                                        {".", "552 5.2.2 over quota\r\n"}, {NULL, NULL}};
    world_open(&w, "", true);
    add_recipients(4);

    deliver_to(lines, NULL);

    WANT(&w, 0, 2, "2.0.0", "250 2.0.0 one");
    WANT(&w, 1, 5, "5.0.0", "550 who");
    WANT(&w, 2, 4, "4.2.2", "452 4.2.2 full (in reply to end of DATA command)");
    WANT(&w, 3, 5, "5.2.2", "552 5.2.2 over quota");
    cr_expect(heard(0, "LHLO me.test\r\n"));
    cr_expect(span_eq(w.d.verdicts[0].relay, SPAN("192.0.2.1[192.0.2.1]:24")));
    world_close(&w);
}

Test(transact, keeps_the_answers_that_came_where_lmtp_is_lost)
{
    static const struct line lines[] = {{".", "250 one\r\n"}, {".", NULL}, {NULL, NULL}};
    world_open(&w, "", true);
    add_recipients(3);

    deliver_to(lines, NULL);

    WANT(&w, 0, 2, "2.0.0", "250 one");
    WANT(&w, 1, 4, "4.4.2", "lost connection");
    WANT(&w, 2, 4, "4.4.2", "lost connection");
    world_close(&w);
}

Test(transact, waits_for_no_answer_of_lmtp_where_nobody_was_accepted)
{
    static const struct line lines[] = {{"RCPT", "550 who\r\n"}, {NULL, NULL}};
    world_open(&w, "", true);

    deliver_to(lines, NULL);

    WANT(&w, 0, 5, "5.0.0", "550 who");
    world_close(&w);
}

Test(transact, does_not_say_HELO_to_lmtp)
{
    static const struct line lines[] = {{"LHLO", "500 what\r\n"}, {NULL, NULL}};
    world_open(&w, "", true);

    deliver_to(lines, NULL);

    WANT(&w, 0, 5, "5.0.0", "refused to talk to me: 500 what");
    world_close(&w);
}

/* --- parameters of MAIL and RCPT ------------------------------------------------------------- */

Test(transact, tells_what_the_server_wants_to_know)
{
    world_open(&w, "", false);
    w.m.text = SPAN("Subject: hello\n\n\xc3\xa4\n");
    w.m.ret = SPAN("HDRS");
    w.m.envid = SPAN("a+b=c");
    w.recipients[0].notify = 1 | 2;
    w.recipients[0].orcpt = SPAN("rfc822;a+b@c");

    deliver_to(usual, "250-SIZE 1000\r\n250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n");

    cr_expect(heard(0, "MAIL FROM:<sender@example.test> SIZE=22 BODY=8BITMIME RET=HDRS ENVID=a+2Bb+3Dc\r\n"), "%s",
              world_heard(&w, 0));
    cr_expect(heard(0, "RCPT TO:<user@remote.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a+2Bb@c\r\n"));
    world_close(&w);
}

Test(transact, tells_which_recipient_it_was_at_first)
{
    static const struct {
        const char *original, *orcpt;
    } rows[] = {
        {"", " ORCPT=rfc822;user@remote.test\r\n"},
        {"first@x.test", " ORCPT=rfc822;first@x.test\r\n"},
        {"odd one@x.test", " ORCPT=rfc822;\"odd+20one\"@x.test\r\n"},
        {"\xc3\xa4@x.test", " ORCPT=utf-8;\\x{E4}@x.test\r\n"},
        {"\xff@x.test", "RCPT TO:<user@remote.test>\r\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        world_open(&w, "", false);
        w.recipients[0].original = span_text(rows[i].original);

        deliver_to(usual, "250-DSN\r\n");

        cr_expect(heard(0, rows[i].orcpt), "%s", world_heard(&w, 0));
        world_close(&w);
    }
}

Test(transact, leaves_the_notification_of_success_to_a_server_that_knows_DSN)
{
    for (int known = 0; known < 2; known++) {
        world_open(&w, "", false);

        deliver_to(usual, known ? "250-DSN\r\n" : "250-SIZE\r\n");

        cr_expect(span_eq(w.d.verdicts[0].action, known ? SPAN("passed") : SPAN("relayed")));
        world_close(&w);
    }
}

Test(transact, tells_nothing_that_the_server_does_not_know)
{
    world_open(&w, "", false);
    w.m.ret = SPAN("HDRS");
    w.m.envid = SPAN("x");
    w.recipients[0].notify = 1;
    w.recipients[0].orcpt = SPAN("rfc822;a@c");

    deliver_to(usual, "250-PIPELINING\r\n");

    cr_expect(heard(0, "MAIL FROM:<sender@example.test>\r\nRCPT TO:<user@remote.test>\r\n"), "%s", world_heard(&w, 0));
    world_close(&w);
}

Test(transact, uses_the_recipient_that_the_transport_is_to_see)
{
    world_open(&w, "", false);
    w.recipients[0].user = SPAN("odd user@elsewhere.test");

    deliver_to(usual, NULL);

    cr_expect(heard(0, "RCPT TO:<\"odd user\"@elsewhere.test>\r\n"), "%s", world_heard(&w, 0));
    world_close(&w);
}

Test(transact, ends_no_command_by_what_an_address_holds)
{
    world_open(&w, "smtp_quote_rfc821_envelope = no", false);
    w.recipients[0].address = SPAN("a\r\nRSET\r\n@remote.test");

    deliver_to(usual, NULL);

    cr_expect(!heard(0, "\nRSET"));
    world_close(&w);
}

Test(transact, returns_what_is_larger_than_the_server_takes)
{
    static const struct {
        const char *keyword;
        bool taken;
    } rows[] = {{"250-SIZE 25\r\n", true}, {"250-SIZE 24\r\n", false}, {"250-SIZE 0\r\n", true},
                {"250-SIZE\r\n", true},    {"250-SIZE x\r\n", true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        world_open(&w, "", false);
        w.m.text = SPAN("Subject: hello\n\nHello\n"); /* 25 octets on the wire */

        deliver_to(usual, rows[i].keyword);

        if (rows[i].taken) {
            WANT(&w, 0, 2, "2.0.0", "ok");
        } else {
            WANT(&w, 0, 5, "5.3.4", "message size 25 exceeds size limit 24 of server 192.0.2.1[192.0.2.1]");
            cr_expect(!heard(0, "MAIL"));
        }
        world_close(&w);
    }
}

Test(transact, returns_what_needs_SMTPUTF8_where_that_is_not_offered)
{
    static const struct {
        const char *says;
        uint64_t flags;
        const char *sender, *recipient, *text;
        bool needs;
    } rows[] = {
        {"sender", SUBMIT_SMTPUTF8, "\xc3\xa4@example.test", "a@b.test", "A: b\n\n", true},
        {"recipient", SUBMIT_SMTPUTF8, "a@b.test", "\xc3\xa4@example.test", "A: b\n\n", true},
        {"header", SUBMIT_SMTPUTF8, "a@b.test", "a@b.test", "A: \xc3\xa4\n\n", true},
        {"body", SUBMIT_SMTPUTF8, "a@b.test", "a@b.test", "A: b\n\n\xc3\xa4\n", false},
        {"nothing", SUBMIT_SMTPUTF8, "a@b.test", "a@b.test", "A: b\n\n", false},
        {"not asked for", 0, "a@b.test", "a@b.test", "A: \xc3\xa4\n\n", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int offered = 0; offered < 2; offered++) {
            world_open(&w, "", false);
            w.m.flags = rows[i].flags;
            w.m.sender = span_text(rows[i].sender);
            w.m.text = span_text(rows[i].text);
            w.recipients[0].address = span_text(rows[i].recipient);

            deliver_to(usual, offered ? "250-8BITMIME\r\n250-SMTPUTF8\r\n" : "250-8BITMIME\r\n");

            cr_expect_eq(w.d.verdicts[0].class, !offered && rows[i].needs ? 5u : 2u, "%s", rows[i].says);
            cr_expect_eq(heard(0, " SMTPUTF8\r\n"), offered && rows[i].needs, "%s", rows[i].says);
            if (!offered && rows[i].needs)
                WANT(&w, 0, 5, "5.6.7", "SMTPUTF8 is required, but was not offered by host");
            world_close(&w);
        }
}

Test(transact, tells_where_the_message_came_from_if_it_shall)
{
    static const char keywords[] = "250-XFORWARD NAME ADDR PROTO HELO SOURCE IDENT PORT\r\n";
    static const struct line refused[] = {{"XFORWARD", "501 no\r\n"}, {NULL, NULL}};
    for (int i = 0; i < 3; i++) {
        world_open(&w, i ? "smtp_send_xforward_command = yes" : "", false);
        w.m.client_name = SPAN("unknown");
        w.m.client_address = SPAN("2001:db8::1");
        w.m.helo = SPAN("a+b c");
        w.m.protocol = SPAN("ESMTP");

        deliver_to(i == 2 ? refused : usual, keywords);

        WANT(&w, 0, 2, "2.0.0", "ok");
        cr_expect_eq(heard(0, "XFORWARD NAME=[UNAVAILABLE] ADDR=IPv6:2001:db8::1\r\n"
                              "XFORWARD PROTO=ESMTP HELO=a+2Bb+20c IDENT=ID1 SOURCE=REMOTE\r\nMAIL"),
                     i > 0, "%s", world_heard(&w, 0));
        world_close(&w);
    }
}

Test(transact, encodes_eight_bits_for_a_server_that_takes_seven)
{
    static const struct {
        const char *settings, *keywords, *wire;
    } rows[] = {
        {"", "250-8BITMIME\r\n", "\r\n\xc3\xa4\r\n.\r\n"},
        {"", "250-SIZE\r\n", "Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A4\r\n.\r\n"},
        {"disable_mime_output_conversion = yes", "250-SIZE\r\n", "\r\n\xc3\xa4\r\n.\r\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        world_open(&w, rows[i].settings, false);
        w.m.text = SPAN("MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n\xc3\xa4\n");

        deliver_to(usual, rows[i].keywords);

        WANT(&w, 0, 2, "2.0.0", "ok");
        cr_expect(heard(0, rows[i].wire), "%s", world_heard(&w, 0));
        world_close(&w);
    }
}

/* --- chunks ------------------------------------------------------------------------------- */

Test(transact, sends_chunks_where_they_are_offered)
{
    for (int discarded = 0; discarded < 2; discarded++) {
        world_open(&w, discarded ? "smtp_discard_ehlo_keywords = chunking" : "", false);
        w.smtp.discard = features_of(w.mine.smtp_discard_ehlo_keywords.text);
        w.m.text = SPAN("A: b\n\n.\n");

        deliver_to(usual, "250-PIPELINING\r\n250-CHUNKING\r\n");

        WANT(&w, 0, 2, "2.0.0", "ok");
        cr_expect_eq(heard(0, "RCPT TO:<user@remote.test>\r\nBDAT 11 LAST\r\nA: b\r\n\r\n.\r\nQUIT\r\n"), !discarded, "%s", world_heard(&w, 0));
        cr_expect_eq(heard(0, "DATA\r\n"), discarded);
        world_close(&w);
    }
}

Test(transact, sends_a_large_text_in_chunks)
{
    struct buf content = BUF_INIT;
    buf_puts(&content, "Subject: large\n\n");
    for (int i = 0; i < 200000; i++)
        buf_printf(&content, ".line %d of many\n", i);
    for (int piped = 0; piped < 2; piped++) {
        world_open(&w, "", false);
        w.m.text = buf_span(&content);

        deliver_to(usual, piped ? "250-PIPELINING\r\n250-CHUNKING\r\n" : "250-CHUNKING\r\n");

        WANT(&w, 0, 2, "2.0.0", "ok");
        /* The octets between the commands are the text. */
        struct buf got = BUF_INIT, want = BUF_INIT;
        const char *at = strstr(world_heard(&w, 0), "BDAT ");
        while (at && strncmp(at, "BDAT ", 5) == 0) {
            char *end;
            size_t n = strtoul(at + 5, &end, 10);
            at = strstr(end, "\r\n") + 2;
            buf_put(&got, span_of(at, n));
            at += n;
        }
        struct wire_form form = {.limit = 998};
        wire_form_put(&form, buf_span(&content), &want);
        cr_expect(span_eq(buf_span(&got), buf_span(&want)), "%zu octets of %zu", got.len, want.len);
        cr_expect(at && !strncmp(at, "QUIT", 4));
        buf_fini(&got);
        buf_fini(&want);
        world_close(&w);
    }
    buf_fini(&content);
}

Test(transact, ends_the_session_where_a_chunk_is_refused)
{
    static const struct {
        struct line lines[2];
        unsigned class;
        const char *dsn, *words;
    } rows[] = {
        {{{"BDAT", "452 4.3.1 full\r\n"}}, 4, "4.3.1", "452 4.3.1 full (in reply to BDAT command)"},
        {{{"BDAT", "552 5.3.4 too large\r\n"}}, 5, "5.3.4", "552 5.3.4 too large (in reply to BDAT command)"},
        {{{"BDAT", "354 go on\r\n"}}, 4, "4.5.0", "an answer to something else"},
        {{{"BDAT", NULL}}, 4, "4.4.2", "lost connection"},
        {{{"BDAT", "what\r\n"}}, 4, "4.5.0", "without reply code"},
        {{{".", "554 5.7.1 spam\r\n"}}, 5, "5.7.1", "554 5.7.1 spam (in reply to end of DATA command)"},
    };
    struct buf content = BUF_INIT;
    for (int i = 0; i < 50000; i++)
        buf_puts(&content, "more than one chunk of it\n");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int piped = 0; piped < 2; piped++) {
            world_open(&w, "", false);
            w.m.text = buf_span(&content);

            deliver_to(rows[i].lines, piped ? "250-PIPELINING\r\n250-CHUNKING\r\n" : "250-CHUNKING\r\n");

            WANT(&w, 0, rows[i].class, rows[i].dsn, rows[i].words);
            cr_expect_eq(heard(0, "QUIT"), i == 5, "%zu", i);
            world_close(&w);
        }
    buf_fini(&content);
}

Test(transact, sends_no_chunk_where_nobody_is_accepted)
{
    static const struct line lines[] = {{"RCPT", "550 who\r\n"}, {NULL, NULL}};
    world_open(&w, "", false);

    deliver_to(lines, "250-PIPELINING\r\n250-CHUNKING\r\n");

    WANT(&w, 0, 5, "5.0.0", "550 who");
    cr_expect(!heard(0, "BDAT") && heard(0, "QUIT"));
    world_close(&w);
}

Test(transact, takes_an_answer_for_each_recipient_to_the_last_chunk_of_lmtp)
{
    static const struct line lines[] = {{".", "250 2.0.0 one\r\n"}, {".", "452 4.2.2 full\r\n"}, {NULL, NULL}};
    world_open(&w, "", true);
    add_recipients(2);

    deliver_to(lines, "250-PIPELINING\r\n250-CHUNKING\r\n");

    WANT(&w, 0, 2, "2.0.0", "250 2.0.0 one");
    WANT(&w, 1, 4, "4.2.2", "452 4.2.2 full");
    world_close(&w);
}

/* --- the text ------------------------------------------------------------------------------------ */

Test(transact, sends_a_large_file_octet_for_octet)
{
    struct buf content = BUF_INIT;
    int fd = memfd_create("text", MFD_CLOEXEC);
    world_open(&w, "", false);
    buf_puts(&content, "Subject: large\n\n");
    for (int i = 0; i < 20000; i++)
        buf_printf(&content, "%sline %d of many, and something to fill it\n", i % 7 ? "" : ".", i);
    cr_assert_eq(write(fd, content.data, content.len), (ssize_t)content.len);
    struct wire_form form = {.dots = true, .limit = 998};
    struct buf wire = BUF_INIT;
    wire_form_put(&form, buf_span(&content), &wire);
    buf_puts(&wire, ".\r\nQUIT\r\n");
    w.m.text = SPAN_NONE;
    w.text_fd = fd;
    w.text_size = content.len;

    deliver_to(usual, NULL);

    WANT(&w, 0, 2, "2.0.0", "ok");
    const char *text = strstr(world_heard(&w, 0), "DATA\r\n");
    cr_assert(text);
    cr_expect(strcmp(text + 6, buf_text(&wire)) == 0, "%zu octets of %zu", strlen(text + 6), wire.len);
    world_close(&w);
    buf_fini(&content);
    buf_fini(&wire);
    close(fd);
}

Test(transact, waits_where_the_text_cannot_be_read)
{
    int fd = memfd_create("text", MFD_CLOEXEC);
    world_open(&w, "", false);
    w.text_fd = fd;
    w.text_size = 10;

    deliver_to(usual, NULL);

    WANT(&w, 0, 4, "4.3.0", "the message cannot be read");
    world_close(&w);
    close(fd);
}

Test(transact, takes_no_answer_that_comes_before_the_final_dot)
{
    static const struct {
        const char *say;
        unsigned class;
        const char *dsn, *words;
    } rows[] = {
        {"250 2.0.0 ok\r\n", 4, "4.5.0", "an answer before the end of the message"},
        {"354 go on\r\n", 4, "4.5.0", "an answer before the end of the message"},
        {"452 4.3.1 full\r\n", 4, "4.3.1", "452 4.3.1 full (in reply to message body)"},
        {"552 5.3.4 too large\r\n", 5, "5.3.4", "552 5.3.4 too large (in reply to message body)"},
        {"what\r\n", 4, "4.5.0", "without reply code"},
    };
    struct buf content = BUF_INIT;
    buf_puts(&content, "Subject: large\n\n");
    for (int i = 0; i < 30000; i++)
        buf_puts(&content, "a line of this text is as good as another\n");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct line lines[] = {{"TEXT", rows[i].say}, {NULL, NULL}};
        world_open(&w, "", false);
        w.m.text = buf_span(&content);
        w.early = true;

        deliver_to(lines, NULL);

        WANT(&w, 0, rows[i].class, rows[i].dsn, rows[i].words);
        cr_expect(!heard(0, "\r\n.\r\n"), "the message was ended");
        cr_expect(!heard(0, "QUIT"));
        world_close(&w);
    }
    buf_fini(&content);
}
