#include "lib/mail/aliases.h"
#include "lib/mail/address.h"

static const struct span include_word = SPAN_INIT(":include:");

void aliases_init(struct aliases_scan *scan, struct span text, enum aliases_form form)
{
    *scan = (struct aliases_scan){.rest = text, .form = form};
}

/* The index behind the quoted string that starts at i. */
static size_t skip_quoted(struct span s, size_t i)
{
    for (i++; i < s.n && s.p[i] != '"'; i++)
        i += s.p[i] == '\\' && i + 1 < s.n ? 1 : 0;
    return i < s.n ? i + 1 : s.n;
}

/* Where the element at the start of s ends that is a command or a path: only quotes protect commas. */
static size_t find_plain_end(struct span s)
{
    size_t i = 0;
    while (i < s.n && s.p[i] != ',')
        i = s.p[i] == '"' ? skip_quoted(s, i) : i + 1;
    return i;
}

/* The same for addresses. */
static size_t find_address_end(struct span s)
{
    struct token_scan scan = {.text = s};
    struct token token;
    bool bracketed = false;
    while (token_next(&scan, &token)) {
        bracketed = token.special == '<' || (bracketed && token.special != '>');
        if (token.special == ',' && !bracketed)
            return scan.at - 1;
    }
    return s.n;
}

static bool starts_plain(struct span s)
{
    return s.n > 0 && (s.p[0] == '|' || s.p[0] == '/' || span_starts_nocase(s, include_word));
}

/* Cuts the next element, trimmed, off the line *s. result: false at the end */
static bool next_element(struct span *s, struct span *element)
{
    while (s->n > 0 && (byte_is_space(span_at(*s, 0)) || s->p[0] == ','))
        *s = span_skip(*s, 1);
    if (s->n == 0)
        return false;
    size_t end = starts_plain(*s) ? find_plain_end(*s) : find_address_end(*s);
    *element = span_trim(span_slice(*s, 0, end));
    *s = span_skip(*s, end);
    return true;
}

/* The same over lines where the form has them. */
static bool next_in_form(struct aliases_scan *scan, struct span *element)
{
    if (scan->form == ALIASES_VALUE)
        return next_element(&scan->rest, element);
    while (scan->rest.n > 0) {
        size_t end = span_find(scan->rest, '\n');
        struct span line = span_slice(scan->rest, 0, end);
        bool found = (line.n == 0 || line.p[0] != '#') && next_element(&line, element);
        if (found && line.n > 0) {
            scan->rest = span_skip(scan->rest, (size_t)(line.p - scan->rest.p));
            return true;
        }
        scan->rest = span_skip(scan->rest, end + 1);
        if (found)
            return true;
    }
    return false;
}

/* s without its quotes where it is one quoted string, else s; a copy. */
static struct span dup_dequoted(struct arena *a, struct span s)
{
    struct token_scan scan = {.text = s};
    struct token token;
    struct buf text = BUF_INIT;
    s = span_trim(s);
    if (token_next(&scan, &token) && token.kind == TOKEN_QUOTED && token.closed && token.raw.n == s.n)
        token_put_value(&text, &token);
    else
        buf_put(&text, s);
    struct span copy = arena_dup(a, span_trim(buf_span(&text)));
    buf_fini(&text);
    return copy;
}

static void set(struct aliases_item *item, enum aliases_kind kind, struct span text, bool good)
{
    *item = (struct aliases_item){
        .kind = good && address_is_clean(text) ? kind : ALIASES_BAD,
        .text = text,
    };
}

/* Fills item where the element, or what is in its quotes, is a command or a path. */
static bool take_plain(struct arena *a, struct span element, struct aliases_item *item)
{
    struct span text = dup_dequoted(a, element);
    bool clean = address_is_clean(element);
    if (!starts_plain(text))
        return false;
    if (text.p[0] == '/') {
        set(item, ALIASES_TO_FILE, text, clean);
    } else if (text.p[0] == '|') {
        struct span command = dup_dequoted(a, span_skip(text, 1));
        set(item, ALIASES_COMMAND, command, clean && command.n > 0);
    } else {
        struct span path = dup_dequoted(a, span_skip(text, include_word.n));
        set(item, ALIASES_INCLUDE, path, clean && path.n > 0 && path.p[0] == '/');
    }
    return true;
}

/* The next address of the element that addresses reads. */
static bool take_address(struct aliases_scan *scan, struct arena *a, struct aliases_item *item)
{
    struct addrlist_item address;
    scan->in_addresses = addrlist_next(&scan->addresses, a, &address);
    if (!scan->in_addresses)
        return false;
    bool good = !address.bad && address.address.n > 0;
    set(item, ALIASES_ADDRESS, good ? address.address : arena_dup(a, address.raw), good);
    item->final = scan->final;
    return true;
}

bool aliases_next(struct aliases_scan *scan, struct arena *a, struct aliases_item *item)
{
    struct span element;
    if (scan->in_addresses && take_address(scan, a, item))
        return true;
    while (next_in_form(scan, &element)) {
        if (take_plain(a, element, item))
            return true;
        scan->final = element.p[0] == '\\';
        addrlist_init(&scan->addresses, span_skip(element, scan->final ? 1 : 0), 0);
        if (take_address(scan, a, item))
            return true;
    }
    return false;
}
