#include "smtp/connect.h"

#include "lib/io/wait.h"
#include "lib/log/log.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Binds to smtp_bind_address or its IPv6 twin. result: false with errno */
static bool bind_near_end(const struct smtp *smtp, int fd, const struct endpoint *to)
{
    const struct params_smtp *mine = smtp->mine;
    bool six = addr_family(&to->addr) == AF_INET6;
    struct span text = six ? mine->smtp_bind_address6 : mine->smtp_bind_address;
    struct addr near;
    if (text.n == 0)
        return true;
    if (!addr_parse(text, 0, &near) || addr_family(&near) != addr_family(&to->addr)) {
        log_warning("bad %s parameter: %.*s", six ? "smtp_bind_address6" : "smtp_bind_address", SPAN_ARG(text));
        errno = EINVAL;
        return !mine->smtp_bind_address_enforce;
    }
    if (bind(fd, (const struct sockaddr *)&near.sa, near.len) == 0)
        return true;
    log_warning("bind %.*s: %s", SPAN_ARG(text), strerror(errno));
    return !mine->smtp_bind_address_enforce;
}

/* result: 0 or an errno */
static int connect_socket(int fd, const struct addr *to, mono_ms deadline)
{
    int error = 0;
    socklen_t size = sizeof error;
    if (connect(fd, (const struct sockaddr *)&to->sa, to->len) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return errno;
    for (;;) {
        switch (wait_writable(fd, deadline)) {
        case WAIT_TIMEOUT:
            return ETIMEDOUT;
        case WAIT_CANCELLED:
            return ECANCELED;
        case WAIT_OK:
            break;
        }
        struct addr peer = addr_of_peer(fd);
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
            return errno;
        if (error != 0 || peer.len != 0)
            return error;
    }
}

int connect_inet(const struct smtp *smtp, const struct endpoint *to, mono_ms deadline)
{
    int fd = socket(addr_family(&to->addr), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int error = bind_near_end(smtp, fd, to) ? connect_socket(fd, &to->addr, deadline) : errno;
    if (error == 0)
        return fd;
    wait_forget(fd);
    close(fd);
    errno = error;
    return -1;
}
