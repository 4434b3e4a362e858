/* The translation is held against glibc's regexec(): same answer for every pattern and text. */
#define PCRE2_CODE_UNIT_WIDTH 8

#include "lib/table/posix_regex.h"

#include <criterion/criterion.h>
#include <pcre2.h>
#include <regex.h>

enum verdict { BAD, NO, YES };

static enum verdict ask_glibc(const char *pattern, unsigned flags, const char *text)
{
    regex_t re;
    int cflags = (flags & POSIX_EXTENDED ? REG_EXTENDED : 0) | (flags & POSIX_NEWLINE ? REG_NEWLINE : 0) | REG_NOSUB;
    if (regcomp(&re, pattern, cflags) != 0)
        return BAD;
    enum verdict v = regexec(&re, text, 0, NULL, 0) == 0 ? YES : NO;
    regfree(&re);
    return v;
}

static enum verdict ask_ours(const char *pattern, unsigned flags, const char *text, struct buf *translated)
{
    int error;
    size_t offset;
    buf_clear(translated);
    if (posix_regex_translate(span_text(pattern), flags, translated))
        return BAD;
    uint32_t options = flags & POSIX_NEWLINE ? PCRE2_MULTILINE | PCRE2_ALT_CIRCUMFLEX : PCRE2_DOTALL;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)buf_text(translated), translated->len,
                                     options | PCRE2_DOLLAR_ENDONLY, &error, &offset, NULL);
    if (!code)
        return BAD;
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(code, NULL);
    enum verdict v = pcre2_match(code, (PCRE2_SPTR)text, strlen(text), 0, 0, data, NULL) >= 0 ? YES : NO;
    pcre2_match_data_free(data);
    pcre2_code_free(code);
    return v;
}

static const char *const texts[] = {
    "", "a", "b", "ab", "aab", "ba", "a b", "aa\nbb", "\n", "a\n", "\nb", "a.b", "a*b", "(a)", "a{1}", "[a]", "a\\b",
    "]", "-", "^a", "a$", "abab", "A_1", "x1y", "a|b", "a+", "a?b", "aaaa", "{", "}", ")", "a]",
};

/* glibc takes an anchor inside a pattern for one of lines even without REG_NEWLINE, against
 * POSIX.1-2017 9.2 and its own behaviour at the ends of a pattern: not asked. */
static bool glibc_errs(const char *pattern, unsigned flags, const char *text)
{
    size_t n = strlen(pattern);
    const char *caret = strrchr(pattern, '^'), *dollar = strchr(pattern, '$');
    return !(flags & POSIX_NEWLINE) && strchr(text, '\n') &&
           ((caret && caret != pattern) || (dollar && dollar != pattern + n - 1));
}

static void compare(const char *pattern, unsigned flags)
{
    struct buf translated = BUF_INIT;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (glibc_errs(pattern, flags, texts[i]))
            continue;
        enum verdict want = ask_glibc(pattern, flags, texts[i]), got = ask_ours(pattern, flags, texts[i], &translated);
        cr_expect_eq(got, want, "flags %u pattern [%s] as [%s] got %d, glibc %d, text [%s]", flags, pattern,
                     buf_text(&translated), (int)got, (int)want, texts[i]);
        if (got != want)
            break;
    }
    buf_fini(&translated);
}

Test(posix_regex, means_what_glibc_means_for_written_patterns)
{
    static const char *const patterns[] = {
        "a", "a*", "a+b", "a?b", "^a$", "a|b", "(a|b)*$", "(ab){2}", "a{2,}", "a{,2}b", "a{1,2}$", "[ab]+$", "[^a]",
        "[]]", "[^]]", "[a-]", "[-a]", "[]-a]", "[\\]", "[a\\]", "[[:alpha:]]", "[^[:alpha:][:space:]]", "[[:frob:]]",
        "[[.a.]]", "[[.-.]]", "[[=a=]b]", "[[.a.]-b]", "[b-a]", "[a", "[", "[^", "[[:alpha:", "(", "(a", "a)", ")", "()",
        "(|a)b", "a||b", "|a", "a|", "*a", "^*a", "^*", "+a", "(*a)", "a**", "a*+", "a*?", "a+?b", "a{2}{2}", "a{", "a{x",
        "a{1", "a{2,1}", "{1}", "\\", "a\\", "\\.", "a\\.b", "\\*", "\\(a\\)", "\\{", "\\w+$", "\\W", "\\s", "\\S", "\\ba",
        "a\\b", "\\Ba", "\\<a", "b\\>", "\\`a", "b\\'", "(a)\\1", "\\1", "(a\\1)", "(a)\\2", "(a)(b)\\2\\1", "a.b", ".",
        "^", "$", "^$", "a^b", "a$b", "(^a)", "(a$)", "x*", "[a-z0-9_]+", "[+--]", "[%--]", "a.*b", "(a*)*", "(a*)+b",
        "[[:alpha:]-z]", "[a-[:alpha:]]", "[a-[.b.]]", "[[=a=]-c]", "a\\{2\\}", "\\(a\\)\\1", "\\(*a\\)", "\\(^a\\)",
        "a\\|b", "a\\+b", "a\\?b", "^*", "x^", "$x", "a\\{,2\\}b", "(?:a)", "(?i)a", "a(?=b)", "\\d", "\\x61", "\\Qa\\E",
        "[\\d]", "[[:<:]]", "[[.space.]]", "a{1}*", "\\n", "-", "}", "a}", "]", "a]",
    };
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        for (unsigned flags = 0; flags < 4; flags++)
            compare(patterns[i], flags);
    }
}

Test(posix_regex, means_what_glibc_means_for_random_patterns, .timeout = 120)
{
    static const char *const pieces[] = {"a", "b", ".", "*", "+", "?", "(", ")", "|", "^", "$", "[ab]", "[^a]", "{2}",
                                         "{1,2}", "\\b", "[[:alpha:]]", "\\(", "\\)", "\\|", "\\{1\\}", "\\<", "]", "\\w"};
    uint32_t dice = 12345;
    for (unsigned round = 0; round < 30000; round++) {
        char pattern[128] = "";
        size_t used = 0;
        unsigned count = 1 + round % 7;
        for (unsigned i = 0; i < count; i++) {
            dice = dice * 1664525u + 1013904223u;
            const char *piece = pieces[(dice >> 8) % (sizeof pieces / sizeof *pieces)];
            memcpy(pattern + used, piece, strlen(piece) + 1);
            used += strlen(piece);
        }
        compare(pattern, round % 4);
    }
}

Test(posix_regex, holds_its_limits)
{
    struct buf pattern = BUF_INIT, out = BUF_INIT;
    for (int i = 0; i < POSIX_REGEX_BYTES; i++)
        buf_putc(&pattern, 'a');

    cr_expect_null(posix_regex_translate(buf_span(&pattern), POSIX_EXTENDED, &out));
    buf_putc(&pattern, 'a');
    cr_expect_str_eq(posix_regex_translate(buf_span(&pattern), POSIX_EXTENDED, &out), "Regular expression too big");

    buf_clear(&pattern);
    for (int i = 0; i < POSIX_REGEX_DEPTH; i++)
        buf_putc(&pattern, '(');
    cr_expect_str_eq(posix_regex_translate(buf_span(&pattern), POSIX_EXTENDED, &out), "Unmatched ( or \\(");
    buf_putc(&pattern, '(');
    cr_expect_str_eq(posix_regex_translate(buf_span(&pattern), POSIX_EXTENDED, &out), "Regular expression too big");

    cr_expect_null(posix_regex_translate(SPAN("a{255}"), POSIX_EXTENDED, &out));
    cr_expect_not_null(posix_regex_translate(SPAN("a{256}"), POSIX_EXTENDED, &out));
    buf_fini(&pattern);
    buf_fini(&out);
}
