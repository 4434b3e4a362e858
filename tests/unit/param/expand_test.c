#include "lib/param/expand.h"

#include <criterion/criterion.h>

static bool find(void *context, struct span name, struct span *value)
{
    static const struct {
        const char *name, *value;
    } table[] = {
        {"a", "1"},
        {"b", "$a"},
        {"empty", ""},
        {"ref_empty", "$empty"},
        {"self", "x$self"},
        {"level", "3.6"},
        {"two", "2 words"},
        {"deep", "${b}$b"},
        {"ping", "$pong"},
        {"pong", "$ping"},
        {"money", "$$5"},
        {"bad", "${"},
        {"laugh0", ""},
        {"laugh1", "$laugh0$laugh0$laugh0$laugh0$laugh0$laugh0$laugh0$laugh0"},
        {"laugh2", "$laugh1$laugh1$laugh1$laugh1$laugh1$laugh1$laugh1$laugh1"},
        {"laugh3", "$laugh2$laugh2$laugh2$laugh2$laugh2$laugh2$laugh2$laugh2"},
        {"laugh4", "$laugh3$laugh3$laugh3$laugh3$laugh3$laugh3$laugh3$laugh3"},
        {"laugh5", "$laugh4$laugh4$laugh4$laugh4$laugh4$laugh4$laugh4$laugh4"},
        {"laugh6", "$laugh5$laugh5$laugh5$laugh5$laugh5$laugh5$laugh5$laugh5"},
    };
    (void)context;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (span_eq(name, span_text(table[i].name))) {
            *value = span_text(table[i].value);
            return true;
        }
    return false;
}

static const struct expand_source SOURCE = {.lookup = find, .recursive = true};

Test(expand, follows_the_syntax_table)
{
    static const struct {
        const char *says, *in, *want;
    } rows[] = {
        {"no dollar", "plain text", "plain text"},
        {"a name", "x$a-y", "x1-y"},
        {"a name in braces", "x${a}y", "x1y"},
        {"a name in parentheses", "x$(a)y", "x1y"},
        {"a value that refers on", "$deep", "11"},
        {"a dollar sign", "$$a", "$a"},
        {"a dollar sign in a value", "$money", "$5"},
        {"an unknown name is empty", "<$nosuch>", "<>"},
        {"a name ends at another byte", "$a.com", "1.com"},
        {"if set", "${a?yes}", "yes"},
        {"if set, but it is empty", "${empty?yes}", ""},
        {"if set asks the raw value", "${ref_empty?yes}", "yes"},
        {"if set takes all the rest", "${a?x:y}", "x:y"},
        {"if set, in braces", "${a?{x}}", "x"},
        {"if unset", "${nosuch:no $a}", "no 1"},
        {"if unset, but it is set", "${a:no}", ""},
        {"one of two: the first", "${a?{x}:{y}}", "x"},
        {"one of two: the second", "${empty?{x}:{y}}", "y"},
        {"one of two, the second without braces", "${empty?{x}:y}", "y"},
        {"whitespace around the parts", "${ a ? { x } : { y } }", "x"},
        {"whitespace in a text", "${a? p q }", "p q"},
        {"an inner expansion", "${a?{<${nosuch?{1}:{$b}}>}}", "<1>"},
        {"equal", "${{$a} == {1} ? {t} : {f}}", "t"},
        {"not equal", "${{$a}!={1}?{t}:{f}}", "f"},
        {"numbers as numbers", "${{10} < {9} ? {t} : {f}}", "f"},
        {"text as text", "${{10x} < {9x} ? {t} : {f}}", "t"},
        {"less or equal", "${{9} <= {9} ? {t} : {f}}", "t"},
        {"greater or equal", "${{8} >= {9} ? {t} : {f}}", "f"},
        {"greater", "${{9} > {8} ? {t} : {f}}", "t"},
        {"levels as levels", "${{3.10} <level {3.9} ? {t} : {f}}", "f"},
        {"levels with missing parts", "${{3} ==level {3.0.0} ? {t} : {f}}", "t"},
        {"levels less or equal", "${{$level} <=level {3.6} ? {t} : {f}}", "t"},
        {"a comparison alone that holds", "<${{1} == {1}}>", "<true>"},
        {"a comparison alone that does not", "<${{1} == {2}}>", "<>"},
        {"a comparison with a text only", "${{a} == {a} ? yes}", "yes"},
        {"a comparison with the other text only", "${{a} != {a} : no}", "no"},
        {"braces inside braces", "${{{a}} == {{a}} ? {{x}} : {y}}", "{x}"},
        {"whitespace before a comparison", "${ {1} == {1} ? {t} : {f}}", "t"},
        {"an empty branch", "<${a?}>", "<>"},
        {"an empty group", "<${a?{}:{x}}>", "<>"},
        {"the branch that is not taken may be anything", "${a?{x}:{$self}}", "x"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out = BUF_INIT, why = BUF_INIT;
        cr_expect(expand_text(&out, span_text(rows[i].in), &SOURCE, &why), "%s: %s", rows[i].says,
                  buf_text(&why));
        cr_expect_str_eq(buf_text(&out), rows[i].want, "%s", rows[i].says);
        buf_fini(&out);
        buf_fini(&why);
    }
}

Test(expand, says_what_is_wrong)
{
    static const struct {
        const char *says, *in, *want;
    } rows[] = {
        {"a lone dollar sign", "x$", "a '$' without a name (write $$ for a dollar sign) at \"\""},
        {"a dollar sign before a space", "5 $ only",
         "a '$' without a name (write $$ for a dollar sign) at \" only\""},
        {"an open brace", "${a", "a closing bracket is missing at \"{a\""},
        {"an open parenthesis", "$(a}", "a closing bracket is missing at \"(a}\""},
        {"no name in braces", "${}", "an empty name at \"\""},
        {"a name with a dash", "${my-domain}", "a name has only letters, digits and _: error at \"-domain\""},
        {"text behind a group", "${a?{x}y}", "':' expected at \"y\""},
        {"text behind both groups", "${a?{x}:{y}z}", "unexpected input at \"z\""},
        {"an operator that there is not", "${{a} =< {b}}", "one of == != < <= > >= expected at \"=< {b}\""},
        {"no right side", "${{a} == b}", "'{' expected at \"b\""},
        {"no level", "${{x} <level {1} ? {a}}", "no compatibility level (it looks like 3.6) at \"x\""},
        {"a level of four parts", "${{1} <level {1.2.3.4} ? {a}}",
         "no compatibility level (it looks like 3.6) at \"1.2.3.4\""},
        {"a level that ends with a dot", "${{1} <level {1.} ? {a}}",
         "no compatibility level (it looks like 3.6) at \"1.\""},
        {"a value that refers to itself", "$self",
         "values are nested too deeply (does one refer to itself?) at \"x$self\""},
        {"two values that refer to each other", "$ping",
         "values are nested too deeply (does one refer to itself?) at \"$pong\""},
        {"a value with a fault", "$bad", "a closing bracket is missing at \"{\""},
        {"values that multiply", "$laugh6", "this takes too many lookups at \"laugh0\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out = BUF_INIT, why = BUF_INIT;
        cr_expect(!expand_text(&out, span_text(rows[i].in), &SOURCE, &why), "%s", rows[i].says);
        cr_expect_str_eq(buf_text(&why), rows[i].want, "%s", rows[i].says);
        buf_fini(&out);
        buf_fini(&why);
    }
}

Test(expand, values_from_outside_are_not_expanded)
{
    struct expand_source source = {.lookup = find, .recursive = false};
    struct buf out = BUF_INIT, why = BUF_INIT;

    cr_expect(expand_text(&out, SPAN("$b ${a?$b}"), &source, &why));

    cr_expect_str_eq(buf_text(&out), "$a $a");
    buf_fini(&out);
    buf_fini(&why);
}

static bool find_long(void *context, struct span name, struct span *value)
{
    (void)name;
    *value = *(struct span *)context;
    return true;
}

Test(expand, a_result_may_have_the_limit_and_no_more)
{
    static char text[EXPAND_RESULT_MAX];
    memset(text, 'x', sizeof text);
    struct span value = span_of(text, sizeof text);
    struct expand_source source = {.lookup = find_long, .context = &value, .recursive = true};
    struct buf out = BUF_INIT, why = BUF_INIT;

    cr_expect(expand_text(&out, SPAN("$x"), &source, &why));
    cr_expect_eq(out.len, (size_t)EXPAND_RESULT_MAX);
    buf_clear(&out);
    cr_expect(!expand_text(&out, SPAN("$x$x"), &source, &why));
    cr_expect_str_eq(buf_text(&why), "the result is too long at \"\"");
    buf_fini(&out);
    buf_fini(&why);
}

Test(expand, braces_nest_to_the_limit_and_no_deeper)
{
    for (unsigned depth = EXPAND_DEPTH_MAX; depth <= EXPAND_DEPTH_MAX + 1; depth++) {
        struct buf in = BUF_INIT, out = BUF_INIT, why = BUF_INIT;
        for (unsigned i = 0; i < depth; i++)
            buf_puts(&in, "${a?{");
        buf_puts(&in, "x");
        for (unsigned i = 0; i < depth; i++)
            buf_puts(&in, "}}");
        cr_expect_eq(expand_text(&out, buf_span(&in), &SOURCE, &why), depth == EXPAND_DEPTH_MAX, "%u", depth);
        buf_fini(&in);
        buf_fini(&out);
        buf_fini(&why);
    }
}
