#include "lib/table/posix_regex.h"

struct translation {
    struct span rest;
    unsigned flags;
    struct buf *out;
    size_t atom;       /* where in out the last atom starts; NO_ATOM where nothing can be repeated */
    bool is_repeated;  /* the last atom has a repetition already */
    bool is_start;     /* of an expression: the pattern, a group, an alternative */
    unsigned groups;   /* opened so far */
    unsigned depth;    /* open now */
    struct {
        size_t start;    /* where in out the group starts */
        unsigned number;
    } open[POSIX_REGEX_DEPTH];
    bool closed[10];   /* whether group 1..9 is closed, so that \1..\9 may stand */
};

#define NO_ATOM SIZE_MAX

static bool is_extended(const struct translation *t)
{
    return t->flags & POSIX_EXTENDED;
}

static void put_literal(struct buf *out, unsigned char c)
{
    if (byte_is_alnum(c))
        buf_putc(out, (char)c);
    else
        buf_printf(out, "\\x%02x", c);
}

static void begin_atom(struct translation *t)
{
    t->atom = t->out->len;
    t->is_repeated = false;
    t->is_start = false;
}

static const char *put_atom(struct translation *t, const char *text)
{
    begin_atom(t);
    buf_puts(t->out, text);
    return NULL;
}

/* An assertion: nothing that can be repeated. */
static const char *put_anchor(struct translation *t, const char *text, bool is_start)
{
    buf_puts(t->out, text);
    t->atom = NO_ATOM;
    t->is_start = is_start;
    return NULL;
}

/* --- groups and alternatives -------------------------------------------------------- */

static const char *open_group(struct translation *t)
{
    if (t->depth == POSIX_REGEX_DEPTH)
        return "Regular expression too big";
    t->open[t->depth].start = t->out->len;
    t->open[t->depth++].number = ++t->groups;
    return put_anchor(t, "(", true);
}

static const char *close_group(struct translation *t)
{
    t->depth--;
    buf_putc(t->out, ')');
    begin_atom(t);
    t->atom = t->open[t->depth].start;
    if (t->open[t->depth].number < sizeof t->closed)
        t->closed[t->open[t->depth].number] = true;
    return NULL;
}

static const char *back_reference(struct translation *t, unsigned number)
{
    if (!t->closed[number])
        return "Invalid back reference";
    begin_atom(t);
    buf_printf(t->out, "\\g{%u}", number);
    return NULL;
}

/* --- repetitions -------------------------------------------------------------------- */

/* Appends a repetition to the last atom; one on top of another needs a group between them. */
static const char *repeat(struct translation *t, const char *text)
{
    if (t->atom == NO_ATOM || (t->is_repeated && !is_extended(t)))
        return "Invalid preceding regular expression";
    if (t->is_repeated) {
        struct buf inner = BUF_LIMITED(t->out->max);
        buf_put(&inner, span_skip(buf_span(t->out), t->atom));
        buf_truncate(t->out, t->atom);
        buf_puts(t->out, "(?:");
        buf_put(t->out, buf_span(&inner));
        buf_putc(t->out, ')');
        buf_fini(&inner);
    }
    buf_puts(t->out, text);
    t->is_repeated = true;
    return NULL;
}

/* A number at the start of rest. result: false where there is none or it is too large */
static bool take_number(struct span *rest, unsigned *value)
{
    size_t n = 0;
    uint64_t read = 0;
    while (n < rest->n && byte_is_digit(span_at(*rest, n)))
        n++;
    if (!span_to_u64(span_slice(*rest, 0, n), POSIX_REGEX_REPEAT, &read))
        return false;
    *value = (unsigned)read;
    *rest = span_skip(*rest, n);
    return true;
}

/* "m}", "m,}", "m,n}", ",n}" behind the brace. */
static const char *interval(struct translation *t)
{
    unsigned least = 0, most = 0;
    bool has_least = take_number(&t->rest, &least), has_most = false, has_comma = false;
    if (t->rest.n && t->rest.p[0] == ',') {
        t->rest = span_skip(t->rest, 1);
        has_comma = true;
        has_most = take_number(&t->rest, &most);
    }
    struct span end = is_extended(t) ? SPAN("}") : SPAN("\\}");
    if (!span_starts(t->rest, end))
        return t->rest.n ? "Invalid content of \\{\\}" : "Unmatched { or \\{";
    t->rest = span_skip(t->rest, end.n);
    if ((!has_least && !has_most) || (has_most && most < least))
        return "Invalid content of \\{\\}";
    char text[32];
    struct buf made = BUF_INIT;
    if (!has_comma)
        buf_printf(&made, "{%u}", least);
    else if (has_most)
        buf_printf(&made, "{%u,%u}", least, most);
    else
        buf_printf(&made, "{%u,}", least);
    memcpy(text, buf_text(&made), made.len + 1);
    buf_fini(&made);
    return repeat(t, text);
}

/* --- bracket expressions ------------------------------------------------------------ */

/* "[:name:]" with rest behind the "[:". */
static const char *character_class(struct translation *t)
{
    static const char *const names[] = {"alpha", "digit", "alnum", "upper", "lower", "space",
                                        "blank", "punct", "print", "graph", "cntrl", "xdigit"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct span name = span_text(names[i]);
        if (span_starts(t->rest, name) && span_starts(span_skip(t->rest, name.n), SPAN(":]"))) {
            buf_printf(t->out, "[:%s:]", names[i]);
            t->rest = span_skip(t->rest, name.n + 2);
            return NULL;
        }
    }
    return "Invalid character class name";
}

/* One end of a range, or a character by itself: "c", "[.c.]", "[=c=]".
 * result: NULL, or what is wrong */
static const char *bracket_char(struct translation *t, unsigned char *c, bool *may_range)
{
    *may_range = true;
    *c = span_at(t->rest, 0);
    if (!span_starts(t->rest, SPAN("[.")) && !span_starts(t->rest, SPAN("[="))) {
        t->rest = span_skip(t->rest, 1);
        return NULL;
    }
    char mark = t->rest.p[1];
    if (t->rest.n < 5 || t->rest.p[3] != mark || t->rest.p[4] != ']')
        return "Invalid collation character";
    *c = span_at(t->rest, 2);
    *may_range = mark == '.';
    t->rest = span_skip(t->rest, 5);
    return NULL;
}

static bool is_range_next(const struct translation *t)
{
    return t->rest.n > 1 && t->rest.p[0] == '-' && t->rest.p[1] != ']';
}

static const char *bracket_item(struct translation *t)
{
    unsigned char low, high;
    bool may_range, may_end;
    if (span_starts(t->rest, SPAN("[:"))) {
        t->rest = span_skip(t->rest, 2);
        const char *wrong = character_class(t);
        return wrong || !is_range_next(t) ? wrong : "Invalid range end";
    }
    const char *fault = bracket_char(t, &low, &may_range);
    if (fault)
        return fault;
    if (!is_range_next(t)) {
        put_literal(t->out, low);
        return NULL;
    }
    t->rest = span_skip(t->rest, 1);
    if (span_starts(t->rest, SPAN("[:")))
        return "Invalid range end";
    fault = bracket_char(t, &high, &may_end);
    if (fault)
        return fault;
    if (!may_range || !may_end || high < low)
        return "Invalid range end";
    put_literal(t->out, low);
    buf_putc(t->out, '-');
    put_literal(t->out, high);
    return NULL;
}

/* "[...]" with rest behind the first bracket. */
static const char *bracket(struct translation *t)
{
    begin_atom(t);
    buf_putc(t->out, '[');
    if (span_starts(t->rest, SPAN("^"))) {
        buf_puts(t->out, t->flags & POSIX_NEWLINE ? "^\\x0a" : "^");
        t->rest = span_skip(t->rest, 1);
    }
    bool is_first = true;
    while (t->rest.n && (is_first || t->rest.p[0] != ']')) {
        const char *fault = bracket_item(t);
        if (fault)
            return fault;
        is_first = false;
    }
    if (t->rest.n == 0)
        return "Unmatched [, [^, [:, [., or [=";
    t->rest = span_skip(t->rest, 1);
    buf_putc(t->out, ']');
    return NULL;
}

/* --- characters --------------------------------------------------------------------- */

static const char *put_char(struct translation *t, char c)
{
    begin_atom(t);
    put_literal(t->out, (unsigned char)c);
    return NULL;
}

static const char *gnu_escape(struct translation *t, char c)
{
    switch (c) {
    case 'w': return put_atom(t, "[A-Za-z0-9_]");
    case 'W': return put_atom(t, "[^A-Za-z0-9_]");
    case 's': return put_atom(t, "[[:space:]]");
    case 'S': return put_atom(t, "[^[:space:]]");
    case 'b': return put_anchor(t, "\\b", false);
    case 'B': return put_anchor(t, "\\B", false);
    case '<': return put_anchor(t, "\\b(?=\\w)", false);
    case '>': return put_anchor(t, "\\b(?<=\\w)", false);
    case '`': return put_anchor(t, "\\A", false);
    case '\'': return put_anchor(t, "\\z", false);
    default: return put_char(t, c);
    }
}

/* A sign of repetition, which a basic expression takes as it is where nothing stands before it. */
static const char *repetition(struct translation *t, char c)
{
    const char text[2] = {c, '\0'};
    return t->atom == NO_ATOM && !is_extended(t) ? put_char(t, c) : repeat(t, text);
}

/* What both syntaxes share, whether written bare (extended) or behind a backslash (basic). */
static const char *operator_char(struct translation *t, char c)
{
    switch (c) {
    case '(': return open_group(t);
    case '|': return put_anchor(t, "|", true);
    case '+':
    case '?': return repetition(t, c);
    case '{': return interval(t);
    default: return t->depth ? close_group(t) : "Unmatched ) or \\)";
    }
}

static bool is_operator(char c)
{
    return c != '\0' && strchr("()|+?{", c) != NULL;
}

static const char *escaped(struct translation *t)
{
    if (t->rest.n == 0)
        return "Trailing backslash";
    char c = t->rest.p[0];
    t->rest = span_skip(t->rest, 1);
    if (c >= '1' && c <= '9')
        return back_reference(t, (unsigned)(c - '0'));
    if (!is_extended(t) && is_operator(c))
        return operator_char(t, c);
    return gnu_escape(t, c);
}

/* Whether a '$' of a basic expression stands at the end of one. */
static bool ends_basic(const struct translation *t)
{
    return t->rest.n == 0 || span_starts(t->rest, SPAN("\\)")) || span_starts(t->rest, SPAN("\\|"));
}

static const char *one_char(struct translation *t)
{
    char c = t->rest.p[0];
    t->rest = span_skip(t->rest, 1);
    if (c == '\\')
        return escaped(t);
    if (c == '[')
        return bracket(t);
    if (c == '.')
        return put_atom(t, ".");
    if (c == '*')
        return repetition(t, c);
    if (c == '^' && (is_extended(t) || t->is_start))
        return put_anchor(t, "^", false);
    if (c == '$' && (is_extended(t) || ends_basic(t)))
        return put_anchor(t, "$", false);
    if (is_extended(t) && is_operator(c) && (c != ')' || t->depth))
        return operator_char(t, c);
    return put_char(t, c);
}

const char *posix_regex_translate(struct span pattern, unsigned flags, struct buf *out)
{
    struct translation t = {.rest = pattern, .flags = flags, .out = out, .atom = NO_ATOM, .is_start = true};
    if (pattern.n > POSIX_REGEX_BYTES)
        return "Regular expression too big";
    while (t.rest.n) {
        const char *fault = one_char(&t);
        if (fault)
            return fault;
    }
    return t.depth ? "Unmatched ( or \\(" : NULL;
}
