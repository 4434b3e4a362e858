#include "smtp/destination.h"

#include "lib/table/cidr.h"

/* The services that mail is sent to; this process reads no /etc/services. */
static const struct {
    struct span name;
    unsigned port;
} services[] = {
    {SPAN_INIT("smtp"), 25},         {SPAN_INIT("lmtp"), 24},          {SPAN_INIT("smtps"), 465},
    {SPAN_INIT("submissions"), 465}, {SPAN_INIT("submission"), 587},
};

unsigned destination_port(struct span service)
{
    uint64_t port = 0;
    if (span_to_u64(service, UINT16_MAX, &port))
        return (unsigned)port;
    for (size_t i = 0; i < sizeof services / sizeof *services; i++)
        if (span_eq_nocase(services[i].name, service))
            return services[i].port;
    return 0;
}

bool destination_next(struct span *list, struct span *text)
{
    return span_next_token(list, SPAN(", \t\r\n"), text);
}

/* "[host]" or "[host]:port": host is what stands in the brackets. */
static bool cut_brackets(struct span text, struct destination *d)
{
    size_t end = span_find(text, ']');
    if (end == text.n || (end + 1 < text.n && text.p[end + 1] != ':'))
        return false;
    d->host = span_slice(text, 1, end);
    d->service = span_skip(text, end + 2);
    d->exact = true;
    if (span_starts_nocase(d->host, SPAN("IPv6:")))
        d->host = span_skip(d->host, SPAN("IPv6:").n);
    return end + 1 == text.n || d->service.n > 0;
}

/* "host" or "host:port". */
static bool cut_host(struct span text, struct destination *d)
{
    size_t colon = span_rfind(text, ':');
    struct ip ip;
    if (ip_parse(text, &ip)) { /* IPv6 has colons of its own */
        d->host = text;
        d->exact = true;
        return true;
    }
    d->host = span_slice(text, 0, colon);
    d->service = span_skip(text, colon + 1);
    d->exact = ip_parse(d->host, &ip);
    return colon == text.n || d->service.n > 0;
}

bool destination_parse(struct span text, bool lmtp, unsigned default_port, struct destination *d, struct buf *why)
{
    struct span whole = text;
    *d = (struct destination){.port = default_port};
    if (lmtp && span_starts(text, SPAN("unix:"))) {
        d->path = span_skip(text, SPAN("unix:").n);
        if (d->path.n)
            return true;
        buf_printf(why, "no path in server description: %.*s", SPAN_ARG(whole));
        return false;
    }
    if (lmtp && span_starts(text, SPAN("inet:")))
        text = span_skip(text, SPAN("inet:").n);
    bool good = text.n > 0 && (text.p[0] == '[' ? cut_brackets(text, d) : cut_host(text, d)) && d->host.n > 0;
    if (!good) {
        buf_printf(why, "null host in server description: %.*s", SPAN_ARG(whole));
        return false;
    }
    if (d->service.n == 0) {
        d->service = lmtp ? SPAN("lmtp") : SPAN("smtp");
        return true;
    }
    d->port = destination_port(d->service);
    if (d->port == 0)
        buf_printf(why, "unknown service: %.*s/tcp", SPAN_ARG(d->service));
    return d->port != 0;
}
