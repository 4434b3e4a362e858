#include "lib/mail/path.h"
#include "lib/mail/address.h"
#include "lib/mail/addrspec.h"
#include "lib/mail/codec.h"

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

    struct buf internal = BUF_INIT;
    unsigned how = flags & PATH_STRICT ? ADDRSPEC_STRICT : 0;
    bool good = addrspec_put_internal(&internal, path->original, how, &path->routed);
    path->address = arena_dup(a, buf_span(&internal));
    buf_fini(&internal);
    path->ascii = codec_is_ascii(path->address);
    return good ? PATH_OK : PATH_BAD_SYNTAX;
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
