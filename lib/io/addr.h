/* Socket addresses as text, in the forms that Postfix logs and SMTP writes.
 *
 * An IPv4 address that came over an IPv6 socket (::ffff:192.0.2.1) is shown, compared and kept as
 * IPv4. Any process may call these; none waits. */
#ifndef IO_ADDR_H
#define IO_ADDR_H

#include "lib/base/buf.h"

#include <sys/socket.h>

/* An address of a peer or of our own, with the length that the kernel wants. */
struct addr {
    struct sockaddr_storage sa;
    socklen_t len; /* 0: none */
};

/* From what the kernel gave; IPv4 in IPv6 becomes IPv4, ports are kept. */
struct addr addr_of(const struct sockaddr_storage *sa, socklen_t len);
/* Of the far and the near end of a socket. result: len 0 where it has none */
struct addr addr_of_peer(int fd);
struct addr addr_of_self(int fd);

/* An address without a name: "192.0.2.1", "2001:db8::1", "[2001:db8::1]".
 * result: false: text is none (*a untouched) */
bool addr_parse(struct span text, unsigned port, struct addr *a);

/* AF_INET, AF_INET6, AF_UNIX; AF_UNSPEC where there is none. */
int addr_family(const struct addr *a);
/* 0 where there is none. */
unsigned addr_port(const struct addr *a);
/* The octets that stand for the host: 4, 16, or none. Borrowed from a. */
struct span addr_bytes(const struct addr *a);

/* Appends the host: "192.0.2.1", "2001:db8::1" (a scope is left out). What is no internet address
 * is "127.0.0.1", as Postfix has it for clients over a UNIX socket. */
void addr_put_host(struct buf *out, const struct addr *a);
/* The same as an address literal: "[192.0.2.1]", "[IPv6:2001:db8::1]". RFC 5321 4.1.3 */
void addr_put_literal(struct buf *out, const struct addr *a);
/* "192.0.2.1:25", "[2001:db8::1]:25". */
void addr_put_host_port(struct buf *out, const struct addr *a);

#endif
