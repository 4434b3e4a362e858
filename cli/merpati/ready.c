#include "cli/merpati/ready.h"

#include "lib/base/clock.h"
#include "lib/base/span.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { GREETING_MOST_MS = 2000 };

static socklen_t fill_address(struct sockaddr_storage *room, const char *address, uint16_t port)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)room;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)room;
    memset(room, 0, sizeof *room);
    /* Who listens on all addresses answers on this one. */
    bool any = strcmp(address, "0.0.0.0") == 0;
    if (inet_pton(AF_INET, any ? "127.0.0.1" : address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        return sizeof *v4;
    }
    any = strcmp(address, "::") == 0;
    if (inet_pton(AF_INET6, any ? "::1" : address, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        return sizeof *v6;
    }
    return 0;
}

static bool read_greeting(int fd, const char *greeting)
{
    char text[512];
    size_t n = 0;
    mono_ms give_up = clock_after_ms(GREETING_MOST_MS);
    while (n < sizeof text && span_find(span_of(text, n), '\n') == n) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        mono_ms left = give_up - clock_mono();
        ssize_t got = left > 0 && poll(&p, 1, (int)left) > 0 ? read(fd, text + n, sizeof text - n) : 0;
        if (got <= 0)
            return false;
        n += (size_t)got;
    }
    return span_starts(span_of(text, n), span_text(greeting));
}

bool server_greets(const char *address, uint16_t port, const char *greeting)
{
    struct sockaddr_storage room;
    socklen_t size = fill_address(&room, address, port);
    int fd = size ? socket(room.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
    bool greets = fd >= 0 && connect(fd, (struct sockaddr *)&room, size) == 0 && read_greeting(fd, greeting);
    if (greets)
        (void)!send(fd, "QUIT\r\n", 6, MSG_NOSIGNAL);
    if (fd >= 0)
        close(fd);
    return greets;
}
