#include "deliver/deliver.h"
#include "lib/proc/proc_inner.h"

#include <criterion/criterion.h>
#include <unistd.h>

static struct msg_service services[] = {
    {.name = SPAN_INIT("local"), .program = SPAN_INIT("local")},
    {.name = SPAN_INIT("virtual"), .program = SPAN_INIT("virtual")},
    {.name = SPAN_INIT("archive"), .program = SPAN_INIT("pipe"), .arguments = SPAN_INIT("flags=R")},
};

/* deliver as it stands among these services, with parameters that are all zeros. */
struct stage {
    struct proc proc;
    struct params_main main;
    struct params_virtual virtual;
    struct params_local local;
    struct deliver deliver;
    struct arena arena;
};

static void stage_open(struct stage *s)
{
    memset(s, 0, sizeof *s);
    s->proc.loop = loop_new();
    s->proc.boot.services.at = services;
    s->proc.boot.services.n = sizeof services / sizeof *services;
    s->virtual.virtual_mailbox_base = SPAN("/srv/mail");
    s->deliver = (struct deliver){
        .proc = &s->proc, .main = &s->main, .virtual = &s->virtual, .local = &s->local, .log_name = "postfix"};
    list_init(&s->deliver.owners);
}

static void stage_close(struct stage *s)
{
    arena_fini(&s->arena);
    loop_free(&s->proc.loop);
}

Test(deliver, lets_a_service_ask_for_its_own_kind_of_mailbox_alone)
{
    static const struct {
        const char *says;
        struct span caller;
        unsigned kind;
        bool walled;
    } rows[] = {
        {"virtual for a virtual mailbox", SPAN_INIT("virtual"), OWNER_VIRTUAL, false},
        {"local for a user", SPAN_INIT("local"), OWNER_USER, false},
        {"local for the files of aliases", SPAN_INIT("local"), OWNER_FILES, false},
        {"a pipe service for its command", SPAN_INIT("archive"), OWNER_PIPE, false},
        {"virtual for a user's home", SPAN_INIT("virtual"), OWNER_USER, true},
        {"virtual for commands", SPAN_INIT("virtual"), OWNER_COMMANDS, true},
        {"local for a virtual mailbox", SPAN_INIT("local"), OWNER_VIRTUAL, true},
        {"a pipe service for a user", SPAN_INIT("archive"), OWNER_USER, true},
        {"the login part for a virtual mailbox", SPAN_INIT("pop3"), OWNER_VIRTUAL, true},
        {"the login part for commands", SPAN_INIT("pop3"), OWNER_COMMANDS, true},
        {"auth for a user", SPAN_INIT("auth"), OWNER_USER, true},
        {"local for a kind that there is not", SPAN_INIT("local"), 99, true},
        {"local for no kind", SPAN_INIT("local"), 0, true},
    };
    struct stage s;
    stage_open(&s);

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct msg_owner_wanted m = {.kind = rows[i].kind, .user = SPAN("nobody"), .uid = getuid(), .gid = getgid(),
                                     .base = SPAN("/srv/mail")};
        struct purpose p;
        struct refusal no = purpose_of(&s.deliver, &s.arena, &m, rows[i].caller, &p);
        bool walled = no.text && strstr(no.text, "beyond the wall");
        cr_expect_eq(walled, rows[i].walled, "%s: %s", rows[i].says, no.text ? no.text : "granted");
    }

    stage_close(&s);
}

Test(deliver, defers_for_what_is_wrong_in_the_configuration)
{
    static const struct {
        const char *says;
        struct span base;
        uint64_t uid;
    } rows[] = {
        {"another base directory", SPAN_INIT("/srv/new"), 1000},
        {"no base directory", SPAN_INIT(""), 1000},
        {"the uid of root", SPAN_INIT("/srv/mail"), 0},
    };
    struct stage s;
    stage_open(&s);

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct msg_owner_wanted m = {.kind = OWNER_VIRTUAL, .uid = rows[i].uid, .gid = 100, .base = rows[i].base};
        struct purpose p;
        struct refusal no = purpose_of(&s.deliver, &s.arena, &m, SPAN("virtual"), &p);
        cr_expect(no.text && no.class == 4, "%s: class %u", rows[i].says, no.text ? no.class : 2);
        cr_expect_str_eq(no.text ? no.dsn : "", "4.3.5");
    }

    stage_close(&s);
}

static void hear(struct channel *c, struct frame *f, void *context)
{
    handle_session_prepare(c, f, context);
}

/* What deliver says to a session that the peer prepares, with a token too short. result: the class */
static uint64_t prepare(struct stage *s, const char *peer, struct buf *text)
{
    static const struct channel_handler deliver = {.frame = hear}, asker = {0};
    int ends[2];
    struct frame reply;
    struct buf body = BUF_INIT;
    struct msg_session_prepared answer = {0};
    cr_assert(channel_pair(ends));
    struct channel *server = channel_open(s->proc.loop, ends[0], peer, &deliver, &s->deliver);
    struct channel *client = channel_open(s->proc.loop, ends[1], "deliver", &asker, NULL);
    msg_session_prepare_put(&body, &(struct msg_session_prepare){.token = SPAN("short"), .uid = getuid()});
    cr_assert_eq(channel_call(client, MSG_session_prepare, buf_span(&body), NULL, 0, clock_after(5),
                              MSG_session_prepared, &s->arena, &reply),
                 CALL_OK);
    cr_assert(msg_session_prepared_get(&s->arena, reply.body, &answer));
    buf_clear(text);
    buf_put(text, answer.text);
    buf_fini(&body);
    channel_close(&client);
    channel_close(&server);
    return answer.class;
}

Test(deliver, takes_mailbox_sessions_from_auth_alone)
{
    struct stage s;
    struct buf text = BUF_INIT;
    stage_open(&s);

    cr_expect_eq(prepare(&s, "pop3/0", &text), 5u);
    cr_expect(strstr(buf_text(&text), "beyond the wall"), "%s", buf_text(&text));
    cr_expect_eq(prepare(&s, "virtual/0", &text), 5u);
    cr_expect(strstr(buf_text(&text), "beyond the wall"), "%s", buf_text(&text));
    cr_expect_eq(prepare(&s, "auth/1", &text), 5u);
    cr_expect_str_eq(buf_text(&text), "malformed request"); /* heard, and its token found too short */

    buf_fini(&text);
    stage_close(&s);
}

Test(deliver, no_mailbox_is_of_root_its_group_or_nobody)
{
    static const struct {
        const char *says;
        struct identity id;
    } rows[] = {
        {"root", {.uid = 0, .gid = 100}},
        {"the group of root", {.uid = 1000, .gid = 0}},
        {"no uid", {.uid = (uid_t)-1, .gid = 100}},
        {"no gid", {.uid = 1000, .gid = (gid_t)-1}},
    };
    struct stage s;
    stage_open(&s);
    if (geteuid() != 0)
        cr_skip_test("rules of a server that was started as root");

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect(identity_refused(&s.deliver, &rows[i].id), "%s is let in", rows[i].says);

    cr_expect_null(identity_refused(&s.deliver, &(struct identity){.uid = 1000, .gid = 100}));
    stage_close(&s);
}
