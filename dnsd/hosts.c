#include "dnsd/hosts.h"

#include "dnsd/packet.h"

/* What is known of one name. */
struct host {
    struct item {
        struct item *next;
        unsigned type;
        struct span text; /* PTR: a name; A, AAAA: octets */
    } *first, **end;
};

static struct host *find_or_make(struct hosts *h, struct span name)
{
    struct host *host = map_get(&h->names, name);
    if (host)
        return host;
    host = ARENA_NEW(&h->arena, struct host);
    host->end = &host->first;
    map_set(&h->names, arena_dup(&h->arena, name), host);
    return host;
}

static void add_item(struct hosts *h, struct span name, unsigned type, struct span text)
{
    struct host *host = find_or_make(h, name);
    for (const struct item *i = host->first; i; i = i->next)
        if (i->type == type && span_eq(i->text, text))
            return;
    struct item *item = ARENA_NEW(&h->arena, struct item);
    *item = (struct item){.type = type, .text = arena_dup(&h->arena, text)};
    *host->end = item;
    host->end = &item->next;
}

/* The name in lower case, without its final dot, in out. result: false: it is none */
static bool clean_name(struct buf *out, struct span name)
{
    struct dname dname;
    buf_clear(out);
    if (name.n && name.p[name.n - 1] == '.')
        name.n--;
    if (name.n == 0 || !dname_parse(name, &dname) || !dname_put(out, &dname, false))
        return false;
    for (size_t i = 0; i < out->len; i++)
        out->data[i] = (char)byte_lower((unsigned char)out->data[i]);
    return true;
}

static void take_line(struct hosts *h, struct span line, struct buf *name, struct buf *reverse)
{
    struct span rest = span_slice(line, 0, span_find(line, '#')), word;
    struct addr address;
    bool first = true;
    if (!span_next_token(&rest, SPAN(" \t\r"), &word))
        return;
    /* A scope means something to this machine alone. */
    if (!addr_parse(span_slice(word, 0, span_find(word, '%')), 0, &address))
        return;
    struct span octets = addr_bytes(&address);
    buf_clear(reverse);
    (void)dns_put_reverse_name(reverse, &address);
    while (span_next_token(&rest, SPAN(" \t\r"), &word)) {
        if (!clean_name(name, word))
            continue;
        add_item(h, buf_span(name), octets.n == 4 ? DNS_TYPE_A : DNS_TYPE_AAAA, octets);
        if (first && !map_get(&h->names, buf_span(reverse)))
            add_item(h, buf_span(reverse), DNS_TYPE_PTR, buf_span(name));
        first = false;
    }
}

void hosts_parse(struct hosts *h, struct span text)
{
    struct buf name = BUF_INIT, reverse = BUF_INIT;
    struct span line;
    while (span_next_token(&text, SPAN("\n"), &line))
        take_line(h, line, &name, &reverse);
    buf_fini(&name);
    buf_fini(&reverse);
}

void hosts_fini(struct hosts *h)
{
    map_fini(&h->names);
    arena_fini(&h->arena);
    *h = HOSTS_INIT;
}

bool hosts_answer(const struct hosts *h, struct arena *a, struct span name, unsigned type,
                  struct msg_dns_reply *reply)
{
    const struct host *host = map_get(&h->names, name);
    size_t n = 0;
    if (!host || (type != DNS_TYPE_A && type != DNS_TYPE_AAAA && type != DNS_TYPE_PTR))
        return false;
    *reply = (struct msg_dns_reply){.flags = DNS_REPLY_HOSTS, .canonical = name};
    reply->records.at = arena_calloc(a, DNS_RECORDS_MAX, sizeof *reply->records.at);
    for (const struct item *i = host->first; i && n < DNS_RECORDS_MAX; i = i->next)
        if (i->type == type)
            reply->records.at[n++] = (struct msg_dns_reply_record){.type = type,
                                                                   .name = type == DNS_TYPE_PTR ? i->text : SPAN_NONE,
                                                                   .data = type == DNS_TYPE_PTR ? SPAN_NONE : i->text};
    reply->records.n = n;
    reply->verdict = n ? DNS_OK : DNS_NO_DATA;
    return true;
}
