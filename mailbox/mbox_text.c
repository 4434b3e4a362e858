#include "mailbox/mbox_text.h"
#include "lib/mail/address.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

enum { GATHER = 64 * 1024, READ_SIZE = 4096 };

/* A message being turned. */
struct turning {
    mbox_sink sink;
    void *context;
    struct buf out;
    bool good;
    bool line_start; /* the next octet begins a line */
    size_t matched;  /* octets of "From " held back at the start of a line */
    char last;
};

static const struct span from = SPAN_INIT("From ");

static void flush(struct turning *t)
{
    if (t->good && t->out.len)
        t->good = t->sink(buf_span(&t->out), t->context);
    buf_clear(&t->out);
}

static void put(struct turning *t, struct span s)
{
    if (s.n == 0 || !t->good)
        return;
    buf_put(&t->out, s);
    t->last = s.p[s.n - 1];
    if (t->out.len >= GATHER)
        flush(t);
}

/* What was held back is not "From ". */
static void release(struct turning *t)
{
    put(t, span_slice(from, 0, t->matched));
    t->matched = 0;
    t->line_start = false;
}

/* Takes octets at the start of a line. result: how many */
static size_t match_from(struct turning *t, struct span s)
{
    size_t i = 0;
    while (i < s.n && t->matched < from.n && s.p[i] == from.p[t->matched])
        i++, t->matched++;
    if (t->matched == from.n)
        put(t, SPAN(">"));
    if (t->matched == from.n || i < s.n)
        release(t);
    return i;
}

static void turn(struct turning *t, struct span s)
{
    while (s.n && t->good) {
        if (t->line_start) {
            s = span_skip(s, match_from(t, s));
            continue;
        }
        size_t n = span_find(s, '\n');
        t->line_start = n < s.n;
        n += t->line_start;
        put(t, span_slice(s, 0, n));
        s = span_skip(s, n);
    }
}

static void turn_file(struct turning *t, const struct mbox_message *m)
{
    char piece[READ_SIZE];
    for (uint64_t done = 0; done < m->size && t->good;) {
        size_t room = m->size - done < sizeof piece ? (size_t)(m->size - done) : sizeof piece;
        ssize_t n = pread(m->fd, piece, room, (off_t)(m->offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            errno = n < 0 ? errno : ENODATA;
            t->good = false;
            return;
        }
        turn(t, span_of(piece, (size_t)n));
        done += (uint64_t)n;
    }
}

void mbox_text_put_first_line(struct buf *out, const struct mbox_message *m)
{
    struct buf sender = BUF_INIT;
    char date[32];
    time_t seconds = (time_t)(m->arrival_us / 1000000);
    struct tm tm;
    address_put_external(&sender, m->sender);
    if (sender.len == 0)
        buf_puts(&sender, "MAILER-DAEMON");
    for (size_t i = 0; i < sender.len; i++)
        if ((unsigned char)sender.data[i] <= ' ' || sender.data[i] == 0x7f)
            sender.data[i] = '?';
    localtime_r(&seconds, &tm);
    strftime(date, sizeof date, "%a %b %e %H:%M:%S %Y", &tm);
    buf_printf(out, "From %s  %s\n", buf_text(&sender), date);
    buf_fini(&sender);
}

bool mbox_text_each(const struct mbox_message *m, mbox_sink sink, void *context)
{
    struct turning t = {.sink = sink, .context = context, .good = true, .line_start = true};
    mbox_text_put_first_line(&t.out, m);
    put(&t, m->top);
    if (m->fd < 0)
        turn(&t, m->text);
    else
        turn_file(&t, m);
    release(&t);
    if (t.last != '\n')
        put(&t, SPAN("\n"));
    put(&t, SPAN("\n"));
    flush(&t);
    buf_fini(&t.out);
    return t.good;
}
