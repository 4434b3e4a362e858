#include "lib/param/facts.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <unistd.h>

static unsigned mask_bits(const unsigned char *mask, size_t octets)
{
    unsigned bits = 0;
    while (bits < octets * 8 && mask[bits / 8] & (0x80 >> bits % 8))
        bits++;
    return bits;
}

/* Appends the address of one interface where it is of this family. */
static void facts_put_address(struct buf *out, const struct ifaddrs *interface, int family)
{
    char text[INET6_ADDRSTRLEN];
    if (!interface->ifa_addr || !interface->ifa_netmask || interface->ifa_addr->sa_family != family ||
        !(interface->ifa_flags & IFF_UP))
        return;
    const char *sep = out->len ? " " : "";
    if (family == AF_INET) {
        struct sockaddr_in address, mask;
        memcpy(&address, interface->ifa_addr, sizeof address);
        memcpy(&mask, interface->ifa_netmask, sizeof mask);
        if (inet_ntop(AF_INET, &address.sin_addr, text, sizeof text))
            buf_printf(out, "%s%s/%u", sep, text, mask_bits((const unsigned char *)&mask.sin_addr, 4));
    } else {
        struct sockaddr_in6 address, mask;
        memcpy(&address, interface->ifa_addr, sizeof address);
        memcpy(&mask, interface->ifa_netmask, sizeof mask);
        if (inet_ntop(AF_INET6, &address.sin6_addr, text, sizeof text))
            buf_printf(out, "%s[%s]/%u", sep, text, mask_bits(mask.sin6_addr.s6_addr, 16));
    }
}

void facts_gather(struct settings *s)
{
    char name[256] = "";
    if (gethostname(name, sizeof name - 1) == 0 && name[0])
        settings_set_fact(s, FACT_HOSTNAME, span_text(name));
    struct ifaddrs *interfaces = NULL;
    if (getifaddrs(&interfaces) != 0)
        return;
    struct buf text = BUF_INIT;
    for (struct ifaddrs *i = interfaces; i; i = i->ifa_next)
        facts_put_address(&text, i, AF_INET);
    for (struct ifaddrs *i = interfaces; i; i = i->ifa_next)
        facts_put_address(&text, i, AF_INET6);
    settings_set_fact(s, FACT_INTERFACES, buf_span(&text));
    buf_fini(&text);
    freeifaddrs(interfaces);
}
