#include "lib/proc/resolver.h"
#include "lib/param/param.h"

static struct channel *channel_to_dnsd(void *context, mono_ms deadline)
{
    return proc_channel(context, "dnsd", deadline);
}

static unsigned families_of(struct span list)
{
    unsigned families = 0;
    struct span item;
    while (value_next_item(&list, &item) > 0) {
        bool all = span_eq_nocase(item, SPAN("all"));
        families |= all || span_eq_nocase(item, SPAN("ipv4")) ? DNS_IPV4 : 0;
        families |= all || span_eq_nocase(item, SPAN("ipv6")) ? DNS_IPV6 : 0;
    }
    return families;
}

bool proc_dns(struct proc *p, struct dns_client *client)
{
    struct arena scratch = ARENA_INIT;
    struct buf why = BUF_INIT;
    struct span list = SPAN_NONE;
    *client = (struct dns_client){.loop = proc_loop(p), .channel = channel_to_dnsd, .context = p};
    bool good = param_expand_name(&scratch, proc_settings(p), SPAN("inet_protocols"), &list, &why);
    client->families = good ? families_of(list) : 0;
    if (!client->families)
        proc_trouble(p, "inet_protocols: use ipv4, ipv6 or all %s", buf_text(&why));
    buf_fini(&why);
    arena_fini(&scratch);
    return client->families != 0;
}
