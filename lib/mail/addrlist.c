#include "lib/mail/addrlist.h"
#include "lib/mail/address.h"
#include "lib/mail/addrspec.h"

/* An element of the list while its tokens go by. */
struct element {
    const char *begin, *end; /* the words outside of brackets so far; NULL: none */
    const char *open;        /* behind the last "<"; NULL: none */
    const char *close;       /* at the ">" that ends it; NULL: not seen */
};

void addrlist_init(struct addrlist_scan *list, struct span text, size_t token_limit)
{
    *list = (struct addrlist_scan){
        .scan = {.text = text},
        .tokens_left = token_limit ? token_limit : ADDRLIST_TOKEN_LIMIT,
    };
}

/* The next token but comments. result: false at the end, or where the limit is */
static bool next_token(struct addrlist_scan *list, struct token *token)
{
    do {
        struct token_scan ahead = list->scan;
        if (!token_next(&ahead, token))
            return false;
        if (list->tokens_left == 0) {
            list->cut = true;
            return false;
        }
        list->tokens_left--;
        list->scan = ahead;
    } while (token->kind == TOKEN_COMMENT);
    return true;
}

/* Takes one token into the element.
 * result: whether the token ends the element */
static bool take_token(struct element *e, const struct token *token)
{
    bool inside = e->open && !e->close;
    if (token->special == '<') {
        e->open = token->raw.p + 1;
        e->close = NULL;
    } else if (token->special == '>' && inside) {
        e->close = token->raw.p;
    } else if (inside) {
        return false;
    } else if (token->special == ',' || token->special == ';') {
        return true;
    } else if (token->special == ':') {
        *e = (struct element){0}; /* that was the name of a group */
    } else {
        e->begin = e->begin ? e->begin : token->raw.p;
        e->end = token->raw.p + token->raw.n;
    }
    return false;
}

/* raw: the address as it stands. result: true */
static bool fill(struct arena *a, struct span raw, bool bracketed, struct addrlist_item *item)
{
    struct buf internal = BUF_INIT;
    raw = span_trim(raw);
    bool good = addrspec_put_internal(&internal, raw, 0, NULL) && address_is_clean(buf_span(&internal));
    *item = (struct addrlist_item){.raw = raw, .bracketed = bracketed, .bad = !good};
    if (good)
        item->address = arena_dup(a, buf_span(&internal));
    buf_fini(&internal);
    return true;
}

static bool is_word(const struct token *token)
{
    return token->kind == TOKEN_ATOM || token->kind == TOKEN_QUOTED || token->kind == TOKEN_LITERAL;
}

/* Cuts the next address off the words of an element without brackets: a blank between
 * two words ends one. result: false where no words are left */
static bool next_bare(struct addrlist_scan *list, struct arena *a, struct addrlist_item *item)
{
    struct token_scan ahead = list->bare;
    struct token token;
    size_t begin = 0, end = 0;
    bool after_word = false;
    while (token_next_word(&ahead, &token)) {
        bool word = is_word(&token);
        if (word && after_word && token.spaced)
            break;
        begin = end ? begin : ahead.at - token.raw.n;
        end = ahead.at;
        list->bare.at = end;
        after_word = word;
    }
    return end > 0 && fill(a, span_slice(list->bare.text, begin, end), false, item);
}

/* The element has ended. end: of the text that was looked at
 * result: false for an element without anything in it */
static bool finish(struct addrlist_scan *list, const struct element *e, const char *end, struct arena *a,
                   struct addrlist_item *item)
{
    if (e->open)
        return fill(a, span_of(e->open, (size_t)((e->close ? e->close : end) - e->open)), true, item);
    if (!e->begin)
        return false;
    list->bare = (struct token_scan){.text = span_of(e->begin, (size_t)(e->end - e->begin))};
    return next_bare(list, a, item);
}

bool addrlist_next(struct addrlist_scan *list, struct arena *a, struct addrlist_item *item)
{
    struct element e = {0};
    struct token token;
    if (next_bare(list, a, item))
        return true;
    while (next_token(list, &token)) {
        if (token.special == '<' && e.close) { /* a comma is missing before it */
            list->scan.at -= token.raw.n;
            list->tokens_left++;
            return finish(list, &e, token.raw.p, a, item);
        }
        bool done = take_token(&e, &token);
        if (done && finish(list, &e, token.raw.p, a, item))
            return true;
        if (done)
            e = (struct element){0};
    }
    if (list->cut) /* half an address is none */
        return false;
    return finish(list, &e, list->scan.text.p + list->scan.text.n, a, item);
}

int addrlist_rewrite(struct buf *out, struct span value, size_t token_limit,
                     int (*fn)(struct span address, struct buf *replacement, void *context), void *context)
{
    struct arena a = ARENA_INIT;
    struct addrlist_scan list;
    struct addrlist_item item;
    struct buf text = BUF_INIT, replacement = BUF_INIT;
    const char *from = value.p;
    int replaced = 0, answer = 0;
    addrlist_init(&list, value, token_limit);
    while (answer >= 0 && addrlist_next(&list, &a, &item)) {
        if (item.bad || item.address.n == 0)
            continue;
        buf_clear(&replacement);
        answer = fn(item.address, &replacement, context);
        if (answer <= 0)
            continue;
        buf_put(&text, span_of(from, (size_t)(item.raw.p - from)));
        address_put_external(&text, buf_span(&replacement));
        from = item.raw.p + item.raw.n;
        replaced++;
    }
    if (answer >= 0 && replaced > 0) {
        buf_put(&text, span_of(from, (size_t)(value.p + value.n - from)));
        buf_put(out, buf_span(&text));
    }
    buf_fini(&text);
    buf_fini(&replacement);
    arena_fini(&a);
    return answer < 0 ? -1 : replaced;
}
