#include "cleanup/head.h"
#include "lib/mail/address.h"
#include "lib/mail/addrlist.h"
#include "lib/mail/date.h"
#include "lib/mail/header.h"

#include <time.h>

/* One pass over a header section. */
struct pass {
    const struct head_config *config;
    const struct head_request *request;
    struct arena *arena;
    struct buf *out;
    struct head result;
    bool seen[HEADER_IDS];
    bool resent;        /* there is a Resent- header */
    uint64_t hops;
    struct span *plain, *again;
    size_t plain_count, again_count;
};

/* --- what is in it -------------------------------------------------------------- */

static struct span unfolded(struct pass *p, struct span value)
{
    struct buf line = BUF_INIT;
    header_put_unfolded(&line, value);
    struct span kept = arena_dup(p->arena, span_trim(buf_span(&line)));
    buf_fini(&line);
    return kept;
}

static bool is_dropped(const struct head_config *config, struct span name)
{
    for (size_t i = 0; i < config->dropped_count; i++) {
        if (span_eq_nocase(config->dropped[i], name))
            return true;
    }
    return false;
}

/* One more in an array that doubles. */
static void push(struct arena *a, struct span **array, size_t *count, struct span item)
{
    if ((*count & (*count - 1)) == 0) {
        struct span *more = arena_calloc(a, *count ? *count * 2 : 1, sizeof item);
        if (*count)
            memcpy(more, *array, *count * sizeof item);
        *array = more;
    }
    (*array)[(*count)++] = item;
}

static void extract(struct pass *p, const struct header *h, bool resent)
{
    struct addrlist_scan list;
    struct addrlist_item item;
    addrlist_init(&list, h->value, p->config->token_limit);
    while (addrlist_next(&list, p->arena, &item)) {
        if (item.bad || item.address.n == 0)
            continue;
        if (resent)
            push(p->arena, &p->again, &p->again_count, item.address);
        else
            push(p->arena, &p->plain, &p->plain_count, item.address);
    }
}

struct rewriting {
    const struct head_request *request;
    enum head_side side;
};

static int rewrite_one(struct span address, struct buf *replacement, void *context)
{
    const struct rewriting *r = context;
    return r->request->rewrite(address, r->side, replacement, r->request->context);
}

/* Writes a header out, its addresses rewritten where asked. */
static void put_header(struct pass *p, const struct header *h, unsigned flags)
{
    struct rewriting r = {p->request, flags & HEADER_HAS_SENDER ? HEAD_SENDER : HEAD_RECIPIENT};
    if (p->request->rewrite && (flags & (HEADER_HAS_SENDER | HEADER_HAS_RECIPIENTS))) {
        struct buf value = BUF_INIT;
        int changed = addrlist_rewrite(&value, h->value, p->config->token_limit, rewrite_one, &r);
        if (changed < 0)
            p->result.verdict = HEAD_TEMP;
        if (changed > 0) {
            buf_put(p->out, span_slice(h->raw, 0, (size_t)(h->value.p - h->raw.p)));
            buf_put(p->out, buf_span(&value));
            buf_putc(p->out, '\n');
            buf_fini(&value);
            return;
        }
        buf_fini(&value);
    }
    buf_put(p->out, h->raw);
    buf_putc(p->out, '\n');
}

static void take_header(struct pass *p, const struct header *h)
{
    unsigned flags = header_info_get(h->id)->flags;
    p->seen[h->id] = true;
    if (flags & HEADER_IS_RESENT)
        p->resent = true;
    if (h->id == HEADER_RECEIVED && ++p->hops >= p->config->hopcount_limit)
        p->result.verdict = HEAD_HOPS;
    if (h->id == HEADER_MESSAGE_ID)
        p->result.message_id = unfolded(p, h->value);
    if (h->id == HEADER_RESENT_MESSAGE_ID)
        p->result.resent_message_id = unfolded(p, h->value);
    if (p->request->extract && (flags & HEADER_IS_EXTRACTED))
        extract(p, h, (flags & HEADER_IS_RESENT) != 0);
    if (!is_dropped(p->config, h->name))
        put_header(p, h, flags);
}

/* --- what is missing -------------------------------------------------------------- */

static void put_named(struct pass *p, const char *name, struct span value)
{
    struct buf full = BUF_INIT;
    buf_printf(&full, "%s%s", p->resent ? "Resent-" : "", name);
    (void)header_put(p->out, HEADER_LF, buf_span(&full), value);
    buf_fini(&full);
}

static void add_message_id(struct pass *p)
{
    struct buf id = BUF_INIT;
    time_t seconds = (time_t)(p->request->arrival_us / 1000000);
    struct tm utc;
    char text[32] = "";
    if (!p->config->long_ids && gmtime_r(&seconds, &utc))
        (void)strftime(text, sizeof text, "%Y%m%d%H%M%S.", &utc);
    buf_printf(&id, "<%s%s@%.*s>", text, p->request->id.text, SPAN_ARG(p->config->myhostname));
    put_named(p, "Message-Id", buf_span(&id));
    struct span kept = arena_dup(p->arena, buf_span(&id));
    *(p->resent ? &p->result.resent_message_id : &p->result.message_id) = kept;
    buf_fini(&id);
}

static void add_date(struct pass *p)
{
    struct buf date = BUF_INIT;
    struct date_zone zone = date_local_zone(p->request->arrival_us);
    date_put(&date, p->request->arrival_us, &zone);
    put_named(p, "Date", buf_span(&date));
    buf_fini(&date);
}

/* A display name: as it is where it consists of words, else quoted; control characters are left out. RFC 5322 3.2.5 */
static void put_phrase(struct buf *out, struct span name)
{
    bool plain = true;
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = span_at(name, i);
        plain = plain && (byte_is_alnum(c) || c >= 0x80 || memchr(" !#$%&'*+-/=?^_`{|}~", c, 20));
    }
    if (!plain)
        buf_putc(out, '"');
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if ((unsigned char)c < 0x20 || c == 0x7f)
            continue;
        if (c == '"' || c == '\\')
            buf_putc(out, '\\');
        buf_putc(out, c);
    }
    if (!plain)
        buf_putc(out, '"');
}

/* The same as a comment. RFC 5322 3.2.2 */
static void put_comment(struct buf *out, struct span name)
{
    buf_putc(out, '(');
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if ((unsigned char)c < 0x20 || c == 0x7f)
            continue;
        if (c == '(' || c == ')' || c == '\\')
            buf_putc(out, '\\');
        buf_putc(out, c);
    }
    buf_putc(out, ')');
}

static void add_from(struct pass *p)
{
    const struct head_request *r = p->request;
    struct span sender = r->sender.n ? r->sender : SPAN("MAILER-DAEMON"), name = span_trim(r->full_name);
    struct buf from = BUF_INIT;
    if (name.n && !p->config->obsolete_from) {
        put_phrase(&from, name);
        buf_puts(&from, " <");
    }
    address_put_external(&from, sender);
    if (name.n && !p->config->obsolete_from)
        buf_putc(&from, '>');
    if (name.n && p->config->obsolete_from) {
        buf_putc(&from, ' ');
        put_comment(&from, name);
    }
    put_named(p, "From", buf_span(&from));
    buf_fini(&from);
}

static void add_missing(struct pass *p)
{
    if (!p->seen[p->resent ? HEADER_RESENT_MESSAGE_ID : HEADER_MESSAGE_ID])
        add_message_id(p);
    if (!p->seen[p->resent ? HEADER_RESENT_DATE : HEADER_DATE])
        add_date(p);
    if (!p->seen[p->resent ? HEADER_RESENT_FROM : HEADER_FROM])
        add_from(p);
    if (p->config->undisclosed.n && !p->seen[HEADER_TO] && !p->seen[HEADER_CC] && !p->seen[HEADER_RESENT_TO] &&
        !p->seen[HEADER_RESENT_CC]) {
        size_t colon = span_find(p->config->undisclosed, ':');
        (void)header_put(p->out, HEADER_LF, span_slice(p->config->undisclosed, 0, colon),
                         span_trim(span_skip(p->config->undisclosed, colon + 1)));
    }
}

/* --- the pass ---------------------------------------------------------------------- */

struct head head_complete(const struct head_config *config, const struct head_request *request, struct span text,
                          struct arena *a, struct buf *out)
{
    struct pass p = {.config = config, .request = request, .arena = a, .out = out};
    struct header_scan scan;
    struct header h;
    enum header_event event;
    header_scan_init(&scan, text, config->header_size_limit);
    while ((event = header_next(&scan, &h)) != HEADER_BODY && p.result.verdict == HEAD_OK) {
        if (event == HEADER_FIELD) {
            take_header(&p, &h);
        } else { /* "From " of a mailbox file: kept, but as a header */
            buf_puts(out, "Mailbox-Line: ");
            buf_put(out, h.raw);
            buf_putc(out, '\n');
        }
    }
    if (request->complete)
        add_missing(&p);
    buf_putc(out, '\n');
    if (p.result.message_id.n == 0)
        p.result.message_id = SPAN("<>");
    p.result.body_at = scan.at;
    p.result.recipients = p.again_count ? p.again : p.plain;
    p.result.recipient_count = p.again_count ? p.again_count : p.plain_count;
    return p.result;
}

size_t head_find_body(struct span text, size_t header_size_limit)
{
    struct header_scan scan;
    struct header h;
    header_scan_init(&scan, text, header_size_limit);
    while (header_next(&scan, &h) != HEADER_BODY)
        continue;
    return scan.at;
}
