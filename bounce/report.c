#include "bounce/report.h"
#include "lib/base/check.h"
#include "lib/mail/address.h"
#include "lib/mail/codec.h"
#include "lib/mail/dsn.h"
#include "lib/mail/header.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    WRAP_AT = 79,       /* columns */
    WRAP_INDENT = 4,    /* of the lines behind the first */
    WORDS_MAX = 4096,   /* octets of one text from outside */
    ADDRESS_MAX = 2000, /* octets of one address */
    BOUNDARY_MAX = 70,  /* RFC 2046 5.1.1 */
    HOUR = 3600,
    DAY = 86400,
};

/* What a kind of notification is. */
struct kind {
    enum notice_kind words;  /* which text */
    const char *description; /* before "Message" in the last part's description */
    const char *action;      /* where the verdict has none */
    unsigned notify;         /* enum dsn_notify */
    bool may_be_whole;       /* the original may be returned whole */
};

/* A success of which a sender is told who asked for delays alone: confirm_delay_cleared. Whether it is that
 * qmgr knows, which does not ask otherwise. */
static const struct kind kinds[] = {
    [NOTIFY_FAILED] = {NOTICE_FAILURE, "Undelivered ", "failed", DSN_NOTIFY_FAILURE, true},
    [NOTIFY_DELAYED] = {NOTICE_DELAY, "Undelivered ", "delayed", DSN_NOTIFY_DELAY, false},
    [NOTIFY_SUCCESS] = {NOTICE_SUCCESS, "", "delivered", DSN_NOTIFY_SUCCESS | DSN_NOTIFY_DELAY, false},
};

/* A report being made. */
struct making {
    const struct report_config *config;
    const struct report_order *order;
    const struct msg_notify *about;
    const struct kind *kind;
    const struct notice_text *text;
    struct buf *out;
    struct buf words;   /* scratch */
    struct buf product; /* mail_name as a part of header names */
    char boundary[BOUNDARY_MAX + 1];
    bool utf8;          /* RFC 6533 forms */
};

static const struct kind *kind_of(const struct msg_notify *about)
{
    CHECK(about->kind >= NOTIFY_FAILED && about->kind <= NOTIFY_SUCCESS);
    return &kinds[about->kind];
}

bool report_wants(const struct msg_notify *about, const struct msg_recipient *r)
{
    return r->notify == 0 || (r->notify & kind_of(about)->notify);
}

size_t report_count(const struct msg_notify *about)
{
    size_t n = 0;
    for (size_t i = 0; i < about->recipients.n; i++)
        n += report_wants(about, &about->recipients.at[i]);
    return n;
}

/* --- words from outside --------------------------------------------------------- */

/* Appends s without control characters, and without bytes over 127 unless they are UTF-8 that may stay. */
static void put_clean(const struct making *m, struct buf *out, struct span s)
{
    s = span_slice(s, 0, WORDS_MAX);
    bool keep = m->utf8 && codec_utf8_valid(s);
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = span_at(s, i);
        if (c == '\t' || c == '\n' || c == '\r')
            buf_putc(out, ' ');
        else
            buf_putc(out, byte_is_print(c) || (c >= 0x80 && keep) ? (char)c : '?');
    }
}

/* Puts the scratch words on lines of WRAP_AT, broken at blanks. */
static void put_wrapped(struct making *m)
{
    struct span rest = buf_span(&m->words);
    size_t room = WRAP_AT;
    do {
        size_t cut = rest.n;
        if (rest.n > room) {
            cut = span_rfind(span_slice(rest, 0, room + 1), ' ');
            if (cut > room || cut == 0) /* one long word */
                cut = 1 + span_find(span_skip(rest, 1), ' ');
        }
        if (room < WRAP_AT)
            buf_printf(m->out, "%*s", WRAP_INDENT, "");
        buf_put(m->out, span_slice(rest, 0, cut));
        buf_putc(m->out, '\n');
        rest = span_trim(span_skip(rest, cut));
        room = WRAP_AT - WRAP_INDENT;
    } while (rest.n);
    buf_clear(&m->words);
}

static void put_address(const struct making *m, struct buf *out, struct span address)
{
    struct buf external = BUF_INIT;
    address_put_external(&external, address);
    put_clean(m, out, buf_span(&external));
    buf_fini(&external);
}

/* The address with its type in front, encoded where the report is to be ASCII. RFC 6533 3
 * external: UTF-8 (CHECK) */
static void put_utf8_address(struct making *m, struct span external, const char *separator)
{
    struct making all = {.utf8 = true};
    struct buf clean = BUF_INIT;
    put_clean(&all, &clean, external);
    buf_printf(m->out, "utf-8%s", separator);
    codec_utf8_xtext_put(m->out, buf_span(&clean), m->utf8);
    buf_putc(m->out, '\n');
    buf_fini(&clean);
}

/* An address in internal form with its type.
 * separator: between the two; Postfix has a blank in it but for Original-Recipient */
static void put_typed_address(struct making *m, struct span address, const char *separator)
{
    struct buf external = BUF_INIT;
    address_put_external(&external, span_slice(address, 0, ADDRESS_MAX));
    if (codec_is_ascii(buf_span(&external)) || !codec_utf8_valid(buf_span(&external))) {
        buf_printf(m->out, "rfc822%s", separator);
        put_clean(m, m->out, buf_span(&external));
        buf_putc(m->out, '\n');
    } else {
        put_utf8_address(m, buf_span(&external), separator);
    }
    buf_fini(&external);
}

static void put_date(struct making *m, const char *name, int64_t us)
{
    buf_printf(m->out, "%s: ", name);
    date_put(m->out, us, &m->config->zone);
    buf_putc(m->out, '\n');
}

/* --- the header -------------------------------------------------------------------- */

static void put_threading(struct making *m)
{
    struct buf id = BUF_INIT, references = BUF_INIT;
    original_put_header(m->order->original, &id, SPAN("Message-ID"));
    original_put_header(m->order->original, &references, SPAN("References"));
    if (m->config->enable_threaded_bounces && id.len) {
        buf_printf(&references, "%s%s", references.len ? " " : "", buf_text(&id));
        buf_clear(&m->words);
        put_clean(m, &m->words, buf_span(&references));
        header_put(m->out, HEADER_LF, SPAN("References"), buf_span(&m->words));
        buf_clear(&m->words);
        put_clean(m, &m->words, buf_span(&id));
        header_put(m->out, HEADER_LF, SPAN("In-Reply-To"), buf_span(&m->words));
        buf_clear(&m->words);
    }
    buf_fini(&id);
    buf_fini(&references);
}

static void put_message_id(struct making *m)
{
    time_t seconds = (time_t)(m->order->now_us / 1000000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    buf_printf(m->out, "Message-Id: <%04d%02d%02d%02d%02d%02d.%.*s@%.*s>\n", tm.tm_year + 1900, tm.tm_mon + 1,
               tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, SPAN_ARG(m->order->id), SPAN_ARG(m->config->myhostname));
}

static void put_header(struct making *m, bool eight_bit)
{
    bool polite = m->order->use == REPORT_TO_SENDER;
    buf_printf(m->out, "Received: by %.*s (%.*s)\n\tid %.*s; ", SPAN_ARG(m->config->myhostname),
               SPAN_ARG(m->config->mail_name), SPAN_ARG(m->order->id));
    date_put(m->out, m->order->now_us, &m->config->zone);
    buf_putc(m->out, '\n');
    put_date(m, "Date", m->order->now_us);
    buf_printf(m->out, "From: %.*s\nSubject: %.*s\nTo: ", SPAN_ARG(m->text->from),
               SPAN_ARG(polite ? m->text->subject : m->text->postmaster_subject));
    put_address(m, m->out, m->order->to);
    buf_printf(m->out, "\nAuto-Submitted: %s\n", polite ? "auto-replied" : "auto-generated");
    put_threading(m);
    buf_printf(m->out,
               "MIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status;\n"
               "\tboundary=\"%s\"\n",
               m->boundary);
    if (eight_bit)
        buf_puts(m->out, "Content-Transfer-Encoding: 8bit\n");
    put_message_id(m);
    buf_puts(m->out, "\nThis is a MIME-encapsulated message.\n");
}

/* The head of one part, up to its empty line. */
static void put_part(struct making *m, const char *description, const char *type, bool eight_bit)
{
    buf_printf(m->out, "\n--%s\nContent-Description: %s\nContent-Type: %s\n%s\n", m->boundary, description, type,
               eight_bit ? "Content-Transfer-Encoding: 8bit\n" : "");
}

/* --- the part for people ---------------------------------------------------------------- */

static const struct msg_verdict *verdict_of(const struct msg_notify *about, uint64_t number)
{
    static const struct msg_verdict none = {.dsn = SPAN_INIT("4.0.0"), .text = SPAN_INIT("no reason is known")};
    for (size_t i = 0; i < about->verdicts.n; i++)
        if (about->verdicts.at[i].number == number)
            return &about->verdicts.at[i];
    return &none;
}

static bool is_expanded(const struct msg_recipient *r)
{
    return r->original.n && !span_eq_nocase(r->original, r->address);
}

/* The text in which this report can speak: what a server said in UTF-8 stands beside it. */
static const struct notice_text *choose_text(const struct making *m)
{
    enum notice_kind words = m->kind->words;
    const struct notice_text *own = &m->config->texts->at[words];
    bool foreign = own->eight_bit && !span_eq_nocase(own->charset, SPAN("utf-8"));
    return m->utf8 && foreign ? &m->config->texts->builtin[words] : own;
}

/* The verdict in words for people; of a success who delivered it. */
static void put_what_was_done(struct making *m, const struct msg_verdict *v)
{
    if (m->about->kind == NOTIFY_SUCCESS && v->relay.n && !span_eq(v->relay, SPAN("none"))) {
        buf_puts(&m->words, "delivery via ");
        put_clean(m, &m->words, v->relay);
        buf_puts(&m->words, ": ");
    }
    put_clean(m, &m->words, span_eq(v->action, SPAN("expanded")) ? SPAN("alias expanded") : span_trim(v->text));
}

/* "<address> (expanded from <address>): " */
static void put_about_whom(struct making *m, const struct msg_recipient *r)
{
    buf_putc(&m->words, '<');
    put_address(m, &m->words, r->address);
    if (is_expanded(r)) {
        buf_puts(&m->words, "> (expanded from <");
        put_address(m, &m->words, r->original);
        buf_puts(&m->words, ">): ");
    } else {
        buf_puts(&m->words, ">: ");
    }
}

static void put_people_part(struct making *m)
{
    struct buf type = BUF_INIT;
    buf_printf(&type, "text/plain; charset=%.*s", SPAN_ARG(m->utf8 ? SPAN("utf-8") : m->text->charset));
    put_part(m, "Notification", buf_text(&type), m->utf8 || m->text->eight_bit);
    buf_fini(&type);
    if (m->order->use == REPORT_TO_SENDER)
        buf_put(m->out, m->text->text);
    for (size_t i = 0; i < m->about->recipients.n; i++) {
        const struct msg_recipient *r = &m->about->recipients.at[i];
        if (!report_wants(m->about, r))
            continue;
        buf_putc(m->out, '\n');
        put_about_whom(m, r);
        put_what_was_done(m, verdict_of(m->about, r->number));
        put_wrapped(m);
    }
}

/* --- the part for programs ------------------------------------------------------------------ */

static void put_original_recipient(struct making *m, const struct msg_recipient *r)
{
    size_t cut = span_find(r->orcpt, ';');
    if (r->orcpt.n && cut < r->orcpt.n) {
        struct span type = span_slice(r->orcpt, 0, cut);
        struct span address = span_slice(span_trim(span_skip(r->orcpt, cut + 1)), 0, ADDRESS_MAX);
        buf_puts(m->out, "Original-Recipient: ");
        if (span_eq_nocase(type, SPAN("utf-8")) && codec_utf8_valid(address)) {
            put_utf8_address(m, address, ";");
            return;
        }
        put_clean(m, m->out, type);
        buf_putc(m->out, ';');
        put_clean(m, m->out, address);
        buf_putc(m->out, '\n');
    } else if (r->original.n) {
        buf_puts(m->out, "Original-Recipient: ");
        put_typed_address(m, r->original, ";");
    }
}

/* What a command printed, as the words of local and pipe have it; nothing where there is none. */
static struct span output_of(struct span text)
{
    static const struct span mark = SPAN_INIT(". Command output: ");
    const char *at = text.n ? memmem(text.p, text.n, mark.p, mark.n) : NULL;
    return at ? span_trim(span_skip(text, (size_t)(at - text.p) + mark.n)) : SPAN_NONE;
}

/* What was said where the message went, by whom. RFC 3464 2.3.6 */
static void put_diagnostic(struct making *m, const struct msg_verdict *v)
{
    struct span said = span_trim(v->diagnostic), printed = output_of(v->text);
    if (said.n == 0 && m->about->kind == NOTIFY_SUCCESS && v->remote_mta.n)
        said = span_trim(v->text); /* the reply that took it */
    buf_puts(&m->words, "Diagnostic-Code: ");
    if (said.n) {
        buf_puts(&m->words, "smtp; ");
        put_clean(m, &m->words, said);
    } else if (printed.n) {
        buf_puts(&m->words, "x-unix; ");
        put_clean(m, &m->words, printed);
    } else {
        buf_printf(&m->words, "X-%s; ", buf_text(&m->product));
        put_what_was_done(m, v);
    }
    put_wrapped(m);
}

static void put_status_of(struct making *m, const struct msg_recipient *r)
{
    const struct msg_verdict *v = verdict_of(m->about, r->number);
    struct dsn_code code;
    buf_puts(m->out, "\nFinal-Recipient: ");
    put_typed_address(m, r->address, "; ");
    put_original_recipient(m, r);
    /* A notification of failure is about failures, whatever each of them was before time ran out. */
    buf_puts(m->out, "Action: ");
    put_clean(m, m->out, v->action.n && m->about->kind == NOTIFY_SUCCESS ? v->action : span_text(m->kind->action));
    buf_puts(m->out, "\nStatus: ");
    if (!dsn_code_parse(v->dsn, &code))
        code = m->about->kind == NOTIFY_SUCCESS ? DSN(2, 0, 0) : m->about->kind == NOTIFY_FAILED ? DSN(5, 0, 0)
                                                                                                 : DSN(4, 0, 0);
    dsn_code_put(m->out, code);
    buf_putc(m->out, '\n');
    if (v->remote_mta.n) {
        buf_puts(&m->words, "Remote-MTA: dns; ");
        put_clean(m, &m->words, v->remote_mta);
        put_wrapped(m);
    }
    put_diagnostic(m, v);
    if (m->about->kind == NOTIFY_DELAYED)
        put_date(m, "Will-Retry-Until", (int64_t)m->about->give_up_us);
}

static void put_status_part(struct making *m)
{
    const struct msg_notify *about = m->about;
    put_part(m, "Delivery report", m->utf8 ? "message/global-delivery-status" : "message/delivery-status", m->utf8);
    buf_printf(m->out, "Reporting-MTA: dns; %.*s\n", SPAN_ARG(m->config->myhostname));
    if (about->envid.n) {
        buf_puts(m->out, "Original-Envelope-Id: ");
        put_clean(m, m->out, about->envid);
        buf_putc(m->out, '\n');
    }
    buf_printf(m->out, "X-%s-Queue-ID: ", buf_text(&m->product));
    put_clean(m, m->out, about->id);
    buf_putc(m->out, '\n');
    if (about->sender.n) {
        buf_printf(m->out, "X-%s-Sender: ", buf_text(&m->product));
        put_typed_address(m, about->sender, "; ");
    }
    if (about->arrival_us)
        put_date(m, "Arrival-Date", (int64_t)about->arrival_us);
    for (size_t i = 0; i < about->recipients.n; i++)
        if (report_wants(about, &about->recipients.at[i]))
            put_status_of(m, &about->recipients.at[i]);
}

/* --- the whole -------------------------------------------------------------------------------- */

/* RFC 3461 6.2: whole where the sender did not say, as far as the limit allows. */
static bool is_whole(const struct report_config *config, const struct report_order *order)
{
    return kind_of(order->about)->may_be_whole && order->use != REPORT_COPY &&
           !span_eq_nocase(order->about->ret, SPAN("HDRS")) &&
           (config->bounce_size_limit == 0 || order->original->size <= config->bounce_size_limit);
}

static void put_original_part(struct making *m, bool whole, bool eight_bit)
{
    const char *type = whole ? m->utf8 ? "message/global" : "message/rfc822"
                             : m->utf8 ? "message/global-headers" : "text/rfc822-headers";
    char description[48];
    snprintf(description, sizeof description, "%s%s", m->kind->description, whole ? "Message" : "Message Headers");
    put_part(m, description, type, eight_bit);
    buf_puts(m->out, "Return-Path: <");
    put_address(m, m->out, m->about->sender);
    buf_puts(m->out, ">\n");
    if (!whole)
        buf_put(m->out, m->order->original->headers);
}

static void put_product(struct buf *out, struct span mail_name)
{
    for (size_t i = 0; i < mail_name.n; i++) {
        unsigned char c = span_at(mail_name, i);
        buf_putc(out, byte_is_alnum(c) || c == '-' ? (char)c : '-');
    }
}

void report_make(const struct report_config *config, const struct report_order *order, struct report *report)
{
    const struct original *original = order->original;
    *report = (struct report){.whole = is_whole(config, order)};
    struct making m = {.config = config,
                       .order = order,
                       .about = order->about,
                       .kind = kind_of(order->about),
                       .out = &report->head,
                       .utf8 = order->about->flags & SUBMIT_SMTPUTF8};
    bool eight_bit = report->whole ? original_is_eight_bit(original) : !codec_is_ascii(original->headers);
    report->eight_bit = eight_bit || m.utf8;
    m.text = choose_text(&m);
    report->eight_bit |= m.text->eight_bit && order->use == REPORT_TO_SENDER;
    put_product(&m.product, config->mail_name);
    /* Nobody who wrote a message knows the ID of its notification: no line of his can be the boundary. */
    snprintf(m.boundary, sizeof m.boundary, "%.*s.%lld/%.*s", SPAN_ARG(order->id),
             (long long)(order->now_us / 1000000), SPAN_ARG(config->myhostname));
    put_header(&m, report->eight_bit);
    put_people_part(&m);
    put_status_part(&m);
    put_original_part(&m, report->whole, eight_bit || m.utf8);
    buf_printf(&report->tail, "\n--%s--\n", m.boundary);
    buf_fini(&m.words);
    buf_fini(&m.product);
}

void report_fini(struct report *report)
{
    buf_fini(&report->head);
    buf_fini(&report->tail);
}
