#include "lib/io/addr.h"

#include <criterion/criterion.h>
#include <sys/un.h>
#include <unistd.h>

Test(addr, makes_the_text_of_each_kind)
{
    static const struct {
        const char *says, *in, *host, *literal, *host_port;
        int family;
    } rows[] = {
        {"IPv4", "192.0.2.1", "192.0.2.1", "[192.0.2.1]", "192.0.2.1:2525", AF_INET},
        {"IPv6", "2001:db8::1", "2001:db8::1", "[IPv6:2001:db8::1]", "[2001:db8::1]:2525", AF_INET6},
        {"IPv6 is shortened", "2001:0db8:0000:0:0:0:0:1", "2001:db8::1", "[IPv6:2001:db8::1]", "[2001:db8::1]:2525",
         AF_INET6},
        {"brackets", "[::1]", "::1", "[IPv6:::1]", "[::1]:2525", AF_INET6},
        {"IPv4 in IPv6", "::ffff:192.0.2.1", "192.0.2.1", "[192.0.2.1]", "192.0.2.1:2525", AF_INET},
        {"brackets around IPv4", "[192.0.2.1]", "192.0.2.1", "[192.0.2.1]", "192.0.2.1:2525", AF_INET},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct addr a = {0};
        struct buf host = BUF_INIT, literal = BUF_INIT, host_port = BUF_INIT;

        cr_assert(addr_parse(span_text(rows[i].in), 2525, &a), "%s", rows[i].says);
        addr_put_host(&host, &a);
        addr_put_literal(&literal, &a);
        addr_put_host_port(&host_port, &a);

        cr_expect_str_eq(buf_text(&host), rows[i].host, "%s: %s", rows[i].says, buf_text(&host));
        cr_expect_str_eq(buf_text(&literal), rows[i].literal, "%s: %s", rows[i].says, buf_text(&literal));
        cr_expect_str_eq(buf_text(&host_port), rows[i].host_port, "%s: %s", rows[i].says, buf_text(&host_port));
        cr_expect_eq(addr_family(&a), rows[i].family, "%s", rows[i].says);
        cr_expect_eq(addr_port(&a), 2525U, "%s", rows[i].says);
        cr_expect_eq(addr_bytes(&a).n, rows[i].family == AF_INET ? 4U : 16U, "%s", rows[i].says);
        buf_fini(&host);
        buf_fini(&literal);
        buf_fini(&host_port);
    }
}

Test(addr, refuses_what_is_no_address)
{
    static const struct span rows[] = {
        SPAN_INIT(""), SPAN_INIT("[]"), SPAN_INIT("localhost"), SPAN_INIT("192.0.2"), SPAN_INIT("192.0.2.256"),
        SPAN_INIT("192.0.2.1\0"), SPAN_INIT("::1%lo"), SPAN_INIT("[::1"), SPAN_INIT(" ::1"),
        SPAN_INIT("0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"),
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct addr a = {0};

        cr_expect_not(addr_parse(rows[i], 25, &a), "row %zu: %.*s", i, SPAN_ARG(rows[i]));
        cr_expect_eq(addr_family(&a), AF_UNSPEC);
    }
}

Test(addr, calls_a_local_client_by_the_loopback_address)
{
    int fds[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    struct buf host = BUF_INIT;

    struct addr a = addr_of_peer(fds[0]);
    addr_put_host(&host, &a);

    cr_expect_eq(addr_family(&a), AF_UNIX);
    cr_expect_eq(addr_port(&a), 0U);
    cr_expect_str_eq(buf_text(&host), "127.0.0.1");
    buf_fini(&host);
    close(fds[0]);
    close(fds[1]);
}

Test(addr, has_none_for_a_socket_that_is_not_connected)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    struct addr a = addr_of_peer(fd);

    cr_expect_eq(addr_family(&a), AF_UNSPEC);
    cr_expect_eq(addr_bytes(&a).n, 0U);
    close(fd);
}
