#include "lib/mail/addrspec.h"
#include "lib/base/check.h"
#include "lib/mail/token.h"

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
    bool strict = (flags & ADDRSPEC_STRICT) != 0;
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

/* Appends the internal form of an address without a route. An "@" that was quoted
 * must not become the one before the domain, as in <"user@dom">. */
static bool put_tokens(struct token_scan scan, unsigned flags, struct buf *out)
{
    struct token token;
    struct place place = {0};
    size_t at = SIZE_MAX, tokens = 0;
    for (; token_next(&scan, &token); tokens++) {
        bool word = token.kind != TOKEN_SPECIAL;
        place.apart = place.apart || token.spaced;
        if (token.special == '@')
            place.in_domain = false; /* what came before belongs to the local part now */
        if (is_refused(&token, &place, flags))
            return false;
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
    if ((flags & ADDRSPEC_STRICT) && token.spaced)
        return false;
    return (out->len > 0 || tokens == 0) &&
           span_rfind(buf_span(out), '@') == (at == SIZE_MAX ? out->len : at);
}

bool addrspec_put_internal(struct buf *out, struct span text, unsigned flags, bool *routed)
{
    struct token_scan scan = {.text = text};
    bool through = false;
    CHECK(out->len == 0);
    if (!skip_route(&scan, &through) || !put_tokens(scan, flags, out))
        return false;
    if (routed)
        *routed = through;
    return out->len > 0 || !through;
}
