#include "pickup/user.h"

#include <criterion/criterion.h>

static struct arena arena;
static struct tables *tables;
static struct user_policy policy;

static void setup(void)
{
    tables = tables_new(&table_files_by_path, NULL);
}

/* senders: local_login_sender_maps; submitters: authorized_submit_users */
static void set_policy(const char *senders, const char *submitters)
{
    policy = (struct user_policy){
        .submitters = matchlist_open(tables, SPAN("authorized_submit_users"), span_text(submitters), MATCHLIST_STRING, 0),
        .senders = maps_open(tables, SPAN("local_login_sender_maps"), span_text(senders), 0),
        .null_sender_key = SPAN("<>"),
        .delimiters = SPAN("+"),
    };
}

static void teardown(void)
{
    matchlist_close(&policy.submitters);
    maps_close(&policy.senders);
    tables_free(&tables);
    arena_fini(&arena);
}

TestSuite(user, .init = setup, .fini = teardown);

static struct user fred(void)
{
    return user_parse(&arena, 1000, SPAN("fred:x:1000:1000:Fred &, Room 5,,:/home/fred:/bin/sh"));
}

static enum table_result may_send_as(const struct user *u, const char *sender)
{
    struct buf why = BUF_INIT;
    enum table_result result = user_may_send_as(&policy, u, span_text(sender), &why);
    buf_fini(&why);
    return result;
}

Test(user, has_the_names_of_the_password_file)
{
    set_policy("", "");

    struct user u = fred();

    cr_expect(u.known);
    cr_expect(span_eq(u.login, SPAN("fred")));
    cr_expect(span_eq(u.full_name, SPAN("Fred Fred")), "%.*s", SPAN_ARG(u.full_name));
}

Test(user, without_a_line_is_its_number)
{
    set_policy("", "");

    struct user u = user_parse(&arena, 4711, SPAN_NONE);

    cr_expect_not(u.known);
    cr_expect(span_eq(u.login, SPAN("4711")));
    cr_expect_eq(u.full_name.n, 0u);
}

Test(user, with_control_characters_in_its_names_keeps_none_of_them)
{
    set_policy("", "");

    struct user login = user_parse(&arena, 1, SPAN("a\nb:x:1:1:Name:/:/"));
    struct user name = user_parse(&arena, 1, SPAN("ab:x:1:1:Na\nBcc| x:/:/"));

    cr_expect_not(login.known);
    cr_expect(name.known);
    cr_expect_eq(name.full_name.n, 0u);
}

Test(user, may_submit_where_the_list_has_it)
{
    struct buf why = BUF_INIT;
    struct user u, nobody = user_parse(&arena, 4711, SPAN_NONE);
    set_policy("", "!root, fred");
    u = fred();

    cr_expect_eq(user_may_submit(&policy, &u, &why), TABLE_FOUND);
    cr_expect_eq(user_may_submit(&policy, &nobody, &why), TABLE_NOT_FOUND);
    teardown();
    setup();
    set_policy("", "static:anyone");
    nobody = user_parse(&arena, 4711, SPAN_NONE);
    cr_expect_eq(user_may_submit(&policy, &nobody, &why), TABLE_FOUND);

    buf_fini(&why);
}

Test(user, may_send_as_what_its_patterns_say)
{
    static const struct {
        const char *says, *value, *sender;
        bool may;
    } rows[] = {
        {"anything", "*", "x@y.test", true},
        {"anything is also nobody", "*", "", true},
        {"its own", "fred@a.test", "fred@a.test", true},
        {"in any case of letters", "Fred@A.test", "fred@a.TEST", true},
        {"with an extension", "fred@a.test", "fred+x@a.test", true},
        {"not another", "fred@a.test", "root@a.test", false},
        {"not a longer one", "fred@a.test", "freddy@a.test", false},
        {"not in another domain", "fred@a.test", "fred@b.test", false},
        {"a domain", "@a.test", "anybody@a.test", true},
        {"a domain is not a suffix", "@a.test", "anybody@b.a.test", false},
        {"the null sender", "<> fred", "", true},
        {"the null sender is not in an address", "fred", "", false},
        {"one of several", "a, b c", "c", true},
        {"a bare name", "fred", "fred", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf value = BUF_INIT;
        buf_printf(&value, "inline:{ { fred = %s } }", rows[i].value);
        set_policy(buf_text(&value), "");
        struct user u = fred();
        cr_expect_eq(may_send_as(&u, rows[i].sender), rows[i].may ? TABLE_FOUND : TABLE_NOT_FOUND, "%s", rows[i].says);
        maps_close(&policy.senders);
        matchlist_close(&policy.submitters);
        buf_fini(&value);
    }
}

Test(user, that_the_tables_do_not_know_may_send_as_nobody)
{
    set_policy("inline:{ joe=* }", "");
    struct user u = fred();

    cr_expect_eq(may_send_as(&u, "fred@a.test"), TABLE_NOT_FOUND);
}

Test(user, without_a_name_is_looked_up_by_number)
{
    set_policy("inline:{ { uid:4711 = * } }", "");
    struct user u = user_parse(&arena, 4711, SPAN_NONE);

    cr_expect_eq(may_send_as(&u, "x@y.test"), TABLE_FOUND);
}

Test(user, is_not_judged_where_a_table_fails)
{
    struct buf why = BUF_INIT;
    set_policy("fail:broken", "fail:broken");
    struct user u = fred();

    cr_expect_eq(user_may_send_as(&policy, &u, SPAN("a"), &why), TABLE_TEMP);
    cr_expect_eq(user_may_submit(&policy, &u, &why), TABLE_TEMP);

    buf_fini(&why);
}
