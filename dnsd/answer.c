#include "dnsd/answer.h"
#include "dnsd/packet.h"

enum { CLASS_IN = 1, RR_MIN = 11 /* octets of the smallest record */ };
enum { RCODE = 15, NOERROR = 0, SERVFAIL = 2, NXDOMAIN = 3, REFUSED = 5 };
enum { TYPE_OPT = 41, META_FIRST = 128, META_LAST = 255 };

/* One answer being read. */
struct decoding {
    struct arena *a;
    unsigned type;
    struct dname name; /* whose records are looked for: at the end of the aliases so far */
    uint32_t ttl;      /* the least of what was used */
    unsigned aliases;
    size_t seen;       /* records of the type, usable or not */
    struct msg_dns_reply_record *records;
    size_t count;
};

struct msg_dns_reply answer_none(enum dns_verdict verdict, struct span why)
{
    return (struct msg_dns_reply){.verdict = verdict, .why = why};
}

bool answer_type_valid(uint64_t type)
{
    return type > 0 && type <= UINT16_MAX && type != TYPE_OPT && !(type >= META_FIRST && type <= META_LAST);
}

/* --- one record -------------------------------------------------------------------------- */

/* result: false: broken, or not fit to be a host's name */
static bool take_host(struct decoding *d, struct cursor *data, struct span *name)
{
    struct dname dname;
    struct buf text = BUF_INIT;
    bool good = cursor_name(data, &dname) && dname_put(&text, &dname, false);
    if (good)
        *name = arena_dup(d->a, buf_span(&text));
    buf_fini(&text);
    return good;
}

static bool take_strings(struct decoding *d, struct cursor *data, struct span *joined)
{
    struct buf text = BUF_INIT;
    while (data->at < data->end && !data->bad) {
        struct span length = cursor_octets(data, 1);
        buf_put(&text, cursor_octets(data, length.n ? span_at(length, 0) : 0));
    }
    *joined = arena_dup(d->a, buf_span(&text));
    buf_fini(&text);
    return !data->bad;
}

/* With its names written out, which may be compressed in the packet. */
static bool take_soa(struct decoding *d, struct cursor *data, struct span *octets)
{
    struct dname primary, mailbox;
    struct buf out = BUF_INIT;
    bool good = cursor_name(data, &primary) && cursor_name(data, &mailbox);
    if (good) {
        buf_put(&out, span_of(primary.octets, primary.n));
        buf_put(&out, span_of(mailbox.octets, mailbox.n));
        buf_put(&out, cursor_octets(data, 5 * sizeof(uint32_t)));
        *octets = arena_dup(d->a, buf_span(&out));
    }
    buf_fini(&out);
    return good;
}

static bool take_octets(struct decoding *d, struct cursor *data, size_t least, size_t most, struct span *octets)
{
    size_t n = data->end - data->at;
    *octets = arena_dup(d->a, cursor_octets(data, n));
    return n >= least && n <= most;
}

static bool take_data(struct decoding *d, struct cursor *data, struct msg_dns_reply_record *record)
{
    switch (d->type) {
    case DNS_TYPE_A:
        return take_octets(d, data, 4, 4, &record->data);
    case DNS_TYPE_AAAA:
        return take_octets(d, data, 16, 16, &record->data);
    case DNS_TYPE_MX:
        record->preference = cursor_u16(data);
        return take_host(d, data, &record->name);
    case DNS_TYPE_SRV:
        record->preference = cursor_u16(data);
        record->weight = cursor_u16(data);
        record->port = cursor_u16(data);
        return take_host(d, data, &record->name);
    case DNS_TYPE_PTR:
    case DNS_TYPE_NS:
    case DNS_TYPE_CNAME:
        return take_host(d, data, &record->name);
    case DNS_TYPE_TXT:
        return take_strings(d, data, &record->data);
    case DNS_TYPE_SOA:
        return take_soa(d, data, &record->data);
    case DNS_TYPE_TLSA:
        return take_octets(d, data, 3, DNS_DATA_MAX, &record->data);
    default:
        return take_octets(d, data, 0, DNS_DATA_MAX, &record->data);
    }
}

static void take_record(struct decoding *d, struct rr *rr)
{
    struct msg_dns_reply_record record = {.type = rr->type, .ttl = rr->ttl};
    d->seen++;
    if (!take_data(d, &rr->data, &record) || rr->data.bad || rr->data.at != rr->data.end ||
        record.data.n > DNS_DATA_MAX)
        return;
    if (rr->ttl < d->ttl)
        d->ttl = rr->ttl;
    d->records[d->count++] = record;
}

/* --- aliases, records ------------------------------------------------------------------------ */

/* Takes the records of the name, and looks for its alias on the way.
 * result: 1: there is an alias, the name is the next one now; 0: there is none; -1: broken */
static int look_through(struct decoding *d, struct cursor c, unsigned answers)
{
    struct dname alias = {.n = 0};
    struct rr rr;
    for (unsigned i = 0; i < answers; i++) {
        if (!packet_next(&c, &rr))
            return -1;
        if (rr.class != CLASS_IN || !dname_eq(&rr.owner, &d->name))
            continue;
        if (rr.type == d->type) {
            take_record(d, &rr);
        } else if (rr.type == DNS_TYPE_CNAME) {
            if (!cursor_name(&rr.data, &alias) || rr.data.at != rr.data.end)
                return -1;
            if (rr.ttl < d->ttl)
                d->ttl = rr.ttl;
        }
    }
    if (d->seen || alias.n == 0)
        return 0;
    d->name = alias;
    return 1;
}

/* result: NULL, or what is wrong with the packet */
static const char *find_records(struct decoding *d, struct cursor c, unsigned answers)
{
    size_t most = (c.end - c.at) / RR_MIN;
    d->records = arena_calloc(d->a, answers < most ? answers : most, sizeof *d->records);
    for (;;) {
        int more = look_through(d, c, answers);
        if (more < 0)
            return "the answer is broken";
        if (more == 0)
            return NULL;
        if (++d->aliases > DNS_ALIASES_MAX)
            return "too many aliases (CNAME), or a loop of them";
    }
}

/* --- order and limits --------------------------------------------------------------------------- */

/* The first ones by preference; equals stay in the order of the packet. What a stranger sends decides how many
 * there are, so the sorted part is never longer than what is kept. */
static void keep_first(struct decoding *d)
{
    size_t kept = 0;
    for (size_t i = 0; i < d->count; i++) {
        struct msg_dns_reply_record record = d->records[i];
        size_t at = kept;
        while (at > 0 && d->records[at - 1].preference > record.preference)
            at--;
        if (at == DNS_RECORDS_MAX)
            continue;
        kept += kept < DNS_RECORDS_MAX;
        for (size_t k = kept - 1; k > at; k--)
            d->records[k] = d->records[k - 1];
        d->records[at] = record;
    }
    d->count = kept;
}

/* "." among others is no host. RFC 7505 3, RFC 2782 */
static void drop_nowhere(struct decoding *d)
{
    size_t kept = 0;
    for (size_t i = 0; d->count > 1 && i < d->count; i++)
        if (!span_eq(d->records[i].name, SPAN(".")))
            d->records[kept++] = d->records[i];
    if (kept)
        d->count = kept;
    else if (d->count)
        d->count = 1;
}

static void put_in_order(struct decoding *d)
{
    if (d->type == DNS_TYPE_MX || d->type == DNS_TYPE_SRV) {
        drop_nowhere(d);
        keep_first(d);
    }
    if (d->count > DNS_RECORDS_MAX)
        d->count = DNS_RECORDS_MAX;
}

/* --- the whole ------------------------------------------------------------------------------------ */

static uint32_t at_most(uint32_t value, uint32_t limit)
{
    return value < limit ? value : limit;
}

static const char *name_of_rcode(unsigned rcode)
{
    return rcode == SERVFAIL ? "SERVFAIL" : rcode == REFUSED ? "REFUSED" : "the name server reports an error";
}

/* NOERROR and NXDOMAIN: what is in the packet. */
static struct msg_dns_reply take_packet(struct decoding *d, struct cursor c, const struct header *h,
                                        const struct raw_answer *raw, const struct answer_limits *limits)
{
    struct msg_dns_reply reply = {.flags = raw->secure ? DNS_REPLY_SECURE : 0};
    struct buf canonical = BUF_INIT;
    const char *wrong = find_records(d, c, h->answers);
    if (!wrong && d->aliases && !dname_put(&canonical, &d->name, true))
        wrong = "an alias leads to a name that cannot be used";
    if (!wrong && d->seen && d->count == 0)
        wrong = "none of the records can be used";
    put_in_order(d);
    if (wrong)
        reply = answer_none(DNS_MALFORMED, span_text(wrong));
    else
        reply.verdict = d->count ? DNS_OK : (h->flags & RCODE) == NXDOMAIN ? DNS_NO_NAME : DNS_NO_DATA;
    reply.ttl = d->count ? at_most(d->ttl, limits->max_ttl) : at_most(raw->ttl, limits->max_negative_ttl);
    reply.aliases = d->aliases;
    reply.canonical = arena_dup(d->a, buf_span(&canonical));
    if (reply.verdict == DNS_OK) {
        reply.records.at = d->records;
        reply.records.n = d->count;
    }
    for (size_t i = 0; i < reply.records.n; i++)
        reply.records.at[i].ttl = at_most((uint32_t)reply.records.at[i].ttl, limits->max_ttl);
    buf_fini(&canonical);
    return reply;
}

void answer_decode(struct arena *a, struct span name, unsigned type, const struct raw_answer *raw,
                   const struct answer_limits *limits, struct msg_dns_reply *reply)
{
    struct decoding d = {.a = a, .type = type, .ttl = UINT32_MAX};
    struct cursor c;
    struct header h = {0};
    bool begun = raw->failure.n == 0 && packet_begin(raw->packet, &c, &h);
    unsigned rcode = h.flags & RCODE;
    if (raw->failure.n)
        *reply = answer_none(DNS_TEMPORARY, raw->failure);
    else if (raw->bogus)
        *reply = answer_none(DNS_BOGUS, raw->why.n ? raw->why : SPAN("DNSSEC validation failure"));
    else if (raw->packet.n >= 4 && (span_at(raw->packet, 3) & RCODE) == SERVFAIL)
        *reply = answer_none(DNS_TEMPORARY, raw->why.n ? raw->why : SPAN("SERVFAIL"));
    else if (!begun || !dname_parse(name, &d.name))
        *reply = answer_none(DNS_MALFORMED, SPAN("the answer is broken"));
    else if (rcode != NOERROR && rcode != NXDOMAIN)
        *reply = answer_none(DNS_TEMPORARY, raw->why.n ? raw->why : span_text(name_of_rcode(rcode)));
    else
        *reply = take_packet(&d, c, &h, raw, limits);
    if (reply->canonical.n == 0)
        reply->canonical = name;
}
