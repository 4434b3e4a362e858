#include "lib/queue/drop.h"

#include "lib/base/check.h"
#include "lib/mail/address.h"
#include "lib/mail/dsn.h"

#include <errno.h>
#include <unistd.h>

enum { WRITE_AT_ONCE = 64 * 1024, COPY_AT_ONCE = 128 * 1024 };

static const char magic[8] = {'M', 'r', 'p', 'D', 'r', 'o', 'p', '1'};

struct header {
    char magic[8];
    uint32_t envelope; /* octets */
    uint32_t zero;
    uint64_t text; /* octets */
    uint64_t zeros;
};

/* --- writing ------------------------------------------------------------------- */

static int write_all(int fd, struct span octets, uint64_t at)
{
    while (octets.n > 0) {
        ssize_t n = pwrite(fd, octets.p, octets.n, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : ENOSPC;
        octets = span_skip(octets, (size_t)n);
        at += (uint64_t)n;
    }
    return 0;
}

static void flush(struct drop_writer *w)
{
    if (w->error == 0)
        w->error = write_all(w->fd, buf_span(&w->out), DROP_HEADER + w->envelope + w->text - w->out.len);
    buf_clear(&w->out);
}

bool drop_write_begin(struct drop_writer *w, int fd, const struct msg_drop *envelope)
{
    struct buf octets = BUF_LIMITED(DROP_ENVELOPE_MAX);
    *w = (struct drop_writer){.fd = fd};
    msg_drop_put(&octets, envelope);
    bool fits = !octets.full;
    if (fits) {
        w->envelope = octets.len;
        w->error = write_all(fd, buf_span(&octets), DROP_HEADER);
    }
    buf_fini(&octets);
    return fits;
}

void drop_write(struct drop_writer *w, struct span text)
{
    w->text += text.n;
    buf_put(&w->out, text);
    CHECK(!w->out.full);
    if (w->out.len >= WRITE_AT_ONCE)
        flush(w);
}

int drop_write_end(struct drop_writer *w)
{
    struct header h = {.envelope = (uint32_t)w->envelope, .text = w->text};
    memcpy(h.magic, magic, sizeof magic);
    flush(w);
    if (w->error == 0)
        w->error = write_all(w->fd, span_of(&h, sizeof h), 0);
    buf_fini(&w->out);
    return w->error;
}

int drop_copy(int from, int to)
{
    struct buf room = BUF_INIT;
    char *chunk = buf_reserve(&room, COPY_AT_ONCE);
    int error = 0;
    ssize_t n = 0;
    for (uint64_t at = 0; error == 0 && (n = pread(from, chunk, COPY_AT_ONCE, (off_t)at)) > 0; at += (uint64_t)n)
        error = write_all(to, span_of(chunk, (size_t)n), at);
    if (n < 0)
        error = errno;
    buf_fini(&room);
    return error;
}

/* --- reading -------------------------------------------------------------------- */

enum drop_result drop_read_header(struct span octets, uint64_t size, size_t *envelope, struct drop *d)
{
    static const char nothing[sizeof magic];
    struct header h;
    *d = (struct drop){0};
    *envelope = 0;
    if (octets.n < sizeof h)
        return DROP_UNFINISHED;
    memcpy(&h, octets.p, sizeof h);
    if (memcmp(h.magic, nothing, sizeof nothing) == 0)
        return DROP_UNFINISHED;
    if (memcmp(h.magic, magic, sizeof magic) != 0 || h.zero || h.zeros || h.envelope > DROP_ENVELOPE_MAX)
        return DROP_MALFORMED;
    d->text_at = DROP_HEADER + h.envelope;
    d->text_size = h.text;
    if (size < d->text_at || size - d->text_at < h.text)
        return DROP_UNFINISHED;
    if (size - d->text_at > h.text)
        return DROP_MALFORMED;
    *envelope = h.envelope;
    return DROP_OK;
}

static bool is_taken(struct span text)
{
    return text.n <= DROP_ADDRESS_MAX && address_is_clean(text);
}

/* result: NULL, or which part cannot be taken */
static const char *find_fault(const struct msg_drop *m)
{
    const uint64_t notify = DSN_NOTIFY_SUCCESS | DSN_NOTIFY_FAILURE | DSN_NOTIFY_DELAY;
    if (!is_taken(m->sender))
        return "sender";
    for (size_t i = 0; i < m->recipients.n; i++)
        if (!is_taken(m->recipients.at[i].address) || m->recipients.at[i].address.n == 0)
            return "recipient";
    if ((m->recipients.n == 0) != ((m->flags & DROP_EXTRACT) != 0))
        return "number of recipients";
    if (!is_taken(m->full_name))
        return "full name";
    if (!is_taken(m->envid) || m->envid.n > DSN_ENVID_MAX)
        return "envelope ID";
    if (m->ret.n && !span_eq(m->ret, SPAN("FULL")) && !span_eq(m->ret, SPAN("HDRS")))
        return "RET";
    if ((m->notify & ~notify) && m->notify != DSN_NOTIFY_NEVER)
        return "NOTIFY";
    return m->encoding != 0 && m->encoding != 8 ? "encoding" : NULL;
}

enum drop_result drop_read_envelope(struct arena *a, struct span octets, struct msg_drop *m, struct buf *why)
{
    bool decoded = msg_drop_get(a, octets, m);
    const char *fault = decoded ? find_fault(m) : NULL;
    if (!decoded)
        buf_puts(why, "it is not a submission");
    else if (fault)
        buf_printf(why, "invalid %s", fault);
    return decoded && !fault ? DROP_OK : DROP_MALFORMED;
}

bool drop_read_octets(int fd, char *to, size_t n, uint64_t at)
{
    while (n > 0) {
        ssize_t got = pread(fd, to, n, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            errno = 0;
        if (got <= 0)
            return false;
        to += got;
        n -= (size_t)got;
        at += (uint64_t)got;
    }
    return true;
}

enum drop_result drop_read(struct arena *a, int fd, uint64_t size, struct drop *d, struct buf *why)
{
    char octets[DROP_HEADER];
    size_t envelope;
    size_t n = size < sizeof octets ? (size_t)size : sizeof octets;
    if (!drop_read_octets(fd, octets, n, 0)) {
        buf_printf(why, "it cannot be read: %s", errno ? strerror(errno) : "it ends too early");
        return DROP_MALFORMED;
    }
    enum drop_result result = drop_read_header(span_of(octets, n), size, &envelope, d);
    if (result != DROP_OK) {
        buf_puts(why, result == DROP_UNFINISHED ? "it is not finished" : "it is not a submission");
        return result;
    }
    char *room = arena_alloc(a, envelope);
    if (drop_read_octets(fd, room, envelope, DROP_HEADER))
        return drop_read_envelope(a, span_of(room, envelope), &d->envelope, why);
    buf_printf(why, "it cannot be read: %s", errno ? strerror(errno) : "it has become shorter");
    return DROP_MALFORMED;
}
