#include "mailbox/mbox_text.h"
#include "lib/mail/address.h"
#include "mailbox/text_turn.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

enum { GATHER = 64 * 1024, READ_SIZE = 4096 };

/* A message on its way to the sink. */
struct copying {
    mbox_sink sink;
    void *context;
    struct buf out;
    struct text_turn turn;
    bool good;
};

static void flush(struct copying *c)
{
    if (c->good && c->out.len)
        c->good = c->sink(buf_span(&c->out), c->context);
    buf_clear(&c->out);
}

static void copy(struct copying *c, struct span s)
{
    while (s.n && c->good) {
        text_turn_put(&c->turn, span_slice(s, 0, GATHER));
        if (c->out.len >= GATHER)
            flush(c);
        s = span_skip(s, GATHER);
    }
}

static void copy_file(struct copying *c, const struct mbox_message *m)
{
    char piece[READ_SIZE];
    for (uint64_t done = 0; done < m->size && c->good;) {
        size_t room = m->size - done < sizeof piece ? (size_t)(m->size - done) : sizeof piece;
        ssize_t n = pread(m->fd, piece, room, (off_t)(m->offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            errno = n < 0 ? errno : ENODATA;
            c->good = false;
            return;
        }
        copy(c, span_of(piece, (size_t)n));
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
    struct copying c = {.sink = sink, .context = context, .good = true};
    c.turn = (struct text_turn){.out = &c.out, .quote_from = true, .blank_end = true};
    mbox_text_put_first_line(&c.out, m);
    buf_put(&c.out, m->top);
    if (m->fd < 0)
        copy(&c, m->text);
    else
        copy_file(&c, m);
    text_turn_end(&c.turn);
    flush(&c);
    buf_fini(&c.out);
    return c.good;
}
