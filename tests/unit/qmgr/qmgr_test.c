#include "lib/mail/dsn.h"
#include "tests/unit/qmgr/world.h"

#define QUICK "minimal_backoff_time = 1s\nmaximal_backoff_time = 1s\ntransport_retry_time = 1s\n"

/* --- fresh mail --- */

Test(qmgr, takes_fresh_mail_to_its_agent_and_removes_it, .timeout = 20)
{
    struct world *w = world_new(QUICK);

    struct queue_id id =
        world_mail(w, (struct mail){.sender = "a@b.org", .to = {"ok@local.x"}, .text = "Subject: x\n\nhi\n"});
    world_until(w, ": removed", 1);

    cr_assert_eq(w->asked_count, 1u);
    cr_expect_str_eq(w->asked[0].id, id.text);
    cr_expect_str_eq(w->asked[0].sender, "a@b.org");
    cr_expect_str_eq(w->asked[0].to, "ok@local.x");
    cr_expect_str_eq(w->asked[0].nexthop, "local.x");
    cr_expect_str_eq(w->asked[0].text, "Subject: x\n\nhi\n");
    cr_expect_eq(count_in_log(w, "from=<a@b.org>, size=15, nrcpt=1 (queue active)"), 1u, "%s", world_log(w));
    cr_expect_eq(count_in_log(w, "postfix/local[4711]: "), 1u, "%s", world_log(w));
    cr_expect_eq(count_in_log(w, ": to=<ok@local.x>, relay=local, delay=0"), 1u, "%s", world_log(w));
    cr_expect_eq(count_in_log(w, "dsn=2.0.0, status=sent (delivered to maildir)"), 1u);
    world_end(w);
}

Test(qmgr, groups_recipients_by_next_hop_and_tells_the_original_address, .timeout = 20)
{
    struct world *w = world_new(QUICK);

    world_mail(
        w, (struct mail){.sender = "a@b.org",
                         .to = {"1@smtp.x", "2@smtp.x=two@alias.x", "3@smtp.y", "ok@local.x", "ok2@local.x"},
                         .text = "x\n"});
    world_until(w, ": removed", 1);

    cr_expect_eq(asked_times(w, "smtp", NULL), 2u);
    cr_expect_eq(asked_times(w, "local", NULL), 2u, "local_destination_recipient_limit is 1");
    cr_expect_eq(count_in_log(w, "to=<2@smtp.x>, orig_to=<two@alias.x>, relay=smtp"), 1u, "%s", world_log(w));
    cr_expect_eq(count_in_log(w, "nrcpt=5 (queue active)"), 1u);
    world_end(w);
}

Test(qmgr, asks_rewrite_where_mail_brings_no_routes, .timeout = 20)
{
    struct world *w = world_new(QUICK);

    world_mail(w, (struct mail){.sender = "", .to = {"ok@virtual.x"}, .text = "x\n", .no_routes = true});
    world_until(w, ": removed", 1);

    cr_expect_eq(asked_times(w, "virtual", NULL), 1u);
    cr_expect_eq(count_in_log(w, "from=<>, size=2"), 1u);
    world_end(w);
}

Test(qmgr, passes_large_texts_by_descriptor, .timeout = 20)
{
    struct world *w = world_new(QUICK);
    char *large = malloc(100001);
    memset(large, 'x', 100000);
    large[100000] = '\0';
    memcpy(large, "first", 5);

    world_mail(w, (struct mail){.sender = "a@b.org", .to = {"ok@local.x"}, .text = large});
    world_mail(w, (struct mail){.sender = "a@b.org", .to = {"ok@local.x"}, .text = large, .as_file = true});
    world_until(w, ": removed", 2);

    for (size_t i = 0; i < 2; i++) {
        cr_expect(w->asked[i].by_descriptor);
        cr_expect_eq(w->asked[i].text_size, 100000u);
        cr_expect_eq(strncmp(w->asked[i].text, "firstxxx", 8), 0);
    }
    cr_expect_not(has_file(w->queue), "the file is gone");
    free(large);
    world_end(w);
}

Test(qmgr, answers_error_retry_and_discard_itself, .timeout = 20)
{
    struct world *w = world_new(QUICK "soft_bounce = no\n");

    world_mail(w,
               (struct mail){.sender = "", .to = {"x@error.y", "x@discard.y", "x@retry.y"}, .text = "x\n"});
    world_until(w, "status=deferred (retry.y)", 1);

    cr_expect_eq(count_in_log(w, "postfix/error[4711]: "), 2u, "%s", world_log(w));
    cr_expect_eq(count_in_log(w, "relay=none, "), 3u);
    cr_expect_eq(count_in_log(w, "dsn=5.0.0, status=bounced (error.y)"), 1u, "%s", world_log(w));
    cr_expect_eq(count_in_log(w, "postfix/discard[4711]: "), 1u);
    cr_expect_eq(count_in_log(w, "dsn=2.0.0, status=sent (discard.y)"), 1u);
    cr_expect_eq(count_in_log(w, "dsn=4.0.0, status=deferred (retry.y)"), 1u);
    world_end(w);
}

Test(qmgr, defers_mail_for_a_transport_that_cannot_be_had, .timeout = 20)
{
    struct world *w = world_new(QUICK);
    w->no_agents = true;
    world_mail(w, (struct mail){.sender = "a@b.org", .to = {"ok@local.x"}, .text = "x\n"});
    world_mail(w, (struct mail){.sender = "a@b.org", .to = {"ok@nosuch.x"}, .text = "x\n"});

    world_until(w, "relay=none, ", 2);
    cr_expect_geq(count_in_log(w, "dsn=4.3.0, status=deferred (mail transport unavailable)"), 2u, "%s",
                  world_log(w));
    w->no_agents = false;
    world_until(w, ": removed", 1);

    cr_expect_eq(asked_times(w, "local", NULL), 1u);
    world_end(w);
}

/* --- later and never --- */

Test(qmgr, tries_deferred_mail_again, .timeout = 20)
{
    struct world *w = world_new(QUICK);

    struct queue_id id = world_mail(
        w, (struct mail){.sender = "a@b.org", .to = {"later@local.x", "ok@local.x"}, .text = "x\n"});
    world_until(w, "status=deferred (mailbox is full)", 3);

    cr_expect_eq(asked_times(w, "local", id.text), 4u);
    cr_expect_eq(count_in_log(w, "status=sent"), 1u, "what was delivered is not tried again");
    cr_expect_eq(count_in_log(w, "nrcpt=2 (queue active)"), 1u);
    cr_expect_eq(count_in_log(w, "nrcpt=1 (queue active)"), 2u);
    world_end(w);
}

Test(qmgr, has_the_sender_told_of_failures_and_only_then_removes_the_message, .timeout = 20)
{
    struct world *w = world_new(QUICK);

    struct queue_id id = world_mail(w, (struct mail){.sender = "a@b.org",
                                                     .to = {"bad@local.x", "ok@local.x", "bad2@smtp.x"},
                                                     .text = "text\n"});
    world_until(w, ": removed", 1);

    cr_assert_eq(asked_times(w, "bounce", id.text), 1u);
    const struct asked_of *asked = &w->asked[w->asked_count - 1];
    cr_expect_str_eq(asked->to, "bad@local.x:5.1.1 bad2@smtp.x:5.1.1");
    cr_expect_str_eq(asked->sender, "a@b.org");
    cr_expect_str_eq(asked->text, "text\n");
    cr_expect_eq(asked->kind, (unsigned)NOTIFY_FAILED);
    cr_expect_neq(strcmp(asked->new_id, id.text), 0);
    world_end(w);
}

Test(qmgr, honours_notify_and_never_tells_the_null_sender, .timeout = 20)
{
    static const struct {
        const char *says, *sender;
        unsigned notify;
        const char *to;
        unsigned told;
    } rows[] = {
        {"a failure by default", "a@b.org", 0, "bad@local.x", 1},
        {"a failure where asked for", "a@b.org", DSN_NOTIFY_FAILURE, "bad@local.x", 1},
        {"no failure where only delays were asked for", "a@b.org", DSN_NOTIFY_DELAY, "bad@local.x", 0},
        {"nothing with NEVER", "a@b.org", DSN_NOTIFY_NEVER, "bad@local.x", 0},
        {"no success by default", "a@b.org", 0, "ok@local.x", 0},
        {"a success where asked for", "a@b.org", DSN_NOTIFY_SUCCESS, "ok@local.x", 1},
        {"never the null sender", "", 0, "bad@local.x", 0},
        {"never our own double bounce", "double-bounce@mx.example.org", 0, "bad@local.x", 0},
    };
    struct world *w = world_new(QUICK);
    unsigned told = 0;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        world_mail(
            w, (struct mail){
                   .sender = rows[i].sender, .to = {rows[i].to}, .text = "x\n", .notify = rows[i].notify});
        world_until(w, ": removed", (unsigned)i + 1);
        told += rows[i].told;
        cr_expect_eq(asked_times(w, "bounce", NULL), told, "%s", rows[i].says);
    }
    world_end(w);
}

Test(qmgr, gives_up_what_is_too_old, .timeout = 20)
{
    struct world *w = world_new(QUICK "maximal_queue_lifetime = 1h\n");

    world_mail(w, (struct mail){.sender = "a@b.org", .to = {"later@local.x"}, .text = "x\n", .age_s = 3601});
    world_until(w, ": removed", 1);

    cr_expect_eq(count_in_log(w, "from=<a@b.org>, status=expired, returned to sender"), 1u, "%s",
                 world_log(w));
    cr_expect_eq(asked_times(w, "local", NULL), 1u, "tried once");
    cr_expect_eq(asked_times(w, "bounce", NULL), 1u);
    cr_expect_str_eq(w->asked[1].to, "later@local.x:4.2.2");
    world_end(w);
}

Test(qmgr, warns_once_of_a_delay, .timeout = 20)
{
    struct world *w = world_new(QUICK "delay_warning_time = 1h\n");

    world_mail(w, (struct mail){.sender = "a@b.org", .to = {"later@local.x"}, .text = "x\n", .age_s = 3601});
    world_until(w, "status=deferred", 3);

    cr_expect_eq(asked_times(w, "bounce", NULL), 1u);
    world_end(w);
}

Test(qmgr, tells_of_a_delivery_behind_a_warning_where_that_is_asked_for, .timeout = 20)
{
    static const struct {
        const char *settings;
        size_t asked;
    } rows[] = {{QUICK "delay_warning_time = 1h\nconfirm_delay_cleared = yes\n", 2}, {QUICK "delay_warning_time = 1h\n", 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct world *w = world_new(rows[i].settings);

        world_mail(w, (struct mail){.sender = "a@b.org", .to = {"once@local.x"}, .text = "x\n", .age_s = 3601});
        world_until(w, ": removed", 1);

        cr_expect_eq(asked_times(w, "bounce", NULL), rows[i].asked, "%s", rows[i].settings);
        world_end(w);
    }
}

Test(qmgr, throws_away_what_is_sent_to_the_sender_of_double_bounces, .timeout = 20)
{
    struct world *w = world_new(QUICK "myhostname = mail.x\n");

    world_mail(w, (struct mail){.sender = "a@b.org", .to = {"double-bounce@mail.x"}, .text = "x\n"});
    world_until(w, ": removed", 1);

    cr_expect_eq(count_in_log(w, "relay=none, "), 1u);
    cr_expect_eq(count_in_log(w, "status=sent (undeliverable postmaster notification discarded)"), 1u, "%s", world_log(w));
    world_end(w);
}

Test(qmgr, makes_failures_of_our_own_soft_where_soft_bounce_says_so, .timeout = 20)
{
    struct world *w = world_new(QUICK "soft_bounce = yes\n");

    world_mail(w, (struct mail){.sender = "a@b.org", .to = {"bad@local.x"}, .text = "x\n"});
    world_until(w, "dsn=4.1.1, status=SOFTBOUNCE (unknown user)", 2);

    cr_expect_eq(asked_times(w, "bounce", NULL), 0u);
    world_end(w);
}

Test(qmgr, tries_again_when_an_agent_dies, .timeout = 20)
{
    struct world *w = world_new(QUICK);

    struct queue_id id =
        world_mail(w, (struct mail){.sender = "a@b.org", .to = {"die@local.x"}, .text = "x\n"});
    world_until(w, "delivery agent local died", 2);

    cr_expect_geq(asked_times(w, "local", id.text), 2u);
    world_until(w, "status=deferred (unknown mail system error: delivery agent died)", 1);
    world_end(w);
}

Test(qmgr, leaves_a_dead_destination_alone_for_a_while, .timeout = 20)
{
    struct world *w = world_new("minimal_backoff_time = 1h\nmaximal_backoff_time = 2h\n"
                                "initial_destination_concurrency = 1\n");
    w->unreachable = true;

    for (int i = 0; i < 5; i++)
        world_mail(w, (struct mail){.sender = "a@b.org", .to = {"later@smtp.x"}, .text = "x\n"});
    world_until(w, "status=deferred", 5);

    cr_expect_eq(asked_times(w, "smtp", NULL), 1u);
    cr_expect_eq(count_in_log(w, "status=deferred (delivery temporarily suspended: mailbox is full)"), 4u,
                 "%s", world_log(w));
    world_end(w);
}

/* --- killed and begun again --- */

Test(qmgr, finds_after_a_kill_what_was_not_delivered_and_only_that, .timeout = 60)
{
    struct world *w = world_new(QUICK);
    w->lazy_recycle = true;
    struct queue_id done =
        world_mail(w, (struct mail){.sender = "a@b.org", .to = {"ok@local.x"}, .text = "done\n"});
    world_until(w, ": removed", 1);
    struct queue_id half = world_mail(
        w, (struct mail){.sender = "a@b.org", .to = {"ok@local.x", "later@local.x"}, .text = "half\n"});
    world_until(w, "status=deferred", 1);
    world_until(w, "status=sent", 2);
    w->silent_agents = true;
    struct queue_id open =
        world_mail(w, (struct mail){.sender = "a@b.org", .to = {"ok@local.x"}, .text = "open\n"});
    struct queue_id file = world_mail(
        w,
        (struct mail){
            .sender = "a@b.org", .to = {"ok@local.x"}, .text = "file\n", .as_file = true, .no_hint = true});
    world_run_ms(w, 50);

    world_kill(w);
    w->asked_count = 0;
    w->silent_agents = false;
    world_start(w);
    world_until(w, "status=sent", 4);

    cr_expect_eq(asked_times(w, "local", done.text), 0u);
    cr_expect_eq(asked_times(w, "local", open.text), 1u);
    cr_expect_eq(asked_times(w, "local", file.text), 1u);
    for (size_t i = 0; i < w->asked_count; i++)
        if (strcmp(w->asked[i].id, half.text) == 0)
            cr_expect_str_eq(w->asked[i].to, "later@local.x");
    world_end(w);
}

Test(qmgr, repeats_a_notification_under_the_same_id_after_a_kill, .timeout = 60)
{
    struct world *w = world_new(QUICK);
    w->silent_bounce = true;
    world_mail(w, (struct mail){.sender = "a@b.org", .to = {"bad@local.x"}, .text = "x\n"});
    mono_ms end = clock_after_ms(5000);
    while (asked_times(w, "bounce", NULL) == 0 && clock_mono() < end)
        loop_step(w->loop, clock_after_ms(10));
    cr_assert_eq(asked_times(w, "bounce", NULL), 1u);

    world_kill(w);
    w->silent_bounce = false;
    world_start(w);
    world_until(w, ": removed", 1);

    cr_assert_eq(asked_times(w, "bounce", NULL), 2u);
    cr_expect_str_eq(w->asked[1].new_id, w->asked[2].new_id);
    cr_expect_eq(asked_times(w, "local", NULL), 1u, "the failure itself stands");
    world_end(w);
}

Test(qmgr, does_not_repeat_a_notification_that_is_in_the_store, .timeout = 60)
{
    struct world *w = world_new(QUICK);
    struct queue_id made;
    w->silent_bounce = true;
    world_mail(w, (struct mail){.sender = "a@b.org", .to = {"bad@local.x"}, .text = "x\n"});
    mono_ms end = clock_after_ms(5000);
    while (asked_times(w, "bounce", NULL) == 0 && clock_mono() < end)
        loop_step(w->loop, clock_after_ms(10));
    cr_assert(queue_id_parse(span_text(w->asked[1].new_id), &made));
    world_mail(
        w, (struct mail){
               .sender = "", .to = {"later@local.x"}, .text = "notification\n", .id = made, .no_hint = true});

    world_kill(w);
    world_start(w);
    world_until(w, ": removed", 1);

    cr_expect_eq(asked_times(w, "bounce", NULL), 1u);
    cr_expect_not_null(schedule_find(&w->q->schedule, queue_id_span(&made)));
    world_end(w);
}

Test(qmgr, finds_what_a_cleanup_process_could_not_tell, .timeout = 60)
{
    struct world *w = world_new(QUICK);
    world_mail(w, (struct mail){.sender = "a@b.org", .to = {"ok@local.x"}, .text = "x\n"});
    world_until(w, ": removed", 1);
    struct queue_id lost = world_mail(
        w, (struct mail){.sender = "a@b.org", .to = {"ok@local.x"}, .text = "x\n", .no_hint = true});
    struct queue_id file = world_mail(
        w, (struct mail){
               .sender = "a@b.org", .to = {"ok@local.x"}, .text = "x\n", .no_hint = true, .as_file = true});
    world_run_ms(w, 50);
    cr_expect_eq(w->asked_count, 1u);

    channel_close(&w->to_qmgr);
    world_until(w, ": removed", 3);

    cr_expect_eq(asked_times(w, "local", lost.text), 1u);
    cr_expect_eq(asked_times(w, "local", file.text), 1u);
    world_end(w);
}

Test(qmgr, finds_what_a_cleanup_process_stored_before_it_introduced_itself, .timeout = 60)
{
    struct world *w = world_new(QUICK);
    struct queue_id lost = world_mail(
        w, (struct mail){.sender = "a@b.org", .to = {"ok@local.x"}, .text = "x\n", .no_hint = true});
    struct queue_id file = world_mail(
        w, (struct mail){
               .sender = "a@b.org", .to = {"ok@local.x"}, .text = "x\n", .no_hint = true, .as_file = true});

    world_until(w, ": removed", 2);

    cr_expect_eq(asked_times(w, "local", lost.text), 1u);
    cr_expect_eq(asked_times(w, "local", file.text), 1u);
    world_end(w);
}

Test(qmgr, takes_the_same_message_only_once, .timeout = 20)
{
    struct world *w = world_new(QUICK);
    struct mail mail = {.sender = "a@b.org", .to = {"ok@local.x"}, .text = "x\n"};
    mail.id = queue_id_draw(&w->ids);

    world_mail(w, mail);
    world_mail(w, mail);
    world_until(w, ": removed", 1);
    world_mail(w, mail);
    world_run_ms(w, 100);

    cr_expect_eq(w->asked_count, 1u);
    world_kill(w);
    world_start(w);
    world_run_ms(w, 200);
    cr_expect_eq(w->asked_count, 1u, "also after a new start");
    world_end(w);
}

/* --- the store --- */

Test(qmgr, makes_files_of_slow_mail_and_lets_segments_be_used_again, .timeout = 60)
{
    struct world *w = world_new(QUICK);
    static char text[60000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    world_mail(w, (struct mail){.sender = "a@b.org", .to = {"later@local.x"}, .text = "slow\n"});
    for (int i = 0; i < 40; i++) {
        world_mail(w, (struct mail){.sender = "a@b.org", .to = {"ok@local.x"}, .text = text});
        world_until(w, ": removed", (unsigned)i + 1);
    }

    world_run_ms(w, 2500);

    cr_expect_eq(w->spills, 1u);
    cr_expect_geq(w->recycled, 1u);
    cr_expect(has_file(w->queue));
    world_kill(w);
    w->asked_count = 0;
    world_start(w);
    world_until(w, "status=deferred", 1);
    world_run_ms(w, 1500);
    cr_expect_geq(w->asked_count, 1u);
    for (size_t i = 0; i < w->asked_count; i++)
        cr_expect_str_eq(w->asked[i].text, "slow\n");
    world_end(w);
}

Test(qmgr, asks_the_next_cleanup_process_for_what_the_last_one_did_not_spill, .timeout = 60)
{
    struct world *w = world_new("minimal_backoff_time = 1h\nmaximal_backoff_time = 1h\n");
    w->lazy_spill = true;
    world_mail(w, (struct mail){.sender = "a@b.org", .to = {"later@local.x"}, .text = "slow\n"});
    world_run_ms(w, 2300);
    cr_assert_geq(w->spills, 1u);
    cr_expect_not(has_file(w->queue));

    channel_close(&w->to_qmgr);
    world_run_ms(w, 50);
    w->lazy_spill = false;
    world_cleanup(w);
    world_run_ms(w, 2300);

    cr_expect(has_file(w->queue));
    cr_expect_eq(asked_times(w, "local", NULL), 1u);
    world_end(w);
}

Test(qmgr, forgets_finished_mail_once_its_segment_is_used_anew, .timeout = 60)
{
    struct world *w = world_new(QUICK);
    static char text[60000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';

    for (int i = 0; i < 60; i++) {
        world_mail(w, (struct mail){.sender = "a@b.org", .to = {"ok@local.x"}, .text = text});
        world_until(w, ": removed", (unsigned)i + 1);
    }
    world_run_ms(w, 100);

    cr_expect_geq(w->recycled, 2u);
    cr_expect_leq(w->q->tombs.count, 20u, "%zu tombs", w->q->tombs.count);
    world_end(w);
}

Test(qmgr, sets_damaged_files_aside_and_goes_on, .timeout = 20)
{
    struct world *w = world_new(QUICK);
    w->silent_agents = true;
    struct queue_id bad = world_mail(
        w, (struct mail){
               .sender = "a@b.org", .to = {"ok@local.x"}, .text = "x\n", .as_file = true, .no_hint = true});
    struct queue_id good = world_mail(
        w, (struct mail){
               .sender = "a@b.org", .to = {"ok@local.x"}, .text = "x\n", .as_file = true, .no_hint = true});
    int fd = openat(w->queue, bad.text, O_RDWR);
    cr_assert_geq(fd, 0);
    cr_assert_eq(pwrite(fd, "damage", 6, 70), 6);
    close(fd);
    world_kill(w);
    w->silent_agents = false;

    world_start(w);
    world_until(w, ": removed", 1);

    cr_expect_eq(asked_times(w, "local", good.text), 1u);
    cr_expect_eq(asked_times(w, "local", bad.text), 0u);
    cr_expect(has_file(w->corrupt));
    cr_expect_eq(count_in_log(w, "damaged message moved to corrupt/"), 1u, "%s", world_log(w));
    world_end(w);
}

Test(qmgr, puts_mail_on_hold_of_which_a_damaged_journal_may_have_spoken, .timeout = 20)
{
    struct world *w = world_new(QUICK);
    w->lazy_recycle = true;
    for (int i = 0; i < 5; i++)
        world_mail(w, (struct mail){.sender = "a@b.org", .to = {"later@local.x"}, .text = "x\n"});
    world_until(w, "status=deferred", 10);
    world_kill(w);
    int fd = openat(w->journal, "00000001", O_RDWR);
    cr_assert_geq(fd, 0);
    cr_assert_eq(pwrite(fd, "damage that covers the head of an entry and more", 48, 128 + 64), 48);
    close(fd);
    w->asked_count = 0;

    world_start(w);
    world_run_ms(w, 1500);

    cr_expect_eq(w->asked_count, 0u);
    cr_expect_eq(count_in_log(w, ": put on hold: the journal is damaged"), 5u, "%s", world_log(w));
    world_kill(w);
    world_start(w);
    world_run_ms(w, 100);
    cr_expect_eq(count_in_log(w, ": put on hold: the journal is damaged"), 5u,
                 "they stay on hold, without a second alarm");
    world_end(w);
}

/* --- many kills --- */

/* Lines that tell of a delivery of this message. */
static unsigned times_told(struct world *w, const struct queue_id *id)
{
    char line[64];
    snprintf(line, sizeof line, "%.40s: to=<", id->text);
    return count_in_log(w, line);
}

/* Whatever happens: what was logged as sent is never tried again, and everything is delivered in the end. */
Test(qmgr, loses_nothing_and_repeats_nothing_that_was_logged_over_many_kills, .timeout = 60)
{
    enum { MAILS = 150 };
    struct world *w = world_new(QUICK);
    static struct queue_id ids[MAILS];
    bool logged[MAILS] = {0};
    int sent = 0;
    srandom(7);

    for (int i = 0; i < MAILS; i++) {
        ids[i] = world_mail(w, (struct mail){.sender = "a@b.org",
                                             .to = {random() % 4 ? "ok@local.x" : "ok@smtp.y"},
                                             .text = "x\n",
                                             .as_file = random() % 5 == 0,
                                             .no_hint = random() % 10 == 0});
        for (long steps = random() % 6; steps > 0; steps--)
            loop_step(w->loop, clock_after_ms(1));
        if (random() % 3)
            continue;
        world_kill(w);
        size_t before = w->asked_count;
        for (int k = 0; k <= i; k++) {
            logged[k] = times_told(w, &ids[k]) > 0;
        }
        world_start(w);
        for (int steps = 0; steps < 3; steps++)
            loop_step(w->loop, clock_after_ms(1));
        for (size_t a = before; a < w->asked_count; a++)
            for (int k = 0; k <= i; k++)
                cr_expect(!logged[k] || strcmp(w->asked[a].id, ids[k].text) != 0,
                          "%s was sent, and tried again", ids[k].text);
    }
    world_kill(w);
    world_start(w);
    world_until(w, ": removed", MAILS);

    for (int i = 0; i < MAILS; i++) {
        unsigned told = times_told(w, &ids[i]);
        cr_expect_eq(told, 1u, "%s was told %u times", ids[i].text, told);
        sent += told == 1;
    }
    cr_expect_eq(sent, MAILS);
    cr_expect_eq(w->q->schedule.count, 0u);
    cr_expect_not(has_file(w->queue));
    world_end(w);
}
