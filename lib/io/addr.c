#include "lib/io/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static const struct sockaddr_in *addr_v4(const struct addr *a)
{
    return (const struct sockaddr_in *)(const void *)&a->sa;
}

static const struct sockaddr_in6 *addr_v6(const struct addr *a)
{
    return (const struct sockaddr_in6 *)(const void *)&a->sa;
}

static struct addr addr_from_v4(const void *octets, in_port_t port)
{
    struct addr a = {.len = sizeof(struct sockaddr_in)};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = port};
    memcpy(&in.sin_addr, octets, sizeof in.sin_addr);
    memcpy(&a.sa, &in, sizeof in);
    return a;
}

struct addr addr_of(const struct sockaddr_storage *sa, socklen_t len)
{
    struct addr a = {.len = len < sizeof *sa ? len : (socklen_t)sizeof *sa};
    memcpy(&a.sa, sa, a.len);
    if (a.len < sizeof a.sa.ss_family)
        return (struct addr){0};
    if (a.sa.ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&addr_v6(&a)->sin6_addr))
        return addr_from_v4(&addr_v6(&a)->sin6_addr.s6_addr[12], addr_v6(&a)->sin6_port);
    return a;
}

struct addr addr_of_peer(int fd)
{
    struct sockaddr_storage sa = {0};
    socklen_t len = sizeof sa;
    if (getpeername(fd, (struct sockaddr *)&sa, &len) != 0)
        return (struct addr){0};
    return addr_of(&sa, len);
}

struct addr addr_of_self(int fd)
{
    struct sockaddr_storage sa = {0};
    socklen_t len = sizeof sa;
    if (getsockname(fd, (struct sockaddr *)&sa, &len) != 0)
        return (struct addr){0};
    return addr_of(&sa, len);
}

bool addr_parse(struct span text, unsigned port, struct addr *a)
{
    char name[INET6_ADDRSTRLEN];
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    struct in_addr in;
    bool bracketed = text.n >= 2 && text.p[0] == '[' && text.p[text.n - 1] == ']';
    if (bracketed)
        text = span_slice(text, 1, text.n - 1);
    if (text.n == 0 || text.n >= sizeof name || memchr(text.p, '\0', text.n))
        return false;
    memcpy(name, text.p, text.n);
    name[text.n] = '\0';
    if (inet_pton(AF_INET, name, &in) == 1) {
        *a = addr_from_v4(&in, htons((uint16_t)port));
        return true;
    }
    if (inet_pton(AF_INET6, name, &in6.sin6_addr) != 1)
        return false;
    struct sockaddr_storage sa = {0};
    memcpy(&sa, &in6, sizeof in6);
    *a = addr_of(&sa, sizeof in6);
    return true;
}

int addr_family(const struct addr *a)
{
    return a->len == 0 ? AF_UNSPEC : a->sa.ss_family;
}

unsigned addr_port(const struct addr *a)
{
    if (addr_family(a) == AF_INET)
        return ntohs(addr_v4(a)->sin_port);
    return addr_family(a) == AF_INET6 ? ntohs(addr_v6(a)->sin6_port) : 0;
}

struct span addr_bytes(const struct addr *a)
{
    if (addr_family(a) == AF_INET)
        return span_of(&addr_v4(a)->sin_addr, 4);
    return addr_family(a) == AF_INET6 ? span_of(&addr_v6(a)->sin6_addr, 16) : SPAN_NONE;
}

void addr_put_host(struct buf *out, const struct addr *a)
{
    char text[INET6_ADDRSTRLEN];
    struct span octets = addr_bytes(a);
    if (octets.n > 0 && inet_ntop(addr_family(a), octets.p, text, sizeof text))
        buf_puts(out, text);
    else
        buf_puts(out, "127.0.0.1");
}

void addr_put_literal(struct buf *out, const struct addr *a)
{
    buf_puts(out, addr_family(a) == AF_INET6 ? "[IPv6:" : "[");
    addr_put_host(out, a);
    buf_putc(out, ']');
}

void addr_put_host_port(struct buf *out, const struct addr *a)
{
    bool v6 = addr_family(a) == AF_INET6;
    buf_puts(out, v6 ? "[" : "");
    addr_put_host(out, a);
    buf_printf(out, "%s:%u", v6 ? "]" : "", addr_port(a));
}
