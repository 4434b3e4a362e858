#include "lib/param/lines.h"
#include "lib/param/settings.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const struct span FILE_NAME = SPAN_INIT("main.cf");

static struct span value_of(const struct settings *s, const char *name)
{
    const struct setting *set = settings_get(s, span_text(name));
    return set ? set->value : SPAN("(unset)");
}

Test(lines, join_continuations_over_comments_and_empty_lines)
{
    static const char text[] = "# c\n\na = 1,\n# between\n\n   2  \n\t# indented\n 3\r\nb\n";
    struct lines lines = lines_of(SPAN(text));
    struct buf line = BUF_INIT;
    unsigned first;

    cr_assert(lines_next(&lines, &line, &first));
    cr_expect_str_eq(buf_text(&line), "a = 1, 2 3");
    cr_expect_eq(first, 3U);
    cr_assert(lines_next(&lines, &line, &first));
    cr_expect_str_eq(buf_text(&line), "b");
    cr_expect_eq(first, 9U);
    cr_expect(!lines_next(&lines, &line, &first));
    buf_fini(&line);
}

Test(settings, take_what_a_main_cf_says_with_its_place)
{
    static const char text[] =
        "# comment\nrelayhost =  [a.b]:25  \n\nmydestination = a,\n  b,\n# x\n  c\nempty =\n";
    struct settings s = SETTINGS_INIT;
    struct param_errors e = PARAM_ERRORS_INIT;

    cr_assert(settings_parse(&s, SPAN(text), FILE_NAME, &e));

    cr_expect_str_eq(value_of(&s, "relayhost").p, "[a.b]:25");
    cr_expect_str_eq(value_of(&s, "mydestination").p, "a, b, c");
    cr_expect_eq(value_of(&s, "empty").n, (size_t)0);
    cr_expect_eq(settings_get(&s, SPAN("mydestination"))->line, 4U);
    cr_expect_str_eq(settings_get(&s, SPAN("mydestination"))->file.p, "main.cf");
    cr_expect_eq(e.count, (size_t)0);
    param_errors_fini(&e);
    settings_fini(&s);
}

Test(settings, a_later_entry_overrides_with_a_warning)
{
    struct settings s = SETTINGS_INIT;
    struct param_errors e = PARAM_ERRORS_INIT;

    cr_assert(settings_parse(&s, SPAN("a = 1\nb = 2\na = 3\n"), FILE_NAME, &e));

    cr_expect_str_eq(value_of(&s, "a").p, "3");
    cr_expect_eq(s.count, (size_t)2);
    cr_assert_eq(e.count, (size_t)1);
    cr_expect_eq(e.fatal, (size_t)0);
    cr_expect_str_eq(e.at[0]->text.p,
                     "main.cf:3: a: overrides the earlier entry of line 1: remove one of the two");
    param_errors_fini(&e);
    settings_fini(&s);
}

Test(settings, bad_lines_are_named_and_the_others_taken)
{
    static const struct {
        const char *says, *in, *message;
    } rows[] = {
        {"no equals sign", "ok = 1\nfoo bar\n",
         "main.cf:2: \"foo bar\": there is no '=': write it as \"name = value\""},
        {"no name", "ok = 1\n= x\n",
         "main.cf:2: \"= x\": there is no name before the '=': write it as \"name = value\""},
        {"two names", "ok = 1\na b = x\n",
         "main.cf:2: \"a b = x\": there is whitespace in the name before the '=': write it as \"name = "
         "value\""},
        {"a name of ours", "ok = 1\n.hostname = x\n",
         "main.cf:2: \".hostname = x\": a name cannot start with '.'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct settings s = SETTINGS_INIT;
        struct param_errors e = PARAM_ERRORS_INIT;
        cr_expect(!settings_parse(&s, span_text(rows[i].in), FILE_NAME, &e), "%s", rows[i].says);
        cr_assert_eq(e.count, (size_t)1, "%s", rows[i].says);
        cr_expect_str_eq(e.at[0]->text.p, rows[i].message, "%s", rows[i].says);
        cr_expect_str_eq(value_of(&s, "ok").p, "1", "%s", rows[i].says);
        param_errors_fini(&e);
        settings_fini(&s);
    }
}

Test(settings, a_first_line_with_a_margin_is_ignored_with_a_warning)
{
    struct settings s = SETTINGS_INIT;
    struct param_errors e = PARAM_ERRORS_INIT;

    cr_expect(settings_parse(&s, SPAN(" x = y\nz = 1\n"), FILE_NAME, &e));

    cr_expect_eq(e.count, (size_t)1);
    cr_expect_eq(s.count, (size_t)1);
    param_errors_fini(&e);
    settings_fini(&s);
}

Test(settings, a_nul_octet_refuses_the_file)
{
    struct settings s = SETTINGS_INIT;
    struct param_errors e = PARAM_ERRORS_INIT;

    cr_expect(!settings_parse(&s, SPAN("a = 1\nb = \0\n"), FILE_NAME, &e));

    cr_assert_eq(e.count, (size_t)1);
    cr_expect(span_starts(e.at[0]->text, SPAN("main.cf:2: ")));
    param_errors_fini(&e);
    settings_fini(&s);
}

Test(settings, options_override_with_and_without_braces)
{
    struct settings s = SETTINGS_INIT;
    struct param_errors e = PARAM_ERRORS_INIT;
    struct param_place place = {SPAN("-o"), 0};

    settings_parse(&s, SPAN("a = 1\nb = 2\n"), FILE_NAME, &e);
    cr_expect(settings_parse_option(&s, SPAN("a=x y"), place, &e));
    cr_expect(settings_parse_option(&s, SPAN("{ b = c, d }"), place, &e));
    cr_expect(!settings_parse_option(&s, SPAN("nonsense"), place, &e));

    cr_expect_str_eq(value_of(&s, "a").p, "x y");
    cr_expect_str_eq(value_of(&s, "b").p, "c, d");
    cr_expect_eq(settings_get(&s, SPAN("b"))->origin, SETTING_OPTION);
    cr_expect_eq(e.count, (size_t)1);
    param_errors_fini(&e);
    settings_fini(&s);
}

Test(settings, limits_hold_at_the_number_and_beyond)
{
    struct settings s = SETTINGS_INIT;
    char name[SETTING_NAME_MAX + 1];
    memset(name, 'n', sizeof name);

    cr_expect(
        settings_set(&s, span_of(name, SETTING_NAME_MAX), SPAN("x"), SETTING_FILE, (struct param_place){0}));
    cr_expect(!settings_set(&s, span_of(name, SETTING_NAME_MAX + 1), SPAN("x"), SETTING_FILE,
                            (struct param_place){0}));
    for (unsigned i = 1; i < SETTINGS_MAX; i++) {
        int n = snprintf(name, sizeof name, "n%u", i);
        cr_assert(
            settings_set(&s, span_of(name, (size_t)n), SPAN("x"), SETTING_FILE, (struct param_place){0}));
    }
    cr_expect(!settings_set(&s, SPAN("one_more"), SPAN("x"), SETTING_FILE, (struct param_place){0}));
    settings_fini(&s);
}

Test(settings, survive_the_flat_form)
{
    struct settings s = SETTINGS_INIT, copy = SETTINGS_INIT;
    struct buf flat = BUF_INIT, why = BUF_INIT;
    settings_parse(&s, SPAN("a = 1\nb =\nc = $a\n"), FILE_NAME, NULL);
    settings_set_fact(&s, "service_name", SPAN("smtp"));

    settings_write(&s, &flat);
    cr_assert(settings_read(&copy, buf_span(&flat), &why));

    cr_assert_eq(copy.count, s.count);
    for (size_t i = 0; i < s.count; i++) {
        cr_expect(span_eq(copy.all[i]->name, s.all[i]->name));
        cr_expect(span_eq(copy.all[i]->value, s.all[i]->value));
        cr_expect(span_eq(copy.all[i]->file, s.all[i]->file));
        cr_expect_eq(copy.all[i]->line, s.all[i]->line);
        cr_expect_eq(copy.all[i]->origin, s.all[i]->origin);
    }
    settings_fini(&s);
    settings_fini(&copy);
    buf_fini(&flat);
    buf_fini(&why);
}

Test(settings, a_flat_form_cut_anywhere_is_refused)
{
    struct settings s = SETTINGS_INIT;
    struct buf flat = BUF_INIT, why = BUF_INIT;
    settings_parse(&s, SPAN("a = 1\nbc = 23\n"), FILE_NAME, NULL);
    settings_write(&s, &flat);

    for (size_t cut = 0; cut < flat.len; cut++) {
        struct settings copy = SETTINGS_INIT;
        cr_expect(!settings_read(&copy, span_slice(buf_span(&flat), 0, cut), &why), "cut at %zu", cut);
        cr_expect_eq(copy.count, (size_t)0);
    }
    buf_putc(&flat, 'x');
    cr_expect(!settings_read(&(struct settings){0}, buf_span(&flat), &why), "an octet too many");
    settings_fini(&s);
    buf_fini(&flat);
    buf_fini(&why);
}

Test(settings, copies_are_independent)
{
    struct settings s = SETTINGS_INIT, copy = SETTINGS_INIT;
    settings_parse(&s, SPAN("a = 1\n"), FILE_NAME, NULL);

    settings_copy(&copy, &s);
    settings_parse_option(&copy, SPAN("a=2"), (struct param_place){0}, NULL);

    cr_expect_str_eq(value_of(&s, "a").p, "1");
    cr_expect_str_eq(value_of(&copy, "a").p, "2");
    settings_fini(&s);
    cr_expect_str_eq(value_of(&copy, "a").p, "2");
    settings_fini(&copy);
}

Test(settings, files_are_read_whole_or_not_at_all)
{
    struct buf text = BUF_INIT, why = BUF_INIT;

    cr_expect(!settings_load_file("/nonexistent/main.cf", 1000, &text, &why));
    cr_expect_str_eq(buf_text(&why), "No such file or directory");
    buf_clear(&why);
    cr_expect(!settings_load_file("/dev/zero", 1000, &text, &why));
    cr_expect_str_eq(buf_text(&why), "this is not a regular file");
    buf_clear(&why);
    cr_expect(settings_load_file("/proc/self/exe", 100 << 20, &text, &why));
    cr_expect_gt(text.len, (size_t)1000);
    buf_fini(&text);
    buf_fini(&why);
}

Test(param_errors, keep_a_bounded_number_and_count_the_rest)
{
    struct param_errors e = PARAM_ERRORS_INIT;

    for (unsigned i = 0; i < PARAM_ERRORS_MAX + 5; i++)
        param_error_add(&e, PARAM_ERROR, (struct param_place){FILE_NAME, i}, "x\n%c", 1);

    param_error_add(&e, PARAM_ERROR, (struct param_place){FILE_NAME, 7}, "x\n%c", 1);

    cr_expect_eq(e.count, (size_t)PARAM_ERRORS_MAX);
    cr_expect_eq(e.dropped, (size_t)5);
    cr_expect_eq(e.fatal, (size_t)PARAM_ERRORS_MAX + 6, "one of them is not kept twice");
    cr_expect_str_eq(e.at[1]->text.p, "main.cf:1: x??");
    param_errors_fini(&e);
}
