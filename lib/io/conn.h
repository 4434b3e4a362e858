/* A network connection with one line reader.
 *
 * Owned by the session that uses it; only that session calls it. Errors are
 * sticky: after a lost connection, a timeout or a cancellation every further call
 * returns the same result at once, so a session checks at command boundaries.
 * The end of input is sticky for reading alone: replies still go out. After a timeout
 * or a cancellation conn_write and conn_printf still queue (64 KiB at most): a last
 * word ("421 ...") for the one try that conn_close makes.
 * Replies are gathered and written in one go when the session next waits for
 * input (or calls conn_flush), so pipelining needs no care. A peer that keeps sending
 * does not hold up other sessions: after much input the session gives them a turn.
 *
 * An idle connection holds its struct and nothing else: buffers come with input or
 * output and go when a wait begins with nothing in them. The process ignores SIGPIPE. */
#ifndef IO_CONN_H
#define IO_CONN_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/io/wait.h"

#include <sys/socket.h>

struct conn;

enum conn_result {
    CONN_OK,
    CONN_EOF,       /* the peer closed its side; unread input is used up */
    CONN_ERROR,     /* the connection is lost (conn_errno) */
    CONN_TIMEOUT,   /* the deadline passed */
    CONN_CANCELLED, /* this session is asked to end */
    CONN_TOO_LONG,  /* a line over the limit: it was read to its end and dropped; not sticky */
};

enum line_ending {
    LINE_CRLF,    /* ended by CR LF */
    LINE_BARE_LF, /* ended by LF alone */
    LINE_CUT,     /* not ended: the piece is as long as the limit, or the input ended (conn_read_piece only) */
};

/* fd: a connected stream socket, non-blocking; the conn owns it from now on. Sets TCP_NODELAY. */
struct conn *conn_new(int fd);
/* Closes the socket and frees all; unsent replies are tried once, without waiting. Nulls *c. */
void conn_close(struct conn **c);
/* Takes the descriptor out, with what was read but not used (appended to unread); frees the rest.
 * The caller has flushed; what is still queued is tried once. Not for a connection under TLS. Nulls *c. */
int conn_take_fd(struct conn **c, struct buf *unread);

/* Input that somebody else has read from the same socket before (conn_take_fd there). Copied; once,
 * before the first read. */
void conn_put_input(struct conn *c, struct span unread);

/* The deadline for every wait until the next call; set before each command. */
void conn_set_deadline(struct conn *c, mono_ms deadline);
enum conn_result conn_state(const struct conn *c);
/* errno of a CONN_ERROR. */
int conn_errno(const struct conn *c);
int conn_fd(const struct conn *c);

/* Reads one command line, ended by LF, without its line ending. A line holding a bare CR
 * is returned as it is: the caller's parser refuses it.
 * line:   set to the line; belongs to c, valid until the next read on c
 * limit:  most octets of a line without its ending
 * waits:  until the deadline; queued replies are flushed first
 * result: CONN_OK, CONN_EOF, CONN_ERROR, CONN_TIMEOUT, CONN_CANCELLED, CONN_TOO_LONG
 * RFC 5321 2.3.8, 4.5.3.1.4 */
enum conn_result conn_read_line(struct conn *c, size_t limit, struct span *line, enum line_ending *ending);

/* Reads message text: as conn_read_line, but a longer line comes in pieces (LINE_CUT), and so
 * does what stands behind the last LF when the input ends.
 * has_bare_cr: set where a CR that is not followed by LF stands in the piece (a CR at the
 *              very end of a cut piece is held back until its follower is known) */
enum conn_result conn_read_piece(struct conn *c, size_t limit, struct span *piece, enum line_ending *ending,
                                 bool *has_bare_cr);

/* Up to n octets as they come, at least one (BDAT). bytes: as line above. */
enum conn_result conn_read_bytes(struct conn *c, size_t n, struct span *bytes);

/* Whether input that was received is waiting to be read: without asking the kernel, and with. */
bool conn_has_input(const struct conn *c);
bool conn_poll_input(struct conn *c);
/* Drops all input read so far (a change to TLS: RFC 3207 4.2). result: bytes dropped */
size_t conn_drop_input(struct conn *c);

/* Queues bytes to the peer; does not wait unless over 64 KiB are queued, then waits for room. */
enum conn_result conn_write(struct conn *c, struct span bytes);
enum conn_result conn_printf(struct conn *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Sends length bytes of a file from an offset behind what is queued, without copying them
 * through user space where the kernel can. waits */
enum conn_result conn_send_file(struct conn *c, int file, off_t offset, size_t length);
/* Sends what is queued. waits */
enum conn_result conn_flush(struct conn *c);

/* Bytes received and sent so far. */
uint64_t conn_bytes_in(const struct conn *c);
uint64_t conn_bytes_out(const struct conn *c);

#endif
