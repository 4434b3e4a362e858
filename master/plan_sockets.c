#include "lib/base/check.h"
#include "lib/table/cidr.h"
#include "master/plan.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>

enum { SOCKETS_OF_A_SERVICE = 60, HOSTS_FILE_MAX = 1 << 20 };

/* The search for the addresses of one service. */
struct search {
    struct config *config;
    struct plan *plan;
    bool ipv4, ipv6; /* inet_protocols */
    uint16_t port;
    struct param_errors *errors;
};

static void socket_add(struct search *s, const struct ip *ip)
{
    struct plan *plan = s->plan;
    struct buf text = BUF_INIT;
    if (plan->nsockets == SOCKETS_OF_A_SERVICE || (ip->n == 4 ? !s->ipv4 : !s->ipv6))
        return;
    ip_put(&text, ip);
    const char *key = arena_printf(&s->config->arena, "inet:[%s]:%u", buf_text(&text), s->port);
    buf_fini(&text);
    for (unsigned i = 0; i < plan->nsockets; i++)
        if (strcmp(plan->sockets[i].key, key) == 0)
            return;
    struct socket_plan *sock = &plan->sockets[plan->nsockets++];
    *sock = (struct socket_plan){.name = plan->name, .kind = LISTENER_INET, .key = key, .place = plan->place};
    if (ip->n == 4) {
        struct sockaddr_in *a = (struct sockaddr_in *)(void *)&sock->address;
        a->sin_family = AF_INET;
        a->sin_port = htons(s->port);
        memcpy(&a->sin_addr, ip->bytes, 4);
        sock->address_size = sizeof *a;
    } else {
        struct sockaddr_in6 *a = (struct sockaddr_in6 *)(void *)&sock->address;
        a->sin6_family = AF_INET6;
        a->sin6_port = htons(s->port);
        memcpy(&a->sin6_addr, ip->bytes, 16);
        sock->address_size = sizeof *a;
    }
}

static bool socket_add_text(struct search *s, const char *address)
{
    struct ip ip;
    if (!ip_parse(span_text(address), &ip))
        return false;
    socket_add(s, &ip);
    return true;
}

/* The addresses of a name in /etc/hosts. The resolver is not asked: root would read what the
 * network answers. */
static bool socket_add_from_hosts(struct search *s, struct span name)
{
    struct buf text = BUF_LIMITED(HOSTS_FILE_MAX), why = BUF_INIT;
    bool found = false;
    struct span line, rest, word;
    (void)settings_load_file("/etc/hosts", HOSTS_FILE_MAX, &text, &why);
    for (rest = buf_span(&text); span_next_token(&rest, SPAN("\n"), &line);) {
        struct span entry = span_slice(line, 0, span_find(line, '#'));
        struct ip ip;
        if (!span_next_token(&entry, SPAN(" \t\r"), &word) || !ip_parse(word, &ip))
            continue;
        while (span_next_token(&entry, SPAN(" \t\r"), &word))
            if (span_eq_nocase(word, name)) {
                socket_add(s, &ip);
                found = true;
            }
    }
    buf_fini(&text);
    buf_fini(&why);
    return found;
}

/* One word of inet_interfaces, or the host of "host:port". */
static void search_host(struct search *s, struct span host)
{
    struct ip ip;
    struct span bare = span_starts(host, SPAN("[")) && host.n > 2 ? span_slice(host, 1, host.n - 1) : host;
    if (span_eq_nocase(host, SPAN("all"))) {
        socket_add_text(s, "0.0.0.0");
        socket_add_text(s, "::");
    } else if (span_eq_nocase(host, SPAN("loopback-only")) || span_eq_nocase(host, SPAN("localhost"))) {
        socket_add_text(s, "127.0.0.1");
        socket_add_text(s, "::1");
    } else if (ip_parse(bare, &ip)) {
        socket_add(s, &ip);
    } else if (!socket_add_from_hosts(s, host)) {
        param_error_add(s->errors, PARAM_ERROR, s->plan->place,
                        "service %s: no address is known for \"%.*s\": write the address itself, or put the name into "
                        "/etc/hosts", s->plan->name, SPAN_ARG(host));
    }
}

static void search_interfaces(struct search *s, const struct settings *settings)
{
    struct buf why = BUF_INIT;
    struct span list, item;
    if (param_expand_name(&s->config->arena, settings, SPAN("inet_interfaces"), &list, &why))
        while (value_next_item(&list, &item) > 0)
            search_host(s, item);
    buf_fini(&why);
}

static void choose_protocols(struct search *s, const struct settings *settings)
{
    struct buf why = BUF_INIT;
    struct span list, item;
    if (param_expand_name(&s->config->arena, settings, SPAN("inet_protocols"), &list, &why))
        while (value_next_item(&list, &item) > 0) {
            bool all = span_eq_nocase(item, SPAN("all"));
            s->ipv4 |= all || span_eq_nocase(item, SPAN("ipv4"));
            s->ipv6 |= all || span_eq_nocase(item, SPAN("ipv6"));
        }
    buf_fini(&why);
}

static bool plan_inet(struct config *c, const struct settings *settings, struct plan *plan, struct param_errors *errors)
{
    struct search s = {.config = c, .plan = plan, .errors = errors};
    struct listen_spec spec;
    struct buf why = BUF_INIT;
    size_t before = errors->fatal;
    if (!listen_spec_parse(span_text(plan->name), &spec, &why)) {
        param_error_add(errors, PARAM_ERROR, plan->place, "service %s: %s", plan->name, buf_text(&why));
        buf_fini(&why);
        return false;
    }
    s.port = spec.port;
    choose_protocols(&s, settings);
    if (spec.host.n)
        search_host(&s, spec.host);
    else
        search_interfaces(&s, settings);
    if (plan->nsockets == 0 && errors->fatal == before)
        param_error_add(errors, PARAM_ERROR, plan->place,
                        "service %s: inet_interfaces and inet_protocols leave no address to listen on", plan->name);
    return errors->fatal == before;
}

bool plan_sockets(struct config *c, const struct settings *s, struct plan *plan,
                  struct param_errors *errors)
{
    struct span rest = span_text(plan->program->sockets), path;
    plan->sockets = arena_calloc(&c->arena, SOCKETS_OF_A_SERVICE, sizeof *plan->sockets);
    if (plan->type == SERVICE_INET)
        return plan_inet(c, s, plan, errors);
    while (span_next_token(&rest, SPAN(" "), &path)) {
        const char *text = arena_text(&c->arena, path);
        plan->sockets[plan->nsockets++] = (struct socket_plan){
            .name = text + span_rfind(path, '/') + 1,
            .kind = LISTENER_UNIX,
            .key = arena_printf(&c->arena, "unix:%s", text),
            .path = text,
            .place = plan->place,
        };
    }
    return true;
}
