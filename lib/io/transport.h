/* What carries a connection's bytes: the socket itself, or a layer over it (TLS).
 *
 * A conn does all reading and writing by these calls. They try once and never
 * wait; the conn waits, with its deadline. Only lib/io and the TLS layer include
 * this header. */
#ifndef IO_TRANSPORT_H
#define IO_TRANSPORT_H

#include "lib/io/conn.h"

#include <sys/types.h>

/* What a try leaves to say beside its result. */
struct transport_try {
    int fd;        /* the connection's socket */
    unsigned want; /* after EAGAIN: LOOP_READ or LOOP_WRITE, what to wait for; set to the natural one before */
    bool more;     /* write: further bytes follow at once, the kernel need not send a short segment */
    bool drained;  /* read: out: nothing was left, so the next try would say EAGAIN */
};

struct transport_ops {
    /* result: octets read (1..n); 0: the peer closed; -1 with errno */
    ssize_t (*read)(void *layer, struct transport_try *how, char *to, size_t n);
    /* result: octets taken (1..n); -1 with errno. No SIGPIPE. */
    ssize_t (*write)(void *layer, struct transport_try *how, const char *from, size_t n);
    /* Octets that were received and decoded and can be read without the socket; NULL: never any */
    size_t (*pending)(void *layer);
    /* Says goodbye where that can be tried without waiting, and frees the layer; NULL: nothing to do */
    void (*close)(void *layer, int fd);
    bool is_plain; /* the octets go to the socket as they are, so the kernel can send files */
};

/* The socket itself. */
extern const struct transport_ops transport_plain;

/* Puts a layer between c and its socket; c owns the layer from now on. Queued output was
 * flushed (checked); input that was read before stays readable unless it is dropped. */
void conn_set_transport(struct conn *c, const struct transport_ops *ops, void *layer);
/* The deadline in force, for a handshake that does its own waiting. */
mono_ms conn_deadline(const struct conn *c);

#endif
