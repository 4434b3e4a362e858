#include "lib/mail/dsn.h"
#include "lib/mail/address.h"
#include "lib/mail/codec.h"

enum { VERDICT_TEXT_MAX = 4096 };

/* One to three digits at *at. result: the number, or -1 */
static int digits(struct span text, size_t *at)
{
    size_t from = *at;
    int number = 0;
    while (*at < text.n && *at < from + 3 && byte_is_digit(span_at(text, *at)))
        number = number * 10 + (text.p[(*at)++] - '0');
    return *at > from ? number : -1;
}

size_t dsn_code_parse(struct span text, struct dsn_code *code)
{
    size_t at = 2;
    *code = (struct dsn_code){0};
    if (text.n < strlen("2.0.0") || text.p[1] != '.' || !memchr("245", text.p[0], 3))
        return 0;
    int subject = digits(text, &at);
    if (subject < 0 || at >= text.n || text.p[at] != '.')
        return 0;
    at++;
    int detail = digits(text, &at);
    if (detail < 0 || (at < text.n && !byte_is_space(span_at(text, at))))
        return 0;
    *code = DSN((unsigned char)(text.p[0] - '0'), (unsigned short)subject, (unsigned short)detail);
    return at;
}

struct dsn_code dsn_code_cut(struct span *text, struct dsn_code fallback)
{
    struct dsn_code code;
    *text = span_trim(*text);
    size_t n = dsn_code_parse(*text, &code);
    *text = span_trim(span_skip(*text, n));
    return n ? code : fallback;
}

void dsn_code_put(struct buf *out, struct dsn_code code)
{
    if (code.class)
        buf_printf(out, "%u.%u.%u", code.class, code.subject, code.detail);
}

enum verdict_class verdict_class_of(struct dsn_code dsn)
{
    return dsn.class == 2 ? VERDICT_OK : dsn.class == 5 ? VERDICT_PERM : VERDICT_TEMP;
}

struct verdict verdict_make(enum verdict_class class, struct dsn_code dsn, struct span text)
{
    static const unsigned char digit[] = {[VERDICT_OK] = 2, [VERDICT_TEMP] = 4, [VERDICT_PERM] = 5};
    dsn.class = digit[class];
    return (struct verdict){.class = class, .dsn = dsn, .text = text};
}

struct verdict verdict_of_reply(unsigned smtp_code, struct span text)
{
    unsigned hundreds = smtp_code / 100;
    enum verdict_class class = hundreds == 2 ? VERDICT_OK : hundreds == 5 ? VERDICT_PERM : VERDICT_TEMP;
    struct verdict v = verdict_make(class, DSN(0, 0, 0), text);
    struct span rest = text;
    struct dsn_code said = dsn_code_cut(&rest, v.dsn);
    if (said.class == v.dsn.class) {
        v.dsn = said;
        v.text = rest;
    }
    v.smtp_code = smtp_code;
    return v;
}

struct verdict verdict_dup(struct arena *a, const struct verdict *v)
{
    struct verdict copy = *v;
    copy.text = arena_dup(a, span_slice(v->text, 0, VERDICT_TEXT_MAX));
    copy.relay = arena_dup(a, v->relay);
    copy.mta_type = arena_dup(a, v->mta_type);
    copy.mta = arena_dup(a, v->mta);
    copy.diagnostic_type = arena_dup(a, v->diagnostic_type);
    copy.diagnostic = arena_dup(a, span_slice(v->diagnostic, 0, VERDICT_TEXT_MAX));
    return copy;
}

static const struct notify_word {
    struct span word;
    unsigned bit;
} notify_words[] = {
    {SPAN_INIT("NEVER"), DSN_NOTIFY_NEVER},
    {SPAN_INIT("SUCCESS"), DSN_NOTIFY_SUCCESS},
    {SPAN_INIT("FAILURE"), DSN_NOTIFY_FAILURE},
    {SPAN_INIT("DELAY"), DSN_NOTIFY_DELAY},
};
enum { NOTIFY_WORDS = sizeof notify_words / sizeof *notify_words };

static unsigned notify_bit(struct span word)
{
    for (size_t i = 0; i < NOTIFY_WORDS; i++)
        if (span_eq_nocase(word, notify_words[i].word))
            return notify_words[i].bit;
    return 0;
}

bool dsn_notify_parse(struct span value, unsigned *notify)
{
    unsigned bits = 0;
    bool more = true;
    while (more) {
        size_t comma = span_find(value, ',');
        unsigned bit = notify_bit(span_slice(value, 0, comma));
        if (bit == 0 || (bits & bit))
            return false;
        bits |= bit;
        more = comma < value.n;
        value = span_skip(value, comma + 1);
    }
    if ((bits & DSN_NOTIFY_NEVER) && bits != DSN_NOTIFY_NEVER)
        return false;
    *notify = bits;
    return true;
}

void dsn_notify_put(struct buf *out, unsigned notify)
{
    const char *comma = "";
    for (size_t i = 0; i < NOTIFY_WORDS; i++) {
        if (!(notify & notify_words[i].bit))
            continue;
        buf_puts(out, comma);
        buf_put(out, notify_words[i].word);
        comma = ",";
    }
}

bool dsn_ret_parse(struct span value, enum dsn_ret *ret)
{
    bool full = span_eq_nocase(value, SPAN("FULL"));
    if (!full && !span_eq_nocase(value, SPAN("HDRS")))
        return false;
    *ret = full ? DSN_RET_FULL : DSN_RET_HDRS;
    return true;
}

bool dsn_envid_parse(struct arena *a, struct span value, struct span *envid)
{
    struct buf decoded = BUF_INIT;
    bool good = value.n > 0 && value.n <= DSN_ENVID_MAX && codec_xtext_get(&decoded, value) &&
                address_is_clean(buf_span(&decoded)) && codec_is_ascii(buf_span(&decoded));
    if (good)
        *envid = arena_dup(a, buf_span(&decoded));
    buf_fini(&decoded);
    return good;
}

bool dsn_orcpt_parse(struct arena *a, struct span value, struct span *orcpt)
{
    size_t semicolon = span_find(value, ';');
    struct span type = span_slice(value, 0, semicolon), address = span_skip(value, semicolon + 1);
    bool utf8 = span_eq_nocase(type, SPAN("utf-8"));
    if (address.n == 0 || value.n > DSN_ORCPT_MAX || (!utf8 && !span_eq_nocase(type, SPAN("rfc822"))))
        return false;
    struct buf decoded = BUF_INIT;
    buf_puts(&decoded, utf8 ? "utf-8;" : "rfc822;");
    bool good = utf8 ? codec_utf8_xtext_get(&decoded, address) : codec_xtext_get(&decoded, address);
    good = good && address_is_clean(buf_span(&decoded)) && (utf8 || codec_is_ascii(buf_span(&decoded)));
    if (good)
        *orcpt = arena_dup(a, buf_span(&decoded));
    buf_fini(&decoded);
    return good;
}

void dsn_orcpt_put(struct buf *out, struct span orcpt, bool utf8)
{
    size_t semicolon = span_find(orcpt, ';');
    struct span type = span_slice(orcpt, 0, semicolon), address = span_skip(orcpt, semicolon + 1);
    buf_put(out, type);
    buf_putc(out, ';');
    if (span_eq(type, SPAN("utf-8")))
        codec_utf8_xtext_put(out, address, utf8);
    else
        codec_xtext_put(out, address);
}
