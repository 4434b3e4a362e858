#include "bounce/original.h"
#include "lib/mail/codec.h"
#include "lib/mail/header.h"

#include <unistd.h>

/* result: octets read, fewer than n at the end of the file or on an error */
static size_t read_at(int fd, char *to, size_t n, uint64_t offset)
{
    size_t done = 0;
    while (done < n) {
        ssize_t got = pread(fd, to + done, n - done, (off_t)(offset + done));
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    return done;
}

/* The header section of text, which may be cut: then up to its last whole line. */
static struct span find_headers(struct span text)
{
    struct header_scan scan;
    struct header header;
    size_t end = 0;
    enum header_event event;
    header_scan_init(&scan, text, HEADER_SIZE_LIMIT);
    while ((event = header_next(&scan, &header)) != HEADER_BODY)
        end = scan.at;
    struct span headers = span_slice(text, 0, end);
    if (headers.n && headers.p[headers.n - 1] != '\n')
        headers = span_slice(headers, 0, span_rfind(headers, '\n') + 1);
    return headers;
}

bool original_open(struct original *o, struct arena *a, struct span text, int fd, uint64_t offset, uint64_t size)
{
    *o = (struct original){.text = text, .fd = fd, .offset = offset, .size = fd >= 0 ? size : text.n};
    struct span head = text;
    if (fd >= 0) {
        size_t room = size < ORIGINAL_HEAD_MAX ? (size_t)size : ORIGINAL_HEAD_MAX;
        char *p = arena_alloc(a, room);
        o->text = SPAN_NONE;
        if (read_at(fd, p, room, offset) < room)
            return false;
        head = span_of(p, room);
    }
    o->headers = find_headers(head);
    return true;
}

bool original_each(const struct original *o, bool (*fn)(struct span piece, void *context), void *context)
{
    char piece[4096];
    if (o->fd < 0)
        return fn(o->text, context);
    for (uint64_t done = 0; done < o->size;) {
        size_t n = o->size - done < sizeof piece ? (size_t)(o->size - done) : sizeof piece;
        if (read_at(o->fd, piece, n, o->offset + done) < n || !fn(span_of(piece, n), context))
            return false;
        done += n;
    }
    return true;
}

static bool piece_is_ascii(struct span piece, void *context)
{
    (void)context;
    return codec_is_ascii(piece);
}

bool original_is_eight_bit(const struct original *o)
{
    return !original_each(o, piece_is_ascii, NULL);
}

void original_put_header(const struct original *o, struct buf *out, struct span name)
{
    struct header_scan scan;
    struct header header;
    enum header_event event;
    header_scan_init(&scan, o->headers, HEADER_SIZE_LIMIT);
    while ((event = header_next(&scan, &header)) != HEADER_BODY)
        if (event == HEADER_FIELD && span_eq_nocase(header.name, name)) {
            header_put_unfolded(out, header.value);
            return;
        }
}
