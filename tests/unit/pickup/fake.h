/* The other processes as a test wants them, for submissions in unit tests. */
#ifndef TESTS_PICKUP_FAKE_H
#define TESTS_PICKUP_FAKE_H

#include "pickup/pickup.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static struct fake {
    struct arena arena;          /* of all that was seen */
    struct tables *tables;
    struct submission_config config;
    struct pickup_services services;

    /* what they are to do */
    enum table_result user;
    unsigned class;              /* cleanup's answer */
    const char *dsn, *text;
    unsigned lost;               /* so many submits are lost first */
    bool unreachable;            /* no channel to cleanup */
    bool no_spool;
    bool notify_fails;
    void (*meanwhile)(void);     /* while cleanup has the message, or is asked for a file */

    /* what they have seen */
    unsigned submits, spools, dropped, notices;
    struct msg_submit m;         /* the last, its texts in the arena */
    char last_id[QUEUE_ID_MAX + 1];
    struct buf message;          /* text of the last, wherever it came */
    struct msg_notify notice;
    int spool;
} fake;

static inline enum table_result fake_user(void *context, unsigned uid, struct buf *line, struct buf *why)
{
    (void)context;
    if (fake.user == TABLE_FOUND)
        buf_printf(line, "fred:x:%u:100:Fred Fox:/home/fred:/bin/sh", uid);
    if (fake.user == TABLE_TEMP)
        buf_puts(why, "broken");
    return fake.user;
}

static inline void fake_keep_text(const struct msg_submit *m)
{
    buf_clear(&fake.message);
    buf_put(&fake.message, m->text);
    if (m->spool) {
        char *room = buf_reserve(&fake.message, (size_t)m->spool_size);
        cr_assert(drop_read_octets(fake.spool, room, (size_t)m->spool_size, 0), "the file holds all");
        buf_grown(&fake.message, (size_t)m->spool_size);
    }
}

static inline enum call_result fake_submit(void *context, struct arena *a, const struct msg_submit *m,
                                           struct msg_submitted *answer, bool *was_sent)
{
    struct buf copy = BUF_INIT;
    (void)context;
    *was_sent = !fake.unreachable;
    if (fake.unreachable)
        return CALL_LOST;
    fake.submits++;
    msg_submit_put(&copy, m);
    cr_assert_leq(copy.len, (size_t)CHANNEL_FRAME_MAX, "it fits into a frame");
    cr_assert(msg_submit_get(&fake.arena, arena_dup(&fake.arena, buf_span(&copy)), &fake.m));
    buf_fini(&copy);
    snprintf(fake.last_id, sizeof fake.last_id, "%.*s", SPAN_ARG(m->id));
    fake_keep_text(m);
    if (fake.meanwhile)
        fake.meanwhile();
    if (fake.lost > 0) {
        fake.lost--;
        return CALL_LOST;
    }
    *answer = (struct msg_submitted){.class = fake.class, .dsn = arena_dup(a, span_text(fake.dsn)),
                                     .text = arena_dup(a, span_text(fake.text))};
    return CALL_OK;
}

static inline int fake_spool(void *context, uint64_t size, uint64_t *handle)
{
    (void)context, (void)size;
    if (fake.meanwhile)
        fake.meanwhile();
    if (fake.no_spool)
        return -1;
    fake.spools++;
    *handle = 7;
    fake.spool = memfd_create("spool", MFD_CLOEXEC);
    return dup(fake.spool);
}

static inline void fake_spool_drop(void *context, uint64_t handle)
{
    (void)context;
    cr_expect_eq(handle, 7u);
    fake.dropped++;
}

static inline bool fake_notify(void *context, struct arena *a, const struct msg_notify *m, int text)
{
    struct buf copy = BUF_INIT;
    (void)context, (void)a;
    cr_expect(text >= 0);
    fake.notices++;
    msg_notify_put(&copy, m);
    cr_assert(msg_notify_get(&fake.arena, arena_dup(&fake.arena, buf_span(&copy)), &fake.notice));
    buf_fini(&copy);
    return !fake.notify_fails;
}

static inline struct date_zone fake_zone(int64_t us)
{
    (void)us;
    return date_utc();
}

static inline void fake_policy(const char *submitters, const char *senders)
{
    struct user_policy *policy = &fake.config.policy;
    matchlist_close(&policy->submitters);
    maps_close(&policy->senders);
    policy->submitters =
        matchlist_open(fake.tables, SPAN("authorized_submit_users"), span_text(submitters), MATCHLIST_STRING, 0);
    policy->senders = maps_open(fake.tables, SPAN("local_login_sender_maps"), span_text(senders), 0);
}

static inline void fake_setup(void)
{
    fake = (struct fake){.tables = tables_new(&table_files_by_path, NULL), .user = TABLE_FOUND, .dsn = "", .text = ""};
    fake.services = (struct pickup_services){fake_user, fake_submit, fake_spool, fake_spool_drop, fake_notify, NULL};
    fake.config = (struct submission_config){.myhostname = SPAN("mail.example.test"),
                                             .mail_name = SPAN("Merpati"),
                                             .size_limit = 200000,
                                             .zone = fake_zone,
                                             .policy = {.null_sender_key = SPAN("<>"), .delimiters = SPAN("+")}};
    fake_policy("static:anyone", "static:*");
}

static inline void fake_teardown(void)
{
    matchlist_close(&fake.config.policy.submitters);
    maps_close(&fake.config.policy.senders);
    tables_free(&fake.tables);
    buf_fini(&fake.message);
    arena_fini(&fake.arena);
}

/* A submission file. */
static inline void fake_drop(int fd, const struct msg_drop *m, size_t text)
{
    static const char line[] = "0123456789\n";
    struct drop_writer w;
    cr_assert(drop_write_begin(&w, fd, m));
    for (size_t i = 0; i < text; i += sizeof line - 1)
        drop_write(&w, span_of(line, text - i < sizeof line - 1 ? text - i : sizeof line - 1));
    cr_assert_eq(drop_write_end(&w), 0);
}

#endif
