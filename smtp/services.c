#include "smtp/services.h"

#include "lib/proc/resolver.h"
#include "smtp/connect.h"

struct services {
    struct proc *proc;
    const struct smtp *smtp;
    struct dns_client dns;
};

static int do_connect(void *context, const struct endpoint *to, mono_ms deadline)
{
    struct services *services = context;
    return connect_inet(services->smtp, to, deadline);
}

static void look_up(void *context, struct arena *a, struct span name, unsigned type, struct dns_answer *answer)
{
    struct services *services = context;
    dns_lookup(&services->dns, a, name, type, 0, clock_after_ms(DNS_WAIT_MS), answer);
}

static void look_up_addresses(void *context, struct arena *a, struct span host, unsigned flags,
                              struct dns_answer *answer)
{
    struct services *services = context;
    dns_addresses(&services->dns, a, host, flags, clock_after_ms(DNS_WAIT_MS), answer);
}

static uint64_t draw_number(void *context)
{
    struct services *services = context;
    return proc_next_number(services->proc);
}

bool services_open(struct proc *p, struct smtp *smtp)
{
    struct services *services = ARENA_NEW(proc_arena(p), struct services);
    services->proc = p;
    services->smtp = smtp;
    smtp->services = (struct smtp_services){.connect = do_connect,
                                            .lookup = look_up,
                                            .addresses = look_up_addresses,
                                            .number = draw_number,
                                            .context = services};
    return proc_dns(p, &services->dns);
}
