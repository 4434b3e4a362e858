/* The line reader: whatever the octets and however they arrive, nothing is lost, added or joined.
 *
 * Input: mode and limit, a count of chunk sizes, the chunk sizes (0: nothing has come yet), the octets.
 * Mode 0 reads lines and compares them with a plain search; the others read pieces, or pieces and
 * blocks of octets in turn, and compare what was read, put together, with the input. */
#include "lib/base/check.h"
#include "lib/io/conn.h"
#include "lib/io/transport.h"

#include <errno.h>
#include <sys/eventfd.h>

struct source {
    struct span octets; /* what is left */
    struct span chunks; /* sizes, in turn */
    size_t turn;
};

static ssize_t source_read(void *layer, struct transport_try *how, char *to, size_t n)
{
    struct source *s = layer;
    size_t most = s->chunks.n ? span_at(s->chunks, s->turn++ % s->chunks.n) : n;
    if (most == 0 && s->turn % s->chunks.n != 0) { /* not for ever */
        errno = EAGAIN;
        return -1;
    }
    if (most == 0)
        most = 1;
    n = n < most ? n : most;
    n = n < s->octets.n ? n : s->octets.n;
    if (n > 0)
        memcpy(to, s->octets.p, n);
    s->octets = span_skip(s->octets, n);
    how->drained = s->turn % 3 == 0;
    return (ssize_t)n;
}

static const struct transport_ops transport_source = {.read = source_read};

/* One line by the plainest of means. result: false: no LF is left */
static bool plain_line(struct span *text, struct span *line, enum line_ending *ending)
{
    size_t lf = span_find(*text, '\n');
    if (lf == text->n)
        return false;
    bool crlf = lf > 0 && text->p[lf - 1] == '\r';
    *line = span_slice(*text, 0, crlf ? lf - 1 : lf);
    *ending = crlf ? LINE_CRLF : LINE_BARE_LF;
    *text = span_skip(*text, lf + 1);
    return true;
}

static void read_lines(struct conn *c, size_t limit, struct span text)
{
    struct span line, want;
    enum line_ending ending, want_ending;
    while (plain_line(&text, &want, &want_ending)) {
        enum conn_result got = conn_read_line(c, limit, &line, &ending);
        CHECK(got == (want.n > limit ? CONN_TOO_LONG : CONN_OK));
        CHECK(got == CONN_TOO_LONG || (span_eq(line, want) && ending == want_ending));
    }
    CHECK(conn_read_line(c, limit, &line, &ending) == CONN_EOF);
}

static void read_pieces(struct conn *c, size_t limit, struct span text, bool blocks)
{
    struct buf seen = BUF_INIT;
    enum conn_result got = CONN_OK;
    for (unsigned turn = 0; got == CONN_OK; turn++) {
        struct span piece;
        enum line_ending ending = LINE_CUT;
        bool bare_cr = false;
        got = blocks && turn % 2 ? conn_read_bytes(c, limit, &piece)
                                 : conn_read_piece(c, limit, &piece, &ending, &bare_cr);
        if (got != CONN_OK)
            break;
        CHECK(piece.n <= limit && piece.n + (ending != LINE_CUT) > 0);
        CHECK(!bare_cr || memchr(piece.p, '\r', piece.n));
        CHECK((blocks && turn % 2) || !piece.n || !memchr(piece.p, '\n', piece.n));
        buf_put(&seen, piece);
        buf_puts(&seen, ending == LINE_CRLF ? "\r\n" : ending == LINE_BARE_LF ? "\n" : "");
    }
    CHECK(got == CONN_EOF);
    CHECK(span_eq(buf_span(&seen), text));
    buf_fini(&seen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    unsigned mode = data[0] & 3;
    size_t limit = (size_t)(data[0] >> 2) + 1;
    struct span rest = span_of(data + 2, size - 2);
    struct source source = {.chunks = span_slice(rest, 0, data[1] & 15), .octets = span_skip(rest, data[1] & 15)};
    struct span text = source.octets;

    int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK); /* always readable: a wait ends at once */
    struct conn *c = conn_new(fd);
    conn_set_transport(c, &transport_source, &source);
    if (mode == 0)
        read_lines(c, limit, text);
    else
        read_pieces(c, limit, text, mode > 1);
    conn_close(&c);
    return 0;
}
