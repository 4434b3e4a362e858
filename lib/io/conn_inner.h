/* The inside of a connection, shared by conn.c (life and output) and conn_read.c (input). */
#ifndef IO_CONN_INNER_H
#define IO_CONN_INNER_H

#include "lib/io/conn.h"
#include "lib/io/transport.h"

enum {
    CONN_MAGIC = 0x434f4e4e,
    CONN_IN_SMALL = 8 * 1024,    /* first input buffer; a limit above makes it grow */
    CONN_IN_LARGE = 64 * 1024,   /* where the peer has filled the small one */
    CONN_OUT_MOST = 64 * 1024,   /* queued octets that make a write wait */
    CONN_DIRECT = 16 * 1024,     /* octets that are sent from where they are, not copied */
    CONN_TURN_BYTES = 512 * 1024, /* read or sent from a file without a wait before others get a turn */
    CONN_TURN_LINES = 200,
};

struct conn {
    unsigned magic;
    int fd;                  /* owned; -1 when taken out */
    const struct transport_ops *ops;
    void *layer;             /* owned, of ops */
    mono_ms deadline;
    char *in;                /* owned; NULL while no input is held */
    size_t start, end, cap;  /* in[start..end-1] is unread, cap is allocated */
    size_t searched;         /* octets behind start that are known to hold no LF */
    struct buf out;          /* queued; memory is held only while something is queued */
    size_t out_sent;         /* of out, already sent */
    uint64_t bytes_in, bytes_out;
    size_t turn_bytes;       /* moved since the last wait */
    unsigned turn_lines;
    int error;               /* errno of CONN_ERROR */
    enum conn_result state;  /* sticky: CONN_OK, _ERROR, _TIMEOUT, _CANCELLED */
    bool at_end;             /* the peer closed its side: no more input comes */
    bool drained;            /* the next read would say EAGAIN */
    bool was_full;           /* the last read filled its room: the next buffer is a large one */
};

/* Makes c fail for good. result: CONN_ERROR */
enum conn_result conn_fail(struct conn *c, int error);
/* Waits for LOOP_READ or LOOP_WRITE and makes the outcome sticky. */
enum conn_result conn_wait(struct conn *c, unsigned want);
/* Gives others a turn and looks at the clock where much was done without a wait. */
enum conn_result conn_take_turn(struct conn *c);
/* Input that was read and not used; belongs to c. */
struct span conn_unread(const struct conn *c);
/* Ends the input buffer. */
void conn_release_in(struct conn *c);

#endif
