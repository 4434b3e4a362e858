#include "lib/table/text_lines.h"

#include <criterion/criterion.h>

/* All entries of a text as "LINE:key=value;" and faults as "LINE!fault;". */
static void read_all(struct buf *out, enum text_form form, struct span text)
{
    struct text_lines lines;
    struct text_entry entry;
    struct buf name = BUF_INIT, fault = BUF_INIT;
    enum text_result result;
    text_lines_init(&lines, text);
    while ((result = text_next_entry(&lines, form, true, &name, &entry, &fault)) != TEXT_END) {
        if (result == TEXT_ENTRY)
            buf_printf(out, "%u:%.*s=%.*s;", entry.line, SPAN_ARG(entry.key), SPAN_ARG(entry.value));
        else
            buf_printf(out, "%u!%s;", entry.line, buf_text(&fault));
    }
    text_lines_fini(&lines);
    buf_fini(&name);
    buf_fini(&fault);
}

struct row {
    const char *says, *text, *want;
};

static void expect_rows(enum text_form form, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct buf got = BUF_INIT;
        read_all(&got, form, span_text(rows[i].text));
        cr_expect_str_eq(buf_text(&got), rows[i].want, "%s: %s", rows[i].says, buf_text(&got));
        buf_fini(&got);
    }
}

Test(text_lines, splits_map_entries_as_postmap)
{
    static const struct row rows[] = {
        {"nothing", "", ""},
        {"comments and blank lines", "# a b\n\n  \n   # c d\n", ""},
        {"key and value", "a b c \n", "1:a=b c;"},
        {"no line ending at the end", "a b", "1:a=b;"},
        {"CRLF", "a b\r\nc d\r\n", "1:a=b;2:c=d;"},
        {"continuation keeps its blanks", "a b\n  c\n\td\n", "1:a=b  c\td;"},
        {"a comment inside", "a b\n# no\n\n  c\nd e\n", "1:a=b  c;5:d=e;"},
        {"value on the next line", "a\n b\n", "1:a=b;"},
        {"no value", "a\nb c\n", "1!expected format: key whitespace value;2:b=c;"},
        {"quoted key", "\"a b\"c d\n", "1:\"a b\"c=d;"},
        {"escaped quote", "\"a\\\" b\" d\n", "1:\"a\\\" b\"=d;"},
        {"open quote", "\"a b\n", "1!unbalanced '\"' in '\"a b' -- ignoring this line;"},
        {"open quote at a backslash", "\"a\\", "1!unbalanced '\"' in '\"a\\' -- ignoring this line;"},
        {"leading white space", " a b\nc d\n",
         "1!logical line must not start with whitespace: \" a b\" -- ignoring this line;2:c=d;"},
        {"not UTF-8", "a b\xff\nc \xc3\xa9\n", "1!non-UTF-8 input \"a b?\" -- ignoring this line;2:c=\xc3\xa9;"},
    };
    expect_rows(TEXT_MAP, rows, sizeof rows / sizeof *rows);
}

Test(text_lines, splits_alias_entries_as_postalias)
{
    static const struct row rows[] = {
        {"name and list", "a: b, c\n", "1:a=b, c;"},
        {"blanks before the colon", "a  : b\n", "1:a=b;"},
        {"quoted name", "\"a: b\": c\n", "1:a: b=c;"},
        {"escaped quote", "\"a\\\"b\": c\n", "1:a\"b=c;"},
        {"name of two words", "a b: c\n", "1:a b=c;"},
        {"a quoted at", "\"a@b\": c\n", "1:a@b=c;"},
        {"a colon in the value", "a: :include:/x\n", "1:a=:include:/x;"},
        {"continuation", "a: b,\n c\n", "1:a=b, c;"},
        {"no colon", "a b\n", "1!need name:value pair;"},
        {"no value", "a:\n", "1!need name:value pair;"},
        {"no name", ": b\n", "1!need name:value pair;"},
        {"an address", "a@b: c\n", "1!name must be local;"},
    };
    expect_rows(TEXT_ALIAS, rows, sizeof rows / sizeof *rows);
}

Test(text_lines, refuses_a_nul)
{
    struct buf got = BUF_INIT;

    read_all(&got, TEXT_MAP, span_of("a b\0c\nd e\n", 10));

    cr_expect_str_eq(buf_text(&got), "1!line contains a NUL byte: \"a b?c\" -- ignoring this line;2:d=e;");
    buf_fini(&got);
}

Test(text_lines, knows_utf8)
{
    static const struct {
        const char *says, *text;
        bool want;
    } rows[] = {
        {"ASCII", "abc", true},
        {"two bytes", "\xc2\x80", true},
        {"two bytes that are one too many", "\xc1\xbf", false},
        {"three bytes", "\xe0\xa0\x80", true},
        {"overlong three", "\xe0\x9f\xbf", false},
        {"surrogate", "\xed\xa0\x80", false},
        {"before the surrogates", "\xed\x9f\xbf", true},
        {"four bytes", "\xf0\x90\x80\x80", true},
        {"overlong four", "\xf0\x8f\xbf\xbf", false},
        {"the last code point", "\xf4\x8f\xbf\xbf", true},
        {"behind the last", "\xf4\x90\x80\x80", false},
        {"cut short", "a\xe2\x82", false},
        {"a stray tail", "\x80", false},
        {"five bytes", "\xf8\x88\x80\x80\x80", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_eq(text_is_utf8(span_text(rows[i].text)), rows[i].want, "%s", rows[i].says);
}
