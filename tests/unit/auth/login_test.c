#include "auth/login.h"

#include <criterion/criterion.h>
#include <crypt.h>
#include <stdio.h>
#include <stdlib.h>

/* Every password is "secret". */
struct fixture {
    struct tables *tables;
    struct login_services services;
    struct account_config config;
    struct arena arena;
    struct msg_session_prepare prepared; /* what deliver was told; in arena */
    unsigned asked;                      /* how often */
    uint64_t class;                      /* what deliver answers */
    char hash[256];
};

static struct span keep(struct fixture *f, struct span s)
{
    return arena_dup(&f->arena, s);
}

static uint64_t prepare(void *context, const struct msg_session_prepare *m, struct arena *a, struct buf *why)
{
    (void)a;
    struct fixture *f = context;
    f->asked++;
    f->prepared = *m;
    f->prepared.user = keep(f, m->user);
    f->prepared.home = keep(f, m->home);
    f->prepared.mailbox = keep(f, m->mailbox);
    f->prepared.token = keep(f, m->token);
    if (f->class != 2)
        buf_puts(why, "no such user here");
    return f->class;
}

static void fixture_init(struct fixture *f)
{
    static const struct table_hooks hooks = {0};
    *f = (struct fixture){.class = 2};
    f->tables = tables_new(&table_files_by_path, &hooks);
    f->config = (struct account_config){
        .login_domain = SPAN("example.test"),
        .auth_maps = SPAN("inline:{ {dora = $1$broken} }"),
        .virtual_mailbox_maps = SPAN("inline:{ {vera@v.test = v.test/vera/}, {mbox@v.test = v.test/mbox}, "
                                     "{low@v.test = low/}, {ed@example.test = ed/} }"),
        .virtual_mailbox_base = SPAN("/var/vmail"),
        .virtual_uid_maps = SPAN("inline:{ {vera@v.test = 5000}, {low@v.test = 7}, {ed@example.test = 5000} }"),
        .virtual_gid_maps = SPAN("static:5001"),
        .virtual_minimum_uid = 100,
        .home_mailbox = SPAN("Maildir/"),
        .mail_spool_directory = SPAN("/var/mail")};
}

static void fixture_begin(struct fixture *f)
{
    struct passwd_file file = PASSWD_FILE_INIT;
    struct buf text = BUF_INIT;
    static const char *const lines[] = {"alice:%s:1000:1000::/home/alice\n", "vera@v.test:%s\n", "sys:%s\n",
                                        "mbox@v.test:%s\n", "low@v.test:%s\n", "ed:%s\n", "zoe@other.test:%s\n"};
    f->services = (struct login_services){
        .accounts = accounts_new(f->tables, &f->config), .verifier = verifier_new(), .prepare = prepare, .context = f};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        size_t at = span_find(span_text(lines[i]), '%');
        buf_put(&text, span_of(lines[i], at));
        buf_puts(&text, f->hash);
        buf_puts(&text, lines[i] + at + 2);
    }
    passwd_file_parse(&file, buf_span(&text));
    accounts_set_file(f->services.accounts, &file);
    buf_fini(&text);
}

static void fixture_end(struct fixture *f)
{
    accounts_free(&f->services.accounts);
    verifier_free(&f->services.verifier);
    tables_free(&f->tables);
    arena_fini(&f->arena);
}

static void make_hash(struct fixture *f)
{
    struct crypt_data *data = calloc(1, sizeof *data);
    snprintf(f->hash, sizeof f->hash, "%s", crypt_r("secret", "$6$rounds=1000$abcdefgh$", data));
    free(data);
}

static struct msg_login_answer log_in(struct fixture *f, const char *user, const char *password)
{
    struct msg_login request = {.service = SPAN("pop3"), .user = span_text(user), .password = span_text(password), .wants_mailbox = 1};
    struct msg_login_answer answer;
    login_handle(&f->services, &f->arena, &request, &answer);
    return answer;
}

Test(login, finds_the_mailbox_of_whoever_may_log_in)
{
    static const struct {
        const char *says, *name, *user, *home, *mailbox;
        uint64_t uid, gid, system_user;
    } rows[] = {
        {"a line with uid, gid and home", "alice", "alice", "/home/alice", "Maildir/", 1000, 1000, 0},
        {"in capitals", "ALICE", "alice", "/home/alice", "Maildir/", 1000, 1000, 0},
        {"with our domain", "alice@Example.Test", "alice", "/home/alice", "Maildir/", 1000, 1000, 0},
        {"a virtual mailbox", "vera@v.test", "vera@v.test", "/var/vmail", "v.test/vera/", 5000, 5001, 0},
        {"a virtual mailbox of our domain", "ed", "ed@example.test", "/var/vmail", "ed/", 5000, 5001, 0},
        {"a system user", "sys", "sys", "", "Maildir/", 0, 0, 1},
    };
    struct fixture f;
    fixture_init(&f);
    make_hash(&f);
    fixture_begin(&f);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct msg_login_answer answer = log_in(&f, rows[i].name, "secret");

        cr_expect_eq(answer.class, 2, "%s: %.*s", rows[i].says, SPAN_ARG(answer.text));
        cr_expect(span_eq(f.prepared.user, span_text(rows[i].user)), "%s", rows[i].says);
        cr_expect(span_eq(answer.user, span_text(rows[i].user)), "%s", rows[i].says);
        cr_expect(span_eq(f.prepared.home, span_text(rows[i].home)), "%s", rows[i].says);
        cr_expect(span_eq(f.prepared.mailbox, span_text(rows[i].mailbox)), "%s", rows[i].says);
        cr_expect_eq(f.prepared.uid, rows[i].uid, "%s", rows[i].says);
        cr_expect_eq(f.prepared.gid, rows[i].gid, "%s", rows[i].says);
        cr_expect_eq(f.prepared.system_user, rows[i].system_user, "%s", rows[i].says);
        cr_expect(span_eq(answer.token, f.prepared.token) && answer.token.n == 2 * LOGIN_TOKEN_BYTES, "%s", rows[i].says);
    }
    fixture_end(&f);
}

Test(login, refuses_the_rest_without_telling_deliver)
{
    static const struct {
        const char *says, *name, *password;
        uint64_t class;
    } rows[] = {
        {"a wrong password", "alice", "Secret", 5},
        {"an unknown user", "nobody", "secret", 5},
        {"no name", "", "secret", 5},
        {"no password", "alice", "", 5},
        {"a hash that is broken", "dora", "secret", 5},
        {"another domain", "alice@v.test", "secret", 5},
        {"a mailbox that is a file", "mbox@v.test", "secret", 4},
        {"a uid below virtual_minimum_uid", "low@v.test", "secret", 4},
        {"neither a virtual mailbox nor a system user", "zoe@other.test", "secret", 4},
    };
    struct fixture f;
    fixture_init(&f);
    make_hash(&f);
    fixture_begin(&f);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct msg_login_answer answer = log_in(&f, rows[i].name, rows[i].password);

        cr_expect_eq(answer.class, rows[i].class, "%s: %.*s", rows[i].says, SPAN_ARG(answer.text));
        cr_expect_eq(answer.token.n, 0, "%s", rows[i].says);
        cr_expect(answer.text.n > 0, "%s", rows[i].says);
    }
    cr_expect_eq(f.asked, 0);
    fixture_end(&f);
}

Test(login, says_try_later_where_a_table_or_deliver_does_not_answer)
{
    struct fixture f;
    fixture_init(&f);
    make_hash(&f);
    f.config.auth_maps = SPAN("fail:broken");
    fixture_begin(&f);

    cr_expect_eq(log_in(&f, "nobody", "secret").class, 4);
    cr_expect_eq(log_in(&f, "alice", "secret").class, 2);
    f.class = 4;
    struct msg_login_answer answer = log_in(&f, "alice", "secret");

    cr_expect_eq(answer.class, 4);
    cr_expect_eq(answer.token.n, 0);
    cr_expect(span_eq(answer.text, SPAN("no such user here")));
    fixture_end(&f);
}

Test(login, lets_nobody_act_for_another)
{
    struct fixture f;
    fixture_init(&f);
    make_hash(&f);
    fixture_begin(&f);
    struct msg_login request = {.user = SPAN("alice"), .password = SPAN("secret"), .authorize_as = SPAN("sys")};
    struct msg_login_answer answer;

    login_handle(&f.services, &f.arena, &request, &answer);
    cr_expect_eq(answer.class, 5);
    request.authorize_as = SPAN("Alice");
    login_handle(&f.services, &f.arena, &request, &answer);
    cr_expect_eq(answer.class, 2);
    cr_expect_eq(f.asked, 0, "no mailbox was wanted");
    request.password = SPAN("wrong");
    login_handle(&f.services, &f.arena, &request, &answer);
    cr_expect_eq(answer.class, 5);

    fixture_end(&f);
}

Test(login, gives_a_new_token_each_time)
{
    struct fixture f;
    fixture_init(&f);
    make_hash(&f);
    fixture_begin(&f);

    struct span first = log_in(&f, "alice", "secret").token, second = log_in(&f, "alice", "secret").token;

    cr_expect_not(span_eq(first, second));
    fixture_end(&f);
}

Test(login, needs_a_maildir_for_home_mailbox)
{
    static const struct {
        const char *says, *home_mailbox, *spool, *mailbox;
    } rows[] = {
        {"Maildir below home", "mail/", "/var/mail", "mail/"},
        {"an mbox", "Mailbox", "/var/mail", NULL},
        {"an mbox in the spool", "", "/var/mail", NULL},
        {"Maildirs in the spool", "", "/var/mail/", "/var/mail/alice/"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fixture f;
        fixture_init(&f);
        make_hash(&f);
        f.config.home_mailbox = span_text(rows[i].home_mailbox);
        f.config.mail_spool_directory = span_text(rows[i].spool);
        fixture_begin(&f);

        struct msg_login_answer answer = log_in(&f, "alice", "secret");

        cr_expect_eq(answer.class, rows[i].mailbox ? 2 : 4, "%s", rows[i].says);
        cr_expect(!rows[i].mailbox || span_eq(f.prepared.mailbox, span_text(rows[i].mailbox)), "%s", rows[i].says);
        fixture_end(&f);
    }
}
