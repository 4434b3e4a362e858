#include "tests/unit/pickup/fake.h"

#include "lib/mail/dsn.h"

#include <stdlib.h>

static struct arena arena; /* of outcomes */
static struct msg_drop_recipient one = {.address = SPAN_INIT("you@example.test")};

static void teardown(void)
{
    fake_teardown();
    arena_fini(&arena);
}

TestSuite(submission, .init = fake_setup, .fini = teardown);

static struct msg_drop usual(void)
{
    return (struct msg_drop){.sender = SPAN("me@example.test"), .recipients = {&one, 1}, .flags = DROP_SENDER};
}

/* Submits an envelope with so many octets of text, as user 1000. */
static struct outcome submit(const struct msg_drop *m, size_t text)
{
    int fd = memfd_create("drop", MFD_CLOEXEC);
    fake_drop(fd, m, text);
    struct submission s = {.fd = fd, .uid = 1000, .id = queue_id_make(INT64_C(1700000000000000), 5)};
    s.size = (uint64_t)lseek(fd, 0, SEEK_END);
    struct outcome o = submission_take(&fake.config, &fake.services, &s, &arena);
    close(fd);
    return o;
}

static bool has(struct span text, const char *what)
{
    return memmem(text.p, text.n, what, strlen(what)) != NULL;
}

Test(submission, goes_to_cleanup_with_a_trace_line_on_top)
{
    struct msg_drop m = usual();

    struct outcome o = submit(&m, 22);

    cr_assert_eq(o.class, 0u, "%.*s", SPAN_ARG(o.text));
    cr_expect_eq(fake.submits, 1u);
    cr_expect(span_eq(fake.m.sender, SPAN("me@example.test")));
    cr_assert_eq(fake.m.recipients.n, 1u);
    cr_expect(span_eq(fake.m.recipients.at[0].address, one.address));
    cr_expect(span_eq(fake.m.recipients.at[0].original, one.address));
    cr_expect_eq(fake.m.flags, (uint64_t)(SUBMIT_LOCAL | SUBMIT_LOCAL_REWRITE));
    cr_expect(span_eq(fake.m.full_name, SPAN("Fred Fox")));
    struct span text = buf_span(&fake.message);
    cr_expect(span_starts(text, SPAN("Received: by mail.example.test (Merpati, from userid 1000)\n\tid 4")), "%.*s",
              SPAN_ARG(text));
    cr_expect(has(text, " +0000 (UTC)\n0123456789\n0123456789\n"), "%.*s", SPAN_ARG(text));
}

Test(submission, carries_what_the_envelope_says)
{
    struct msg_drop m = {.flags = DROP_EXTRACT | DROP_REMOTE, .notify = DSN_NOTIFY_DELAY, .ret = SPAN("HDRS"),
                         .envid = SPAN("E1"), .full_name = SPAN("Another"), .encoding = 8};

    struct outcome o = submit(&m, 22);

    cr_assert_eq(o.class, 0u, "%.*s", SPAN_ARG(o.text));
    cr_expect(span_eq(fake.m.sender, SPAN("fred")), "no -f: the login name of who submits");
    cr_expect_eq(fake.m.recipients.n, 0u);
    cr_expect_eq(fake.m.flags, (uint64_t)(SUBMIT_LOCAL | SUBMIT_EXTRACT));
    cr_expect(span_eq(fake.m.ret, SPAN("HDRS")));
    cr_expect(span_eq(fake.m.envid, SPAN("E1")));
    cr_expect(span_eq(fake.m.full_name, SPAN("Another")));
    cr_expect_eq(fake.m.encoding, 8u);
}

Test(submission, keeps_the_null_sender)
{
    struct msg_drop m = usual();
    m.sender = SPAN_NONE;

    cr_expect_eq(submit(&m, 5).class, 0u);

    cr_expect_eq(fake.m.sender.n, 0u);
}

Test(submission, of_a_user_without_name_comes_from_the_number)
{
    struct msg_drop m = usual();
    m.flags = 0;
    fake.user = TABLE_NOT_FOUND;

    cr_expect_eq(submit(&m, 5).class, 0u);

    cr_expect(span_eq(fake.m.sender, SPAN("1000")));
}

Test(submission, goes_by_file_where_it_is_large)
{
    struct msg_drop m = usual();

    cr_expect_eq(submit(&m, 60000).class, 0u);
    cr_expect_eq(fake.spools, 0u);
    cr_expect_eq(submit(&m, 199999).class, 0u);
    cr_expect_eq(fake.spools, 1u);

    struct span text = buf_span(&fake.message);
    cr_expect(span_starts(text, SPAN("Received: by ")));
    cr_expect_eq(text.n, fake.m.spool_size);
    size_t at = text.n - 199999;
    for (size_t i = 0; i < 199999; i += 1009)
        cr_assert_eq(text.p[at + i], "0123456789\n"[i % 11], "octet %zu", i);
}

Test(submission, is_refused_beyond_the_size_limit)
{
    struct msg_drop m = usual();

    cr_expect_eq(submit(&m, 200000).class, 0u, "at the limit");
    struct outcome o = submit(&m, 200001);

    cr_expect_eq(o.class, 5u);
    cr_expect_str_eq(o.dsn, "5.3.4");
    cr_expect_eq(fake.submits, 1u);
    fake.config.size_limit = 0;
    cr_expect_eq(submit(&m, 200001).class, 0u, "no limit");
}

Test(submission, with_many_recipients_fits_into_a_frame_or_is_refused)
{
    struct msg_drop m = usual();
    bool was_refused = false;
    for (size_t n = 1000; n <= 20000; n += 1000) {
        struct msg_drop_recipient *many = calloc(n, sizeof *many);
        for (size_t i = 0; i < n; i++)
            many[i].address = SPAN("some.recipient@example.test");
        m.recipients.at = many;
        m.recipients.n = n;
        struct outcome o = submit(&m, 50000); /* fake_submit() checks the frame */
        cr_expect(o.class == 0 || (o.class == 5 && strcmp(o.dsn, "5.5.3") == 0), "%zu", n);
        cr_expect(o.class == 5 || n < 13000, "%zu", n);
        was_refused = was_refused || o.class == 5;
        free(many);
    }
    cr_expect(was_refused);
}

Test(submission, is_refused_to_users_who_may_not)
{
    struct msg_drop m = usual();
    fake_policy("root", "static:*");

    struct outcome o = submit(&m, 5);

    cr_expect_eq(o.class, 5u);
    cr_expect_str_eq(o.dsn, "5.7.1");
    cr_expect(span_eq(o.text, SPAN("User fred(1000) is not allowed to submit mail")), "%.*s", SPAN_ARG(o.text));
    cr_expect_eq(fake.submits, 0u);
}

Test(submission, is_refused_under_anothers_address)
{
    struct msg_drop m = usual();
    fake_policy("static:anyone", "inline:{ fred=fred }");

    struct outcome o = submit(&m, 5);
    m.flags = 0;
    struct outcome own = submit(&m, 5);

    cr_expect_eq(o.class, 5u);
    cr_expect_str_eq(o.dsn, "5.7.1");
    cr_expect_eq(own.class, 0u, "nobody's own name needs a table");
}

Test(submission, waits_for_what_cannot_be_told_now)
{
    struct msg_drop m = usual();
    fake_policy("fail:broken", "static:*");

    struct outcome o = submit(&m, 5);
    cr_expect_eq(o.class, 4u);
    cr_expect(o.untouched);
    cr_expect_not(o.unserved);

    fake_policy("static:anyone", "static:*");
    fake.user = TABLE_TEMP;
    o = submit(&m, 5);
    cr_expect_eq(o.class, 4u);
    cr_expect(o.untouched);
    cr_expect(o.unserved);
    cr_expect_eq(fake.submits, 0u);
}

Test(submission, tells_what_cleanup_says)
{
    struct msg_drop m = usual();
    fake.class = 5, fake.dsn = "5.4.6", fake.text = "too many hops";
    struct outcome o = submit(&m, 5);
    cr_expect_eq(o.class, 5u);
    cr_expect_str_eq(o.dsn, "5.4.6");
    cr_expect(span_eq(o.text, SPAN("too many hops")));

    fake.class = 4, fake.dsn = "4.3.1", fake.text = "full";
    o = submit(&m, 5);
    cr_expect_eq(o.class, 4u);
    cr_expect(o.untouched);
    cr_expect_not(o.unserved);
}

Test(submission, is_repeated_under_the_same_id_where_cleanup_went_away)
{
    struct msg_drop m = usual();
    fake.lost = 1;

    struct outcome o = submit(&m, 100000);

    cr_expect_eq(o.class, 0u);
    cr_expect_eq(fake.submits, 2u);
    cr_expect_eq(fake.spools, 2u, "the file went with the channel");
}

Test(submission, is_not_called_untouched_where_cleanup_may_have_it)
{
    struct msg_drop m = usual();
    fake.lost = 100;
    struct outcome o = submit(&m, 5);
    cr_expect_eq(o.class, 4u);
    cr_expect_not(o.untouched);
    cr_expect(o.unserved);
    cr_expect_eq(fake.submits, 3u);

    fake.lost = 1;
    fake.class = 4;
    o = submit(&m, 5);
    cr_expect_eq(o.class, 4u);
    cr_expect_not(o.untouched, "refused the second time, but who knows about the first");
}

Test(submission, is_untouched_where_there_is_no_cleanup)
{
    struct msg_drop m = usual();
    fake.unreachable = true;
    struct outcome o = submit(&m, 5);
    cr_expect_eq(o.class, 4u);
    cr_expect(o.untouched);
    cr_expect(o.unserved);

    fake.unreachable = false;
    fake.no_spool = true;
    o = submit(&m, 100000);
    cr_expect_eq(o.class, 4u);
    cr_expect(o.untouched);
    cr_expect(o.unserved);
}

static int shrinking; /* a file that its owner cuts while it is read */

static void shrink(void)
{
    cr_assert_eq(ftruncate(shrinking, 1000), 0);
}

Test(submission, is_unreadable_where_the_file_shrinks_under_it)
{
    struct msg_drop m = usual();
    shrinking = memfd_create("drop", MFD_CLOEXEC);
    fake_drop(shrinking, &m, 100000);
    struct submission s = {.fd = shrinking, .uid = 1000, .id = queue_id_make(INT64_C(1700000000000000), 5)};
    s.size = (uint64_t)lseek(shrinking, 0, SEEK_END);
    fake.meanwhile = shrink;

    struct outcome o = submission_take(&fake.config, &fake.services, &s, &arena);

    cr_expect_eq(o.class, 5u);
    cr_expect(o.unreadable);
    cr_expect_eq(fake.submits, 0u);
    cr_expect_eq(fake.dropped, 1u, "cleanup's file is given back");
    close(shrinking);
}

Test(submission, that_is_none_is_unreadable)
{
    int fd = memfd_create("drop", MFD_CLOEXEC);
    struct submission s = {.fd = fd, .uid = 1000, .size = 40, .id = queue_id_make(INT64_C(1700000000000000), 5)};
    cr_assert_eq(write(fd, "This is no submission, but a plain text.", 40), 40);

    struct outcome o = submission_take(&fake.config, &fake.services, &s, &arena);

    cr_expect_eq(o.class, 5u);
    cr_expect(o.unreadable);
    close(fd);
}

Test(submission, that_was_refused_is_told_to_its_sender)
{
    struct msg_drop m = {.flags = DROP_EXTRACT, .envid = SPAN("E1")};
    int fd = memfd_create("drop", MFD_CLOEXEC);
    fake_drop(fd, &m, 50);
    struct submission s = {.fd = fd, .uid = 1000, .id = queue_id_make(INT64_C(1700000000000000), 5)};
    s.size = (uint64_t)lseek(fd, 0, SEEK_END);
    struct outcome o = {.class = 5, .dsn = "5.1.0", .text = SPAN("no recipients specified")};
    struct queue_id notice = queue_id_make(INT64_C(1700000000000000), 6);

    cr_expect(submission_tell_sender(&fake.services, &s, &o, &notice, &arena));

    cr_expect(span_eq(fake.notice.sender, SPAN("fred")));
    cr_expect(span_eq(fake.notice.new_id, queue_id_span(&notice)));
    cr_expect_eq(fake.notice.text_size, 50u);
    cr_assert_eq(fake.notice.recipients.n, 1u);
    cr_expect(span_eq(fake.notice.recipients.at[0].address, SPAN("unknown")));
    cr_assert_eq(fake.notice.verdicts.n, 1u);
    cr_expect_eq(fake.notice.verdicts.at[0].number, fake.notice.recipients.at[0].number);
    cr_expect(span_eq(fake.notice.verdicts.at[0].dsn, SPAN("5.1.0")));
    fake.notify_fails = true;
    cr_expect_not(submission_tell_sender(&fake.services, &s, &o, &notice, &arena));
    close(fd);
}
