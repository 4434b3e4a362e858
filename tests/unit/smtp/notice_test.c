#include "tests/unit/smtp/world.h"

static struct world w; /* too large for a frame; each test is a process of its own */
static struct buf posted;
static unsigned posts;

static struct msg_submitted post(void *context, struct arena *a, const struct msg_submit *m, struct span text, mono_ms d)
{
    (void)context, (void)a, (void)d;
    posts++;
    cr_expect(span_eq(m->sender, SPAN("double-bounce@me.test")), "%.*s", SPAN_ARG(m->sender));
    cr_expect(span_eq(m->recipients.at[0].address, SPAN("postmaster@me.test")));
    buf_put(&posted, text);
    return (struct msg_submitted){.id = m->id};
}

static struct span draw_id(void *context, struct arena *a)
{
    (void)context;
    return arena_dup(a, SPAN("ID9"));
}

static void deliver(const char *settings, const struct server *servers, bool lmtp, const char *sender)
{
    world_open(&w, settings, lmtp);
    w.servers = servers;
    w.smtp.zone = date_utc();
    w.smtp.services.submit = post;
    w.smtp.services.draw_id = draw_id;
    w.m.nexthop = lmtp ? SPAN("inet:[192.0.2.1]:24") : SPAN("[192.0.2.1]");
    w.m.sender = span_text(sender);
    world_deliver(&w);
}

static void expect(const char *part)
{
    cr_expect(strstr(buf_text(&posted), part), "\"%s\" is missing from\n%s", part, buf_text(&posted));
}

Test(notice, shows_the_postmaster_a_server_that_finds_our_syntax_wrong)
{
    static const struct line lines[] = {{"RCPT", "501 5.5.4 what\r\n"}, {NULL, NULL}};
    static const struct server servers[] = {{"192.0.2.1", lines, "250-SIZE\r\n"}, {NULL, NULL, NULL}};

    deliver("notify_classes = protocol\n", servers, false, "a@b.test");

    cr_expect_eq(posts, 1u);
    expect("\nSubject: Merpati SMTP client: errors from 192.0.2.1[192.0.2.1]:25\n");
    expect("\n\n In:  220 remote.test ESMTP\n Out: EHLO me.test\n In:  250-remote.test\n In:  250-SIZE\n In:  250 HELP\n"
           " Out: MAIL FROM:<a@b.test> SIZE=26\n In:  250 2.0.0 ok\n Out: RCPT TO:<user@remote.test>\n In:  501 5.5.4 what\n"
           "\n\nFor other details");
    buf_fini(&posted);
    world_close(&w);
}

Test(notice, is_about_what_is_asked_for_and_no_more)
{
    static const struct {
        const char *says, *settings, *sender;
        struct line line;
        bool lmtp;
        unsigned posts;
    } rows[] = {
        {"a refused address is no such trouble", "notify_classes = protocol\n", "a@b.test", {"RCPT", "550 5.1.1 no\r\n"}, false, 0},
        {"500 is", "notify_classes = protocol\n", "a@b.test", {"MAIL", "500 no\r\n"}, false, 1},
        {"509 is", "notify_classes = protocol\n", "a@b.test", {"MAIL", "509 no\r\n"}, false, 1},
        {"510 is not", "notify_classes = protocol\n", "a@b.test", {"MAIL", "510 no\r\n"}, false, 0},
        {"555 is", "notify_classes = protocol\n", "a@b.test", {"MAIL", "555 no\r\n"}, false, 1},
        {"nonsense is", "notify_classes = protocol\n", "a@b.test", {"MAIL", "hello\r\n"}, false, 1},
        {"of LMTP too", "notify_classes = protocol\n", "a@b.test", {"MAIL", "500 no\r\n"}, true, 1},
        {"another class is wanted", "notify_classes = policy, resource\n", "a@b.test", {"MAIL", "500 no\r\n"}, false, 0},
        {"it is a notice itself", "notify_classes = protocol\n", "double-bounce@me.test", {"MAIL", "500 no\r\n"}, false, 0},
        {"all is well", "notify_classes = protocol\n", "a@b.test", {"MAIL", "250 ok\r\n"}, false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct line lines[] = {rows[i].line, {NULL, NULL}};
        const struct server servers[] = {{"192.0.2.1", lines, NULL}, {NULL, NULL, NULL}};
        posts = 0;

        deliver(rows[i].settings, servers, rows[i].lmtp, rows[i].sender);

        cr_expect_eq(posts, rows[i].posts, "%s", rows[i].says);
        world_close(&w);
    }
    buf_fini(&posted);
}

Test(notice, never_shows_the_text_of_a_message)
{
    static const struct line lines[] = {{".", "500 no\r\n"}, {NULL, NULL}};
    static const struct server servers[] = {{"192.0.2.1", lines, NULL}, {NULL, NULL, NULL}};

    deliver("notify_classes = protocol\n", servers, false, "a@b.test");

    expect(" Out: DATA\n");
    expect(" In:  500 no\n");
    cr_expect_null(strstr(buf_text(&posted), "Hello."));
    buf_fini(&posted);
    world_close(&w);
}
