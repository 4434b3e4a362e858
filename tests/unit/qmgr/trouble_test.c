#include "tests/unit/qmgr/world.h"

#include <errno.h>

#define QUICK "minimal_backoff_time = 1s\nmaximal_backoff_time = 1s\n"

/* A disk that fails on demand: this stands before the C library's. */
static bool disk_fails;

int fdatasync(int fd)
{
    if (disk_fails) {
        errno = EIO;
        return -1;
    }
    return fsync(fd);
}

Test(qmgr_trouble, begins_nothing_and_tells_nothing_while_the_journal_cannot_be_written, .timeout = 60)
{
    struct world *w = world_new(QUICK);
    w->silent_agents = true;
    world_run_ms(w, 50); /* cleanup is known */
    world_mail(w, (struct mail){.sender = "a@b.org", .to = {"ok@local.x"}, .text = "x\n"});
    world_run_ms(w, 50); /* cleanup has introduced itself */
    world_mail(w, (struct mail){.sender = "a@b.org", .to = {"x@discard.y"}, .text = "x\n", .no_hint = true});
    struct queue_id late = world_mail(
        w, (struct mail){
               .sender = "a@b.org", .to = {"ok@local.x"}, .text = "x\n", .as_file = true, .no_hint = true});
    world_run_ms(w, 50);
    cr_assert_eq(w->asked_count, 1u);

    disk_fails = true;
    channel_close(&w->to_qmgr); /* so that the other two are found */
    world_run_ms(w, 300);

    cr_expect_eq(count_in_log(w, "no delivery begins until the journal can be written"), 1u, "%s",
                 world_log(w));
    cr_expect_eq(count_in_log(w, "status=sent (discard.y)"), 0u, "its verdict is not durable");
    unsigned begun = asked_times(w, "local", NULL);
    world_run_ms(w, 1500);
    cr_expect_eq(asked_times(w, "local", NULL), begun, "and nothing more begins");
    disk_fails = false;
    world_until(w, "status=sent (discard.y)", 1);

    cr_expect_eq(count_in_log(w, "the journal can be written again"), 1u);
    world_run_ms(w, 100);
    cr_expect_eq(asked_times(w, "local", late.text), 1u);
    world_end(w);
}

Test(qmgr_trouble, takes_new_settings_and_services_in_place, .timeout = 60)
{
    struct world *w = world_new("minimal_backoff_time = 1h\nmaximal_backoff_time = 1h\n");
    struct msg_service one = {.name = SPAN("local"), .program = SPAN("local"), .limit = 1};
    wire_list_service services = {&one, 1};
    struct settings fresh = SETTINGS_INIT;
    struct param_errors errors = PARAM_ERRORS_INIT;
    struct buf why = BUF_INIT;
    settings_set_fact(&fresh, ".hostname", SPAN("mx.example.org"));
    cr_assert(settings_parse(&fresh, SPAN(QUICK), SPAN("main.cf"), &errors));
    world_mail(w, (struct mail){.sender = "a@b.org", .to = {"ok@local.x"}, .text = "x\n"});
    world_until(w, ": removed", 1);

    cr_expect(qmgr_reload(w->q, &fresh, &services, &why), "%s", buf_text(&why));
    world_mail(w, (struct mail){.sender = "a@b.org", .to = {"later@local.x", "x@virtual.y"}, .text = "x\n"});
    world_until(w, "status=deferred (mailbox is full)", 2);

    cr_expect_geq(count_in_log(w, "status=deferred (mail transport unavailable)"), 1u,
                  "virtual is no service any more");
    cr_expect_eq(w->player_count, 3u, "two agents, the old one let go, and rewrite");
    settings_fini(&fresh);
    settings_fini(&w->settings);
    w->settings = SETTINGS_INIT;
    settings_set_fact(&w->settings, "minimal_backoff_time", SPAN("never"));
    cr_expect_not(qmgr_reload(w->q, &w->settings, &services, &why));
    cr_expect_gt(why.len, 0u, "wrong settings are refused and the old ones stay");
    param_errors_fini(&errors);
    buf_fini(&why);
    world_end(w);
}
