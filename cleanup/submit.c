#include "cleanup/cleanup.h"
#include "lib/base/check.h"
#include "lib/log/log.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FIRST_READ = 64 * 1024,   /* octets of a spooled text that are looked at for the end of its header section */
    COPY_AT_ONCE = 128 * 1024,
    LOG_TEXT_MAX = SUBMIT_INLINE_MAX + 16 * 1024, /* octets of text, completed, that go to the log */
};

/* One message in hand. */
struct work {
    struct cleanup *c;
    struct channel *caller;
    uint64_t answer_to;
    struct msg_submit m;
    struct queue_id id;
    bool refused;          /* it has been answered */
    int fd;                /* the text in a file, owned; -1: it came along */
    uint64_t size;         /* octets of the text as it came */
    struct buf beginning;  /* of the text in a file */
    struct span text;      /* what of the text is in memory: all of it, or the beginning */
    struct head head;
    struct buf new_head;
    struct recipients recipients;
    struct buf envelope;
};

static void refuse(struct work *w, unsigned class, const char *dsn, struct span text)
{
    if (!w->refused)
        commit_refuse(w->c, w->caller, w->answer_to, w->id.text[0] ? &w->id : NULL, class, dsn, text);
    w->refused = true;
}

static void refuse_store(struct work *w, enum store_result result, const struct buf *why)
{
    if (!w->refused)
        commit_refuse_store(w->c, w->caller, w->answer_to, &w->id, result, buf_span(why));
    w->refused = true;
}

/* --- files for texts on their way ---------------------------------------------------- */

static struct spool_handle *handle_find(struct cleanup *c, const struct channel *caller, uint64_t number)
{
    LIST_EACH (node, after, &c->handles) {
        struct spool_handle *h = LIST_ENTRY(node, struct spool_handle, node);
        if (h->caller == caller && h->handle == number)
            return h;
    }
    return NULL;
}

/* result: its descriptor, the caller's; the handle is gone */
static int handle_take(struct cleanup *c, struct spool_handle *h)
{
    int fd = h->fd;
    list_remove(&h->node);
    c->handle_count--;
    free(h);
    return fd;
}

static void take_spool_wanted(struct channel *caller, struct frame *f, void *context)
{
    struct cleanup *c = context;
    struct msg_spool_wanted m;
    struct msg_spool_made made = {0};
    struct buf why = BUF_INIT, body = BUF_INIT;
    int fd = -1;
    if (!msg_spool_wanted_get(&c->scratch, f->body, &m))
        m = (struct msg_spool_wanted){0};
    if (c->handle_count >= CLEANUP_SPOOLS_MAX)
        buf_puts(&why, "too many large messages at a time");
    else if (space_check(c->queue, &c->config.space, m.size, &why) == STORE_OK &&
             newfile_scratch(&c->spool.home, &fd, &why) == STORE_OK) {
        struct spool_handle *h = calloc(1, sizeof *h);
        CHECK(h != NULL);
        *h = (struct spool_handle){.caller = caller, .handle = ++c->last_handle, .fd = fd};
        list_push(&c->handles, &h->node);
        c->handle_count++;
        made.handle = h->handle;
    }
    made.error = buf_span(&why);
    msg_spool_made_put(&body, &made);
    (void)channel_reply(caller, f->id, MSG_spool_made, buf_span(&body), &fd, fd >= 0);
    buf_fini(&why);
    buf_fini(&body);
}

static void take_spool_dropped(struct channel *caller, struct frame *f, void *context)
{
    struct cleanup *c = context;
    struct msg_spool_dropped m;
    struct spool_handle *h = NULL;
    if (msg_spool_dropped_get(&c->scratch, f->body, &m))
        h = handle_find(c, caller, m.handle);
    if (h)
        close(handle_take(c, h));
}

static void take_room_wanted(struct channel *caller, struct frame *f, void *context)
{
    struct cleanup *c = context;
    struct msg_room_wanted m;
    struct buf why = BUF_INIT;
    if (!msg_room_wanted_get(&c->scratch, f->body, &m))
        m = (struct msg_room_wanted){0};
    switch (space_check(c->queue, &c->config.space, m.size, &why)) {
    case STORE_OK:
        commit_refuse(c, caller, f->id, NULL, 0, "", SPAN_NONE);
        break;
    case STORE_FULL:
        log_warning("not enough free space in the queue: %s", buf_text(&why));
        commit_refuse(c, caller, f->id, NULL, 4, "4.3.1", SPAN("Insufficient system storage"));
        break;
    case STORE_EXISTS:
    case STORE_FAILED:
        log_error("the queue's free space cannot be told: %s", buf_text(&why));
        commit_refuse(c, caller, f->id, NULL, 4, "4.3.0", SPAN("queue file write error"));
        break;
    }
    buf_fini(&why);
}

void cleanup_caller_left(struct proc *p, void *own, struct channel *caller)
{
    struct cleanup *c = own;
    (void)p;
    LIST_EACH (node, after, &c->handles) {
        struct spool_handle *h = LIST_ENTRY(node, struct spool_handle, node);
        if (h->caller == caller)
            close(handle_take(c, h));
    }
    commit_caller_left(c, caller);
}

/* --- the text ------------------------------------------------------------------------- */

static void broken_spool(struct work *w)
{
    log_warning("%s: %s did not send the text that it announced", w->id.text, channel_peer(w->caller));
    refuse(w, 4, "4.3.0", SPAN("internal protocol error"));
}

/* Reads n octets of a spooled text. */
static bool read_spool(struct work *w, char *to, size_t n, uint64_t at)
{
    while (n > 0) {
        ssize_t got = pread(w->fd, to, n, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            broken_spool(w);
            return false;
        }
        to += got;
        n -= (size_t)got;
        at += (uint64_t)got;
    }
    return true;
}

/* Brings the beginning of a spooled text to memory, the header section included. */
static void read_beginning(struct work *w)
{
    size_t limit = w->c->config.head.header_size_limit;
    for (size_t n = FIRST_READ;; n *= 4) {
        if (n > w->size)
            n = (size_t)w->size;
        buf_clear(&w->beginning);
        char *room = buf_reserve(&w->beginning, n);
        CHECK(room != NULL || n == 0);
        if (!read_spool(w, room, n, 0))
            return;
        buf_grown(&w->beginning, n);
        w->text = buf_span(&w->beginning);
        if (n == w->size)
            return;
        w->text.n = span_rfind(w->text, '\n') == n ? 0 : span_rfind(w->text, '\n') + 1; /* whole lines */
        if (w->text.n > 0 && head_find_body(w->text, limit) < w->text.n)
            return;
        if (n >= HEAD_MAX) {
            refuse(w, 5, "5.3.4", SPAN("message header section too big"));
            return;
        }
    }
}

static void find_text(struct work *w)
{
    w->fd = -1;
    w->size = w->m.text.n;
    w->text = w->m.text;
    if (w->m.spool) {
        struct spool_handle *h = handle_find(w->c, w->caller, w->m.spool);
        if (!h) {
            broken_spool(w);
            return;
        }
        w->fd = handle_take(w->c, h);
        w->size = w->m.spool_size;
    }
    if (w->c->config.message_limit && w->size > w->c->config.message_limit)
        refuse(w, 5, "5.3.4", SPAN("message file too big"));
    else if (w->fd >= 0)
        read_beginning(w);
}

/* --- header and recipients ------------------------------------------------------------ */

struct header_context {
    struct recipients *recipients;
    enum rewrite_context where;
};

static int rewrite_header(struct span address, enum head_side side, struct buf *replacement, void *context)
{
    struct header_context *h = context;
    return recipients_rewrite_header(address, h->where, side == HEAD_SENDER, replacement, h->recipients);
}

static void lookup_failed(struct work *w)
{
    log_warning("%s: %s", w->id.text, buf_text(&w->recipients.why));
    refuse(w, 4, "4.3.0", SPAN("Temporary lookup failure"));
}

static void complete_head(struct work *w)
{
    const struct cleanup_config *config = &w->c->config;
    bool local = (w->m.flags & SUBMIT_LOCAL_REWRITE) != 0, bounce = (w->m.flags & SUBMIT_BOUNCE) != 0;
    struct header_context context = {&w->recipients, local ? REWRITE_LOCAL : REWRITE_REMOTE};
    struct head_request request = {
        .id = w->id,
        .arrival_us = (int64_t)w->m.arrival_us,
        .sender = w->recipients.sender,
        .full_name = w->m.full_name,
        .complete = local || bounce || config->remote_rewrite || config->always_complete,
        .extract = (w->m.flags & SUBMIT_EXTRACT) != 0,
        .rewrite = !bounce && (local || config->remote_rewrite) ? rewrite_header : NULL,
        .context = &context,
    };
    w->head = head_complete(&config->head, &request, w->text, &w->c->scratch, &w->new_head);
    if (w->head.verdict == HEAD_HOPS)
        refuse(w, 5, "5.4.6", SPAN("too many hops"));
    if (w->head.verdict == HEAD_TEMP)
        lookup_failed(w);
    if (w->refused)
        return;
    if (w->head.resent_message_id.n)
        log_info("%s: resent-message-id=%.*s", w->id.text, SPAN_ARG(w->head.resent_message_id));
    log_info("%s: message-id=%.*s", w->id.text, SPAN_ARG(w->head.message_id));
}

static void judge_recipients(struct work *w, enum recipients_result result)
{
    if (result == RECIPIENTS_TEMP)
        lookup_failed(w);
    if (result == RECIPIENTS_TOO_MANY)
        refuse(w, 5, "5.5.3", SPAN("too many recipients"));
}

static void collect_recipients(struct work *w)
{
    struct recipients *r = &w->recipients;
    enum recipients_result result = RECIPIENTS_OK;
    r->copy = (w->m.flags & (SUBMIT_BOUNCE | SUBMIT_FORWARD)) == 0;
    for (size_t i = 0; i < w->m.recipients.n && result == RECIPIENTS_OK; i++)
        result = recipients_add(r, &w->m.recipients.at[i]);
    for (size_t i = 0; i < w->head.recipient_count && result == RECIPIENTS_OK; i++)
        result = recipients_add(r, &(struct msg_recipient){.address = w->head.recipients[i]});
    if (result == RECIPIENTS_OK)
        result = recipients_finish(r);
    judge_recipients(w, result);
    if (!w->refused && r->n == 0)
        refuse(w, 5, "5.1.0", SPAN("no recipients specified"));
}

/* --- storing --------------------------------------------------------------------------- */

static bool ends_in_line(struct work *w)
{
    char last = '\n';
    if (w->fd < 0)
        return w->text.n == 0 || w->text.p[w->text.n - 1] == '\n';
    return w->size == 0 || !read_spool(w, &last, 1, w->size - 1) || last == '\n';
}

static void make_envelope(struct work *w, uint64_t text_size)
{
    const struct msg_submit *m = &w->m;
    struct msg_stored_envelope e = {
        .id = queue_id_span(&w->id), .sender = w->recipients.sender,
        .recipients = {w->recipients.at, w->recipients.n}, .flags = m->flags, .arrival_us = m->arrival_us,
        .text_size = text_size, .ret = m->ret, .envid = m->envid, .client_name = m->client_name,
        .client_address = m->client_address, .helo = m->helo, .protocol = m->protocol, .login = m->login,
        .login_method = m->login_method, .encoding = m->encoding,
    };
    stored_put_envelope(&w->envelope, &e);
    if (w->envelope.full || w->envelope.len > STORED_ENVELOPE_MAX)
        refuse(w, 5, "5.5.3", SPAN("too many recipients"));
}

/* The body behind the new header section. result: STORE_OK, or an error; the work may be refused instead */
static enum store_result put_body(struct work *w, struct spool_file *file, struct buf *why)
{
    enum store_result result = STORE_OK;
    if (w->fd < 0)
        return spool_put(file, span_skip(w->text, w->head.body_at), why);
    char *room = malloc(COPY_AT_ONCE);
    CHECK(room != NULL);
    for (uint64_t at = w->head.body_at; at < w->size && result == STORE_OK && !w->refused;) {
        size_t n = w->size - at < COPY_AT_ONCE ? (size_t)(w->size - at) : COPY_AT_ONCE;
        if (read_spool(w, room, n, at))
            result = spool_put(file, span_of(room, n), why);
        at += n;
    }
    free(room);
    return result;
}

static void store_as_file(struct work *w, uint64_t text_size, struct span ending)
{
    struct spool_file *file = calloc(1, sizeof *file);
    struct buf why = BUF_INIT;
    CHECK(file != NULL);
    enum store_result result = spool_begin(&w->c->spool, file, &w->id, buf_span(&w->envelope), text_size, &why);
    if (result == STORE_OK)
        result = spool_put(file, buf_span(&w->new_head), &why);
    if (result == STORE_OK)
        result = put_body(w, file, &why);
    if (result == STORE_OK && !w->refused)
        result = spool_put(file, ending, &why);
    if (result == STORE_OK && !w->refused)
        result = spool_end(file, &why);
    if (result != STORE_OK)
        refuse_store(w, result, &why);
    if (w->refused) {
        spool_drop(file);
        free(file);
    } else {
        commit_add(w->c, &(struct store_request){.caller = w->caller, .answer_to = w->answer_to, .id = w->id,
                                                 .envelope = buf_span(&w->envelope), .file = file});
    }
    buf_fini(&why);
}

static void store_in_log(struct work *w, struct span ending)
{
    size_t n = (size_t)(w->size - w->head.body_at);
    if (w->fd < 0) {
        buf_put(&w->new_head, span_skip(w->text, w->head.body_at));
    } else {
        char *room = buf_reserve(&w->new_head, n);
        if (!read_spool(w, room, n, w->head.body_at))
            return;
        buf_grown(&w->new_head, n);
    }
    buf_put(&w->new_head, ending);
    commit_add(w->c, &(struct store_request){.caller = w->caller, .answer_to = w->answer_to, .id = w->id,
                                             .envelope = buf_span(&w->envelope), .text = buf_span(&w->new_head)});
}

static void store(struct work *w)
{
    struct span ending = ends_in_line(w) ? SPAN_NONE : SPAN("\n");
    uint64_t text_size = w->new_head.len + (w->size - w->head.body_at) + ending.n;
    if (!w->refused)
        make_envelope(w, text_size);
    if (w->refused)
        return;
    if (text_size <= LOG_TEXT_MAX && intake_takes(w->envelope.len, text_size))
        store_in_log(w, ending);
    else
        store_as_file(w, text_size, ending);
}

static void work_through(struct work *w)
{
    find_text(w);
    if (!w->refused)
        judge_recipients(w, recipients_set_sender(&w->recipients, w->m.sender));
    if (!w->refused)
        complete_head(w);
    if (!w->refused)
        collect_recipients(w);
    if (!w->refused)
        store(w);
}

static void take_submit(struct channel *caller, struct frame *f, void *context)
{
    struct cleanup *c = context;
    struct work w = {.c = c, .caller = caller, .answer_to = f->id, .fd = -1};
    c->in_hand++;
    recipients_init(&w.recipients, &c->config.recipients, &c->scratch);
    if (msg_submit_get(&c->scratch, f->body, &w.m) && queue_id_parse(w.m.id, &w.id)) {
        work_through(&w);
    } else {
        log_warning("malformed message from %s", channel_peer(caller));
        refuse(&w, 4, "4.3.0", SPAN("internal protocol error"));
    }
    recipients_fini(&w.recipients);
    buf_fini(&w.beginning);
    buf_fini(&w.new_head);
    buf_fini(&w.envelope);
    if (w.fd >= 0)
        close(w.fd);
    c->in_hand--;
    arena_reset(&c->scratch);
    if (c->stopping)
        loop_defer(proc_loop(c->proc), &c->commit); /* the last one ends the process */
}

const struct message_handler cleanup_requests[] = {
    {MSG_submit, take_submit},
    {MSG_room_wanted, take_room_wanted},
    {MSG_spool_wanted, take_spool_wanted},
    {MSG_spool_dropped, take_spool_dropped},
    {0, NULL},
};
