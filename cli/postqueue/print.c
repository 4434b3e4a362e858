#include "cli/postqueue/postqueue.h"

#include "lib/mail/address.h"

#include <time.h>

enum { WIDTH = 76 }; /* reasons end there */

/* One kind of columns: what the ID, the size and the time take. */
struct columns {
    const char *heading;
    int id, size, time;
};
static const struct columns short_columns = {
    "-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------", 11, 7, 20};
static const struct columns long_columns = {
    "----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------", 17, 8, 19};

static const struct columns *columns_of(const struct printer *p)
{
    return p->long_ids ? &long_columns : &short_columns;
}

void print_begin(struct printer *p, FILE *to, bool json, bool long_ids)
{
    *p = (struct printer){.to = to, .json = json, .long_ids = long_ids};
}

/* What came from outside holds nothing that moves a terminal's cursor. */
static void put_clean(struct buf *out, struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = span_at(s, i);
        buf_putc(out, c < 0x20 || c == 0x7f ? '?' : (char)c);
    }
}

static void put_address(struct buf *out, struct span address)
{
    struct buf external = BUF_INIT;
    address_put_external(&external, address);
    put_clean(out, buf_span(&external));
    buf_fini(&external);
}

static void put_sender(struct buf *out, struct span sender)
{
    if (sender.n)
        put_address(out, sender);
    else
        buf_puts(out, "MAILER-DAEMON");
}

/* --- for people --------------------------------------------------------------------- */

static void people_head(struct printer *p, const struct msg_tool_message *m)
{
    static const char *const marks[] = {[TOOL_IS_ACTIVE] = "*", [TOOL_IS_HELD] = "!"};
    const struct columns *c = columns_of(p);
    struct buf id = BUF_INIT, sender = BUF_INIT;
    struct tm local = {0};
    time_t at = (time_t)(m->arrival_us / 1000000);
    char when[32];
    const char *mark = m->state < sizeof marks / sizeof *marks && marks[m->state] ? marks[m->state] : "";
    if (p->messages == 0)
        fprintf(p->to, "%s\n", c->heading);
    put_clean(&id, m->id);
    buf_puts(&id, mark);
    put_sender(&sender, m->sender);
    localtime_r(&at, &local);
    strftime(when, sizeof when, "%a %b %e %H:%M:%S ", &local);
    fprintf(p->to, "%-*s %*llu %*.*s %s\n", c->id, buf_text(&id), c->size, (unsigned long long)m->size,
            c->time, c->time, when, buf_text(&sender));
    buf_fini(&id);
    buf_fini(&sender);
}

static void people_recipient(struct printer *p, const struct msg_tool_recipient *r)
{
    const struct columns *c = columns_of(p);
    struct buf line = BUF_INIT;
    if (r->reason.n && (!p->any_recipient || !span_eq(r->reason, buf_span(&p->reason)))) {
        put_clean(&line, r->reason);
        fprintf(p->to, "%*s(%s)\n", line.len < WIDTH ? (int)(WIDTH - line.len) : 0, "", buf_text(&line));
        buf_clear(&line);
    }
    put_address(&line, r->address);
    fprintf(p->to, "%-*s %*s %-*s %s\n", c->id, "", c->size, "", c->time, "", buf_text(&line));
    buf_fini(&line);
}

/* --- for programs -------------------------------------------------------------------- */

static void put_json(FILE *to, struct span s)
{
    fputc('"', to);
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = span_at(s, i);
        if (c == '"' || c == '\\')
            fprintf(to, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            fprintf(to, "\\u%04X", c);
        else
            fputc(c, to);
    }
    fputc('"', to);
}

static void json_head(struct printer *p, const struct msg_tool_message *m)
{
    static const char *const queues[] = {[TOOL_IS_INCOMING] = "incoming",
                                         [TOOL_IS_ACTIVE] = "active",
                                         [TOOL_IS_DEFERRED] = "deferred",
                                         [TOOL_IS_HELD] = "hold"};
    struct buf sender = BUF_INIT;
    const char *queue =
        m->state < sizeof queues / sizeof *queues && queues[m->state] ? queues[m->state] : "incoming";
    put_sender(&sender, m->sender);
    fprintf(p->to, "{\"queue_name\": \"%s\", \"queue_id\": ", queue);
    put_json(p->to, m->id);
    fprintf(p->to, ", \"arrival_time\": %llu, \"message_size\": %llu, \"forced_expire\": false, \"sender\": ",
            (unsigned long long)(m->arrival_us / 1000000), (unsigned long long)m->size);
    put_json(p->to, buf_span(&sender));
    fprintf(p->to, ", \"recipients\": [");
    buf_fini(&sender);
}

static void json_recipient(struct printer *p, const struct msg_tool_recipient *r)
{
    struct buf address = BUF_INIT;
    put_address(&address, r->address);
    fprintf(p->to, "%s{\"address\": ", p->any_recipient ? ", " : "");
    put_json(p->to, buf_span(&address));
    if (r->reason.n) {
        fprintf(p->to, ", \"delay_reason\": ");
        put_json(p->to, r->reason);
    }
    fputc('}', p->to);
    buf_fini(&address);
}

/* --- both ---------------------------------------------------------------------------- */

static void end_message(struct printer *p)
{
    if (p->open)
        fputs(p->json ? "]}\n" : "\n", p->to);
    p->open = false;
}

void print_message(struct printer *p, const struct msg_tool_message *m)
{
    if (!m->continued) {
        end_message(p);
        if (p->json)
            json_head(p, m);
        else
            people_head(p, m);
        p->open = true;
        p->any_recipient = false;
        p->messages++;
        p->octets += m->size;
    }
    for (size_t i = 0; i < m->recipients.n; i++) {
        const struct msg_tool_recipient *r = &m->recipients.at[i];
        if (p->json)
            json_recipient(p, r);
        else
            people_recipient(p, r);
        p->any_recipient = true;
        buf_clear(&p->reason);
        buf_put(&p->reason, r->reason);
    }
}

void print_end(struct printer *p)
{
    end_message(p);
    buf_fini(&p->reason);
    if (p->json)
        return;
    if (p->messages == 0)
        fprintf(p->to, "Mail queue is empty\n");
    else
        fprintf(p->to, "-- %llu Kbytes in %llu Request%s.\n", (unsigned long long)(p->octets / 1024),
                (unsigned long long)p->messages, p->messages == 1 ? "" : "s");
}
