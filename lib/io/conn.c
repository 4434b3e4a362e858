#include "lib/io/conn_inner.h"
#include "lib/base/check.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <unistd.h>

/* --- the socket itself ------------------------------------------------------- */

/* A read that gives less than was asked has emptied the socket. The end of the stream is not
 * lost by that: it is an event of its own, which the waits remember. */
static ssize_t plain_read(void *layer, struct transport_try *how, char *to, size_t n)
{
    (void)layer;
    ssize_t got = recv(how->fd, to, n, 0);
    how->drained = got > 0 && (size_t)got < n;
    return got;
}

static ssize_t plain_write(void *layer, struct transport_try *how, const char *from, size_t n)
{
    (void)layer;
    return send(how->fd, from, n, MSG_NOSIGNAL | (how->more ? MSG_MORE : 0));
}

const struct transport_ops transport_plain = {.read = plain_read, .write = plain_write, .is_plain = true};

/* --- life -------------------------------------------------------------------- */

/* Ten thousand idle sessions hold one each. */
_Static_assert(sizeof(struct conn) <= 200, "an idle connection is small");

struct conn *conn_new(int fd)
{
    struct conn *c = calloc(1, sizeof *c);
    CHECK(c != NULL);
    *c = (struct conn){.magic = CONN_MAGIC, .fd = fd, .ops = &transport_plain, .deadline = MONO_NEVER};
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* refused by other kinds of socket */
    return c;
}

void conn_set_transport(struct conn *c, const struct transport_ops *ops, void *layer)
{
    CHECK_MAGIC(c, CONN_MAGIC);
    CHECK(c->out.len == c->out_sent || c->state != CONN_OK);
    if (c->ops->close)
        c->ops->close(c->layer, c->fd);
    c->ops = ops;
    c->layer = layer;
    c->drained = false;
}

/* Sends what is queued as far as that needs no waiting. */
static void conn_try_flush(struct conn *c)
{
    if (c->state == CONN_ERROR || c->out.len == c->out_sent)
        return;
    struct transport_try how = {.fd = c->fd, .want = LOOP_WRITE};
    ssize_t n = c->ops->write(c->layer, &how, c->out.data + c->out_sent, c->out.len - c->out_sent);
    if (n > 0) {
        c->out_sent += (size_t)n;
        c->bytes_out += (uint64_t)n;
    }
}

static void conn_free(struct conn *c)
{
    conn_release_in(c);
    buf_fini(&c->out);
    c->magic = 0;
    free(c);
}

void conn_close(struct conn **where)
{
    struct conn *c = *where;
    if (!c)
        return;
    *where = NULL;
    CHECK_MAGIC(c, CONN_MAGIC);
    conn_try_flush(c);
    if (c->ops->close)
        c->ops->close(c->layer, c->fd);
    wait_forget(c->fd);
    close(c->fd);
    conn_free(c);
}

int conn_take_fd(struct conn **where, struct buf *unread)
{
    struct conn *c = *where;
    *where = NULL;
    CHECK_MAGIC(c, CONN_MAGIC);
    CHECK(c->ops->is_plain);
    int fd = c->fd;
    conn_try_flush(c);
    buf_put(unread, conn_unread(c));
    wait_forget(fd);
    conn_free(c);
    return fd;
}

void conn_set_deadline(struct conn *c, mono_ms deadline)
{
    c->deadline = deadline;
}

mono_ms conn_deadline(const struct conn *c)
{
    return c->deadline;
}

enum conn_result conn_state(const struct conn *c)
{
    if (c->state == CONN_OK && c->at_end && c->start == c->end)
        return CONN_EOF;
    return c->state;
}

int conn_errno(const struct conn *c)
{
    return c->error;
}

int conn_fd(const struct conn *c)
{
    return c->fd;
}

uint64_t conn_bytes_in(const struct conn *c)
{
    return c->bytes_in;
}

uint64_t conn_bytes_out(const struct conn *c)
{
    return c->bytes_out;
}

/* --- waiting ----------------------------------------------------------------- */

enum conn_result conn_fail(struct conn *c, int error)
{
    c->error = error;
    c->state = CONN_ERROR;
    return c->state;
}

static enum conn_result conn_heed(struct conn *c, enum wait_result waited)
{
    if (waited == WAIT_TIMEOUT)
        c->state = CONN_TIMEOUT;
    else if (waited == WAIT_CANCELLED)
        c->state = CONN_CANCELLED;
    return c->state;
}

enum conn_result conn_wait(struct conn *c, unsigned want)
{
    c->turn_bytes = 0;
    c->turn_lines = 0;
    return conn_heed(c, want == LOOP_WRITE ? wait_writable(c->fd, c->deadline) : wait_readable(c->fd, c->deadline));
}

enum conn_result conn_take_turn(struct conn *c)
{
    if (c->turn_bytes < CONN_TURN_BYTES && c->turn_lines < CONN_TURN_LINES)
        return c->state;
    c->turn_bytes = 0;
    c->turn_lines = 0;
    if (conn_heed(c, wait_until(0)) == CONN_OK && c->deadline != MONO_NEVER && clock_mono() >= c->deadline)
        c->state = CONN_TIMEOUT;
    return c->state;
}

/* --- output ------------------------------------------------------------------ */

/* Sends all of bytes, waiting as needed. more: others follow at once */
static enum conn_result conn_send(struct conn *c, struct span bytes, bool more, size_t *sent)
{
    while (*sent < bytes.n) {
        if (c->state != CONN_OK)
            return c->state;
        struct transport_try how = {.fd = c->fd, .want = LOOP_WRITE, .more = more};
        ssize_t n = c->ops->write(c->layer, &how, bytes.p + *sent, bytes.n - *sent);
        if (n >= 0) {
            *sent += (size_t)n;
            c->bytes_out += (uint64_t)n;
        } else if (errno == EAGAIN) {
            conn_wait(c, how.want);
        } else if (errno != EINTR) {
            conn_fail(c, errno);
        }
    }
    return c->state;
}

static enum conn_result conn_send_queued(struct conn *c, bool more)
{
    if (c->state != CONN_OK || !c->out.data)
        return c->state;
    if (conn_send(c, buf_span(&c->out), more, &c->out_sent) == CONN_OK) {
        buf_fini(&c->out);
        c->out_sent = 0;
    }
    return c->state;
}

enum conn_result conn_flush(struct conn *c)
{
    CHECK_MAGIC(c, CONN_MAGIC);
    return conn_send_queued(c, false);
}

/* Whether n more octets are to be queued. After a timeout or a cancellation they are, for the one
 * try when the connection is closed; after an error they are of no use. */
static bool conn_takes(const struct conn *c, size_t n)
{
    if (c->state == CONN_OK)
        return true;
    return c->state != CONN_ERROR && c->out.len + n <= CONN_OUT_MOST;
}

enum conn_result conn_write(struct conn *c, struct span bytes)
{
    CHECK_MAGIC(c, CONN_MAGIC);
    if (!conn_takes(c, bytes.n))
        return c->state;
    if (bytes.n >= CONN_DIRECT && c->state == CONN_OK) {
        size_t sent = 0;
        conn_send_queued(c, true);
        return conn_send(c, bytes, false, &sent);
    }
    buf_put(&c->out, bytes);
    return c->out.len > CONN_OUT_MOST ? conn_send_queued(c, false) : c->state;
}

enum conn_result conn_printf(struct conn *c, const char *format, ...)
{
    CHECK_MAGIC(c, CONN_MAGIC);
    if (!conn_takes(c, 0))
        return c->state;
    va_list args;
    va_start(args, format);
    buf_vprintf(&c->out, format, args);
    va_end(args);
    return c->out.len > CONN_OUT_MOST ? conn_send_queued(c, false) : c->state;
}

/* Queues a stretch of a file. A file that is shorter than the caller has promised to the peer
 * leaves nothing sensible to be sent. */
static enum conn_result conn_copy_file(struct conn *c, int file, off_t offset, size_t length)
{
    while (length > 0 && c->state == CONN_OK) {
        size_t room = length < CONN_DIRECT ? length : CONN_DIRECT;
        char *to = buf_reserve(&c->out, room);
        CHECK(to != NULL);
        ssize_t n = pread(file, to, room, offset);
        if (n <= 0) {
            if (n < 0 && errno == EINTR)
                continue;
            return conn_fail(c, n < 0 ? errno : ENODATA);
        }
        buf_grown(&c->out, (size_t)n);
        offset += n;
        length -= (size_t)n;
        if (c->out.len > CONN_OUT_MOST)
            conn_send_queued(c, length > 0);
    }
    return c->state;
}

enum conn_result conn_send_file(struct conn *c, int file, off_t offset, size_t length)
{
    CHECK_MAGIC(c, CONN_MAGIC);
    /* Small files go out in one segment with the replies around them. */
    if (length <= CONN_DIRECT || !c->ops->is_plain)
        return conn_copy_file(c, file, offset, length);
    conn_send_queued(c, true);
    while (length > 0 && c->state == CONN_OK) {
        ssize_t n = sendfile(c->fd, file, &offset, length < CONN_TURN_BYTES ? length : CONN_TURN_BYTES);
        if (n > 0) {
            length -= (size_t)n;
            c->bytes_out += (uint64_t)n;
            c->turn_bytes += (size_t)n;
            conn_take_turn(c);
        } else if (n == 0) {
            conn_fail(c, ENODATA);
        } else if (errno == EAGAIN) {
            conn_wait(c, LOOP_WRITE);
        } else if (errno == EINVAL || errno == ENOSYS) {
            return conn_copy_file(c, file, offset, length);
        } else if (errno != EINTR) {
            conn_fail(c, errno);
        }
    }
    return c->state;
}
