#include "dnsd/report.h"

#include "lib/dns/dns.h"

/* Goes behind the first mark in *s. result: false: it is not there */
static bool skip_to(struct span *s, struct span mark)
{
    for (size_t i = 0; i + mark.n <= s->n; i++)
        if (span_starts(span_skip(*s, i), mark)) {
            *s = span_skip(*s, i + mark.n);
            return true;
        }
    return false;
}

/* "<name. MX IN>: " at the beginning of *s. */
static bool skip_question(struct span *s, struct span *name, unsigned *type)
{
    size_t end = span_find(*s, '>');
    struct span inner = span_slice(*s, 1, end), word;
    if (!span_starts(*s, SPAN("<")) || end == s->n || !span_next_token(&inner, SPAN(" "), name))
        return false;
    *type = span_next_token(&inner, SPAN(" "), &word) ? dns_type_of(word) : 0;
    if (name->n > 1 && name->p[name->n - 1] == '.')
        name->n--;
    *s = span_trim(span_skip(*s, end + 2));
    return true;
}

bool report_parse(struct span line, struct report *r)
{
    struct span text = span_trim(line);
    *r = (struct report){.text = text};
    if (text.n == 0)
        return false;
    if (skip_to(&text, SPAN("] ")) && skip_to(&text, SPAN(": ")))
        r->text = text;
    text = r->text;
    if (span_starts(text, SPAN("SERVFAIL <"))) {
        text = span_skip(text, strlen("SERVFAIL "));
        if (skip_question(&text, &r->name, &r->type))
            r->reason = text;
    }
    return true;
}

void report_put_reason(struct buf *out, struct span reason)
{
    reason = span_slice(reason, 0, REASON_MAX);
    for (size_t i = 0; i < reason.n; i++)
        buf_putc(out, byte_is_print(span_at(reason, i)) ? reason.p[i] : '?');
}

void report_put_bogus(struct buf *out, struct span reason)
{
    const struct span usual = SPAN("validation failure ");
    struct span name, rest = span_skip(reason, usual.n);
    unsigned type;
    if (span_starts(reason, usual) && skip_question(&rest, &name, &type))
        reason = rest;
    buf_puts(out, "DNSSEC validation failure");
    if (reason.n)
        buf_puts(out, ": ");
    report_put_reason(out, reason);
}
