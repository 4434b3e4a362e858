#include "lib/mail/notice_template.h"

#include <criterion/criterion.h>
#include <stdlib.h>

/* What was warned of, each on a line. */
static void keep(void *context, const char *text)
{
    buf_puts(context, text);
    buf_putc(context, '\n');
}

struct scene {
    struct notice_templates t;
    struct settings settings;
    struct buf warned, why, out;
    struct notice_warnings warnings;
};

static void scene_init(struct scene *s)
{
    memset(s, 0, sizeof *s);
    s->t = notice_templates_builtin();
    s->warnings = (struct notice_warnings){.warn = keep, .context = &s->warned};
    settings_set_fact(&s->settings, "myhostname", SPAN("mail.example"));
    settings_set_fact(&s->settings, "delay_warning_time", SPAN("90m"));
    settings_set_fact(&s->settings, "maximal_queue_lifetime", SPAN("3h"));
}

static void scene_fini(struct scene *s)
{
    settings_fini(&s->settings);
    buf_fini(&s->warned);
    buf_fini(&s->why);
    buf_fini(&s->out);
}

static bool take(struct scene *s, const char *text)
{
    return notice_templates_read(&s->t, span_text(text), SPAN("/b.cf"), &s->warnings, &s->why);
}

static bool expand(struct scene *s, enum notice_kind kind)
{
    return notice_template_expand(&s->out, &s->t, kind, &s->settings, &s->warnings, &s->why);
}

Test(notice_template, has_texts_built_in_that_expand)
{
    for (enum notice_kind kind = 0; kind < NOTICE_KINDS; kind++) {
        struct scene s;
        scene_init(&s);

        cr_expect(expand(&s, kind), "%s", buf_text(&s.why));

        cr_expect(span_starts(buf_span(&s.out), SPAN("This is the mail system at host mail.example.\n\n")));
        scene_fini(&s);
    }
}

Test(notice_template, takes_what_a_file_says_and_keeps_the_rest)
{
    struct scene s;
    scene_init(&s);

    cr_assert(take(&s, "# a comment\n\n \t\n  delay_template = << END  \ncharset: UTF-8\nFROM: me <me@x>\nsubject: It waits\n"
                       "Postmaster-Subject: They wait\n\n\n  Hello\n# no comment\n END\nEOF\n\nEND\n"
                       "success_template = in one line\n"),
              "%s", buf_text(&s.why));

    notice_template_put(&s.out, &s.t.at[NOTICE_DELAY]);
    cr_expect_str_eq(buf_text(&s.out), "Charset: UTF-8\nFrom: me <me@x>\nSubject: It waits\nPostmaster-Subject: They wait\n\n"
                                       "  Hello\n# no comment\n END\nEOF\n\n");
    cr_expect_eq(s.t.at[NOTICE_DELAY].line, 11);
    buf_clear(&s.out);
    notice_template_put(&s.out, &s.t.at[NOTICE_SUCCESS]);
    cr_expect_str_eq(buf_text(&s.out), "Charset: us-ascii\nFrom: Mail Delivery System <MAILER-DAEMON>\n"
                                       "Subject: Successful Mail Delivery Report\n\nin one line");
    cr_expect(span_eq(s.t.at[NOTICE_FAILURE].subject, SPAN("Undelivered Mail Returned to Sender")));
    cr_expect_eq(s.warned.len, 0, "%s", buf_text(&s.warned));
    scene_fini(&s);
}

Test(notice_template, lets_a_later_template_replace_an_earlier_one)
{
    struct scene s;
    scene_init(&s);

    cr_assert(take(&s, "verify_template = <<EOF\nSubject: one\n\nx\nEOF\nverify_template = <<EOF\n\ntwo\nEOF\n"));

    cr_expect(span_eq(s.t.at[NOTICE_VERIFY].subject, SPAN("Mail Delivery Status Report")));
    cr_expect(span_eq(s.t.at[NOTICE_VERIFY].text, SPAN("two\n")));
    scene_fini(&s);
}

Test(notice_template, warns_of_what_is_wrong_with_one_template_and_ignores_it)
{
    static const struct {
        const char *text, *warning;
    } rows[] = {
        {"failure_template =\n", "/b.cf, line 1: missing message text in failure template -- ignoring this template\n"},
        {"failure_template = <<EOF\nSubject: x\nEOF\n",
         "/b.cf, line 2: missing message text in failure template -- ignoring this template\n"},
        {"other_template = <<EOF\nx\nEOF\n", "/b.cf, line 2: unknown template name: other_template -- ignoring this template\n"},
        {"failure_template2 = <<EOF\nx\nEOF\n",
         "/b.cf, line 2: unknown template name: failure_template2 -- ignoring this template\n"},
        {"failure_template = <<EOF\nFrom: x\nX-Foo: x\n\nx\nEOF\n",
         "/b.cf, line 3: unknown \"X-Foo\" header label in failure template -- ignoring this template\n"},
        {"success_template = <<EOF\nPostmaster-Subject: x\n\nx\nEOF\n",
         "/b.cf, line 2: inapplicable \"Postmaster-Subject\" header label in success template -- ignoring this template\n"},
        {"failure_template = <<EOF\n\nSubject: \n\nx\nEOF\n", ""}, /* that is text */
        {"failure_template = <<EOF\nSubject: \n\nx\nEOF\n",
         "/b.cf, line 2: empty \"Subject\" header value in failure template -- ignoring this template\n"},
        {"failure_template = <<EOF\nSubject: \xc3\xb6\n\nx\nEOF\n",
         "/b.cf, line 2: non-ASCII \"Subject\" header value in failure template -- ignoring this template\n"},
        {"failure_template = <<EOF\nSubject: a\rBcc: x\n\nx\nEOF\n",
         "/b.cf, line 2: control character in \"Subject\" header value in failure template -- ignoring this template\n"},
        {"failure_template = <<EOF\nSubject: x\n\nx\xc3\xb6\nEOF\n",
         "/b.cf, line 4: 8-bit message text in failure template; please specify a charset value other than us-ascii -- "
         "ignoring this template for now\n"},
        {"failure_template = <<EOF\nSubject: x\n\nx\n", "/b.cf, line 4: missing \"EOF\" end marker\n"}, /* it counts */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct scene s;
        scene_init(&s);

        cr_expect(take(&s, rows[i].text), "%s", rows[i].text);

        cr_expect_str_eq(buf_text(&s.warned), rows[i].warning, "%s\n%s", rows[i].text, buf_text(&s.warned));
        cr_expect(span_eq(s.t.at[NOTICE_FAILURE].subject, SPAN("Undelivered Mail Returned to Sender")) ||
                      strstr(rows[i].warning, "end marker"),
                  "%s", rows[i].text);
        scene_fini(&s);
    }
}

Test(notice_template, refuses_a_file_that_holds_something_else)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"\nfailure_template = x\njunk line\n", "/b.cf, line 3: there is no '=': write it as \"name = value\": \"junk line\""},
        {" = foo\n", "/b.cf, line 1: there is no name before the '=': write it as \"name = value\": \"= foo\""},
        {"failure_template = << \nx\n", "/b.cf, line 1: missing end marker after <<: \"failure_template = <<\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct scene s;
        scene_init(&s);

        cr_expect_not(take(&s, rows[i].text), "%s", rows[i].text);

        cr_expect_str_eq(buf_text(&s.why), rows[i].why);
        cr_expect_eq(s.t.at[NOTICE_FAILURE].line, 0, "nothing of it is taken");
        scene_fini(&s);
    }
}

Test(notice_template, refuses_a_file_with_a_nul)
{
    struct scene s;
    scene_init(&s);

    cr_expect_not(notice_templates_read(&s.t, SPAN("failure_template = a\0b\n"), SPAN("/b.cf"), &s.warnings, &s.why));

    cr_expect_str_eq(buf_text(&s.why), "/b.cf: there is a NUL in it");
    scene_fini(&s);
}

Test(notice_template, shows_times_in_any_unit)
{
    struct scene s;
    scene_init(&s);
    cr_assert(take(&s, "delay_template = <<EOF\nSubject: x\n\n$delay_warning_time_minutes $delay_warning_time_hours "
                       "${maximal_queue_lifetime_hours} $$ ${mydomain?{yes}:{no}} $(myhostname)\nEOF\n"));

    cr_assert(expand(&s, NOTICE_DELAY), "%s", buf_text(&s.why));

    cr_expect_str_eq(buf_text(&s.out), "90 1 3 $ yes mail.example\n");
    cr_expect_eq(s.warned.len, 0);
    scene_fini(&s);
}

Test(notice_template, warns_of_a_unit_that_does_not_fit)
{
    struct scene s;
    scene_init(&s);
    cr_assert(take(&s, "delay_template = <<EOF\n\n$delay_warning_time_seconds\n$maximal_queue_lifetime_days\nEOF\n"));

    cr_assert(expand(&s, NOTICE_DELAY));

    cr_expect_str_eq(buf_text(&s.out), "5400\n0\n");
    cr_expect_str_eq(buf_text(&s.warned),
                     "/b.cf, line 3: excessive result in delay template conversion of parameter "
                     "\"delay_warning_time_seconds\"; please increase its time unit\n"
                     "/b.cf, line 4: zero result in delay template conversion of parameter "
                     "\"maximal_queue_lifetime_days\"; please reduce its time unit\n");
    scene_fini(&s);
}

Test(notice_template, shows_a_time_of_999_without_a_warning_and_of_1000_with_one)
{
    static const struct {
        const char *value;
        bool warns;
    } rows[] = {{"999s", false}, {"1000s", true}, {"0s", false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct scene s;
        scene_init(&s);
        settings_set_fact(&s.settings, "delay_warning_time", span_text(rows[i].value));
        cr_assert(take(&s, "delay_template = <<EOF\n\n$delay_warning_time_seconds\nEOF\n"));

        cr_assert(expand(&s, NOTICE_DELAY));

        cr_expect_eq(s.warned.len > 0, rows[i].warns, "%s", rows[i].value);
        scene_fini(&s);
    }
}

Test(notice_template, refuses_names_that_there_are_not)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"a $nosuch", "/b.cf, line 3: in failure template: undefined $name at \"nosuch\""},
        {"$delay_warning_time_years",
         "/b.cf, line 3: in failure template: unrecognized suffix \"years\" in parameter \"delay_warning_time_years\""},
        {"a ${x", "/b.cf, line 3: in failure template: a closing bracket is missing at \"{x\""},
        {"a $", "/b.cf, line 3: in failure template: a '$' without a name (write $$ for a dollar sign) at \"\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct scene s;
        struct buf text = BUF_INIT;
        scene_init(&s);
        buf_printf(&text, "failure_template = <<EOF\n\n%s\nEOF\n", rows[i].text);
        cr_assert(take(&s, buf_text(&text)));
        buf_puts(&s.out, "before");

        cr_expect_not(expand(&s, NOTICE_FAILURE), "%s", rows[i].text);

        cr_expect_str_eq(buf_text(&s.why), rows[i].why);
        cr_expect_str_eq(buf_text(&s.out), "before");
        buf_fini(&text);
        scene_fini(&s);
    }
}

Test(notice_template, asks_of_a_name_that_there_is_not_whether_it_is_set)
{
    struct scene s;
    scene_init(&s);
    cr_assert(take(&s, "failure_template = <<EOF\n\na${nosuch?x}b${nosuch:c}\nEOF\n"));

    cr_assert(expand(&s, NOTICE_FAILURE), "%s", buf_text(&s.why));

    cr_expect_str_eq(buf_text(&s.out), "abc\n");
    scene_fini(&s);
}
