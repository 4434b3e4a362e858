#include "lib/mail/path.h"
#include "lib/mail/address.h"
#include "lib/mail/codec.h"
#include "lib/mail/token.h"

static bool is_blank(unsigned char c)
{
    return c == ' ' || c == '\t';
}

static struct span skip_blanks(struct span s)
{
    while (s.n > 0 && is_blank(span_at(s, 0)))
        s = span_skip(s, 1);
    return s;
}

/* How far the path reaches: behind the ">" that is outside quotes where it starts
 * with "<", else up to a blank outside quotes. */
static size_t find_path_end(struct span s)
{
    bool bracketed = s.n > 0 && s.p[0] == '<', quoted = false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (bracketed ? c == '>' : is_blank((unsigned char)c)))
            return bracketed ? i + 1 : i;
    }
    return s.n;
}

/* Skips "@a,@b:" where scan stands at the start.
 * result: false for a route that does not end in ":". RFC 5321 4.1.2 A-d-l */
static bool skip_route(struct token_scan *scan, bool *routed)
{
    struct token_scan ahead = *scan;
    struct token token;
    if (!token_next_word(&ahead, &token) || token.special != '@')
        return true;
    do {
        if (!token_next_word(&ahead, &token))
            return true; /* "@domain" alone: an address with an empty local part */
        if (token.special != '@' && token.special != ',' && token.special != '.' && token.special != ':' &&
            token.kind != TOKEN_ATOM && token.kind != TOKEN_LITERAL)
            return false;
    } while (token.special != ':');
    *routed = true;
    *scan = ahead;
    return true;
}

/* Where in an address a token stands. */
struct place {
    bool in_domain;   /* behind an "@" */
    bool behind_at;   /* directly behind it */
    bool behind_word; /* directly behind an atom, a quoted string or a literal */
    bool literal;     /* a domain literal has been taken: nothing may follow */
    bool apart;       /* blanks or a comment stand before it */
};

/* Whether the grammar, or the loose form of it, has no such token there. */
static bool is_refused(const struct token *token, const struct place *place, unsigned flags)
{
    bool strict = (flags & PATH_STRICT) != 0;
    if (!token->closed || (strict && token->spaced))
        return true;
    if (place->literal && token->kind != TOKEN_COMMENT)
        return true;
    switch (token->kind) {
    case TOKEN_SPECIAL:
        return token->special != '@' && token->special != '.';
    case TOKEN_QUOTED:
        return place->in_domain;
    case TOKEN_LITERAL:
        return !place->behind_at || span_find(token->raw, '\\') < token->raw.n;
    case TOKEN_COMMENT:
        return strict;
    default:
        return place->in_domain &&
               ((place->apart && place->behind_word) || span_find(token->raw, '\\') < token->raw.n);
    }
}

/* Appends the internal form of an address without brackets and route. An "@" that
 * was quoted must not become the one before the domain, as in <"user@dom">. */
static enum path_result put_internal(struct token_scan scan, unsigned flags, struct buf *out)
{
    struct token token;
    struct place place = {0};
    size_t at = SIZE_MAX;
    while (token_next(&scan, &token)) {
        bool word = token.kind != TOKEN_SPECIAL;
        place.apart = place.apart || token.spaced;
        if (token.special == '@')
            place.in_domain = false; /* what came before belongs to the local part now */
        if (is_refused(&token, &place, flags))
            return PATH_BAD_SYNTAX;
        if (token.kind == TOKEN_COMMENT) {
            place.apart = true;
            continue;
        }
        if (place.apart && word && place.behind_word)
            buf_putc(out, ' ');
        if (token.special == '@')
            at = out->len;
        token_put_value(out, &token);
        place = (struct place){
            .in_domain = place.in_domain || token.special == '@',
            .behind_at = token.special == '@',
            .behind_word = word,
            .literal = token.kind == TOKEN_LITERAL,
        };
    }
    if (((flags & PATH_STRICT) && token.spaced) ||
        span_rfind(buf_span(out), '@') != (at == SIZE_MAX ? out->len : at))
        return PATH_BAD_SYNTAX;
    return PATH_OK;
}

static enum path_result check_bytes(const struct path *path, unsigned flags)
{
    if (path->ascii)
        return PATH_OK;
    if (flags & PATH_SMTPUTF8)
        return codec_utf8_valid(path->address) ? PATH_OK : PATH_BAD_UTF8;
    return flags & PATH_REQUIRE_UTF8 ? PATH_NEEDS_SMTPUTF8 : PATH_OK;
}

/* text: the path as sent, blanks around it removed */
static enum path_result parse_one(struct arena *a, struct span text, unsigned flags, struct path *path)
{
    path->bracketed = text.n >= 2 && text.p[0] == '<' && text.p[text.n - 1] == '>';
    path->original = path->bracketed ? span_slice(text, 1, text.n - 1) : text;
    if (!address_is_clean(text))
        return PATH_BAD_BYTES;
    if (!path->bracketed && (text.n == 0 || (flags & PATH_STRICT)))
        return PATH_BAD_SYNTAX;

    struct token_scan scan = {.text = path->original};
    struct buf internal = BUF_INIT;
    enum path_result result = PATH_BAD_SYNTAX;
    if (skip_route(&scan, &path->routed))
        result = put_internal(scan, flags, &internal);
    path->address = arena_dup(a, buf_span(&internal));
    buf_fini(&internal);
    path->ascii = codec_is_ascii(path->address);
    if (result == PATH_OK && path->address.n == 0 && path->original.n > 0 &&
        skip_blanks(path->original).n > 0)
        return PATH_BAD_SYNTAX; /* a route or a comment to nowhere is no null path */
    return result;
}

/* RFC 5321 4.1.2 esmtp-keyword */
static bool is_keyword(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!byte_is_alnum(span_at(s, i)) && (i == 0 || s.p[i] != '-'))
            return false;
    return s.n > 0;
}

static enum path_result parse_param(struct span word, struct path_param *param)
{
    size_t equals = span_find(word, '=');
    *param = (struct path_param){
        .name = span_slice(word, 0, equals),
        .value = span_skip(word, equals + 1),
        .has_value = equals < word.n,
    };
    if (!address_is_clean(word))
        return PATH_BAD_BYTES;
    return is_keyword(param->name) && (!param->has_value || param->value.n > 0) ? PATH_OK : PATH_BAD_PARAM;
}

static enum path_result parse_params(struct arena *a, struct span s, struct path *path)
{
    struct span word, ahead = s;
    size_t count = 0;
    while (span_next_token(&ahead, SPAN(" \t"), &word))
        count++;
    if (count > PATH_PARAMS_MAX)
        return PATH_TOO_MANY;
    path->params = arena_calloc(a, count, sizeof *path->params);
    while (span_next_token(&s, SPAN(" \t"), &word)) {
        enum path_result result = parse_param(word, &path->params[path->param_count++]);
        if (result != PATH_OK)
            return result;
    }
    return PATH_OK;
}

enum path_result path_parse(struct arena *a, struct span args, struct span prefix, unsigned flags,
                            struct path *path)
{
    *path = (struct path){0};
    args = skip_blanks(args);
    if (!span_starts_nocase(args, prefix))
        return PATH_NO_PREFIX;
    args = span_skip(args, prefix.n);
    if ((flags & PATH_STRICT) && args.n > 0 && is_blank(span_at(args, 0)))
        return PATH_BAD_SYNTAX;
    args = skip_blanks(args);
    if (args.n == 0)
        return PATH_NO_PREFIX;

    size_t end = find_path_end(args);
    struct span rest = span_skip(args, end);
    enum path_result result = parse_one(a, span_slice(args, 0, end), flags, path);
    if (result == PATH_OK && rest.n > 0 && !is_blank(span_at(rest, 0)))
        result = PATH_BAD_SYNTAX;
    if (result == PATH_OK)
        result = parse_params(a, rest, path);
    if (result != PATH_OK)
        return result;
    if (path_find_param(path, SPAN("SMTPUTF8")))
        flags |= PATH_SMTPUTF8;
    return check_bytes(path, flags);
}

enum path_result path_parse_address(struct arena *a, struct span text, unsigned flags, struct path *path)
{
    *path = (struct path){0};
    enum path_result result = parse_one(a, span_trim(text), flags, path);
    return result == PATH_OK ? check_bytes(path, flags) : result;
}

const struct path_param *path_find_param(const struct path *path, struct span name)
{
    for (size_t i = 0; i < path->param_count; i++)
        if (span_eq_nocase(path->params[i].name, name))
            return &path->params[i];
    return NULL;
}
