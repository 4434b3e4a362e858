#include "lib/log/log.h"
#include "lib/mail/address.h"
#include "lib/mail/date.h"
#include "lib/mail/dsn.h"
#include "lib/proc/submit.h"
#include "lib/queue/id.h"
#include "local/local.h"

#include <xxhash.h>

/* The ID of what is forwarded follows from that of the message and what is done with it: a repetition
 * after a crash makes the same, and the queue knows it. The high bit sets these numbers apart from
 * those that master gives to processes. */
static struct queue_id forward_id(const struct delivery *d, const struct forward *f)
{
    struct buf text = BUF_INIT;
    struct queue_id id;
    int64_t us = queue_id_parse(d->attempt->m.id, &id) ? queue_id_time_us(&id) : clock_wall_us();
    buf_printf(&text, "%.*s %llu %.*s", SPAN_ARG(d->attempt->m.id), (unsigned long long)d->recipient->number,
               SPAN_ARG(f->sender));
    uint64_t number = XXH3_64bits(buf_text(&text), text.len) | UINT64_C(1) << 63;
    buf_fini(&text);
    return queue_id_make(us, number);
}

static struct forward *forward_for(struct delivery *d, const struct place *place)
{
    LIST_EACH (node, after, &d->forwards) {
        struct forward *f = LIST_ENTRY(node, struct forward, node);
        if (span_eq(f->sender, place->sender))
            return f;
    }
    struct forward *f = ARENA_NEW(&d->attempt->arena, struct forward);
    f->sender = place->sender;
    f->new_sender = place->new_sender;
    list_push(&d->forwards, &f->node);
    return f;
}

/* Success has been told of, as far as that is wanted, when the message is handed on. RFC 3461 5.2.7 */
static uint64_t notify_without_success(uint64_t notify)
{
    return notify == DSN_NOTIFY_SUCCESS ? (uint64_t)DSN_NOTIFY_NEVER : notify & ~(uint64_t)DSN_NOTIFY_SUCCESS;
}

void deliver_forward(struct delivery *d, const struct place *place, struct span address)
{
    if (!delivery_is_new(d, "forward to %.*s from %.*s", SPAN_ARG(address), SPAN_ARG(place->sender)))
        return;
    struct forward *f = forward_for(d, place);
    if (f->n == f->room) {
        f->room = 2 * f->room + 4;
        struct msg_recipient *more = arena_calloc(&d->attempt->arena, f->room, sizeof *more);
        if (f->n)
            memcpy(more, f->at, f->n * sizeof *more);
        f->at = more;
    }
    /* A list does not hand on what the sender asked for; its owner is told instead. RFC 3461 5.2.7.3 */
    const struct msg_recipient *r = d->recipient;
    struct msg_recipient new = {.address = address, .original = address};
    if (!f->new_sender) {
        new.original = r->original.n ? r->original : r->address;
        new.orcpt = r->orcpt;
        new.notify = notify_without_success(r->notify);
    }
    f->at[f->n++] = new;
}

static void put_head(struct delivery *d, struct buf *head, const struct queue_id *id, int64_t now_us)
{
    struct buf to = BUF_INIT;
    struct date_zone zone = date_local_zone(now_us);
    buf_printf(head, "Received: by %.*s (%.*s)\n\tid %s; ", SPAN_ARG(d->local->main->myhostname),
               SPAN_ARG(d->local->main->mail_name), id->text);
    date_put(head, now_us, &zone);
    buf_putc(head, '\n');
    if (d->local->mine->prepend_delivered_header & (1u << PARAM_delivered_header_forward)) {
        address_put_external(&to, address_dup_lower(&d->attempt->arena, d->recipient->address));
        buf_puts(head, "Delivered-To: ");
        for (size_t i = 0; i < to.len; i++)
            buf_putc(head, (unsigned char)to.data[i] < ' ' || to.data[i] == 0x7f ? '?' : to.data[i]);
        buf_putc(head, '\n');
    }
    buf_fini(&to);
}

static void submit(struct delivery *d, const struct forward *f)
{
    const struct msg_attempt *about = &d->attempt->m;
    struct arena *a = &d->attempt->arena;
    const struct queue_id id = forward_id(d, f);
    const int64_t now_us = clock_wall_us();
    struct buf head = BUF_INIT;
    put_head(d, &head, &id, now_us);
    struct msg_submit m = {.id = queue_id_span(&id),
                           .sender = f->sender,
                           .recipients = {f->at, f->n},
                           .flags = SUBMIT_FORWARD | (about->flags & SUBMIT_SMTPUTF8),
                           .arrival_us = (uint64_t)now_us,
                           .ret = f->new_sender ? SPAN_NONE : about->ret,
                           .envid = f->new_sender ? SPAN_NONE : about->envid,
                           .client_name = about->client_name,
                           .client_address = about->client_address,
                           .helo = about->helo,
                           .protocol = about->protocol,
                           .login = about->login,
                           .encoding = about->encoding};
    struct submit_text text = {.head = buf_span(&head),
                               .middle = about->text,
                               .fd = d->attempt->text,
                               .offset = about->text_offset,
                               .size = about->text_size};
    struct msg_submitted answer = proc_submit(d->local->proc, a, &m, &text, clock_after(LOCAL_WAIT_S));
    if (answer.class == 0)
        delivery_say(d, 2, "2.0.0", arena_printf(a, "forwarded as %s", id.text));
    else
        delivery_note(d, (unsigned)answer.class, answer.dsn, answer.text);
    buf_fini(&head);
}

void forward_all(struct delivery *d)
{
    LIST_EACH (node, after, &d->forwards)
        submit(d, LIST_ENTRY(node, struct forward, node));
}
