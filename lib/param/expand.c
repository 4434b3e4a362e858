#include "lib/param/expand.h"

enum { LEVEL_PARTS = 3 };

struct expansion {
    const struct expand_source *source;
    struct buf *why;
    unsigned lookups; /* made so far */
};

static bool expand_at(struct expansion *x, struct buf *out, struct span text, unsigned depth);

static bool expand_fail(struct expansion *x, const char *what, struct span at)
{
    buf_printf(x->why, "%s at \"%.*s\"", what, SPAN_ARG(span_slice(at, 0, 60)));
    return false;
}

static struct span skip_space(struct span s)
{
    while (s.n && byte_is_space(span_at(s, 0)))
        s = span_skip(s, 1);
    return s;
}

/* result: the octets up to and with the bracket that closes the one text starts with; 0: none does */
static size_t balanced(struct span text, char open, char close)
{
    size_t level = 0;
    for (size_t i = 0; i < text.n; i++) {
        level += text.p[i] == open;
        level -= text.p[i] == close;
        if (level == 0)
            return i + 1;
    }
    return 0;
}

bool expand_braces(struct span *text, struct span *inside)
{
    size_t n = balanced(*text, '{', '}');
    if (n < 2)
        return false;
    *inside = span_trim(span_slice(*text, 1, n - 1));
    *text = span_skip(*text, n);
    return true;
}

static bool name_byte(unsigned char c)
{
    return byte_is_alnum(c) || c == '_';
}

static struct span cut_name(struct span *text)
{
    size_t n = 0;
    while (n < text->n && name_byte(span_at(*text, n)))
        n++;
    struct span name = span_slice(*text, 0, n);
    *text = span_skip(*text, n);
    return name;
}

/* --- comparisons ------------------------------------------------------------------ */

enum comparison {
    EQUAL,
    NOT_EQUAL,
    LESS_EQUAL,
    GREATER_EQUAL,
    LESS,
    GREATER,
};

/* Longer signs before those that they start with. */
static const struct {
    struct span sign;
    enum comparison means;
} COMPARISONS[] = {
    {SPAN_INIT("=="), EQUAL},         {SPAN_INIT("!="), NOT_EQUAL}, {SPAN_INIT("<="), LESS_EQUAL},
    {SPAN_INIT(">="), GREATER_EQUAL}, {SPAN_INIT("<"), LESS},       {SPAN_INIT(">"), GREATER},
};

static bool cut_comparison(struct span *text, enum comparison *means)
{
    for (size_t i = 0; i < sizeof COMPARISONS / sizeof *COMPARISONS; i++)
        if (span_starts(*text, COMPARISONS[i].sign)) {
            *text = span_skip(*text, COMPARISONS[i].sign.n);
            *means = COMPARISONS[i].means;
            return true;
        }
    return false;
}

static bool holds(int order, enum comparison means)
{
    switch (means) {
    case EQUAL:
        return order == 0;
    case NOT_EQUAL:
        return order != 0;
    case LESS_EQUAL:
        return order <= 0;
    case GREATER_EQUAL:
        return order >= 0;
    case LESS:
        return order < 0;
    case GREATER:
        break;
    }
    return order > 0;
}

/* A compatibility level: one to three numbers with dots between. */
static bool level_parse(struct span text, uint64_t parts[LEVEL_PARTS])
{
    for (size_t i = 0; i < LEVEL_PARTS; i++) {
        size_t dot = span_find(text, '.');
        parts[i] = 0;
        if (i > 0 && text.n == 0)
            continue;
        if (!span_to_u64(span_slice(text, 0, dot), 1000000, &parts[i]))
            return false;
        if (dot + 1 == text.n)
            return false;
        text = span_skip(text, dot + 1);
    }
    return text.n == 0;
}

static bool compare_levels(struct expansion *x, struct span left, struct span right, int *order)
{
    uint64_t a[LEVEL_PARTS], b[LEVEL_PARTS];
    if (!level_parse(left, a))
        return expand_fail(x, "no compatibility level (it looks like 3.6)", left);
    if (!level_parse(right, b))
        return expand_fail(x, "no compatibility level (it looks like 3.6)", right);
    *order = 0;
    for (size_t i = 0; i < LEVEL_PARTS && *order == 0; i++)
        *order = (a[i] > b[i]) - (a[i] < b[i]);
    return true;
}

static int compare_values(struct span left, struct span right)
{
    uint64_t a, b;
    if (span_to_u64(left, UINT64_MAX, &a) && span_to_u64(right, UINT64_MAX, &b))
        return (a > b) - (a < b);
    return span_cmp(left, right);
}

/* --- ${...} ------------------------------------------------------------------------ */

/* What stands behind '?' or ':'; text is empty or starts with one of them. */
struct branches {
    bool either;         /* there was a '?' or ':' */
    struct span yes, no; /* to be expanded */
};

/* A branch in braces, or all that is left. */
static bool cut_branch(struct expansion *x, struct span *text, struct span *branch)
{
    *text = skip_space(*text);
    if (text->n == 0 || text->p[0] != '{') {
        *branch = span_trim(*text);
        *text = SPAN_NONE;
        return true;
    }
    struct span from = *text;
    if (!expand_braces(text, branch))
        return expand_fail(x, "a closing '}' is missing", from);
    *text = skip_space(*text);
    return true;
}

static bool cut_branches(struct expansion *x, struct span text, struct branches *b)
{
    *b = (struct branches){0};
    text = skip_space(text);
    if (text.n && text.p[0] == '?') {
        b->either = true;
        text = span_skip(text, 1);
        if (!cut_branch(x, &text, &b->yes))
            return false;
        if (text.n && text.p[0] != ':')
            return expand_fail(x, "':' expected", text);
    }
    if (text.n && text.p[0] == ':') {
        b->either = true;
        text = span_skip(text, 1);
        if (!cut_branch(x, &text, &b->no))
            return false;
    }
    return text.n == 0 || expand_fail(x, "unexpected input", text);
}

/* The part behind "${" that starts with '{': a comparison. */
static bool expand_comparison(struct expansion *x, struct buf *out, struct span text, unsigned depth)
{
    struct span left, right, from = text;
    enum comparison means;
    if (!expand_braces(&text, &left))
        return expand_fail(x, "a closing '}' is missing", from);
    text = skip_space(text);
    if (!cut_comparison(&text, &means))
        return expand_fail(x, "one of == != < <= > >= expected", text);
    bool level = span_starts(text, SPAN("level"));
    text = skip_space(span_skip(text, level ? 5 : 0));
    if (text.n == 0 || text.p[0] != '{')
        return expand_fail(x, "'{' expected", text);
    from = text;
    if (!expand_braces(&text, &right))
        return expand_fail(x, "a closing '}' is missing", from);
    struct branches branches;
    if (!cut_branches(x, text, &branches))
        return false;

    struct buf a = BUF_LIMITED(EXPAND_RESULT_MAX), b = BUF_LIMITED(EXPAND_RESULT_MAX);
    int order = 0;
    bool good = expand_at(x, &a, left, depth + 1) && expand_at(x, &b, right, depth + 1);
    if (good && level)
        good = compare_levels(x, buf_span(&a), buf_span(&b), &order);
    else if (good)
        order = compare_values(buf_span(&a), buf_span(&b));
    buf_fini(&a);
    buf_fini(&b);
    if (!good)
        return false;
    if (!branches.either)
        branches.yes = SPAN("true");
    return expand_at(x, out, holds(order, means) ? branches.yes : branches.no, depth + 1);
}

static bool expand_value(struct expansion *x, struct buf *out, struct span value, unsigned depth)
{
    if (x->source->recursive)
        return expand_at(x, out, value, depth + 1);
    buf_put(out, value);
    return true;
}

/* A name with what may stand behind it: the inside of "${...}", or the name of "$name". */
static bool expand_name(struct expansion *x, struct buf *out, struct span text, unsigned depth)
{
    text = skip_space(text);
    if (text.n && text.p[0] == '{')
        return expand_comparison(x, out, text, depth);
    struct span from = text, name = cut_name(&text), value = SPAN_NONE;
    struct branches branches;
    if (name.n == 0)
        return expand_fail(x, from.n ? "no parameter name" : "an empty name", from);
    text = skip_space(text);
    if (text.n && text.p[0] != '?' && text.p[0] != ':')
        return expand_fail(x, "a name has only letters, digits and _: error", text);
    if (!cut_branches(x, text, &branches))
        return false;
    if (++x->lookups > EXPAND_LOOKUPS_MAX)
        return expand_fail(x, "this takes too many lookups", name);
    bool known = x->source->lookup(x->source->context, name, &value);
    if (!branches.either && !known)
        return !x->source->strict || expand_fail(x, "undefined $name", name);
    if (!branches.either)
        return expand_value(x, out, value, depth);
    return expand_at(x, out, known && value.n ? branches.yes : branches.no, depth + 1);
}

/* Expands what follows a single '$', and cuts it off *text. */
static bool expand_reference(struct expansion *x, struct buf *out, struct span *text, unsigned depth)
{
    struct span inside;
    if (text->n && (text->p[0] == '{' || text->p[0] == '(')) {
        size_t n = text->p[0] == '{' ? balanced(*text, '{', '}') : balanced(*text, '(', ')');
        if (n == 0)
            return expand_fail(x, "a closing bracket is missing", *text);
        inside = span_slice(*text, 1, n - 1);
        *text = span_skip(*text, n);
    } else {
        inside = cut_name(text);
        if (inside.n == 0)
            return expand_fail(x, "a '$' without a name (write $$ for a dollar sign)", *text);
    }
    return expand_name(x, out, inside, depth);
}

static bool expand_at(struct expansion *x, struct buf *out, struct span text, unsigned depth)
{
    if (depth > EXPAND_DEPTH_MAX)
        return expand_fail(x, "values are nested too deeply (does one refer to itself?)", text);
    while (text.n) {
        size_t plain = span_find(text, '$');
        buf_put(out, span_slice(text, 0, plain));
        if (plain == text.n)
            break;
        text = span_skip(text, plain + 1);
        if (text.n && text.p[0] == '$') {
            buf_putc(out, '$');
            text = span_skip(text, 1);
        } else if (!expand_reference(x, out, &text, depth))
            return false;
        if (out->full || out->len > EXPAND_RESULT_MAX)
            return expand_fail(x, "the result is too long", text);
    }
    return true;
}

bool expand_text(struct buf *out, struct span text, const struct expand_source *source, struct buf *why)
{
    struct expansion x = {.source = source, .why = why};
    return expand_at(&x, out, text, 0);
}
