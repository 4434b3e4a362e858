/* pcre and regexp tables: patterns tried in order, both run by PCRE2 without its
 * just-in-time compiler (which needs memory that can be written and run) and under
 * limits, since the text comes from anybody. */
#define PCRE2_CODE_UNIT_WIDTH 8

#include "lib/base/check.h"
#include "lib/table/posix_regex.h"
#include "lib/table/rules.h"
#include "lib/table/text_lines.h"

#include <pcre2.h>
#include <stdlib.h>

enum {
    MATCH_LIMIT = 100000, /* calls of the matcher for one pattern: 1-2 ms */
    /* Backtracking points within each other, and KiB for them. A header of 2,000 words
     * needs 4,000 for an innocent "(?:[a-z]+ )*". */
    DEPTH_LIMIT = 10000,
    HEAP_LIMIT = 2048,
    MOST_GROUPS = 100,
};

struct regexes {
    struct rules rules;              /* pattern: pcre2_code */
    pcre2_match_data *match_data;    /* owned; the groups of the last match */
    pcre2_match_context *limits;     /* owned */
};

/* --- from "/pattern/flags" to code --------------------------------------------------- */

struct flag {
    char letter;
    uint32_t option;
};

/* Each letter turns an option over; those that are on without it are in the defaults. */
static const struct flag pcre_flags[] = {
    {'i', PCRE2_CASELESS}, {'m', PCRE2_MULTILINE},       {'s', PCRE2_DOTALL},   {'x', PCRE2_EXTENDED},
    {'A', PCRE2_ANCHORED}, {'E', PCRE2_DOLLAR_ENDONLY},  {'U', PCRE2_UNGREEDY}, {'X', 0},
};
enum { PCRE_DEFAULTS = PCRE2_CASELESS | PCRE2_DOTALL };

enum { REGEXP_ICASE = 1, REGEXP_EXTENDED = 2, REGEXP_NEWLINE = 4 };
static const struct flag regexp_flags[] = {{'i', REGEXP_ICASE}, {'x', REGEXP_EXTENDED}, {'m', REGEXP_NEWLINE}};
enum { REGEXP_DEFAULTS = REGEXP_ICASE | REGEXP_EXTENDED };

static bool is_pcre(const struct table_source *src)
{
    return strcmp(src->type, "pcre") == 0;
}

/* Cuts "/pattern/" off *rest; a backslash takes the next character along. */
static bool take_delimited(struct span *rest, struct span *pattern, struct buf *why)
{
    char delimiter = rest->p[0];
    if (byte_is_alnum((unsigned char)delimiter)) {
        buf_puts(why, "ignoring unrecognized request");
        return false;
    }
    size_t at = 1;
    while (at < rest->n && rest->p[at] != delimiter)
        at += rest->p[at] == '\\' ? 2 : 1;
    if (at >= rest->n) {
        buf_printf(why, "no closing regexp delimiter \"%c\": skipping this rule", delimiter);
        return false;
    }
    *pattern = span_slice(*rest, 1, at);
    *rest = span_skip(*rest, at + 1);
    return true;
}

static bool take_flags(struct span *rest, const struct flag *known, size_t count, uint32_t *options, struct buf *why)
{
    while (rest->n && !byte_is_space(span_at(*rest, 0))) {
        size_t i = 0;
        while (i < count && known[i].letter != rest->p[0])
            i++;
        if (i == count) {
            buf_puts(why, "unknown regexp option \"");
            text_put_masked(why, span_slice(*rest, 0, 1));
            buf_puts(why, "\": skipping this rule");
            return false;
        }
        *options ^= known[i].option;
        *rest = span_skip(*rest, 1);
    }
    return true;
}

static pcre2_code *compile(struct span pattern, uint32_t options, struct buf *why)
{
    int error;
    size_t offset;
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    CHECK(context != NULL);
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    pcre2_set_parens_nest_limit(context, POSIX_REGEX_DEPTH + 1);
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)(pattern.n ? pattern.p : ""), pattern.n,
                                     options | PCRE2_NEVER_BACKSLASH_C, &error, &offset, context);
    pcre2_compile_context_free(context);
    if (!code) {
        unsigned char text[256];
        pcre2_get_error_message(error, text, sizeof text);
        buf_printf(why, "error in regex at offset %zu: %s", offset, (const char *)text);
    }
    return code;
}

static pcre2_code *compile_posix(struct span pattern, uint32_t flags, struct buf *why)
{
    struct buf translated = BUF_INIT;
    bool by_line = flags & REGEXP_NEWLINE;
    const char *fault = posix_regex_translate(
        pattern, (flags & REGEXP_EXTENDED ? POSIX_EXTENDED : 0u) | (by_line ? POSIX_NEWLINE : 0u), &translated);
    pcre2_code *code = NULL;
    if (fault)
        buf_puts(why, fault);
    else
        code = compile(buf_span(&translated),
                       (by_line ? PCRE2_MULTILINE | PCRE2_ALT_CIRCUMFLEX : PCRE2_DOTALL) | PCRE2_DOLLAR_ENDONLY |
                           (flags & REGEXP_ICASE ? PCRE2_CASELESS : 0u),
                       why);
    buf_fini(&translated);
    return code;
}

static void *take_regex(const struct table_source *src, struct rules *all, struct span *rest, struct buf *why)
{
    (void)all;
    struct span pattern;
    if (!take_delimited(rest, &pattern, why))
        return NULL;
    if (is_pcre(src)) {
        uint32_t options = PCRE_DEFAULTS;
        return take_flags(rest, pcre_flags, sizeof pcre_flags / sizeof *pcre_flags, &options, why)
                   ? compile(pattern, options, why)
                   : NULL;
    }
    uint32_t flags = REGEXP_DEFAULTS;
    return take_flags(rest, regexp_flags, sizeof regexp_flags / sizeof *regexp_flags, &flags, why)
               ? compile_posix(pattern, flags, why)
               : NULL;
}

static void free_regex(void *pattern)
{
    pcre2_code_free(pattern);
}

/* --- $1, ${1}, $(1), $$ -------------------------------------------------------------- */

/* Cuts the next piece off a replacement: literal text, then a group's number (0: none).
 * result: 1 a piece, 0 the end, -1 bad syntax; why says */
static int next_piece(struct span *rest, struct span *literal, uint64_t *group, struct buf *why)
{
    if (rest->n == 0)
        return 0;
    size_t dollar = span_find(*rest, '$');
    *literal = span_slice(*rest, 0, dollar);
    *rest = span_skip(*rest, dollar + 1);
    *group = 0;
    if (literal->p + literal->n == rest->p)
        return 1; /* no dollar */
    if (rest->n && rest->p[0] == '$') {
        literal->n++; /* the first of the two stands for itself */
        *rest = span_skip(*rest, 1);
        return 1;
    }
    char closing = rest->n == 0 ? '\0' : rest->p[0] == '{' ? '}' : rest->p[0] == '(' ? ')' : '\0';
    *rest = span_skip(*rest, closing ? 1 : 0);
    size_t n = 0;
    while (n < rest->n && (byte_is_alnum(span_at(*rest, n)) || rest->p[n] == '_'))
        n++;
    struct span name = span_slice(*rest, 0, n);
    *rest = span_skip(*rest, n);
    if (closing && (rest->n == 0 || rest->p[0] != closing))
        buf_puts(why, "truncated macro reference: ");
    else if (n == 0)
        buf_puts(why, "empty macro name: ");
    else if (!span_to_u64(name, UINT32_MAX, group))
        buf_printf(why, "non-numeric replacement index \"%.*s\": ", SPAN_ARG(name));
    else if (*group == 0)
        buf_puts(why, "out of range replacement index \"0\": ");
    *rest = span_skip(*rest, closing ? 1 : 0);
    return why->len ? -1 : 1;
}

static bool check_replacement(const struct table_source *src, const struct rule *r, struct buf *why)
{
    struct span rest = r->value, literal;
    uint64_t group, largest = 0;
    int more;
    uint32_t groups = 0;
    pcre2_pattern_info(r->pattern, PCRE2_INFO_CAPTURECOUNT, &groups);
    while ((more = next_piece(&rest, &literal, &group, why)) > 0)
        largest = group > largest ? group : largest;
    if (more < 0)
        buf_puts(why, "bad replacement syntax: skipping this rule");
    else if (largest && r->is_negated)
        buf_puts(why, "$number found in negative match replacement text: skipping this rule");
    else if (largest && src->flags & TABLE_NO_SUBSTITUTE)
        buf_puts(why, "regular expression substitution is not allowed: skipping this rule");
    else if (largest > groups || largest > MOST_GROUPS)
        buf_printf(why, "out of range replacement index \"%ju\": skipping this rule", (uintmax_t)largest);
    if (r->value.n == 0)
        table_warn_rule(src, r->line, "no replacement text: using empty string");
    return why->len == 0;
}

static void put_replacement(const struct regexes *d, const struct rule *r, struct span key, struct buf *value)
{
    struct span rest = r->value, literal;
    struct buf why = BUF_INIT;
    uint64_t group;
    const size_t *ends = pcre2_get_ovector_pointer(d->match_data);
    uint32_t pairs = pcre2_get_ovector_count(d->match_data);
    while (next_piece(&rest, &literal, &group, &why) > 0) {
        buf_put(value, literal);
        if (group && group < pairs && ends[2 * group] != PCRE2_UNSET && ends[2 * group] <= ends[2 * group + 1])
            buf_put(value, span_slice(key, ends[2 * group], ends[2 * group + 1]));
    }
    buf_fini(&why);
}

/* --- matching ------------------------------------------------------------------------ */

struct matching {
    const struct regexes *data;
    struct span key;
};

static enum rule_match limit_reached(const struct rule *r, int error, struct buf *why)
{
    unsigned char text[128];
    pcre2_get_error_message(error, text, sizeof text);
    buf_printf(why, "matcher failure in the rule at line %u: %s; the pattern is too complex for this text", r->line,
               (const char *)text);
    return RULE_ERROR;
}

static enum rule_match match_regex(const struct rule *r, void *state, struct buf *why)
{
    const struct matching *m = state;
    PCRE2_SPTR text = (PCRE2_SPTR)(m->key.p ? m->key.p : "");
    int result = pcre2_match(r->pattern, text, m->key.n, 0, 0, m->data->match_data, m->data->limits);
    if (result >= 0)
        return RULE_YES;
    /* A pattern may ask for UTF-8; a text that is not matches none of these. */
    if (result == PCRE2_ERROR_NOMATCH || (result <= PCRE2_ERROR_UTF8_ERR1 && result >= PCRE2_ERROR_UTF8_ERR21))
        return RULE_NO;
    return limit_reached(r, result, why);
}

static enum table_result regex_find(const void *data, struct span key, struct buf *value, struct buf *why)
{
    const struct regexes *d = data;
    const struct rule *found;
    struct matching m = {.data = d, .key = key};
    enum table_result result = rules_find(&d->rules, match_regex, &m, &found, why);
    if (result == TABLE_FOUND)
        put_replacement(d, found, key, value);
    return result;
}

/* --- the two types ------------------------------------------------------------------- */

static const struct rule_syntax regex_syntax = {
    .no_pattern = "no regexp: skipping this rule",
    .take_pattern = take_regex,
    .free_pattern = free_regex,
    .check_value = check_replacement,
};

static void *regex_load(struct table_source *src, struct buf *why)
{
    struct regexes *d = calloc(1, sizeof *d);
    CHECK(d != NULL);
    if (!rules_load(&d->rules, &regex_syntax, src, why)) {
        free(d);
        return NULL;
    }
    d->match_data = pcre2_match_data_create(MOST_GROUPS + 1, NULL);
    d->limits = pcre2_match_context_create(NULL);
    CHECK(d->match_data != NULL && d->limits != NULL);
    pcre2_set_match_limit(d->limits, MATCH_LIMIT);
    pcre2_set_depth_limit(d->limits, DEPTH_LIMIT);
    pcre2_set_heap_limit(d->limits, HEAP_LIMIT);
    return d;
}

static void regex_unload(void *data)
{
    struct regexes *d = data;
    rules_unload(&d->rules, &regex_syntax);
    pcre2_match_data_free(d->match_data);
    pcre2_match_context_free(d->limits);
    free(d);
}

const struct table_type table_type_pcre = {
    .name = "pcre",
    .suffix = "",
    .may_be_inline = true,
    .key_bytes = TABLE_TEXT_KEY_BYTES,
    .long_key_is_temp = true,
    .load = regex_load,
    .unload = regex_unload,
    .find = regex_find,
};

const struct table_type table_type_regexp = {
    .name = "regexp",
    .suffix = "",
    .may_be_inline = true,
    .key_bytes = TABLE_TEXT_KEY_BYTES,
    .long_key_is_temp = true,
    .load = regex_load,
    .unload = regex_unload,
    .find = regex_find,
};
