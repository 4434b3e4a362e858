#include "tests/unit/table/files.h"

static const char rules[] = "/^a(b)(c)?/ x$1-${2}$(1)$$ y\n"
                            "/^.$/ onechar\n"
                            "/bad(/ foo\n"
                            "/sub/ $2\n"
                            "!/^[^z]/ neg$1\n"
                            "/noval/\n"
                            "if /^if/\n"
                            "/^iff/ ${1\n"
                            "/^ifc/C yes\n"
                            "/^ifx/ inside\n"
                            "endif\n"
                            "endif\n"
                            "if !/q/\n"
                            "/nn/i lower\n"
                            "/price/ 5$ only\n"
                            "/foo/ $foo\n"
                            "/null/ $0\n"
                            "plain x\n"
                            "/open x\n"
                            "#/comment/ x\n"
                            "  continued\n"
                            "if\n"
                            "endif\n";

static void expect_warnings(const char *const *warnings, size_t count)
{
    for (size_t i = 0; i < count; i++)
        cr_expect_not_null(strstr(buf_text(&warned), warnings[i]), "%s\nin\n%s", warnings[i], buf_text(&warned));
}

static void expect_rules(const char *type)
{
    struct tables *ts = start();
    put_text("p", rules);
    struct table *t = table_open(ts, span_text(in_dir(type, "p")), TABLE_FOLD);

    cr_expect_not(table_is_fixed(t));
    EXPECT_FIND(t, "abc", "xb-cb$ y");
    EXPECT_FIND(t, "ABC", "xB-CB$ y");
    EXPECT_FIND(t, "ab", "xb-b$ y");
    EXPECT_FIND(t, "z", "onechar");
    EXPECT_FIND(t, "ifx", "inside");
    EXPECT_FIND(t, "if", NULL);
    EXPECT_FIND(t, "nnq", NULL);
    EXPECT_FIND(t, "nn", "lower");
    EXPECT_FIND(t, "NN", NULL);
    EXPECT_FIND(t, "noval", "");
    static const char *const warnings[] = {
        "line 4: out of range replacement index \"2\": skipping this rule\n",
        "line 5: $number found in negative match replacement text: skipping this rule\n",
        "line 6: no replacement text: using empty string\n",
        "line 8: truncated macro reference: bad replacement syntax: skipping this rule\n",
        "line 9: unknown regexp option \"C\": skipping this rule\n",
        "line 12: ignoring ENDIF without matching IF\n",
        "line 15: empty macro name: bad replacement syntax: skipping this rule\n",
        "line 16: non-numeric replacement index \"foo\": bad replacement syntax: skipping this rule\n",
        "line 17: out of range replacement index \"0\": bad replacement syntax: skipping this rule\n",
        "line 18: ignoring unrecognized request\n",
        "line 19: no closing regexp delimiter \"/\": skipping this rule\n",
        "line 22: no regexp: skipping this rule\n",
        "line 13: IF has no matching ENDIF\n",
    };
    expect_warnings(warnings, sizeof warnings / sizeof *warnings);
    table_close(&t);
    stop(ts);
}

Test(pcre, does_all_that_rules_can_say)
{
    expect_rules("pcre:");
}

Test(regexp, does_all_that_rules_can_say)
{
    expect_rules("regexp:");
}

Test(pcre, names_the_fault_of_a_pattern)
{
    struct tables *ts = start();
    put_text("p", "/bad(/ foo\n");
    struct table *t = table_open(ts, span_text(in_dir("pcre:", "p")), 0);

    cr_expect_not_null(strstr(buf_text(&warned), "pcre map ") ? strstr(buf_text(&warned),
        "/p, line 1: error in regex at offset 4: missing closing parenthesis\n") : NULL, "%s", buf_text(&warned));
    table_close(&t);
    stop(ts);
}

Test(regexp, names_the_fault_of_a_pattern_in_posix_words)
{
    struct tables *ts = start();
    put_text("p", "/bad(/ foo\n/(?:x)/ y\n/a\\/b/ slash\n");
    struct table *t = table_open(ts, span_text(in_dir("regexp:", "p")), 0);
    static const char *const warnings[] = {"line 1: Unmatched ( or \\(\n",
                                           "line 2: Invalid preceding regular expression\n"};

    expect_warnings(warnings, 2);
    EXPECT_FIND(t, "a/b", "slash");
    table_close(&t);
    stop(ts);
}

Test(pcre, flags_turn_options_over)
{
    static const struct {
        const char *says, *type, *rule, *key, *want;
    } rows[] = {
        {"pcre ignores case", "pcre:", "/A/ y\n", "a", "y"},
        {"i minds case", "pcre:", "/A/i y\n", "a", NULL},
        {"a dot takes a newline", "pcre:", "/a.b/ y\n", "a\nb", "y"},
        {"s ends that", "pcre:", "/a.b/s y\n", "a\nb", NULL},
        {"m anchors at lines", "pcre:", "/^b/m y\n", "a\nb", "y"},
        {"without m only at the start", "pcre:", "/^b/ y\n", "a\nb", NULL},
        {"x ignores space", "pcre:", "/a  b/x y\n", "ab", "y"},
        {"A anchors", "pcre:", "/b/A y\n", "ab", NULL},
        {"a dollar takes a last newline", "pcre:", "/a$/ y\n", "a\n", "y"},
        {"E ends that", "pcre:", "/a$/E y\n", "a\n", NULL},
        {"U is not greedy", "pcre:", "/(a+)/U $1\n", "aaa", "a"},
        {"X is accepted", "pcre:", "/a/X y\n", "a", "y"},
        {"any delimiter", "pcre:", "|a/b| y\n", "a/b", "y"},
        {"an escaped delimiter", "pcre:", "/a\\/b/ y\n", "a/b", "y"},
        {"regexp ignores case", "regexp:", "/A/ y\n", "a", "y"},
        {"regexp i minds case", "regexp:", "/A/i y\n", "a", NULL},
        {"regexp is extended", "regexp:", "/a+b/ y\n", "aab", "y"},
        {"x makes it basic", "regexp:", "/a+b/x y\n", "aab", NULL},
        {"regexp m anchors at lines", "regexp:", "/^b$/m y\n", "a\nb\nc", "y"},
        {"regexp m keeps the dot in a line", "regexp:", "/a.b/m y\n", "a\nb", NULL},
        {"a text that is not UTF-8 matches no UTF-8 pattern", "pcre:", "/(*UTF)a./ y\n", "a\xff", NULL},
        {"UTF-8 is bytes otherwise", "pcre:", "/^..$/ y\n", "\xc3\xa9", "y"},
    };
    struct tables *ts = start();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char name[16];
        snprintf(name, sizeof name, "p%zu", i);
        put_text(name, rows[i].rule);
        struct table *t = table_open(ts, span_text(in_dir(rows[i].type, name)), TABLE_FOLD);
        cr_log_info("%s", rows[i].says);
        EXPECT_FIND(t, rows[i].key, rows[i].want);
        table_close(&t);
    }
    stop(ts);
}

Test(pcre, refuses_substitution_where_it_is_not_allowed)
{
    struct tables *ts = start();
    put_text("p", "/(a)/ $1\n/a/ plain\n");
    struct table *t = table_open(ts, span_text(in_dir("pcre:", "p")), TABLE_NO_SUBSTITUTE);

    EXPECT_FIND(t, "a", "plain");
    cr_expect_not_null(strstr(buf_text(&warned), "line 1: regular expression substitution is not allowed: skipping"));
    table_close(&t);
    stop(ts);
}

/* "aaa...a!" against ^(a+)+$ takes 2^n steps. */
static void expect_limit(const char *type)
{
    struct tables *ts = start();
    put_text("p", "/^(a+)+$/ y\n/./ late\n");
    struct table *t = table_open(ts, span_text(in_dir(type, "p")), 0);

    EXPECT_FIND(t, "aaaaaaaa!", "late");
    EXPECT_FIND(t, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", "!matcher failure in the rule at line 1: match limit exceeded");
    EXPECT_FIND(t, "aaaa", "y");
    table_close(&t);
    stop(ts);
}

Test(pcre, gives_up_on_a_pattern_without_end)
{
    expect_limit("pcre:");
}

Test(regexp, gives_up_on_a_pattern_without_end)
{
    expect_limit("regexp:");
}

Test(pcre, takes_long_texts_to_the_limit_and_ordinary_patterns_on_them)
{
    struct tables *ts = start();
    struct buf text = BUF_INIT;
    put_text("p", "/^(?:[a-z]+ )*foo/ words\n/([a-z]+ *)*bar/ never\n/^((a|b|c|d) ?)*$/ y\n");
    put_text("q", "/x$/ end\n");
    for (int i = 0; i < 2000; i++)
        buf_puts(&text, "ab ");
    buf_puts(&text, "foo");
    struct table *t = table_open(ts, span_text(in_dir("pcre:", "p")), 0);
    struct table *q = table_open(ts, span_text(in_dir("pcre:", "q")), 0);

    EXPECT_FIND(t, buf_text(&text), "words");
    buf_clear(&text);
    while (text.len < TABLE_TEXT_KEY_BYTES)
        buf_putc(&text, 'x');
    EXPECT_FIND(q, buf_text(&text), "end");
    buf_putc(&text, 'x');
    EXPECT_FIND(q, buf_text(&text), "!the key is too long");
    table_close(&t);
    table_close(&q);
    buf_fini(&text);
    stop(ts);
}

Test(pcre, leaves_out_the_block_of_a_faulty_if)
{
    struct tables *ts = start();
    put_text("p", "if /bad(/\n/a/ inside\nif /b/\n/a/ deeper\nendif\nendif\n/a/ outside\n");
    struct table *t = table_open(ts, span_text(in_dir("pcre:", "p")), 0);

    EXPECT_FIND(t, "ab", "outside");
    table_close(&t);
    stop(ts);
}

Test(pcre, keeps_the_old_rules_where_new_ones_are_faulty)
{
    struct tables *ts = start();
    put_text("p", "/a/ old\n");
    struct table *t = table_open(ts, span_text(in_dir("pcre:", "p")), 0);
    put_text("p", "/a/ new\n/(/ x\n");

    cr_expect_eq(tables_refresh(ts), 0u);
    EXPECT_FIND(t, "a", "old");
    put_text("p", "/a/ newer\n");
    cr_expect_eq(tables_refresh(ts), 1u);
    EXPECT_FIND(t, "a", "newer");
    table_close(&t);
    stop(ts);
}
