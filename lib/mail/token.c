#include "lib/mail/token.h"

static const struct span specials = SPAN_INIT(")<>]:;@,.");

static bool is_blank(unsigned char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool ends_atom(unsigned char c)
{
    return is_blank(c) || c == '(' || c == '"' || c == '[' || span_find(specials, (char)c) < specials.n;
}

/* The index behind the delimiter that closes what was opened just before i, or
 * the end of the text. open: what nests, or 0 */
static size_t find_close(struct span text, size_t i, char open, char close, bool *closed)
{
    size_t depth = 1;
    for (; i < text.n; i++) {
        char c = text.p[i];
        if (c == '\\' && i + 1 < text.n) {
            i++;
        } else if (c == close && --depth == 0) {
            *closed = true;
            return i + 1;
        } else if (open && c == open) {
            depth++;
        }
    }
    *closed = false;
    return text.n;
}

/* closed: set to false where a backslash has nothing behind it to quote */
static size_t find_atom_end(struct span text, size_t i, bool *closed)
{
    while (i < text.n && !ends_atom(span_at(text, i))) {
        if (text.p[i] == '\\' && ++i == text.n)
            *closed = false;
        else
            i++;
    }
    return i;
}

bool token_next(struct token_scan *scan, struct token *token)
{
    struct span text = scan->text;
    size_t from = scan->at, to;
    while (from < text.n && is_blank(span_at(text, from)))
        from++;
    *token = (struct token){.kind = TOKEN_END, .spaced = from > scan->at, .closed = true};
    scan->at = from;
    if (from == text.n)
        return false;
    char c = text.p[from];
    if (c == '"') {
        token->kind = TOKEN_QUOTED;
        to = find_close(text, from + 1, 0, '"', &token->closed);
    } else if (c == '[') {
        token->kind = TOKEN_LITERAL;
        to = find_close(text, from + 1, 0, ']', &token->closed);
    } else if (c == '(') {
        token->kind = TOKEN_COMMENT;
        to = find_close(text, from + 1, '(', ')', &token->closed);
    } else if (span_find(specials, c) < specials.n) {
        token->kind = TOKEN_SPECIAL;
        token->special = (unsigned char)c;
        to = from + 1;
    } else {
        token->kind = TOKEN_ATOM;
        to = find_atom_end(text, from, &token->closed);
    }
    token->raw = span_slice(text, from, to);
    scan->at = to;
    return true;
}

bool token_next_word(struct token_scan *scan, struct token *token)
{
    bool spaced = false, more;
    do {
        more = token_next(scan, token);
        spaced = spaced || token->spaced;
    } while (more && token->kind == TOKEN_COMMENT);
    token->spaced = spaced;
    return more;
}

void token_put_value(struct buf *out, const struct token *token)
{
    struct span s = token->raw;
    if (token->kind == TOKEN_QUOTED)
        s = span_slice(s, 1, token->closed ? s.n - 1 : s.n);
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\' && token->kind != TOKEN_COMMENT && ++i == s.n)
            break;
        if (s.p[i] != '\r' && s.p[i] != '\n')
            buf_putc(out, s.p[i]);
    }
}
