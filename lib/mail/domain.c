#include "lib/mail/domain.h"
#include "lib/mail/codec.h"

static bool label_valid(struct span label)
{
    for (size_t i = 0; i < label.n; i++) {
        unsigned char c = span_at(label, i);
        if (!byte_is_alnum(c) && c != '_' && c != '-' && c < 0x80)
            return false;
    }
    return label.n > 0 && label.n <= DOMAIN_LABEL_MAX && label.p[0] != '-' && label.p[label.n - 1] != '-';
}

bool domain_name_valid(struct span s)
{
    bool only_digits = true, more = true;
    if (s.n > DOMAIN_NAME_MAX || !codec_utf8_valid(s))
        return false;
    for (size_t i = 0; i < s.n; i++)
        only_digits = only_digits && (byte_is_digit(span_at(s, i)) || s.p[i] == '.');
    if (only_digits)
        return false;
    while (more) {
        size_t dot = span_find(s, '.');
        if (!label_valid(span_slice(s, 0, dot)))
            return false;
        more = dot < s.n;
        s = span_skip(s, dot + 1);
    }
    return true;
}

bool domain_literal_parse(struct span s, struct ip *ip)
{
    struct ip parsed;
    if (s.n < 2 || s.p[0] != '[' || s.p[s.n - 1] != ']')
        return false;
    s = span_slice(s, 1, s.n - 1);
    bool prefixed = span_starts_nocase(s, SPAN("IPv6:"));
    if (!ip_parse(span_skip(s, prefixed ? strlen("IPv6:") : 0), &parsed) || (parsed.n == 16) != prefixed)
        return false;
    *ip = parsed;
    return true;
}
