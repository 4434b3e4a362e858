#include "lib/base/check.h"
#include "lib/log/log.h"
#include "lib/mail/recipient.h"
#include "lib/maildir/deliver.h"
#include "local/local.h"

#include <stdlib.h>

static struct owner *owner_for(struct delivery *d, unsigned kind, struct span user, struct msg_owner_made *made)
{
    return owner_get(d->local->owners, &(struct msg_owner_wanted){.kind = kind, .user = user}, SPAN_NONE,
                     &d->attempt->arena, made);
}

/* A request to a mailbox process, and what is to follow. */
struct asked {
    struct delivery *delivery;
    struct place place;
    struct span user, extension;  /* in the attempt's arena */
    const char *success;          /* text where it is done; NULL: as the process says */
    void (*then)(struct asked *a, const struct msg_stored *m); /* NULL: the answer is the outcome */
};

/* --- requests ----------------------------------------------------------------------- */

static void answered(struct frame *reply, void *context)
{
    struct asked *a = context;
    struct delivery *d = a->delivery;
    struct arena scratch = ARENA_INIT;
    struct msg_stored m = {0};
    bool good = reply && reply->type == MSG_stored && msg_stored_get(&scratch, reply->body, &m);
    if (good && a->then && m.class == 2)
        a->then(a, &m);
    else
        delivery_note(d, good ? (unsigned)m.class : 0, m.dsn,
                      m.class == 2 && a->success ? span_text(a->success) : m.text);
    arena_fini(&scratch);
    free(a);
    delivery_release(d);
}

static struct asked *asked_new(struct delivery *d, const struct place *place)
{
    struct asked *a = calloc(1, sizeof *a);
    CHECK(a != NULL);
    a->delivery = d;
    a->place = *place;
    return a;
}

static void send_request(struct asked *a, struct owner *o, uint16_t type, struct span body, bool with_text)
{
    delivery_hold(a->delivery);
    owner_request(o, type, body, with_text ? a->delivery->attempt->text : -1, answered, a);
}

static void note_refusal(struct delivery *d, const struct msg_owner_made *made)
{
    if (made->class == 2) { /* no home */
        const char *text = arena_printf(&d->attempt->arena, "cannot access home directory %.*s", SPAN_ARG(made->home));
        delivery_say(d, 4, "4.3.0", text);
    } else {
        delivery_note(d, (unsigned)made->class, made->dsn, made->text);
    }
}

static void put_top(const struct delivery *d, struct buf *top, unsigned header)
{
    const struct msg_recipient *r = d->recipient;
    struct buf all = BUF_INIT;
    maildir_put_delivery_headers(&all, d->attempt->m.sender, r->original.n ? r->original : r->address, r->address);
    struct span text = buf_span(&all);
    if (!(d->local->mine->prepend_delivered_header & (1u << header))) /* Delivered-To is the last */
        text = span_slice(text, 0, span_rfind(span_slice(text, 0, text.n - 1), '\n') + 1);
    buf_put(top, text);
    buf_fini(&all);
}

static void send_store(struct asked *a, struct owner *o, struct span path, unsigned forward)
{
    struct delivery *d = a->delivery;
    const struct msg_attempt *about = &d->attempt->m;
    struct buf top = BUF_INIT, body = BUF_LIMITED(CHANNEL_FRAME_MAX);
    struct msg_store m = {.format = path.n && path.p[path.n - 1] == '/' ? STORE_MAILDIR : STORE_MBOX,
                          .path = path,
                          .queue_id = about->id,
                          .number = d->recipient->number,
                          .arrival_us = about->arrival_us,
                          .host = d->local->main->myhostname,
                          .maybe_again = 1,
                          .sender = about->sender,
                          .forward = forward,
                          .extension = a->extension};
    const bool with_text = forward != STORE_FORWARD_ONLY;
    if (with_text) {
        put_top(d, &top, PARAM_delivered_header_file);
        m.top = buf_span(&top);
        m.text = about->text;
        m.text_offset = about->text_offset;
        m.text_size = about->text_size;
    }
    msg_store_put(&body, &m);
    send_request(a, o, MSG_store, buf_span(&body), with_text);
    buf_fini(&body);
    buf_fini(&top);
}

/* --- users ------------------------------------------------------------------------------ */

static void deliver_unknown(struct delivery *d, const struct place *place, struct span user, struct span extension)
{
    struct arena *a = &d->attempt->arena;
    const struct params_local *mine = d->local->mine;
    if (!delivery_is_new(d, "unknown %.*s", SPAN_ARG(user)))
        return;
    if (mine->fallback_transport.n || mine->fallback_transport_maps.n) {
        delivery_say(d, 4, "4.3.5", "fallback_transport is not supported");
    } else if (mine->luser_relay.n && place->level < LOCAL_LEVEL_MAX) {
        struct recipient_names names = {.user = user,
                                        .extension = span_skip(extension, 1),
                                        .delimiter = span_slice(extension, 0, 1),
                                        .local = span_text(arena_printf(a, "%.*s%.*s", SPAN_ARG(user), SPAN_ARG(extension))),
                                        .domain = address_domain(d->recipient->address),
                                        .recipient = d->recipient->address};
        struct buf out = BUF_INIT, why = BUF_INIT;
        struct place next = *place;
        next.origin = FROM_ALIAS;
        next.unmatched = SPAN_NONE;
        next.mailbox_next = false;
        next.level++;
        recipient_expand(&out, mine->luser_relay, &names, SPAN_NONE, NULL, &why);
        struct aliases_item item = {.kind = ALIASES_ADDRESS, .text = arena_dup(a, buf_span(&out))};
        delivery_add_step(d, &next, &item);
        buf_fini(&out);
        buf_fini(&why);
    } else if (span_eq(user, SPAN("postmaster")) || span_eq(user, SPAN("mailer-daemon"))) {
        log_warning("required alias not found: %.*s", SPAN_ARG(user));
        delivery_say(d, 2, "2.0.0", "discarded");
    } else {
        delivery_say(d, 5, "5.1.1", arena_printf(a, "unknown user: \"%.*s\"", SPAN_ARG(user)));
    }
}

/* Deliver said no. */
static void refused(struct delivery *d, const struct place *place, struct span user, struct span extension,
                    const struct msg_owner_made *made)
{
    if (made->class == 5 && span_eq(made->dsn, SPAN("5.1.1")))
        deliver_unknown(d, place, user, extension);
    else
        note_refusal(d, made);
}

static void run_command(struct delivery *d, const struct place *place, unsigned source, struct span user,
                        struct span command);

void deliver_mailbox(struct delivery *d, const struct place *place, struct span user, struct span extension)
{
    struct arena *a = &d->attempt->arena;
    const struct params_local *mine = d->local->mine;
    struct msg_owner_made made;
    if (!delivery_is_new(d, "mailbox %.*s", SPAN_ARG(user)))
        return;
    if (mine->mailbox_command.n) {
        run_command(d, place, RUN_MAILBOX_COMMAND, user, mine->mailbox_command);
        return;
    }
    const bool home = mine->home_mailbox.n > 0;
    const struct span spool = d->local->main->mail_spool_directory;
    struct owner *o = owner_for(d, home ? OWNER_USER : OWNER_SPOOL, user, &made);
    if (!o) {
        refused(d, place, user, extension, &made);
        return;
    }
    struct asked *ask = asked_new(d, place);
    ask->extension = extension;
    if (home)
        send_store(ask, o, mine->home_mailbox, 0);
    else
        send_store(ask, o, span_text(arena_printf(a, "%.*s%s", SPAN_ARG(user),
                                                  spool.n && spool.p[spool.n - 1] == '/' ? "/" : "")), 0);
}

/* The user's .forward was read, or there is none. */
static void forward_read(struct asked *a, const struct msg_stored *m)
{
    struct delivery *d = a->delivery;
    struct place place = a->place;
    place.level++;
    if (m->items.n == 0 && m->text.n) { /* there is none, and it is stored already */
        (void)delivery_is_new(d, "mailbox %.*s", SPAN_ARG(a->user));
        delivery_note(d, 2, m->dsn, m->text);
        return;
    }
    if (m->items.n == 0) { /* to be done when there is time to wait for deliver */
        struct aliases_item item = {.kind = ALIASES_ADDRESS, .text = a->user};
        place.mailbox_next = true;
        place.forwarding = a->extension;
        delivery_add_step(d, &place, &item);
        return;
    }
    place.origin = FROM_FORWARD;
    place.alias = span_text(arena_printf(&d->attempt->arena, "%.*s%.*s", SPAN_ARG(a->user), SPAN_ARG(a->extension)));
    place.owner = place.user = a->user;
    place.forwarding = a->extension;
    place.unmatched = a->extension;
    if (m->extension_used ||
        !(d->local->main->propagate_unmatched_extensions & (1u << PARAM_extension_map_forward)))
        place.unmatched = SPAN_NONE;
    expand_items(d, &place, m->items.at, m->items.n);
}

void deliver_user(struct delivery *d, const struct place *place, struct span user, struct span extension,
                  bool no_forward)
{
    const struct params_local *mine = d->local->mine;
    struct msg_owner_made made;
    if (mine->mailbox_transport.n || mine->mailbox_transport_maps.n || mine->mailbox_command_maps.n) {
        delivery_say(d, 4, "4.3.5", "mailbox_transport and mailbox_command_maps are not supported");
        return;
    }
    if (no_forward || mine->forward_path.n == 0 || !delivery_is_new(d, "forward %.*s", SPAN_ARG(user))) {
        deliver_mailbox(d, place, user, extension);
        return;
    }
    struct owner *o = owner_for(d, OWNER_USER, user, &made);
    if (!o && made.class == 2 && !mine->require_home_directory && mine->home_mailbox.n == 0) {
        deliver_mailbox(d, place, user, extension); /* no home: no .forward */
    } else if (!o) {
        refused(d, place, user, extension, &made);
    } else {
        struct asked *ask = asked_new(d, place);
        const bool at_once = mine->home_mailbox.n && !mine->mailbox_command.n && delivery_is_new(d, "at once %.*s", SPAN_ARG(user));
        ask->user = user;
        ask->extension = extension;
        ask->then = forward_read;
        send_store(ask, o, at_once ? mine->home_mailbox : SPAN_NONE, at_once ? STORE_FORWARD_FIRST : STORE_FORWARD_ONLY);
    }
}

/* --- files, commands, lists ----------------------------------------------------------------- */

void deliver_file(struct delivery *d, const struct place *place, struct span path)
{
    struct msg_owner_made made;
    const char *success = arena_printf(&d->attempt->arena, "delivered to file: %.*s", SPAN_ARG(path));
    if (!delivery_is_new(d, "file %.*s %.*s", SPAN_ARG(place->user), SPAN_ARG(path)))
        return;
    if (span_eq(path, SPAN("/dev/null"))) {
        delivery_say(d, 2, "2.0.0", success);
        return;
    }
    struct owner *o = owner_for(d, OWNER_FILES, place->user, &made);
    if (!o) {
        note_refusal(d, &made);
        return;
    }
    struct asked *ask = asked_new(d, place);
    ask->extension = place->forwarding;
    ask->success = path.p[path.n - 1] == '/' ? NULL : success;
    send_store(ask, o, path, 0);
}

static void run_command(struct delivery *d, const struct place *place, unsigned source, struct span user,
                        struct span command)
{
    struct arena *a = &d->attempt->arena;
    struct msg_owner_made made;
    struct buf top = BUF_INIT, body = BUF_LIMITED(CHANNEL_FRAME_MAX);
    struct owner *o = owner_for(d, OWNER_COMMANDS, user, &made);
    if (!o) {
        refused(d, place, user, SPAN_NONE, &made);
        return;
    }
    struct span local, domain;
    struct msg_recipient recipient = *d->recipient;
    struct msg_attempt about = d->attempt->m;
    about.recipients.at = &recipient;
    about.recipients.n = 1;
    address_split(recipient.user.n ? recipient.user : recipient.address, &local, &domain);
    local = address_dup_lower(a, local);
    struct address_parts parts = address_split_extension(local, d->local->main->recipient_delimiter,
                                                         d->local->main->owner_request_special);
    put_top(d, &top, PARAM_delivered_header_command);
    struct msg_run m = {.source = source,
                        .command = source == RUN_MAILBOX_COMMAND ? SPAN_NONE : command,
                        .about = {&about, 1},
                        .top = buf_span(&top),
                        .user = user.n ? user : parts.user,
                        .extension = parts.delimiter ? span_skip(local, parts.user.n) : SPAN_NONE,
                        .local = local,
                        .domain = domain};
    if (source == RUN_FORWARD)
        m.extension = place->forwarding;
    msg_run_put(&body, &m);
    send_request(asked_new(d, place), o, MSG_run, buf_span(&body), true);
    buf_fini(&body);
    buf_fini(&top);
}

void deliver_command(struct delivery *d, const struct place *place, struct span command)
{
    if (delivery_is_new(d, "command %.*s %.*s", SPAN_ARG(place->user), SPAN_ARG(command)))
        run_command(d, place, place->user.n ? RUN_FORWARD : RUN_ALIAS, place->user, command);
}

static void include_read(struct asked *a, const struct msg_stored *m)
{
    struct place place = a->place;
    place.origin = FROM_INCLUDE;
    place.level++;
    place.includes++;
    if (m->items.n == 0)
        delivery_say(a->delivery, 2, "2.0.0", "the included file names nobody");
    expand_items(a->delivery, &place, m->items.at, m->items.n);
}

void deliver_include(struct delivery *d, const struct place *place, struct span path)
{
    struct msg_owner_made made;
    struct buf body = BUF_INIT;
    if (!delivery_is_new(d, "include %.*s", SPAN_ARG(path)))
        return;
    if (place->includes >= LOCAL_INCLUDE_MAX) {
        delivery_say(d, 5, "5.4.6", ":include: files are nested too deep");
        return;
    }
    struct owner *o = owner_for(d, OWNER_FILES, place->user, &made);
    if (!o) {
        note_refusal(d, &made);
        return;
    }
    struct asked *ask = asked_new(d, place);
    ask->then = include_read;
    msg_include_put(&body, &(struct msg_include){.path = path, .extension = place->forwarding});
    send_request(ask, o, MSG_include, buf_span(&body), false);
    buf_fini(&body);
}
