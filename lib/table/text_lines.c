#include "lib/table/text_lines.h"

void text_lines_init(struct text_lines *l, struct span text)
{
    *l = (struct text_lines){.rest = text, .join = BUF_LIMITED(text.n + 1)};
}

void text_lines_fini(struct text_lines *l)
{
    buf_fini(&l->join);
}

/* The next physical line without its LF. */
static bool next_physical(struct text_lines *l, struct span *line)
{
    if (l->rest.n == 0)
        return false;
    size_t end = span_find(l->rest, '\n');
    *line = span_slice(l->rest, 0, end);
    l->rest = span_skip(l->rest, end + 1);
    l->line++;
    return true;
}

static bool is_blank_or_comment(struct span line)
{
    struct span body = span_trim(line);
    return body.n == 0 || body.p[0] == '#';
}

/* Whether the next physical line goes on with the present logical one: a comment is
 * no end, since what continues may stand behind it. */
static bool next_continues(const struct text_lines *l)
{
    return l->rest.n && (byte_is_space(span_at(l->rest, 0)) || l->rest.p[0] == '#');
}

static struct span trim_right(struct span s)
{
    while (s.n && byte_is_space(span_at(s, s.n - 1)))
        s.n--;
    return s;
}

bool text_lines_next(struct text_lines *l, struct text_line *line)
{
    struct span physical;
    do {
        if (!next_physical(l, &physical))
            return false;
    } while (is_blank_or_comment(physical));

    *line = (struct text_line){.text = physical, .first = l->line, .last = l->line};
    buf_clear(&l->join);
    while (next_continues(l)) {
        next_physical(l, &physical);
        if (is_blank_or_comment(physical))
            continue;
        if (l->join.len == 0)
            buf_put(&l->join, line->text);
        buf_put(&l->join, physical);
        line->last = l->line;
    }
    if (l->join.len)
        line->text = buf_span(&l->join);
    line->text = trim_right(line->text);
    return true;
}

const char *text_line_fault(const struct text_line *line)
{
    if (line->text.n && byte_is_space(span_at(line->text, 0)))
        return "logical line must not start with whitespace";
    if (span_find(line->text, '\0') < line->text.n)
        return "line contains a NUL byte";
    return NULL;
}

static const char UNBALANCED[] = "unbalanced '\"' in ";

static const char *split_map(struct span line, struct span *key, struct span *value)
{
    bool quoted = false;
    size_t at = 0;
    for (; at < line.n; at++) {
        if (line.p[at] == '"')
            quoted = !quoted;
        else if (quoted && line.p[at] == '\\')
            at++;
        else if (!quoted && byte_is_space(span_at(line, at)))
            break;
    }
    if (quoted)
        return UNBALANCED;
    *key = span_slice(line, 0, at);
    *value = span_trim(span_skip(line, at));
    return key->n && value->n ? NULL : "expected format: key whitespace value";
}

/* The name of an alias up to its colon, out of quotes.
 * result: the index behind the colon, or 0 where there is none */
static size_t take_alias_name(struct span line, struct buf *name, bool *has_at)
{
    bool quoted = false;
    for (size_t at = 0; at < line.n; at++) {
        char c = line.p[at];
        if (c == '"') {
            quoted = !quoted;
        } else if (quoted && c == '\\' && at + 1 < line.n) {
            buf_putc(name, line.p[++at]);
        } else if (!quoted && c == ':') {
            return at + 1;
        } else {
            *has_at = *has_at || (!quoted && c == '@');
            buf_putc(name, c);
        }
    }
    return 0;
}

static const char *split_alias(struct span line, struct buf *name, struct span *value)
{
    bool has_at = false;
    buf_clear(name);
    size_t behind = take_alias_name(line, name, &has_at);
    *value = span_trim(span_skip(line, behind));
    buf_truncate(name, trim_right(buf_span(name)).n);
    if (behind == 0 || value->n == 0 || name->len == 0)
        return "need name:value pair";
    return has_at ? "name must be local" : NULL;
}

void text_put_masked(struct buf *b, struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        buf_putc(b, byte_is_print(span_at(s, i)) ? s.p[i] : '?');
}

static enum text_result fault_in(struct buf *fault, const char *what, char quote, struct span line)
{
    enum { MOST_SHOWN = 200 };
    buf_printf(fault, "%s%c", what, quote);
    text_put_masked(fault, span_slice(line, 0, MOST_SHOWN));
    buf_printf(fault, "%c -- ignoring this line", quote);
    return TEXT_FAULT;
}

enum text_result text_next_entry(struct text_lines *l, enum text_form form, bool needs_utf8, struct buf *name,
                                 struct text_entry *entry, struct buf *fault)
{
    struct text_line line;
    buf_clear(fault);
    if (!text_lines_next(l, &line))
        return TEXT_END;
    *entry = (struct text_entry){.line = line.first};
    const char *what = text_line_fault(&line);
    if (what) {
        buf_printf(fault, "%s: ", what);
        return fault_in(fault, "", '"', line.text);
    }
    if (needs_utf8 && !text_is_utf8(line.text))
        return fault_in(fault, "non-UTF-8 input ", '"', line.text);
    if (form == TEXT_MAP) {
        what = split_map(line.text, &entry->key, &entry->value);
    } else {
        what = split_alias(line.text, name, &entry->value);
        entry->key = buf_span(name);
    }
    if (!what)
        return TEXT_ENTRY;
    if (what == UNBALANCED)
        return fault_in(fault, what, '\'', line.text);
    buf_puts(fault, what);
    return TEXT_FAULT;
}

/* Bytes of the UTF-8 sequence that starts with lead, 0 for none; least is the smallest
 * code point that needs so many. */
static size_t utf8_length(unsigned char lead, uint32_t *point, uint32_t *least)
{
    static const struct {
        unsigned char mask, mark;
        uint32_t least;
    } forms[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if ((lead & forms[i].mask) != forms[i].mark)
            continue;
        *point = lead & (uint32_t)(unsigned char)~forms[i].mask;
        *least = forms[i].least;
        return i + 1;
    }
    return 0;
}

bool text_is_utf8(struct span s)
{
    for (size_t at = 0; at < s.n;) {
        uint32_t point = 0, least = 0;
        size_t n = utf8_length(span_at(s, at), &point, &least);
        if (n == 0 || n > s.n - at)
            return false;
        for (size_t i = 1; i < n; i++) {
            if ((span_at(s, at + i) & 0xc0) != 0x80)
                return false;
            point = point << 6 | (span_at(s, at + i) & 0x3f);
        }
        if (point < least || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
            return false;
        at += n;
    }
    return true;
}
